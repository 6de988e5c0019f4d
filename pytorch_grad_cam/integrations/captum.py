"""A method as Captum's programs take it: an object with ``attribute(inputs, target=...)``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, Unpack

from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.call import MapOptions
from pytorch_grad_cam.targets.classification import Targets

P = ParamSpec("P")
R = TypeVar("R")


def _wrapped(method: Callable[P, R]) -> Callable[P, R]:
    """Leave a method as it is, but with ``__wrapped__``, by which Captum's ``NoiseTunnel`` calls ``attribute``."""

    @functools.wraps(method)
    def called(*given: P.args, **options: P.kwargs) -> R:
        return method(*given, **options)

    return called


class CAMAttribution:
    """Explains by a method of ours where a program of Captum expects an ``Attribution``.

    Such as ``captum.attr.NoiseTunnel`` and the metrics ``infidelity`` and ``sensitivity_max``. Attributions are signed
    and not scaled, as those of Captum's own Grad-CAM, unless the options ask for something else.

    Args:
        cam: the method, on its network.
        **options: of ``BaseCAM.explain``, for all calls.
    """

    multiplies_by_inputs = False

    def __init__(self, cam: BaseCAM, **options: Unpack[MapOptions]) -> None:
        self.cam = cam
        self.options: MapOptions = {"relu": False, "normalize": "none", **options}

    @property
    def forward_func(self) -> nn.Module:
        """The network."""
        return self.cam.model

    def has_convergence_delta(self) -> bool:
        """Say that no difference is known to which attributions should sum up."""
        return False

    @_wrapped
    def attribute(
        self, inputs: Any, target: Any = None, additional_forward_args: Any = None, **options: Unpack[MapOptions]
    ) -> Any:
        """Attribute the score of a target to the positions of each image.

        Args:
            inputs: ``(B, C, *S)``, or a tuple with this alone, as Captum's metrics give it.
            target: an index; a tuple of indices into an output with several axes; a list or a tensor ``(B,)`` with one
                for each image, or a list of tuples; None: each image's top class. What ``BaseCAM.explain`` takes, too.
            additional_forward_args: what follows the input in the network's ``forward``: a tensor, or a tuple of
                tensors with an entry for each image.
            **options: of ``BaseCAM.explain``, for this call.

        Returns:
            ``(B, C, *S)``, on the device of the inputs: the map, the same for all channels; in a tuple where the inputs
            are in one.

        Raises:
            TypeError: for further arguments that are no tensors.
            ValueError: for several inputs; else as ``BaseCAM.explain``.
        """
        in_tuple = isinstance(inputs, tuple)
        if in_tuple and len(inputs) != 1:
            raise ValueError(
                f"{len(inputs)} inputs, of which a map can be drawn for one; give that as inputs and the others as "
                "additional_forward_args"
            )
        image: Tensor = inputs[0] if in_tuple else inputs
        others = _as_tuple(additional_forward_args)
        asked: MapOptions = {**self.options, **options}
        if others:
            asked["image"] = 0
        given: Any = (image, *others) if others else image
        maps = self.cam.explain(given, _as_targets(target), **asked).maps.to(image.device)  # (B, *S)
        attributions = maps.unsqueeze(1).expand(-1, image.shape[1], *maps.shape[1:]).contiguous()  # (B, C, *S)
        return (attributions,) if in_tuple else attributions


def _as_tuple(arguments: Any) -> tuple[Tensor, ...]:
    if arguments is None:
        return ()
    listed = arguments if isinstance(arguments, tuple) else (arguments,)
    for argument in listed:
        if not isinstance(argument, Tensor):
            raise TypeError(
                f"additional_forward_args holds {argument!r}, which is no tensor; give it by its name, as "
                "forward_kwargs={...}"
            )
    return listed


def _as_targets(target: Any) -> Targets:
    if isinstance(target, tuple):
        return _Entry(target)
    if isinstance(target, list) and any(isinstance(each, tuple) for each in target):
        return [_Entry(each) for each in target]
    if isinstance(target, Tensor) and target.ndim == 1 and target.numel() == 1:
        return int(target)  # one for all images
    targets: Targets = target
    return targets


class _Entry:
    """One number of an image's output ``(M, ...)``: a target."""

    def __init__(self, place: Sequence[int]) -> None:
        self.place = tuple(map(int, place))

    def __call__(self, output: Tensor) -> Tensor:
        return output[self.place]
