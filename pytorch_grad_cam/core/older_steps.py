"""A call step by step, as the package ``grad-cam`` makes it, for code that has replaced one of the steps.

Every step is looked up on the method's object, works in NumPy arrays, and may be overridden in a subclass or replaced
on one object::

    cam(input_tensor, targets, aug_smooth, eigen_smooth)
        forward_augmentation_smoothing      with aug_smooth: forward of every view, turned back; their mean
        forward
            activations_and_grads(x)        the record runs the model and keeps activations and gradients
            loss = sum(target(output))      targets meet what the record returned; then loss.backward()
            compute_cam_per_layer           for each target layer:
                get_target_width_height         the size of its map; None leaves it as it is
                get_cam_image                   the map: get_cam_weights times the activations, summed
                scale_cam_image                 rectified, in [0, 1], in that size
            aggregate_multi_layers          the mean over the layers, in [0, 1]

A call goes this way as soon as one of `STEPS` is not ours, another record is ``activations_and_grads``, or one of the
names that people patch in the module ``base_cam`` is another. Otherwise, and where only ``get_cam_weights`` or
``get_cam_image`` is overridden, it goes through ``core.pipeline``. Either way the model is given back as it was.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients, MethodRecord
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.explanation import Explanation, stack_targets
from pytorch_grad_cam.engine.arrays import get_2d_projection, scale_cam_image, to_numpy
from pytorch_grad_cam.engine.inputs import device_of
from pytorch_grad_cam.engine.layers import layer_names
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.restore import giving_back, own_gradients, replaced_attribute, undisturbed
from pytorch_grad_cam.engine.switches import uncompiled
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget, category_of
from pytorch_grad_cam.targets.spec import TargetSpec

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pytorch_grad_cam.base_cam import BaseCAM
    from pytorch_grad_cam.engine.image_model import OutputSelector
    from pytorch_grad_cam.engine.pass_record import ReshapeTransform
    from pytorch_grad_cam.engine.relu_rules import Rule

Arrays = NDArray[np.float32]
PACKAGE = __name__.partition(".")[0]
STEPS = (
    "forward",
    "forward_augmentation_smoothing",
    "compute_cam_per_layer",
    "aggregate_multi_layers",
    "get_target_width_height",
)
_AROUND = STEPS[:2]  # steps that methods with stages of their own have, too
_PATCHED = {
    "ActivationsAndGradients": ActivationsAndGradients,
    "ClassifierOutputTarget": ClassifierOutputTarget,
    "get_2d_projection": get_2d_projection,
    "scale_cam_image": scale_cam_image,
}


def replaced(method: BaseCAM) -> list[str]:
    """Name what is not ours of the steps of a method; where nothing is named, a call goes our way."""
    names = [step for step in STEPS if not is_ours(getattr(method, step))]
    if type(method.activations_and_grads) is not MethodRecord:
        names.append("activations_and_grads")
    return names + [name for name in _PATCHED if is_patched(name)]


def taken(method: BaseCAM) -> list[str]:
    """Name why a call that begins now goes step by step; inside one that does, nothing: there ``forward`` decides."""
    return [] if method._guest_thread == threading.get_ident() else replaced(method)


def is_patched(name: str) -> bool:
    """Say whether somebody has put something else under a name of the module ``base_cam``."""
    return _base_module()[name] is not _PATCHED[name]


def is_ours(function: Any) -> bool:
    """Say whether a function was written in this package."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] == PACKAGE


def _base_module() -> dict[str, Any]:
    """Return the names of the module ``base_cam``, where code for ``grad-cam`` patches them."""
    return vars(sys.modules[f"{PACKAGE}.base_cam"])


@giving_back
def run(method: BaseCAM, input_tensor: Any, targets: Any, aug_smooth: bool, eigen_smooth: bool) -> Arrays:
    """Make the maps step by step: ``(B, *S)``, or whatever the replaced steps return."""
    whole = method.forward_augmentation_smoothing if aug_smooth else method.forward
    with _guest(method):
        maps: Arrays = whole(input_tensor, targets, eigen_smooth)
    return maps


