"""The command without a verb: explain pictures, one after the other, and say what was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.classes import may_be_several
from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, MapResult
from pytorch_grad_cam.cli.explain.image_files import GRID, GuidedGradients, ImageFiles
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.sheets import ContactSheets
from pytorch_grad_cam.cli.explain.targets import ClassContrast, ImageTarget, target_label
from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.cli.output import refuse_existing, written_files
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.runs.error_text import in_one_line

_MOST_NAMES = 5  # in a line


@dataclass(frozen=True)
class ImageResult:
    """What came of one picture."""

    drawing: ImageDrawing
    maps: Sequence[MapResult]  # also those that mean nothing
    files: Sequence[Path]  # that were written
    input_size: tuple[int, int]  # height and width of what the network saw
    problems: Sequence[str]  # a sentence for each thing that was asked for and could not be drawn
    remarks: Sequence[str]  # a sentence for what would have been welcome


def run(options: ExplainOptions) -> int:
    """Explain every picture that the options name, write the files and say what was found.

    Returns:
        0; 1 if a picture or a map failed, which is said; 130 if Ctrl-C ended the work on many pictures.

    Raises:
        Exception: with a message for people where nothing at all can be done, or one picture was asked for and failed.
    """
    samples, problems = find_samples(options.image_path)
    if not samples:
        raise FileNotFoundError("; ".join(problems))
    check_writable(options.output_dir)
    many = names_many(options.image_path)
    # Before the network is loaded, which takes longer.
    image = None if many else read_image(samples[0].path, max_pixels=options.max_pixels)
    loaded, device = load_network(options)
    if options.task is not None:
        loaded = replace(loaded, task=options.task)
    explainer = ImageExplainer(loaded, options, device, progress=not many and sys.stderr.isatty())
    if image is None:
        return _explain_many(explainer, samples, problems)
    source, folder = str(samples[0].path), Path(options.output_dir)
    one_class = loaded.task == "classification" and not (options.contrast or options.against)
    kinds = options.save or (["overlay", "guided"] if one_class else ["overlay"])
    result = _explain_image(explainer, source, image, folder, kinds, overwrite=True)
    _print_result(explainer, source, result)
    return 1 if result.problems else 0


def _print_result(explainer: ImageExplainer, source: str, result: ImageResult) -> None:
    """Say all that there is to say about one picture."""
    loaded = explainer.loaded
    print(f"picture:    {source}")
    print(f"model:      {network_summary(loaded, result.input_size)}")
    print(*report.seen_share(result.drawing.seen_share()), sep="", end="")
    automatic_layer = not (explainer.options.target_layers or loaded.target_layers)
    print(*report.in_full(result.maps, loaded, automatic_layer), *written_files(result.files), sep="\n")
    for remark in result.remarks:
        print(f"not drawn:  {remark}")
    for note in report.notes(result.maps):
        print(note, file=sys.stderr)
    for problem in result.problems:
        print(f"error: {problem}", file=sys.stderr)


def _explain_many(explainer: ImageExplainer, samples: Sequence[Sample], problems: Sequence[str]) -> int:
    """Give each picture a folder, a line and a step of the bar; one that fails stops nothing."""
    from tqdm import tqdm

    def say(line: str, error: bool = False) -> None:
        tqdm.write(line, file=sys.stderr if error else sys.stdout)  # above the bar

    out = Path(explainer.options.output_dir)
    for problem in problems:
        say(f"error: {problem}", error=True)
    sheets = ContactSheets(out, explainer.options.overwrite)
    failed: list[str] = []
    finished, files = 0, 0
    try:
        with tqdm(samples, unit="picture", disable=None, leave=False) as bar:  # None: only where somebody watches
            for sample in bar:
                wrong, written = _one_of_many(explainer, sample, out / sample.id, sheets, say)
                failed += [str(sample.path)] * bool(wrong)
                for problem in wrong:
                    which = "" if str(sample.path) in problem else f"{sample.path}: "
                    say(f"error: {which}{problem}", error=True)
                files += written
                finished += 1
        files += len(sheets.write())
    except KeyboardInterrupt:
        print(
            f"error: interrupted; {finished} of {len(samples)} pictures were done, nothing was left half written",
            file=sys.stderr,
        )
        return 130
    print(f"written:    {files} files in {out}")
    if failed:
        names = ", ".join(failed[:_MOST_NAMES]) + (", ..." if len(failed) > _MOST_NAMES else "")
        print(f"error: {len(failed)} of {len(samples)} pictures failed: {names}", file=sys.stderr)
    return 1 if failed or problems else 0


def _one_of_many(
    explainer: ImageExplainer, sample: Sample, folder: Path, sheets: ContactSheets, say: Callable[[str], None]
) -> tuple[Sequence[str], int]:
    """Explain a picture; return what went wrong and how many files were written."""
    options, source = explainer.options, str(sample.path)
    kinds = options.save or ["overlay"]
    try:
        image = read_image(sample.path, max_pixels=options.max_pixels)
        result = _explain_image(explainer, source, image, folder, kinds, options.overwrite)
    except Exception as error:  # the next picture may well do
        if options.debug:
            raise
        return [in_one_line(error)], 0
    if result.files:
        say(report.in_brief(source, result.maps, explainer.loaded, folder, len(result.files)))
    for note in report.notes(result.maps):
        say(f"{note} ({source})")
    if "overlay" in kinds:
        _add_to_sheets(sheets, result, sample.id)
    return result.problems, len(result.files)


def _add_to_sheets(sheets: ContactSheets, result: ImageResult, name: str) -> None:
    """Add the first map that was drawn, with what it explains."""
    first = next((map_result for map_result in result.maps if map_result.map is not None), None)
    if first is None:
        return
    target = first.target if isinstance(first.target, ClassContrast) else first.category
    label = target_label(target, result.drawing.loaded.categories)
    what = "" if target is None else f"{'not ' if first.against else ''}{label}: "
    sheets.add(result.drawing.overlay(first), f"{what}{name}")  # the class first: long captions are cut


def _explain_image(
    explainer: ImageExplainer,
    source: str,
    image: NDArray[np.uint8],
    folder: Path,
    kinds: Sequence[str],
    overwrite: bool,
) -> ImageResult:
    """Explain one picture and, when everything is ready, write its files.

    Raises:
        FileExistsError: if a file exists that must not be replaced; nothing has been computed then.
        Exception: from the network or the method, with a message for people.
    """
    several = may_be_several(explainer.choices) or explainer.loaded.task == "detection"
    drawing = ImageDrawing(source, image, explainer.loaded, explainer.options)
    files = ImageFiles(drawing, kinds, several)
    inputs = explainer.inputs(image)
    targets = explainer.targets(inputs)
    if not overwrite:
        names = [name for method, target in explainer.requests(targets) for name in files.names(method, target)]
        refuse_existing(folder, [*names, GRID] if len(explainer.options.method) * len(targets) > 1 else names)
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


def _guided_gradients(
    explainer: ImageExplainer, inputs: Tensor, maps: Sequence[MapResult], targets: Sequence[ImageTarget]
) -> GuidedGradients:
    """Run guided backpropagation once per target; a method that looks at no class gets that of the first one."""
    return {
        target: explainer.guided_gradients(inputs, targets[0] if target is None else target)
        for target in dict.fromkeys(result.target for result in maps if result.map is not None)
    }
