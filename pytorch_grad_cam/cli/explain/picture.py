"""Explain one picture: make its maps one after the other and write each as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, MapResult
from pytorch_grad_cam.cli.explain.image_files import GRID, GuidedGradients, ImageFiles
from pytorch_grad_cam.cli.explain.owners import keep_others
from pytorch_grad_cam.cli.explain.schedule import Request, Schedule
from pytorch_grad_cam.cli.explain.sweeps import SweepFiles
from pytorch_grad_cam.cli.explain.watch import Watch
from pytorch_grad_cam.cli.output import refuse_existing
from pytorch_grad_cam.data.files import write_bytes
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.map_cost import MapCost
from pytorch_grad_cam.runs.picture_targets import ImageTarget, target_label
from pytorch_grad_cam.targets.class_choices import may_be_several


@dataclass
class ImageResult:
    """What came of one picture; it grows while the picture is explained, so that an interrupt leaves what was done."""

    drawing: ImageDrawing
    folder: Path
    input_size: tuple[int, int]  # height and width of what the network saw
    requested: int = 0  # maps
    announced: bool = False  # whether there was a line on it before its maps were made
    maps: list[MapResult] = field(default_factory=list)  # also those that mean nothing
    files: list[Path] = field(default_factory=list)  # that were written
    moved: list[tuple[Path, Path]] = field(default_factory=list)  # files of another picture, from where to where
    failed: dict[str, Exception] = field(default_factory=dict)  # methods, as one that does not suit the network
    left_out: dict[str, str] = field(default_factory=dict)  # maps that would have taken too long, and why
    not_swept: list[str] = field(default_factory=list)  # methods that have no layers to sweep
    guided: GuidedGradients = field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """How many maps were drawn."""
        return sum(result.map is not None for result in self.maps)

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that was asked for and could not be drawn."""
        failed = [f"{name}: {in_one_line(error)}" for name, error in self.failed.items()]
        named = "guided" in (self.drawing.options.save or [])
        return [*failed, *report.problems(self.maps, self.drawing.loaded), *(self._unguided if named else [])]

    @property
    def remarks(self) -> list[str]:
        """A sentence for what would have been welcome."""
        named = "guided" in (self.drawing.options.save or [])
        left_out = [f"{what}: {why}" for what, why in self.left_out.items()]
        return left_out + self.not_swept + ([] if named else self._unguided)

    @property
    def _unguided(self) -> list[str]:
        reasons = dict.fromkeys(why for why in self.guided.values() if isinstance(why, str))
        return [f"guided backpropagation: {why}" for why in reasons]


