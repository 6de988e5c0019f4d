"""From one picture to its maps: every method for every target."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.network import advising
from pytorch_grad_cam.common.messages import NEGATIVE, MeaninglessMapWarning, NoReLUError, Note
from pytorch_grad_cam.core.call import MapOptions
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.several import explain_apart
from pytorch_grad_cam.engine.layers import STAGES
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.engine.scoring import Progress
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.map_cost import MapCost, Settings
from pytorch_grad_cam.runs.picture_targets import (
    ClassContrast,
    ImageTarget,
    check_task,
    image_targets,
    method_target,
    parse_contrast,
    read_scores,
)
from pytorch_grad_cam.runs.precision import DTYPES, cast_passes, casts_itself
from pytorch_grad_cam.targets.class_choices import NO_AND_YES, check_categories, parse_classes
from pytorch_grad_cam.targets.score_kinds import ScoreKind
from pytorch_grad_cam.targets.spec import REST, TargetSpec
from pytorch_grad_cam.vanilla_gradient import VanillaGradient


@dataclass(frozen=True)
class MapResult:
    """One map of one picture."""

    method: str
    target: ImageTarget  # None for the top class, or for a method that looks at no class
    map: NDArray[np.float32] | None  # (h, w) in [0, 1], of a contrast in [-1, 1]; None if it means nothing
    notes: str  # what is wrong with it, if anything
    category: int | None  # of the class that is explained; None for a method that looks at no class
    score: float | None  # of that class
    layers: tuple[str, ...]
    uses_layers: bool  # whether the method looks at target layers, and not at the picture or at all layers
    outputs: Any  # the network's
    kind: ScoreKind | None  # what its scores are; None for a network that is no classifier
    against: bool  # whether the map shows what speaks against the class
    rest: bool  # whether it is the class's log odds: what speaks for it and for no other
    signed: bool  # whether it shows both: what speaks for and what against, or for another class
    fine_grained: bool  # whether it has a value of its own for every pixel
    passes: float | None  # that it took, see `runs.map_cost`; None where nobody counted
    fewer_samples: Settings  # settings that were made smaller to keep to a limit


class ImageExplainer:
    """The network, on its device, and the methods of a run, ready for one picture after the other.

    Raises:
        ValueError: for a layer or class that the network does not have.
    """

    def __init__(self, loaded: LoadedModel, options: ExplainOptions, device: torch.device) -> None:
        self._names_are_assumed = loaded.categories is None and _names_no_or_yes(options)
        if self._names_are_assumed:
            loaded = replace(loaded, categories=NO_AND_YES)
        self.loaded, self.options, self._device = loaded, options, device
        self.kind: ScoreKind | None = None
        self._knows_scores = False
        self.choices = parse_classes(options.target, loaded.categories)
        if options.prompt and not self.choices and not options.contrast:
            self.choices = list(range(len(options.prompt)))  # who names texts wants a map for each
        self.contrast = parse_contrast(options.contrast, loaded.categories, loaded.task)
        if options.rest and loaded.task != "classification":
            raise ValueError(f"--contrast {REST} sets a class against all others; it does not go with {loaded.task}")
        if options.aug_smooth and loaded.task == "detection":
            raise ValueError("--aug-smooth turns the picture and not the boxes in it; leave it out for detection")
        self.layers = chosen_layers(options) or loaded.target_layers
        self.cams = {name: _method(name, loaded, self.layers, options) for name in options.method}
        self._guided_backprop = VanillaGradient(loaded.model, relu_rule="guided", output=loaded.output)
        self._shared: dict[tuple[str, ImageTarget], Explanation] = {}  # from one pass for several targets
        self._shared_inputs: Tensor | None = None  # of the picture that they are of
        self._warn_of_ignored_options()

    def inputs(self, image: NDArray[np.uint8]) -> Tensor:
        """Return what the network takes, ``(1, C, h, w)``."""
        return self.loaded.preprocessing(image)[None].to(self._device)

    @giving_back
    def targets(self, inputs: Tensor) -> list[ImageTarget]:
        """Return what is explained of one picture; objects, regions and ``top-3`` need a forward pass.

        What the scores are is found out with the first picture, by one pass more.
        """
        if not self._knows_scores:
            with advising(self.loaded, self.options, inputs):
                self.kind, self.loaded = read_scores(self.loaded, inputs, self.options.scores)
            self._knows_scores = True
        if self._names_are_assumed and (self.kind is None or self.kind.count > 1):
            raise ValueError(
                "this network has no class names, and not one score, whose two classes are called no and yes; give an "
                "index, or the names with --categories"
            )
        if self.contrast is not None:
            return [self.contrast]
        indices = [choice for choice in self.choices if isinstance(choice, int)]
        by_region = self.loaded.task == "segmentation" and self.choices
        if self.loaded.task == "detection" or by_region or len(indices) < len(self.choices):
            with advising(self.loaded, self.options, inputs), undisturbed(self.loaded.model, self._device):
                outputs = self.loaded.run(inputs)
            seen = (int(inputs.shape[2]), int(inputs.shape[3]))
            return image_targets(self.loaded, self.kind, self.choices, outputs, seen)
        return list(dict.fromkeys(indices)) or [None]

    def requests(self, targets: Sequence[ImageTarget]) -> list[tuple[str, ImageTarget]]:
        """Return every method's name with each of the targets; a method that looks at no class comes once."""
        return [
            (name, target) for name, cam in self.cams.items() for target in (targets if cam.uses_targets else [None])
        ]

    def guided_gradients(self, inputs: Tensor, target: ImageTarget) -> NDArray[np.float32] | str:
        """Return guided backpropagation for a target, ``(h, w, C)``, or why there is none."""
        try:
            gradients = self._guided_backprop.attributions(
                inputs, method_target(target), forward_kwargs=self.loaded.forward_kwargs
            )
        except NoReLUError:
            return "there is no ReLU between the class and the picture"
        return gradients[0].movedim(0, -1).float().cpu().numpy()

    def layer_maps(self, name: str, inputs: Tensor, target: ImageTarget) -> list[MapResult] | None:
        """Explain one target at every stage of the network, or at each layer that was named; None without layers."""
        cam = self.cams[name]
        if not cam.uses_layers:
            return None
        layers = None if chosen_layers(self.options) == STAGES else self.options.target_layers or None
        with warnings.catch_warnings(), self.passes(cam, inputs):
            warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
            sweep = cam.layer_sweep(
                inputs,
                method_target(target),
                layers,
                eigen_smooth=self.options.eigen_smooth,
                **self._map_options(cam, target),
            )
        return [self._result(name, target, explanation, MapCost()) for explanation in sweep.values()]

    def map(
        self,
        name: str,
        inputs: Tensor,
        target: ImageTarget,
        targets: Sequence[ImageTarget],
        cost: MapCost,
        progress: Progress,
    ) -> MapResult:
        """Make one map of one picture, with the settings that its cost asks for.

        Args:
            name: of the method.
            inputs: the picture, as `inputs` makes it.
            target: what is explained.
            targets: all that are, one after the other: where the method can, one pass is for all of them.
            cost: of the map.
            progress: told how far it is.

        Raises:
            Exception: as the method or the network does, with a message for people.
        """
        cam = self.cams[name]
        if inputs is not self._shared_inputs:
            self._shared_inputs, self._shared = inputs, {}
        shares = len(targets) > 1 and target in targets and cam.shares_pass and not self.options.aug_smooth
        if shares and (name, target) not in self._shared:
            options: MapOptions = self._map_options(cam, None)
            specs = [TargetSpec.asked(method_target(each), options) for each in targets]
            options.pop("against")
            with self.passes(cam, inputs):
                found = explain_apart(cam, inputs, specs, self.options.eigen_smooth, **options)
            self._shared |= {(name, each): result for each, result in zip(targets, found, strict=True)}
        if shares:
            return self._result(name, target, self._shared.pop((name, target)), cost)
        changes = (cost.changes or {}) | {"progress": progress}
        with warnings.catch_warnings(), _changed(cam, changes), self.passes(cam, inputs):
            warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
            explanation = cam.explain(
                inputs,
                method_target(target),
                aug_smooth=self.options.aug_smooth,
                eigen_smooth=self.options.eigen_smooth,
                **self._map_options(cam, target),
            )
        return self._result(name, target, explanation, cost)

    @contextmanager
    def passes(self, cam: BaseCAM, inputs: Tensor) -> Iterator[None]:
        """Let a method run the network, in the precision that was asked for, unless it sees to that itself."""
        cast = nullcontext() if casts_itself(cam) else cast_passes(self.options.dtype, self._device)
        with advising(self.loaded, self.options, inputs), cast:
            yield

    def maps(self, inputs: Tensor, targets: Sequence[ImageTarget]) -> tuple[list[MapResult], list[str]]:
        """Make all maps of one input, one after the other.

        Returns:
            The maps, and of each method that failed, as one that does not suit the network, why.

        Raises:
            Exception: if all methods failed, that of the first.
        """
        results: list[MapResult] = []
        failed: dict[str, Exception] = {}
        for name, target in self.requests(targets):
            if name in failed:
                continue
            try:
                results.append(self.map(name, inputs, target, targets, MapCost(), False))
            except Exception as error:  # the next method may well do
                if self.options.debug:
                    raise
                failed[name] = error
        if failed and not results:
            raise next(iter(failed.values()))
        return results, [f"{name}: {in_one_line(error)}" for name, error in failed.items()]

    def _map_options(self, cam: BaseCAM, target: ImageTarget) -> MapOptions:
        options: MapOptions = {"against": self.options.against and cam.uses_targets}
        if self.loaded.forward_kwargs:
            options["forward_kwargs"] = self.loaded.forward_kwargs
        if isinstance(target, ClassContrast):
            options["contrast"] = (target.first, target.second)
        elif self.options.rest and cam.uses_targets:
            options["contrast"] = REST
        if self.options.signed:
            options["relu"] = False
        return options

    def _result(self, name: str, target: ImageTarget, explanation: Explanation, cost: MapCost) -> MapResult:
        cam = self.cams[name]
        against = self.options.against and cam.uses_targets
        check_task(explanation.outputs, self.loaded)
        check_categories(explanation.outputs, self.loaded.categories)
        map = explanation.numpy()[0]  # (h, w)
        notes = _notes_text(explanation.notes[0], " (--against shows it)" if cam.uses_targets and not against else "")
        return MapResult(
            method=name,
            target=target,
            map=None if notes and map.min() == map.max() else map,
            notes=notes,
            category=explanation.classes[0],
            score=None if explanation.scores is None else float(explanation.scores[0]),
            layers=explanation.layers,
            uses_layers=cam.uses_layers,
            outputs=explanation.outputs,
            kind=self.kind,
            against=against,
            rest=self.options.rest and cam.uses_targets,
            signed=self.options.signed or isinstance(target, ClassContrast),
            fine_grained=cam.fine_grained,
            passes=cost.passes,
            fewer_samples=cost.changes or {},
        )

    def _warn_of_ignored_options(self) -> None:
        classless = [name for name, cam in self.cams.items() if not cam.uses_targets]
        contrast = self.contrast or self.options.rest
        values = {"--target": self.choices, "--contrast": contrast, "--against": self.options.against}
        ignored = " and ".join(name for name, value in values.items() if value)
        if classless and ignored:
            verb = "are" if " " in ignored else "is"
            *names, last = classless
            methods = f"{', '.join(names)} and {last} look" if names else f"{last} looks"
            print(f"warning: {methods} at no class; {ignored} {verb} ignored", file=sys.stderr)
        alike = [name for name, cam in self.cams.items() if cam.uses_targets and not cam.tells_classes]
        if alike and contrast:
            names_alike = " and ".join(alike)
            what = "are much the same for every class; --contrast says little of it"
            print(f"warning: maps of {names_alike} {what}", file=sys.stderr)


