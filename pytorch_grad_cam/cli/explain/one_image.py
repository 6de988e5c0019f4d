"""One picture: from pixels to maps to files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.classes import may_be_several
from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, MapResult
from pytorch_grad_cam.cli.explain.image_files import GRID, GuidedGradients, ImageFiles
from pytorch_grad_cam.cli.explain.targets import ImageTarget
from pytorch_grad_cam.cli.output_files import refuse_existing
from pytorch_grad_cam.data.images import write_bytes


@dataclass(frozen=True)
class ImageResult:
    """What came of one picture.

    Attributes:
        drawing: draws its maps.
        maps: every map, also those that mean nothing.
        files: those that were written.
        input_size: height and width of what the network saw.
        problems: a sentence for each thing that was asked for and could not be drawn.
        remarks: a sentence for what would have been welcome.
    """

    drawing: ImageDrawing
    maps: Sequence[MapResult]
    files: Sequence[Path]
    input_size: tuple[int, int]
    problems: Sequence[str]
    remarks: Sequence[str]


def explain_image(
    explainer: ImageExplainer,
    source: str,
    image: NDArray[np.uint8],
    folder: Path,
    kinds: Sequence[str],
    replace: bool,
) -> ImageResult:
    """Explain one picture and, when everything is ready, write its files.

    Args:
        explainer: the network, the methods and the options.
        source: the picture's path, as it was given.
        image: uint8 RGB ``(H, W, 3)``.
        folder: where the files go.
        kinds: what to save, of `arguments.KINDS`.
        replace: write over files that exist.

    Raises:
        FileExistsError: if a file exists that must not be replaced; nothing has been computed then.
        Exception: from the network or the method, with a message for people.
    """
    several = may_be_several(explainer.choices) or explainer.loaded.task == "detection"
    drawing = ImageDrawing(source, image, explainer.loaded, explainer.options)
    files = ImageFiles(drawing, kinds, several)
    inputs = explainer.inputs(image)
    targets = explainer.targets(inputs)
    if not replace:
        refuse_existing(folder, _possible_names(files, explainer, targets))
    maps, failed = explainer.maps(inputs, targets)
    problems = [*failed, *report.problems(maps, explainer.loaded)]
    guided = _guided_gradients(explainer, inputs, maps, targets) if "guided" in kinds else {}
    missing = [f"guided backpropagation: {why}" for why in {why for why in guided.values() if isinstance(why, str)}]
    contents = files.contents(maps, guided)
    for name, content in contents.items():
        write_bytes(folder / name, content)
    was_named = "guided" in (explainer.options.save or [])
    return ImageResult(
        drawing,
        maps,
        [folder / name for name in contents],
        (int(inputs.shape[2]), int(inputs.shape[3])),
        problems + (missing if was_named else []),
        [] if was_named else missing,
    )


def _possible_names(files: ImageFiles, explainer: ImageExplainer, targets: Sequence[ImageTarget]) -> list[str]:
    """Return the names of all files that may be written."""
    names = [name for method, target in explainer.requests(targets) for name in files.names(method, target)]
    return [*names, GRID] if len(explainer.options.method) * len(targets) > 1 else names


def _guided_gradients(
    explainer: ImageExplainer, inputs: Tensor, maps: Sequence[MapResult], targets: Sequence[ImageTarget]
) -> GuidedGradients:
    """Run guided backpropagation once per target; a method that looks at no class gets that of the first one."""
    return {
        target: explainer.guided_gradients(inputs, targets[0] if target is None else target)
        for target in dict.fromkeys(result.target for result in maps if result.map is not None)
    }
