"""Call: everything that one call works with; nothing of it stays on the method's object."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ReshapeTransform
from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.core.options import CallOptions
from pytorch_grad_cam.engine.image_model import ImageModel
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec


@dataclass(frozen=True)
class Call:
    """One call, or a part of one: some images and what is asked of them.

    Attributes:
        model: the user's, as it was given.
        run: the model as a function of images ``(N, C, *S)``, whatever else it takes or returns.
        inputs: the images ``(B, C, *S)``, as the model takes them.
        specs: what is asked, one question after another; none: every class is to be explained.
        options: how the maps are made.
        target_layers: the layers that are explained.
        reshape_transform: from a layer's output to ``(B, C, *s)``; None: found by shapes.
    """

    model: nn.Module
    run: ImageModel
    inputs: Tensor
    specs: tuple[TargetSpec, ...]
    options: CallOptions
    target_layers: tuple[nn.Module, ...]
    reshape_transform: ReshapeTransform | None

    @property
    def spec(self) -> TargetSpec:
        """What is asked, of a call with one question."""
        (spec,) = self.specs
        return spec

    @cached_property
    def layout(self) -> ReshapeTransform:
        """What makes ``(B, C, *s)`` of a layer's output for these inputs."""
        from pytorch_grad_cam.engine.layout import InferredReshapeTransform  # not needed where a transform is given

        return self.reshape_transform or InferredReshapeTransform(self.model, self.inputs, self.target_layers)

    def replace(self, **changes: Any) -> Self:
        """Return the same call with some of its attributes changed."""
        return dataclasses.replace(self, **changes)

    def asking(self, spec: TargetSpec) -> Self:
        """Return the same call with another question."""
        return self.replace(specs=(spec,))

    def with_options(self, **changes: Any) -> Self:
        """Return the same call with some of its options changed."""
        return dataclasses.replace(self, options=dataclasses.replace(self.options, **changes))

    def select_rows(self, rows: Tensor) -> Self:
        """Return the call for some of its images, given by their indices.

        Raises:
            ValueError: for another number of targets than images.
        """
        specs = tuple(spec.select_rows(rows, len(self.inputs)) for spec in self.specs)
        return self.replace(inputs=self.inputs[rows], run=self.run.select_rows(rows), specs=specs)

    def of_view(self, inputs: Tensor, targets: list[Target], undo: Callable[[Tensor], Tensor]) -> Self:
        """Return the call for a changed view of the images, about targets that are known already."""
        view = self.replace(inputs=inputs, run=self.run.of_view(undo)).asking(TargetSpec(targets))
        return view.with_options(size=tuple(inputs.shape[2:]))


@dataclass(frozen=True)
class CallResult:
    """What a method found out: an ``Explanation`` with the targets themselves instead of their classes.

    Attributes:
        targets: one callable per image; none for a method that asks nothing.
        maps, raw, weights, outputs, scores, layers, notes: as of the ``Explanation``.
    """

    targets: list[Target]
    maps: Tensor
    raw: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]
    outputs: Any
    scores: Tensor | None
    layers: tuple[str, ...]
    notes: tuple[tuple[Note, ...], ...]

    def replace(self, **changes: Any) -> Self:
        """Return the same result with some of its attributes changed."""
        return dataclasses.replace(self, **changes)
