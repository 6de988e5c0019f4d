"""What is compared: methods at layers, and the reference maps, all of which explain in the same way."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.core.pipeline import fix_layers
from pytorch_grad_cam.engine.layers import layer_name, resolve_layers
from pytorch_grad_cam.methods import METHODS, method_class, method_name
from pytorch_grad_cam.metrics.references import REFERENCES
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.derived import as_class

CHEAP = "cheap"
ALL = "all"
REFERENCE = "reference"
METHOD = "method"
_PRIME = 1_000_003  # keeps the seeds of images of different runs apart

Maps = Callable[..., Any]  # maps (B, *S) from inputs, targets and model
Layers = Sequence[str] | None


@dataclass
class Candidate:
    """One row of a comparison: what makes its maps.

    Attributes:
        name: of the method or reference map.
        kind: METHOD or REFERENCE.
        make: from the network and layers to a method; None for what is no ``BaseCAM``.
        explain: makes maps without layers of ours; None for methods.
        wanted: the layers that were asked for, by name; None for the automatic choice.
        layers: that are looked at, by name, once they are known.
        changes: what was set on the method, for the journal.
    """

    name: str
    kind: str
    model: Any
    make: Callable[[Layers], BaseCAM] | None = None
    explain: Maps | None = None
    wanted: Layers = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    _cam: BaseCAM | None = None

    @property
    def id(self) -> str:
        """What people read, unique in a comparison once the layers are known."""
        shown = self.layers or tuple(self.wanted or ())
        if not shown:
            return self.name
        return f"{self.name} {'+'.join(shown) if len(shown) <= 2 else f'{len(shown)} layers'}"

    def describe(self) -> dict[str, Any]:
        """Return what decides on the maps, for a journal."""
        return {"name": self.name, "layers": self.wanted and list(self.wanted), **self.changes}

    def pin(self, layers: Sequence[str]) -> None:
        """Look at these layers from now on, whatever the next images suggest."""
        self.layers = tuple(layers)

    def fix(self, inputs: Tensor) -> None:
        """Make the method, and choose layers on these images where none are known: no cost of its maps."""
        if self.make is not None:
            fix_layers(self._method(), inputs)

    def maps(self, inputs: Tensor, targets: Sequence[Target], model: Any, first: int) -> Any:
        """Explain images.

        Args:
            inputs: ``(B, C, *S)``.
            targets: one callable per image.
            model: the network, or a copy of it whose weights differ: layers are found there by their names.
            first: the number of the first image; the reference maps that are drawn depend on it.

        Returns:
            Maps ``(B, *S)``.
        """
        if self.explain is not None:
            return self.explain(inputs, targets, model, first)
        cam = self._method()
        if model is not self.model:
            cam = _moved(cam, self.model, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeaninglessMapWarning)  # counted as not judged
            explanation = cam.explain(inputs, [as_class(target) for target in targets])
        if not self.layers and cam.uses_layers:
            self.layers = tuple(explanation.layers)
        return explanation.maps

    def _method(self) -> BaseCAM:
        if self._cam is None:
            assert self.make is not None
            self._cam = self.make(self.layers or self.wanted)
        return self._cam


def candidates(
    model: Any, methods: Any, layers: Iterable[Any] | None, *, seed: int, batch_size: int, reshape_transform: Any = None
) -> list[Candidate]:
    """Return a row for each method at each layer, and one for each reference map.

    Raises:
        TypeError: for what is no method.
        ValueError: for unknown names, and for two rows of the same name.
    """
    choices = [None] if layers is None else [_layer_names(model, spec) for spec in layers]
    shared = _Shared(model, seed, batch_size, reshape_transform)
    rows = [row for name, method in _named(methods).items() for row in shared.rows(name, method, choices)]
    if not rows:
        raise ValueError("no method was given; give names, classes or objects, e.g. methods=['gradcam', 'layercam']")
    return [*rows, *(_reference(model, name, seed) for name in REFERENCES)]


def cheap_methods() -> list[str]:
    """Return the names of the methods for any network whose passes per map do not grow with channels or samples."""
    return [name for name, method in METHODS.items() if not (method.needs or set(method.passes) & set("KNn"))]


def general_methods() -> list[str]:
    """Return the names of the methods for any network."""
    return [name for name, method in METHODS.items() if not method.needs]


@dataclass(frozen=True)
class _Shared:
    """What all methods of a comparison are made with."""

    model: Any
    seed: int
    batch_size: int
    reshape_transform: Any

    def rows(self, name: str, method: Any, choices: Sequence[Layers]) -> list[Candidate]:
        if isinstance(method, BaseCAM):
            return [self._of_object(name, method)]
        if isinstance(method, type) and issubclass(method, BaseCAM):
            used = choices if method.uses_layers else [None]
            return [self._of_class(name, method, layers) for layers in used]
        if callable(method):
            explain = method
            return [
                Candidate(name, METHOD, self.model, explain=lambda x, targets, model, _: explain(x, targets, model))
            ]
        raise TypeError(
            f"the method {name!r} must be a name, a class or object of a method, or a callable from inputs, targets "
            f"and model to maps, not {type(method).__name__}"
        )

    def _of_object(self, name: str, cam: BaseCAM) -> Candidate:
        if cam.model is not self.model:
            raise ValueError(f"the method {name!r} was made with another model than the one that is evaluated")
        found = cam.target_layers
        names = None if found is None else tuple(layer_name(cam.model, layer) for layer in found)
        settings = {key: value for key, value in vars(cam).items() if isinstance(value, (bool, int, float, str))}
        return Candidate(name, METHOD, self.model, lambda _: cam, wanted=names, changes=settings)

    def _of_class(self, name: str, kind: type[BaseCAM], layers: Layers) -> Candidate:
        def make(names: Layers) -> BaseCAM:
            cam = kind(self.model, names, self.reshape_transform)
            for attribute, value in (("seed", self.seed), ("batch_size", self.batch_size), ("progress", False)):
                if hasattr(cam, attribute):
                    setattr(cam, attribute, value)
            return cam

        return Candidate(name, METHOD, self.model, make, wanted=layers)


def _named(methods: Any) -> dict[str, Any]:
    """Return what was given as methods by name; ``cheap`` and ``all`` stand for those of the table."""
    if isinstance(methods, Mapping):
        return {name: _by_name(method) for name, method in methods.items()}
    listed = [methods] if isinstance(methods, (str, type, BaseCAM)) else list(methods)
    found: dict[str, Any] = {}
    for method in listed:
        if isinstance(method, str) and method.lower() in (CHEAP, ALL):
            names = cheap_methods() if method.lower() == CHEAP else general_methods()
            found.update({name: method_class(name) for name in names if name not in found})
            continue
        name = method_name(method) if isinstance(method, str) else _name_of(method)
        if name in found and not isinstance(method, str):
            raise ValueError(
                f"two methods are called {name!r}; give them names: methods={{'first': ..., 'second': ...}}"
            )
        found[name] = _by_name(method)
    return found


def _by_name(method: Any) -> Any:
    return method_class(method) if isinstance(method, str) else method


def _name_of(method: Any) -> str:
    kind = method if isinstance(method, type) else type(method)
    if issubclass(kind, BaseCAM):
        return next((row.name for row in METHODS.values() if row.class_name == kind.__name__), kind.__name__)
    name: str = getattr(method, "__name__", kind.__name__)
    return name


def _layer_names(model: Any, spec: Any) -> tuple[str, ...]:
    """Return the names of one layer, or of several whose maps are averaged."""
    if not isinstance(model, nn.Module):
        raise ValueError("layers can be named of a torch.nn.Module only")
    return tuple(layer_name(model, layer) for layer in resolve_layers(model, spec))


def _reference(model: Any, name: str, seed: int) -> Candidate:
    make = REFERENCES[name]

    def explain(inputs: Tensor, targets: Sequence[Target], network: Any, first: int) -> Tensor:
        # Image by image: what is drawn for one must not depend on the batch that it is in.
        drawn = [make(image[None], seed * _PRIME + first + index) for index, image in enumerate(inputs)]
        return torch.cat(drawn)

    return Candidate(name, REFERENCE, model, explain=explain)


def _moved(cam: BaseCAM, model: nn.Module, other: nn.Module) -> BaseCAM:
    """Return a copy of a method that explains a copy of its network: each layer is that of the same place there."""
    places = {id(old): new for old, new in zip(model.modules(), other.modules(), strict=True)}
    parameters = {id(old): new for old, new in zip(model.parameters(), other.parameters(), strict=True)}
    return copy.deepcopy(cam, {**places, **parameters})
