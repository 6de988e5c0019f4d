"""What pictures are known to show, as folders or a file say it, and whether the network agrees."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.picture_targets import predictions
from pytorch_grad_cam.targets.class_choices import class_label
from pytorch_grad_cam.targets.class_names import find_class

FOLDERS = "folders"


@dataclass(frozen=True)
class Verdict:
    """Says whether the class that is predicted first is the one that a picture shows."""

    right: bool
    label: int

    def text(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people."""
        return "right" if self.right else f"wrong, it is {class_label(self.label, categories)}"


class PictureLabels:
    """The class that each picture shows.

    Args:
        source: "folders", where each picture lies in a folder with the name of its class; or a CSV file with lines
            ``picture,class``: paths as they are, or from the file's folder on, or a file's name alone.
        categories: class names of the network.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a line has another form, or names no class.
    """

    def __init__(self, source: str, categories: tuple[str, ...] | None) -> None:
        self._source, self._categories = source, categories
        self._by_path = {} if source == FOLDERS else self._read(Path(source))

    def of(self, path: Path) -> int:
        """Return the class of a picture.

        Raises:
            ValueError: if nothing says it.
        """
        if self._source == FOLDERS:
            name = path.absolute().parent.name
            try:
                return find_class(name, self._categories)
            except ValueError as error:
                raise ValueError(f"--labels folders: the folder {name!r} of {path} names no class: {error}") from error
        for key in (os.path.abspath(path), path.name):
            if key in self._by_path:
                return self._by_path[key]
        raise ValueError(f"--labels: {self._source} has no line for {path}")

    def _read(self, file: Path) -> dict[str, int]:
        if not file.is_file():
            raise FileNotFoundError(f"--labels: there is no file {file}; give a CSV file, or the word 'folders'")
        classes: dict[str, int] = {}
        text = io.StringIO(file.read_text(encoding="utf-8-sig"))
        for number, row in enumerate(csv.reader(text), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) < 2:
                raise ValueError(f"--labels: line {number} of {file} is not PICTURE,CLASS: {','.join(row)!r}")
            try:
                category = find_class(cells[1], self._categories)
            except ValueError as error:
                if number == 1:  # the names of the columns
                    continue
                raise ValueError(f"--labels: line {number} of {file}: {error}") from error
            classes[os.path.abspath(file.parent / cells[0])] = category
            classes.setdefault(os.path.abspath(cells[0]), category)
            classes.setdefault(Path(cells[0]).name, category)
        return classes


def verdict_on(maps: Sequence[MapResult], label: int, loaded: LoadedModel) -> Verdict | None:
    """Compare a label with the class that is predicted first; None if the network is no classifier."""
    first = predictions(maps[0].outputs, loaded, maps[0].kind, 1) if loaded.task == "classification" else None
    return Verdict(first[0][0] == label, label) if first else None


Judge = Callable[[Path, Sequence[MapResult]], Verdict | None]


def judge_by(source: str | None, loaded: LoadedModel) -> Judge:
    """Return what compares the maps of a picture with its label; nothing is known without a source."""
    if source is None:
        return lambda path, maps: None
    labels = PictureLabels(source, loaded.categories)
    return lambda path, maps: verdict_on(maps, labels.of(path), loaded)