def _names_no_or_yes(options: ExplainOptions) -> bool:
    """Say whether a class is named as those of a network with one score are."""
    return any(text.strip().lower() in NO_AND_YES for text in [*options.target, *(options.contrast or ())])


def chosen_layers(options: ExplainOptions) -> list[str] | str | None:
    """Return the layers that are named, or the word for a choice of them."""
    return STAGES if options.target_layers == [STAGES] else options.target_layers


def as_said(loaded: LoadedModel, options: ExplainOptions) -> LoadedModel:
    """Return the network with what the options say about its outputs and its call."""
    changes: dict[str, Any] = {
        "task": options.task or (options.read and "detection"),
        "read": options.read,
        "output": options.output,
        "forward_kwargs": options.forward_kwargs and dict(options.forward_kwargs),
    }
    return replace(loaded, **{name: value for name, value in changes.items() if value is not None})


@contextmanager
def _changed(cam: BaseCAM, changes: Mapping[str, Any]) -> Iterator[None]:
    """Let a method's object have other settings, of those that it has, while the block runs."""
    before = {attribute: getattr(cam, attribute) for attribute in changes if hasattr(cam, attribute)}
    try:
        for attribute in before:
            setattr(cam, attribute, changes[attribute])
        yield
    finally:
        for attribute, value in before.items():
            setattr(cam, attribute, value)


def _method(name: str, loaded: LoadedModel, layers: Any, options: ExplainOptions) -> BaseCAM:
    """Make a method's object, with those of its own options that it has."""
    cam = method_class(name)(loaded.model, layers, loaded.reshape_transform, output=loaded.output)
    changes: dict[str, Any] = {"seed": options.seed, "batch_size": options.batch_size, "dtype": DTYPES[options.dtype]}
    changes |= {"num_samples": options.num_samples, "noise_level": options.noise_level}
    changes |= {"head_fusion": options.head_fusion, "discard_ratio": options.discard_ratio}
    for attribute, value in changes.items():
        if value is not None and hasattr(cam, attribute):
            setattr(cam, attribute, value)
    if options.signed and getattr(cam, "mode", "") == "absolute":
        cam.mode = "signed"  # type: ignore[attr-defined]
    return cam


def _notes_text(notes: Sequence[str], advice: str) -> str:
    """Join the notes on one map; where all evidence is negative, the advice is that for the command line."""
    return "; ".join(
        f"{note.problem}{advice}" if isinstance(note, Note) and note.code == NEGATIVE else note for note in notes
    )
