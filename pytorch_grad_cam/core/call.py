"""Call: everything that one call works with, its options checked; nothing of it stays on the method's object."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, TypedDict

from torch import Tensor, nn

from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.image_model import ImageModel
from pytorch_grad_cam.engine.pass_record import ReshapeTransform
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import REST, Contrast, TargetSpec

NORMALIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": Tensor.clone,
    "max": maps.unit_peak,
    "minmax": maps.unit_range,
}


_RENAMED = {
    "target_layer": "use target_layers=[layer] where the method is made",
    "target_category": "use cam(input_tensor, targets=...)",
    "class_idx": "use cam(input_tensor, targets=...)",  # as in other libraries
}


class MapOptions(TypedDict, total=False):
    """The keyword options of a call; ``BaseCAM.explain`` says what they mean."""

    relu: bool | None
    normalize: Literal["none", "max", "minmax"] | None
    size: Sequence[int] | None
    allow_nonfinite: bool
    differentiable: bool
    against: bool
    contrast: Contrast
    forward_kwargs: Mapping[str, Any] | None
    image: int | str | None
    samples: int | None
    activations: bool
    images: Any


@dataclass(frozen=True)
class CallOptions:
    """The options of one call, checked and with their defaults filled in.

    Attributes:
        eigen_smooth: whether a layer's map is a principal component of the weighted activations.
        relu: whether only evidence for the target is kept.
        normalize: scales maps ``(B, *S)``, each by itself: one of `NORMALIZERS`.
        size: spatial size of the maps.
        allow_nonfinite: whether NaN and infinity count as 0.
        differentiable: whether the maps carry a graph.
        activations: whether the layers' activations and gradients are handed out.
    """

    eigen_smooth: bool
    relu: bool
    normalize: Callable[[Tensor], Tensor]
    size: tuple[int, ...]
    allow_nonfinite: bool
    differentiable: bool
    activations: bool

    @classmethod
    def checked(
        cls,
        inputs: Tensor,
        eigen_smooth: bool,
        *,
        relu: bool | None = None,
        normalize: str | None = None,
        size: Sequence[int] | None = None,
        allow_nonfinite: bool = False,
        differentiable: bool = False,
        activations: bool = False,
        contrast: Any = None,
        **elsewhere: Any,
    ) -> Self:
        """Fill in the defaults for an input ``(B, C, *S)``.

        Args:
            contrast: of two classes that are compared, evidence for either is wanted.
            **elsewhere: the options that are no matter of maps.

        Raises:
            TypeError: for an unknown option, and for ``relu`` or ``size`` of another type.
            ValueError: for an unknown way to scale, or a size that does not fit the input's axes.
        """
        unknown = elsewhere.keys() - MapOptions.__annotations__.keys()
        if unknown:
            close = difflib.get_close_matches(min(unknown), MapOptions.__annotations__, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(MapOptions.__annotations__)}"
            hint = _RENAMED.get(min(unknown), hint)
            raise TypeError(f"there is no option {min(unknown)!r}; {hint}")
        if relu not in (None, True, False):
            raise TypeError(f"relu={relu!r} is neither True nor False; None takes the default")
        relu = contrast in (None, REST) if relu is None else relu
        scale = normalize or ("minmax" if relu else "max")
        if scale not in NORMALIZERS:
            raise ValueError(f"normalize={normalize!r} is unknown; choose one of {', '.join(map(repr, NORMALIZERS))}")
        if size is not None and not isinstance(size, Iterable):
            raise TypeError(
                f"size={size!r} is no sequence; give {inputs.ndim - 2} positive numbers, one per spatial axis of the "
                f"input, e.g. {tuple(inputs.shape[2:])}"
            )
        wanted = tuple(inputs.shape[2:]) if size is None else tuple(size)
        if len(wanted) != inputs.ndim - 2 or min(wanted) < 1:
            raise ValueError(
                f"size={wanted} must have {inputs.ndim - 2} positive numbers, one per spatial axis of the input"
            )
        return cls(eigen_smooth, relu, NORMALIZERS[scale], wanted, allow_nonfinite, differentiable, activations)


def refuse_older_names(method: type, arguments: dict[str, Any]) -> None:
    """Name the new argument for one of an older interface, or the closest one; ``use_cuda`` alone still passes."""
    if "use_cuda" in arguments:
        del arguments["use_cuda"]
        warnings.warn(
            "use_cuda is ignored: a map is computed where the model is; call model.cuda() first",
            DeprecationWarning,
            stacklevel=3,
        )
    for name in arguments:
        known = {name for kind in method.__mro__ for name in inspect.signature(kind.__init__).parameters}  # type: ignore[misc]
        close = difflib.get_close_matches(name, known - {"self", "args", "kwargs", "older"}, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        hint = f"; {_RENAMED[name]}" if name in _RENAMED else hint
        raise TypeError(f"{method.__name__}() does not take the argument {name!r}{hint}")


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
        keep_mode: whether the model runs as it stands instead of in evaluation mode.
    """

    model: nn.Module
    run: ImageModel
    inputs: Tensor
    specs: tuple[TargetSpec, ...]
    options: CallOptions
    target_layers: tuple[nn.Module, ...]
    reshape_transform: ReshapeTransform | None
    keep_mode: bool = False

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
        maps, raw, weights, outputs, scores, layers, notes, variance, activations, gradients: as of the
            ``Explanation``.
    """

    targets: list[Target]
    maps: Tensor
    raw: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]
    outputs: Any
    scores: Tensor | None
    layers: tuple[str, ...]
    notes: tuple[tuple[Note, ...], ...]
    variance: Tensor | None = None
    activations: tuple[Tensor, ...] = ()
    gradients: tuple[Tensor | None, ...] = ()

    def replace(self, **changes: Any) -> Self:
        """Return the same result with some of its attributes changed."""
        return dataclasses.replace(self, **changes)
