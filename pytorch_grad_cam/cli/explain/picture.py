"""One picture: from pixels to maps to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.classes import are_several
from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.maps import Explainer, Found
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.outputs import GRID, Drawing
from pytorch_grad_cam.cli.explain.tasks import Question
from pytorch_grad_cam.data.images import write_bytes


@dataclass(frozen=True)
class Done:
    """What came of one picture.

    Attributes:
        drawing: what its files were made of.
        maps: every map, also those that mean nothing.
        written: the files.
        size: height and width of what the network saw.
        problems: a sentence for each thing that was asked for and could not be drawn.
        remarks: a sentence for what would have been welcome.
    """

    drawing: Drawing
    maps: Sequence[Found]
    written: Sequence[Path]
    size: tuple[int, int]
    problems: Sequence[str]
    remarks: Sequence[str]


def explain_picture(
    explainer: Explainer,
    options: ExplainOptions,
    source: str,
    picture: NDArray[np.uint8],
    folder: Path,
    kinds: Sequence[str],
    replace: bool,
) -> Done:
    """Explain one picture and, when everything is ready, write its files.

    Args:
        explainer: the network and the methods.
        options: what to draw, and how.
        source: the picture's path, as it was given.
        picture: uint8 RGB ``(H, W, 3)``.
        folder: where the files go.
        kinds: what to save, of `arguments.KINDS`.
        replace: write over files that exist.

    Raises:
        FileExistsError: if a file exists that must not be replaced; nothing has been computed then.
        Exception: from the network or the method, with a message for people.
    """
    several = are_several(explainer.wanted) or explainer.loaded.task == "detection"
    drawing = Drawing(source, picture, explainer.loaded, options, kinds, several)
    inputs = explainer.inputs(picture)
    classes = explainer.classes(inputs)
    if not replace:
        _refuse_existing(folder, drawing, explainer, classes)
    maps, failed = explainer.maps(inputs, classes)
    problems = [*failed, *report.problems(maps, explainer.loaded)]
    drawn = [each for each in maps if each.map is not None]
    guided = _guided(explainer, inputs, drawn, classes) if "guided" in kinds else {}
    missing = [f"guided backpropagation: {why}" for why in {each for each in guided.values() if isinstance(each, str)}]
    files: dict[str, bytes] = {}
    for each in drawn:
        files |= drawing.files(each, guided.get(each.index))
    if len(maps) > 1 and drawn and "overlay" in kinds:
        files[GRID] = drawing.grid(maps)
    for name, content in files.items():
        write_bytes(folder / name, content)
    asked = "guided" in (options.save or [])
    return Done(
        drawing,
        maps,
        [folder / name for name in files],
        (int(inputs.shape[2]), int(inputs.shape[3])),
        problems + (missing if asked else []),
        [] if asked else missing,
    )


def _guided(
    explainer: Explainer, inputs: Tensor, drawn: Sequence[Found], classes: Sequence[Question]
) -> dict[Question, NDArray[np.float32] | str]:
    """Run guided backpropagation once per class; a method that looks at no class gets that of the first one."""
    return {
        index: explainer.guided(inputs, classes[0] if index is None else index)
        for index in dict.fromkeys(each.index for each in drawn)
    }


def _refuse_existing(folder: Path, drawing: Drawing, explainer: Explainer, classes: Sequence[Question]) -> None:
    names = [
        name
        for method, cam in explainer.cams.items()
        for index in (classes if cam.uses_targets else [None])
        for name in drawing.names(method, index)
    ]
    if len(explainer.cams) * len(classes) > 1:
        names.append(GRID)
    existing = [name for name in names if (folder / name).exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise FileExistsError(
            f"{folder / existing[0]}{more} exist{'' if more else 's'} already; --overwrite replaces what is there, "
            "--output-dir takes another folder"
        )
