"""From one picture to its maps: every method for every class."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.classes import Wanted, check_names, classes_of, wanted_classes
from pytorch_grad_cam.cli.options import ExplainOptions
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.models.loaded import LoadedModel


@dataclass(frozen=True)
class Found:
    """One map of one picture.

    Attributes:
        method: its name.
        index: the class that was asked for; None for the top class, or for a method that looks at no class.
        map: ``(h, w)`` in [0, 1], at the network's resolution; None if it means nothing.
        notes: what is wrong with it, if anything.
        explained: the class that is explained; None for a method that looks at no class.
        score: of that class.
        layers: their names.
        outputs: what the network returned.
    """

    method: str
    index: int | None
    map: NDArray[np.float32] | None
    notes: str
    explained: int | None
    score: float | None
    layers: tuple[str, ...]
    outputs: Any


class Explainer:
    """The network and the methods of a run, ready for one picture after the other.

    Args:
        loaded: the network, on its device.
        options: which methods, classes and layers.
        device: where the network is.
        bars: let slow methods show a bar.

    Raises:
        ValueError: for a layer or class that the network does not have.
    """

    def __init__(self, loaded: LoadedModel, options: ExplainOptions, device: torch.device, bars: bool) -> None:
        self.loaded, self.device = loaded, device
        self.wanted: list[Wanted] = wanted_classes(options.target, loaded.categories)
        self.aug_smooth, self.eigen_smooth = options.aug_smooth, options.eigen_smooth
        layers = options.target_layers or loaded.target_layers
        self.cams = {name: _cam(name, loaded, layers, options, bars) for name in options.method}
        self._guided = GuidedBackpropReLUModel(loaded.model)
        blind = [name for name, cam in self.cams.items() if not cam.uses_targets]
        if blind and self.wanted:
            print(f"warning: {_all(blind)} at no class; --target is ignored", file=sys.stderr)

    def inputs(self, picture: NDArray[np.uint8]) -> Tensor:
        """Return what the network takes, ``(1, C, h, w)``."""
        return self.loaded.preprocessing(picture)[None].to(self.device)

    def classes(self, inputs: Tensor) -> list[int | None]:
        """Return the classes to explain; None stands for the top one. ``top-3`` costs a forward pass."""
        if not self.wanted:
            return [None]
        if all(isinstance(each, int) for each in self.wanted):
            return list(classes_of(self.wanted, None))
        with undisturbed(self.loaded.model, self.device):
            return list(classes_of(self.wanted, self.loaded.model(inputs)))

    def maps(self, inputs: Tensor, classes: list[int | None]) -> Iterator[Found]:
        """Explain one picture by each method, for each class; a method that looks at no class comes once."""
        for name, cam in self.cams.items():
            for index in classes if cam.uses_targets else [None]:
                yield self._map(name, cam, inputs, index)

    def guided(self, inputs: Tensor, index: int | None) -> NDArray[np.float32] | str:
        """Return guided backpropagation for a class, ``(h, w, C)``, or why there is none."""
        try:
            return self._guided.gradients(inputs, index)[0].movedim(0, -1).float().cpu().numpy()
        except ValueError as error:
            if "ReLU" not in str(error):
                raise
            return "there is no ReLU between the class and the picture"

    def _map(self, name: str, cam: BaseCAM, inputs: Tensor, index: int | None) -> Found:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not every map means something")  # said from the notes
            explanation = cam.explain(inputs, index, aug_smooth=self.aug_smooth, eigen_smooth=self.eigen_smooth)
        check_names(explanation.outputs, self.loaded.categories)
        map = explanation.numpy()[0]  # (h, w)
        notes = "; ".join(explanation.notes[0])
        return Found(
            method=name,
            index=index,
            map=None if notes and map.min() == map.max() else map,
            notes=notes,
            explained=explanation.classes[0],
            score=None if explanation.scores is None else float(explanation.scores[0]),
            layers=explanation.layers,
            outputs=explanation.outputs,
        )


def _cam(name: str, loaded: LoadedModel, layers: Any, options: ExplainOptions, bars: bool) -> BaseCAM:
    """Make a method's object, with those of its own options that it has."""
    kind = method_class(name)
    own: dict[str, Any] = {"seed": options.seed} if "seed" in inspect.signature(kind).parameters else {}
    cam = kind(loaded.model, layers, loaded.reshape_transform, **own)
    changes: dict[str, Any] = {"progress": bars}
    if options.batch_size is not None:
        changes["batch_size"] = options.batch_size
    for attribute, value in changes.items():
        if hasattr(cam, attribute):
            setattr(cam, attribute, value)
    return cam


def _all(names: list[str]) -> str:
    return f"{names[0]} looks" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} look"
