"""Methods that look at the input itself instead of a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.input_gradients import Attributed
from pytorch_grad_cam.common.notes import ZERO_ATTRIBUTION, Note
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.forward_pass import finite_values
from pytorch_grad_cam.core.options import How
from pytorch_grad_cam.engine import diagnosis, maps
from pytorch_grad_cam.engine.image_model import door
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.targets.classification import Target, Targets, category_of

INPUT = "input"  # what stands where other methods name their layers


class InputMethod(BaseCAM):
    """A method that gives every input value a number: subclasses say which, and how channels become one map.

    ``eigen_smooth`` takes the first principal component of the input channels instead of ``_over_channels``; an input
    with one channel stays as it is.

    Args:
        model: the network.
        target_layers: ignored, kept for the interface: no layer takes part.
        reshape_transform: not used.
        **kwargs: as for ``BaseCAM``.
    """

    uses_layers = False
    why_zero = (
        "the score does not react to the input there (saturated output, or units that are off), or part of the network "
        "runs without gradients (no_grad, detach, .item(), NumPy)"
    )

    def __init__(
        self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(model, None, None, **kwargs)
        self.target_layers = []  # None would search for a layer

    def attributions(self, input_tensor: Any, targets: Targets = None) -> Tensor:
        """Return one number per input value, before channels are combined and anything is scaled.

        Args:
            input_tensor, targets: as for ``explain``.

        Returns:
            ``(B, C, *S)`` on the model's device, float32, of a float64 network float64. A method that does not tell
            channels apart returns ``(B, 1, *S)``.
        """
        inputs, network = door(
            self.model, input_tensor, None, None, self.output, allow_nonfinite=False, keep_graph=False
        )
        with undisturbed(self.model, inputs.device), self._calling(network):
            return self._attributed(inputs, targets, None).values

    def _attributed(self, inputs: Tensor, targets: Targets, undo: Callable[[Tensor], Tensor] | None) -> Attributed:
        """Find the numbers; ``undo`` as for ``_explain_view``."""
        raise NotImplementedError(f"{type(self).__name__} must override _attributed")

    def _over_channels(self, values: Tensor) -> Tensor:
        """Combine the channels of ``(B, C, *S)`` to a map ``(B, *S)``: their sum."""
        return values.sum(1)

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        if how.differentiable:
            raise ValueError(f"the maps of {type(self).__name__} cannot be differentiated; use a method for layers")
        found = self._attributed(inputs, targets, undo)
        values, nonfinite = finite_values(found.values, "attributions of the input", how.allow_nonfinite)
        several = values.shape[1] > 1
        raw = maps.principal_projection(values) if how.eigen_smooth and several else self._over_channels(values)
        notes = diagnosis.notes_on(INPUT, raw, [False] * len(raw), str, nonfinite, how.relu, None)
        zero = [Note(ZERO_ATTRIBUTION, f"every attribution is 0: {self.why_zero}")]
        notes = [
            (*own, *(zero if is_zero else said))
            for own, said, is_zero in zip(
                found.notes or [()] * len(notes), notes, diagnosis.all_zero(values).tolist(), strict=True
            )
        ]
        explanation = Explanation(
            maps=how.finish([raw]),
            raw=(raw,),
            weights=(None,),
            outputs=found.outputs,
            scores=found.scores,
            classes=tuple(map(category_of, found.targets)),
            layers=(INPUT,),
            notes=tuple(notes),
        )
        return explanation, found.targets


def at_least(**given: tuple[float, float]) -> None:
    """Refuse arguments, given as ``name=(value, least)``, that are too small.

    Raises:
        ValueError: naming the argument.
    """
    for name, (value, least) in given.items():
        if not value >= least:
            raise ValueError(f"{name}={value} is too small; give at least {least}")