def explain(
    method: BaseCAM,
    input_tensor: Any,
    targets: Any,
    aug_smooth: bool,
    eigen_smooth: bool,
    names: Sequence[str],
    options: Mapping[str, Any],
) -> Explanation:
    """Make the maps step by step and say what is known beside them: no raw maps, weights, scores or notes.

    Args:
        names: what has been replaced.
        options: of the call.

    Raises:
        TypeError: for options that the steps do not know.
    """
    refuse(method, names, options)
    maps = torch.as_tensor(run(method, input_tensor, targets, aug_smooth, eigen_smooth), dtype=torch.float32)
    given = targets if isinstance(targets, (list, tuple)) and len(targets) == len(maps) else [targets] * len(maps)
    layer_of = layer_names(method.model)
    return Explanation(
        maps=maps.to(method.device),
        raw=(),
        weights=(),
        outputs=detached(method.outputs),
        scores=None,
        classes=tuple(target if isinstance(target, int) else category_of(target) for target in given),
        layers=tuple(layer_of.get(layer, type(layer).__name__) for layer in method.target_layers or ()),
        notes=((),) * len(maps),
        method=type(method).__name__,
    )


def explain_each(
    method: BaseCAM,
    input_tensor: Any,
    targets: Sequence[Any] | None,
    eigen_smooth: bool,
    names: Sequence[str],
    options: Mapping[str, Any],
) -> Explanation:
    """Do the same for several targets of every image, one call each.

    Raises:
        TypeError: as ``explain``, and where no target is given.
    """
    if not targets:
        raise TypeError(
            f"{type(method).__name__} has steps of its own ({', '.join(names)}), which are taken for one target at a "
            "time; say which: explain_each(input_tensor, [0, 1])"
        )
    return stack_targets(
        [explain(method, input_tensor, target, False, eigen_smooth, names, options) for target in targets]
    )


