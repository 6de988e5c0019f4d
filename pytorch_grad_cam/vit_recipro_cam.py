"""ViT-Recipro-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.attention import first_norm_of_last_block
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.engine.perturb import Positions
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.engine.restore import replaced_forward
from pytorch_grad_cam.engine.trees import tensors_in
from pytorch_grad_cam.recipro_cam import ReciproCAM


class ViTReciproCAM(ReciproCAM):
    """Highlights the patches of a vision transformer that alone, next to the class token, bring the score.

    ``L(p) = s(T(Z * m_p))``, ``Z`` the tokens after the first norm of a block and those that its shortcut carries
    past it, both masked alike; ``m_p`` keeps the prefix tokens and, along each axis, (1 2 1) / 4 around ``p``.

    Args:
        target_layers: norms at the beginning of blocks; None takes the first of the last block.
        reshape_transform: to ``(B, C, *S)`` without the prefix tokens; None finds the grid.
        spread: False keeps only ``p`` itself.
        batch_size, progress, dtype: as for ``ReciproCAM``.

    Raises:
        ValueError: if the layer is not at the beginning of a block, or its tokens are no grid.

    Source: S.-Y. Byun and W. Lee, 2023, "ViT-ReciproCAM: Gradient and Attention-Free Visual Explanations for Vision
    Transformer", arXiv:2310.02588.
    """

    def __init__(self, *args: Any, spread: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, spread=spread, **kwargs)

    def choose_layers(self, call: Call) -> list[nn.Module]:
        return [first_norm_of_last_block(self.model, lambda: call.run(call.inputs), len(call.inputs))]

    def masked_replay(self, layer: LayerRecord, replay: Replay, positions: Positions) -> Callable[[Tensor], Any]:
        name = layer.name
        block = layer_at(self.model, name.rpartition(".")[0]) if "." in name else self.model

        def run(masks: Tensor) -> Any:
            (factor,) = tensors_in(positions.factors(masks))  # (K, N, C)

            def masked(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                if not args or not isinstance(args[0], Tensor) or args[0].shape != factor.shape:
                    raise ValueError(
                        f"layer {name!r} is not the norm at the beginning of a block: what contains it does not take "
                        f"the tokens {tuple(factor.shape)} as its input; choose the first norm of a block"
                    )
                return original(args[0] * factor, *args[1:], **kwargs)

            with replaced_forward(block, masked):
                return replay(positions.masked(masks))

        return run