class PictureWork:
    """Makes the maps of one picture.

    Args:
        explainer, schedule: of the run.
        source: the picture's path, as it was given.
        image: uint8 RGB ``(H, W, 3)``.
        folder: for its files.
        kinds: what to save.
        say: prints a line on the screen.

    Raises:
        ValueError: if the picture cannot be made the network's input.
    """

    def __init__(
        self,
        explainer: ImageExplainer,
        schedule: Schedule,
        source: str,
        image: NDArray[np.uint8],
        folder: Path,
        kinds: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self._explainer, self._schedule, self._kinds, self._say = explainer, schedule, kinds, say
        self._inputs = explainer.inputs(image)
        self._targets = explainer.targets(self._inputs)  # first: it finds out what the scores are
        drawing = ImageDrawing(source, image, explainer.loaded, explainer.options)
        several = may_be_several(explainer.choices) or explainer.loaded.task == "detection"
        self._files = ImageFiles(drawing, kinds, several)
        self._sweeps = SweepFiles(explainer, drawing, kinds)
        self.result = ImageResult(drawing, folder, (int(self._inputs.shape[2]), int(self._inputs.shape[3])))

    def explain(self, existing: str, announce: Callable[[ImageResult], None]) -> None:
        """Make and write all maps; `result` has what was done so far.

        Args:
            existing: what becomes of files with the same names: "refuse", "replace", or "keep", which moves those of
                other pictures aside.
            announce: called when the work begins, if it is long or of several maps.

        Raises:
            FileExistsError: if files exist and are refused; nothing has been computed then.
            Exception: if all methods fail, that of the first; from the network, with a message for people.
        """
        result = self.result
        requests = self._explainer.requests(self._targets)
        result.requested = len(requests)
        if existing == "refuse":
            names = [name for request in requests for name in self._files.names(*request, self._targets[0])]
            names += self._sweeps.names(self._targets)
            refuse_existing(result.folder, [*names, GRID] if len(requests) > 1 else names)
        ordered = self._schedule.begin_picture(self._inputs, requests)
        estimate = self._schedule.estimate()
        result.announced = bool(estimate) or (len(requests) > 1 and existing != "refuse")
        if result.announced:
            announce(result)
        if estimate:
            self._say(f"to do:      {estimate}")
        with Watch(self._say, len(requests), self._schedule.passes, result.announced) as watch:
            for request in ordered:
                self._one_map(request, existing == "keep", watch)
        result.maps.sort(key=lambda made: requests.index((made.method, made.target)))
        if result.failed and not result.maps:
            raise next(iter(result.failed.values()))
        swept, result.not_swept = self._sweeps.contents(self._inputs, self._targets)
        if existing == "keep":
            groups = [[name] for name in self._sweeps.names(self._targets)]
            result.moved += keep_others(result.folder, groups, result.drawing.source, self._explainer.options.page)
        self._write(swept | self._files.grid(result.maps))

    def _one_map(self, request: Request, keep: bool, watch: Watch) -> None:
        (name, target), result, schedule = request, self.result, self._schedule
        label = target_label(target, self._explainer.loaded.categories)
        what = f"{name}, {label}" if label else name
        cost = schedule.next_map(name)
        watch.begin_map(what, cost.passes)
        if name in result.failed:
            outcome = "failed"
        elif cost.left_out:
            outcome = f"left out: {cost.left_out}"
            result.left_out[what] = cost.left_out
            self._write(self._files.left_out(name, target, cost.left_out))
        else:
            outcome = self._made(request, cost, keep, watch)
        schedule.end_map(cost, watch.end_map(outcome))

    def _made(self, request: Request, cost: MapCost, keep: bool, watch: Watch) -> str:
        """Make and write a map; return what became of it."""
        (name, target), result = request, self.result
        try:
            made = self._explainer.map(name, self._inputs, target, self._targets, cost, watch.step)
            result.maps.append(made)
            if made.map is None:
                return "nothing drawn, the map means nothing"
            guided = self._guided(target) if "guided" in self._kinds else None
            contents = self._files.of_map(made, guided, self._targets[0])
        except Exception as error:  # the next method may well do
            if self._explainer.options.debug:
                raise
            result.failed[name] = error
            return f"failed: {in_one_line(error)}"
        if keep:
            groups = self._files.groups(name, target, self._targets[0])
            result.moved += keep_others(result.folder, groups, result.drawing.source, self._explainer.options.page)
        self._write(contents)
        fewer = ", ".join(f"{number} {_WORDS[setting]}" for setting, number in made.fewer_samples.items())
        return f"{result.folder / next(iter(contents))}" + (f" (with {fewer} only)" if fewer else "")

    def _guided(self, target: ImageTarget) -> NDArray[np.float32] | str:
        """Return guided backpropagation for a target, run once; without a target that of the first one."""
        target = self._targets[0] if target is None else target
        if target not in self.result.guided:
            self.result.guided[target] = self._explainer.guided_gradients(self._inputs, target)
        return self.result.guided[target]

    def _write(self, contents: dict[str, bytes]) -> None:
        for name, content in contents.items():
            path = self.result.folder / name
            if path not in self.result.files:
                write_bytes(path, content)
                self.result.files.append(path)


_WORDS = {"num_samples": "samples", "steps": "steps", "channels": "channels", "num_scales": "scales"}
