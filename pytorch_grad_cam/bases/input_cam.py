"""The base of methods that look at the input itself instead of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.input_gradients import Attributions
from pytorch_grad_cam.common.messages import ZERO_ATTRIBUTION, Note
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.forward_pass import finite_values
from pytorch_grad_cam.engine import diagnosis, maps
from pytorch_grad_cam.targets.classification import Targets

INPUT = "input"  # what stands where other methods name their layers


class InputCAM(BaseCAM):
    """A method that gives every input value a number: subclasses say which, and how channels become one map.

    ``eigen_smooth`` takes the first principal component of the input channels instead of ``combine_channels``; an input
    with one channel stays as it is.

    Args:
        model: the network.
        target_layers: ignored, kept for the interface: no layer takes part.
        reshape_transform: not used.
        **kwargs: as for ``BaseCAM``.
    """

    uses_layers = False
    fine_grained = True
    why_zero = (
        "the score does not react to the input there (saturated output, or units that are off), or part of the network "
        "runs without gradients (no_grad, detach, .item(), NumPy)"
    )

    def __init__(
        self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(model, None, None, **kwargs)
        self.target_layers = []  # None would search for a layer

    def attributions(
        self, input_tensor: Any, targets: Targets = None, *, forward_kwargs: Mapping[str, Any] | None = None
    ) -> Tensor:
        """Return one number per input value, before channels are combined and anything is scaled.

        Args:
            input_tensor, targets, forward_kwargs: as for ``explain``.

        Returns:
            ``(B, C, *S)`` on the model's device, float32, of a float64 network float64. A method that does not tell
            channels apart returns ``(B, 1, *S)``.
        """
        return pipeline.attribute(self, input_tensor, targets, lambda call: self.attribute(call).values, forward_kwargs)

    def attribute(self, call: Call) -> Attributions:
        """Find the numbers for one batch: the one thing such a method has to say."""
        raise NotImplementedError(f"{type(self).__name__} must override attribute")

    def combine_channels(self, values: Tensor) -> Tensor:
        """Combine the channels of ``(B, C, *S)`` to a map ``(B, *S)``: their sum."""
        return values.sum(1)

    def explain_call(self, call: Call) -> CallResult:
        options = call.options
        if options.differentiable:
            raise ValueError(f"the maps of {type(self).__name__} cannot be differentiated; use a method for layers")
        attributions = self.attribute(call)
        values, nonfinite = finite_values(attributions.values, "attributions of the input", options.allow_nonfinite)
        several = values.shape[1] > 1
        smooth = options.eigen_smooth and several
        raw = maps.principal_projection(values) if smooth else self.combine_channels(values)
        notes = diagnosis.notes_on(diagnosis.LayerFacts.without_gradients(INPUT, nonfinite), raw, options.relu)
        nothing = (Note(ZERO_ATTRIBUTION, f"every attribution is 0: {self.why_zero}"),)
        return CallResult(
            targets=attributions.targets,
            maps=pipeline.resize_and_aggregate([raw], options),
            raw=(raw,),
            weights=(None,),
            outputs=attributions.outputs,
            scores=attributions.scores,
            layers=(INPUT,),
            notes=tuple(
                (*own, *(nothing if is_zero else of_map))
                for own, of_map, is_zero in zip(
                    attributions.notes or [()] * len(notes), notes, diagnosis.all_zero(values).tolist(), strict=True
                )
            ),
        )


def at_least(**arguments: tuple[float, float]) -> None:
    """Refuse arguments, written as ``name=(value, least)``, that are too small.

    Raises:
        ValueError: naming the argument.
    """
    for name, (value, least) in arguments.items():
        if not value >= least:
            raise ValueError(f"{name}={value} is too small; give at least {least}")
