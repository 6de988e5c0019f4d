"""From one picture to its maps: every method for every class."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.classes import Wanted, check_names, wanted_classes
from pytorch_grad_cam.cli.errors import in_one_line
from pytorch_grad_cam.cli.explain.contrast import Contrast, contrast_of
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.tasks import Question, check_task, questions, target_of
from pytorch_grad_cam.common.errors import MeaninglessMapWarning, NoReLUError
from pytorch_grad_cam.common.notes import NEGATIVE, Note
from pytorch_grad_cam.core.options import MapOptions
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.models.loaded import LoadedModel


@dataclass(frozen=True)
class Found:
    """One map of one picture.

    Attributes:
        method: its name.
        index: the class or object that was asked for; None for the top class, or for a method that looks at no class.
        map: ``(h, w)`` in [0, 1], of a contrast in [-1, 1], at the network's resolution; None if it means nothing.
        notes: what is wrong with it, if anything.
        explained: the class that is explained; None for a method that looks at no class.
        score: of that class.
        layers: their names.
        outputs: what the network returned.
        against: whether the map shows what speaks against it.
    """

    method: str
    index: Question
    map: NDArray[np.float32] | None
    notes: str
    explained: int | None
    score: float | None
    layers: tuple[str, ...]
    outputs: Any
    against: bool = False

    @property
    def signed(self) -> bool:
        """Whether the map shows what speaks for one class and what for another."""
        return isinstance(self.index, Contrast)


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
        self.contrast = contrast_of(options.contrast, loaded.categories, loaded.task)
        self.against, self._debug = options.against, options.debug
        self.aug_smooth, self.eigen_smooth = options.aug_smooth, options.eigen_smooth
        if self.aug_smooth and loaded.task == "detection":
            raise ValueError("--aug-smooth turns the picture and not the boxes in it; leave it out for detection")
        layers = options.target_layers or loaded.target_layers
        self.cams = {name: _cam(name, loaded, layers, options, bars) for name in options.method}
        self._guided = GuidedBackpropReLUModel(loaded.model)
        blind = [name for name, cam in self.cams.items() if not cam.uses_targets]
        given = {"--target": self.wanted, "--contrast": self.contrast, "--against": self.against}
        ignored = " and ".join(name for name, value in given.items() if value)
        if blind and ignored:
            verb = "are" if " " in ignored else "is"
            print(f"warning: {_all(blind)} at no class; {ignored} {verb} ignored", file=sys.stderr)

    def inputs(self, picture: NDArray[np.uint8]) -> Tensor:
        """Return what the network takes, ``(1, C, h, w)``."""
        return self.loaded.preprocessing(picture)[None].to(self.device)

    def classes(self, inputs: Tensor) -> list[Question]:
        """Return the classes or objects to explain; None is the top class. Objects and ``top-3`` need a pass."""
        if self.contrast is not None:
            return [self.contrast]
        every = self.loaded.task == "detection" or (self.loaded.task == "segmentation" and self.wanted)
        if every or not all(isinstance(each, int) for each in self.wanted):
            with undisturbed(self.loaded.model, self.device):
                return questions(self.loaded, self.wanted, self.loaded.model(inputs))
        named = [each for each in self.wanted if isinstance(each, int)]
        return list(dict.fromkeys(named)) or [None]

    def maps(self, inputs: Tensor, classes: list[Question]) -> tuple[list[Found], list[str]]:
        """Explain one picture by each method, for each class; a method that looks at no class comes once.

        Returns:
            The maps, and of each method that failed, as one that does not suit the network, why.

        Raises:
            Exception: if all methods failed, that of the first.
        """
        found: list[Found] = []
        failed: dict[str, Exception] = {}
        for name, cam in self.cams.items():
            try:
                found += [self._map(name, cam, inputs, each) for each in (classes if cam.uses_targets else [None])]
            except Exception as error:
                if self._debug:
                    raise
                failed[name] = error
        if failed and not found:
            raise next(iter(failed.values()))
        return found, [f"{name}: {in_one_line(error)}" for name, error in failed.items()]

    def guided(self, inputs: Tensor, index: Question) -> NDArray[np.float32] | str:
        """Return guided backpropagation for a class, ``(h, w, C)``, or why there is none."""
        try:
            return self._guided.gradients(inputs, target_of(index))[0].movedim(0, -1).float().cpu().numpy()
        except NoReLUError:
            return "there is no ReLU between the class and the picture"

    def _map(self, name: str, cam: BaseCAM, inputs: Tensor, index: Question) -> Found:
        asked: MapOptions = {"against": self.against and cam.uses_targets}
        if isinstance(index, Contrast):
            asked["contrast"] = (index.first, index.second)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
            explanation = cam.explain(
                inputs, target_of(index), aug_smooth=self.aug_smooth, eigen_smooth=self.eigen_smooth, **asked
            )
        check_task(explanation.outputs, self.loaded.task)
        check_names(explanation.outputs, self.loaded.categories)
        map = explanation.numpy()[0]  # (h, w)
        other_way = " (--against shows it)" if cam.uses_targets and not asked["against"] else ""
        notes = "; ".join(
            f"{note.problem}{other_way}" if isinstance(note, Note) and note.code == NEGATIVE else note
            for note in explanation.notes[0]
        )
        return Found(
            method=name,
            index=index,
            map=None if notes and map.min() == map.max() else map,
            notes=notes,
            explained=explanation.classes[0],
            score=None if explanation.scores is None else float(explanation.scores[0]),
            layers=explanation.layers,
            outputs=explanation.outputs,
            against=asked["against"],
        )


def _cam(name: str, loaded: LoadedModel, layers: Any, options: ExplainOptions, bars: bool) -> BaseCAM:
    """Make a method's object, with those of its own options that it has."""
    kind = method_class(name)
    cam = kind(loaded.model, layers, loaded.reshape_transform)
    changes: dict[str, Any] = {"progress": bars, "seed": options.seed, "batch_size": options.batch_size}
    changes |= {"num_samples": options.num_samples, "noise_level": options.noise_level}
    for attribute, value in changes.items():
        if value is not None and hasattr(cam, attribute):
            setattr(cam, attribute, value)
    return cam


def _all(names: list[str]) -> str:
    return f"{names[0]} looks" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} look"