def refuse(method: BaseCAM, names: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse what would be ignored: options that the steps do not know, and steps that the method does not take.

    Raises:
        TypeError: for either.
    """
    kind, what = type(method).__name__, ", ".join(names)
    ignored = [name for name, value in options.items() if value is not None and (value is not False or name == "relu")]
    ignored += [name for name, plain in (("output", None), ("relu_rule", "plain")) if getattr(method, name) != plain]
    if ignored:
        raise TypeError(
            f"{kind} has steps of its own ({what}), so its maps are made step by step as in the package grad-cam, "
            f"where there is no {', '.join(ignored)}; leave that out, or override get_cam_weights or get_cam_image "
            "instead: with those every option holds"
        )
    unused = [name for name in names if name not in _AROUND]
    if unused and not method.takes_steps:
        raise TypeError(
            f"{kind} makes its maps by stages of its own, in which {', '.join(unused)} has no place and would be "
            "ignored; override forward, and change what super().forward(...) returns"
        )


@contextmanager
def _guest(method: BaseCAM) -> Iterator[None]:
    """Use the model as a guest, with a graph, and gradients of parameters that go away again."""
    model = method.model
    with (
        undisturbed(model, method.device, method.keep_mode),
        uncompiled(),
        own_gradients(model),
        replaced_attribute(method, "_guest_thread", threading.get_ident()),
        torch.enable_grad(),
    ):
        yield


class OlderSteps:
    """The steps, as methods of ``BaseCAM``, and what such code finds on its object.

    A class that does not call ``super().__init__`` has these defaults, too.
    """

    model: nn.Module
    target_layers: list[nn.Module] | None
    reshape_transform: ReshapeTransform | None = None
    compute_input_gradient: bool = False
    detach: bool = True
    keep_mode: bool = False
    categories: Sequence[str] | Mapping[int, str] | None = None
    output: OutputSelector | None = None
    relu_rule: Rule = "plain"
    keeps_last_pass: bool = True  # whether activations_and_grads holds what a pass found beyond the call
    outputs: Any = None  # what the model, or the record, returned
    _record: Any = None
    _views: Iterable[Any] | None = None
    _device: torch.device | None = None
    _guest_thread: int | None = None  # which thread is inside a call that goes step by step

    @property
    def device(self) -> torch.device:
        """Where the model is, and with it the maps of ``explain``; or where it was said to be."""
        return self._device or device_of(self.model)

    @device.setter
    def device(self, device: torch.device | str) -> None:
        self._device = torch.device(device)

    @property
    def tta_transforms(self) -> Iterable[Any]:
        """The views that ``aug_smooth`` averages over: those that were given, or `FlippedAndScaled`."""
        if self._views is None:
            from pytorch_grad_cam.engine.perturb import FlippedAndScaled  # only for who smooths

            self._views = FlippedAndScaled()
        return self._views

    @tta_transforms.setter
    def tta_transforms(self, views: Iterable[Any] | None) -> None:
        self._views = views

    @property
    def activations_and_grads(self) -> Any:
        """What the last pass found, as ``activations`` and ``gradients``; or a record that was assigned here.

        It keeps, until the next call or ``release``, the tensors that the method worked with, detached: for each target
        layer its activations and, where they were taken, as much again for the gradients. ``keeps_last_pass = False``,
        on the object or its class, keeps nothing beyond the call. An assigned record runs the pass itself, see
        ``core.older_steps``. Called on an input it runs the model, which it hooks only meanwhile.
        """
        if self._record is None:
            self._record = MethodRecord(self.model, (), self.reshape_transform, self.detach)
        if type(self._record) is MethodRecord:  # what it is of may have been changed since
            self._record.target_layers = _listed(self.target_layers)
        return self._record

    @activations_and_grads.setter
    def activations_and_grads(self, record: Any) -> None:
        self._record = record
        if hasattr(record, "release"):  # it may be the hooks that hold it
            weakref.finalize(self, record.release).atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Forget what the last pass found; an assigned record takes its hooks off the model."""
        if self._record is not None:
            self._record.release()

    @giving_back
    def forward(self: BaseCAM, input_tensor: Any, targets: Any, eigen_smooth: bool = False) -> Arrays:  # type: ignore[misc]
        """Explain without smoothing over views: float32 ``(B, *S)``."""
        names = replaced(self)
        if not names or not self.takes_steps:
            refuse(self, names, {})
            spec = targets if isinstance(targets, TargetSpec) else TargetSpec(targets)
            return pipeline.explain(self, input_tensor, spec, eigen_smooth=eigen_smooth).numpy()
        if self._guest_thread != threading.get_ident():  # somebody called it who overrides another step
            refuse(self, names, {})
            with _guest(self):
                return self._maps_of_pass(input_tensor, targets, eigen_smooth)
        return self._maps_of_pass(input_tensor, targets, eigen_smooth)

    def _maps_of_pass(self: BaseCAM, input_tensor: Any, targets: Any, eigen_smooth: bool) -> Arrays:  # type: ignore[misc]
        inputs = input_tensor.to(self.device) if hasattr(input_tensor, "to") else input_tensor
        begins = self.compute_input_gradient or not self.detach or not _any_requires_grad(self.model)
        if begins and isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.detach().clone()
            inputs.requires_grad = True
        self.outputs = outputs = self.activations_and_grads(inputs)
        asked = _asked(self, targets, outputs, inputs)
        if self.uses_gradients:
            loss = sum(target(output) for target, output in zip(asked, outputs, strict=False))
            if not isinstance(loss, Tensor):
                raise TypeError(
                    f"the targets gave {loss!r}, not a tensor, for {type(outputs).__name__} of the record; there must "
                    "be a target for each output, and each must return a tensor with one element"
                )
            if self.detach:
                torch.autograd.backward(loss, retain_graph=True)  # a step may differentiate again
            else:
                torch.autograd.grad(loss, inputs, retain_graph=True, create_graph=True)
        by_layer = self.compute_cam_per_layer(inputs, asked, eigen_smooth)
        return self.aggregate_multi_layers(by_layer)

    def forward_augmentation_smoothing(  # type: ignore[misc]
        self: BaseCAM, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False
    ) -> Arrays:
        """Average ``forward`` over changed views, each turned back: float32 ``(B, *S)``."""
        from pytorch_grad_cam.engine.perturb import augmentations  # only for who smooths

        turned_back = []
        for view in augmentations(self.tta_transforms):
            cam = torch.from_numpy(self.forward(view.apply(input_tensor), targets, eigen_smooth))
            turned_back.append(view.undo(cam[:, None])[:, 0])
        mean: Arrays = torch.stack(turned_back).mean(0).numpy()
        return mean

    def get_target_width_height(self, input_tensor: Any) -> tuple[int, ...] | None:
        """Return the sides of the maps, last axis first: ``(W, H)``, ``(D, W, H)`` as ``grad-cam`` calls them."""
        return tuple(reversed(input_tensor.shape[2:]))

    def compute_cam_per_layer(  # type: ignore[misc]
        self: BaseCAM, input_tensor: Any, targets: Any, eigen_smooth: bool
    ) -> list[Arrays]:
        """Make each layer's map, rectified, in [0, 1] and in the input's size: a list of ``(B, 1, *S)``."""
        as_arrays = self.detach and not self.tensors
        record = self.activations_and_grads
        activations = _kept(record.activations, as_arrays)
        grads = _kept(record.gradients, as_arrays) if self.uses_gradients else []
        size = self.get_target_width_height(input_tensor)
        by_layer = []
        for index, layer in enumerate(_listed(self.target_layers)):
            values = activations[index] if index < len(activations) else None
            grad = grads[index] if index < len(grads) else None
            cam = self.get_cam_image(input_tensor, layer, targets, values, grad, eigen_smooth)  # type: ignore[arg-type]
            scaled = _base_module()["scale_cam_image"](np.maximum(to_numpy(cam), 0), size)
            by_layer.append(scaled[:, None])
        return by_layer

    def aggregate_multi_layers(self, cam_per_target_layer: Sequence[Arrays]) -> Arrays:
        """Average the layers' maps ``(B, 1, *S)`` and stretch the result to [0, 1]: ``(B, *S)``."""
        together = np.maximum(np.concatenate(list(cam_per_target_layer), axis=1), 0)
        scaled: Arrays = _base_module()["scale_cam_image"](together.mean(axis=1))
        return scaled


def _any_requires_grad(model: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in model.parameters())


def _listed(layers: Iterable[nn.Module] | None) -> list[nn.Module]:
    return [] if layers is None else list(layers)


def _asked(method: BaseCAM, targets: Any, outputs: Any, inputs: Any) -> list[Any]:
    """Return one callable per output of the record; those that are given already, as they are."""
    if isinstance(targets, (list, tuple)) and all(map(callable, targets)):
        return list(targets)
    if targets is None and not method.uses_targets:
        return []
    if targets is None and isinstance(outputs, Tensor) and outputs.ndim == 2:
        return [_base_module()["ClassifierOutputTarget"](top) for top in outputs.argmax(1).tolist()]
    spec = TargetSpec(targets)
    if spec.has_names:
        spec = pipeline.without_names(spec, method, method.model)
    return list(spec.resolve(detached(outputs), len(inputs)))


def _kept(values: Iterable[Any], as_arrays: bool) -> list[Any]:
    """Return what a record kept, whoever wrote it, as arrays or as tensors."""
    tensors = [working_precision(torch.as_tensor(value)) for value in values]
    return [to_numpy(tensor) for tensor in tensors] if as_arrays else tensors
