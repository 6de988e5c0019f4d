"""AblationCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import tqdm  # code for grad-cam patches it here
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.bases.replay_cam import ReplayCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.chunks import chunks_of
from pytorch_grad_cam.engine.perturb import Channels, strongest
from pytorch_grad_cam.engine.precision import PassDtype, in_precision, pass_dtype
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, replaced_bar, scores_of, scores_of_variants
from pytorch_grad_cam.targets.classification import Target


class AblationCAM(ReplayCAM):
    """Highlights the channels without which the score drops. No gradient.

    ``w_k = (s - s_without_k) / |s|``; ``L = relu(sum_k w_k A_k)``.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        ablation_layer: how a channel is taken away, a copy of the protocol of ``AblationLayer``; None sets it to 0 in
            the layer's output, whatever its layout.
        batch_size: changed activations per forward pass through what follows the layer, at most; None, as for
            ``ScoreCAM``, is fastest on a GPU.
        ratio_channels_to_ablate: try only this share of the channels, those that lie most on the object.
        channels: try only this many, those with the largest mean absolute activation. Channels that are not tried
            get weight 0.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        dtype: of the passes over changed activations, as for ``ScoreCAM``.

    Raises:
        ValueError: for a share outside (0, 1].

    Source: S. Desai and H. G. Ramaswamy, 2020, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
    Gradient-free Localization", WACV, doi:10.1109/WACV45572.2020.9093360.
    Note: the paper divides by ``s``, which turns the map around when the score is negative; here it is ``|s|``.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        ablation_layer: AblationLayer | None = None,
        batch_size: int | None = 32,
        ratio_channels_to_ablate: float = 1.0,
        *,
        channels: int | None = None,
        progress: Progress = False,
        dtype: PassDtype = None,
        **kwargs: Any,
    ) -> None:
        if not 0 < ratio_channels_to_ablate <= 1:
            raise ValueError(f"ratio_channels_to_ablate={ratio_channels_to_ablate} is not a share; give one in (0, 1]")
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        self.ablation_layer, self.ratio_channels_to_ablate = ablation_layer, ratio_channels_to_ablate
        self.batch_size, self.channels, self.progress, self.dtype = batch_size, channels, progress, pass_dtype(dtype)

    def save_activation(self, module: nn.Module, input: Any, output: Any) -> None:
        """Keep what a layer returned, in ``activations``: a forward hook for code that sets one. Not used here."""
        self.activations = output

    def assemble_ablation_scores(
        self,
        new_scores: Sequence[float],
        original_score: float,
        ablated_channels: NDArray[np.integer[Any]],
        number_of_channels: int,
    ) -> list[float]:
        """Give every channel a score: those taken away the one without them, the others that of the clean image.

        Args:
            new_scores: one for each channel that was taken away.
            original_score: with all channels.
            ablated_channels: which these are, in the order of ``new_scores``.
            number_of_channels: of the layer.
        """
        scores = [original_score] * number_of_channels
        for channel, score in zip(np.asarray(ablated_channels).tolist(), new_scores, strict=True):
            scores[channel] = score
        return scores

    def channel_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        activations = layer.activations
        weights = activations.new_zeros(activations.shape[:2])
        tried = [self._tried(image) for image in activations]
        chunks = chunks_of(self.batch_size, activations[0], is_activation=True)
        with progress_bar(sum(map(len, tried)), "AblationCAM", self.progress, replaced_bar(tqdm)) as advance:
            for row, target in enumerate(targets):
                replay = self.replay(call, layer, row)
                score = self._clean_score(replay, target)
                without = self._without(replay, tried[row], call.layout)
                scores = scores_of_variants(len(tried[row]), without, replay, target, chunks, advance, self.dtype)
                each = self.assemble_ablation_scores(
                    scores.tolist(), score, tried[row].cpu().numpy(), activations.shape[1]
                )
                drop = score - torch.from_numpy(np.asarray(each, np.float64))  # on the CPU, whatever the default
                weights[row] = (drop / (abs(score) or 1)).to(weights)
        return weights

    def _clean_score(self, replay: Replay, target: Target) -> float:
        """Score one image with all channels, in the precision of those without one: else all would seem to matter."""
        if self.dtype is None:
            return scores_of(replay.outputs, [target]).item()
        with torch.no_grad():
            outputs = in_precision(replay, self.dtype)(replay.activations)
        return scores_of(outputs, [target]).item()

    def _tried(self, activations: Tensor) -> Tensor:
        """Return the channels of one image ``(C, *S)`` to take away; one that is 0 everywhere is away already."""
        if self.ablation_layer is None and self.ratio_channels_to_ablate == 1:
            channels = strongest(activations, self.channels)
            return channels[activations[channels].flatten(1).any(1)]
        layer = self.ablation_layer or AblationLayer()
        chosen = layer.activations_to_be_ablated(activations.cpu().numpy(), self.ratio_channels_to_ablate)
        return torch.as_tensor(np.asarray(chosen), dtype=torch.long, device=activations.device)[: self.channels]

    def _without(self, replay: Replay, channels: Tensor, layout: Callable[[Any], Tensor]) -> Callable[[slice], Any]:
        """Return what makes a chunk of changed activations for one image."""
        layer = self.ablation_layer
        if layer is None:
            output = Channels(replay.activations, layout)
            return lambda chunk: output.without(channels[chunk])
        indices = channels.cpu().numpy()

        def next_batch(chunk: slice) -> Any:
            count = chunk.stop - chunk.start
            layer.indices = indices[chunk.start :]
            layer.set_next_batch(input_batch_index=0, activations=replay.activations, num_channels_to_ablate=count)
            return layer(replay.activations)

        return next_batch
