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
from pytorch_grad_cam.cli.explain.labels import Judge, Verdict, judge_by
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.sheets import ContactSheets
from pytorch_grad_cam.cli.explain.sweeps import SweepFiles
from pytorch_grad_cam.cli.explain.targets import ClassContrast, ImageTarget, shared_label
from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.cli.output import refuse_existing, written_files
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.runs.error_text import in_one_line

_MOST_NAMES = 5  # in a line
# Endings of what is no picture, and the command that takes it.
_OTHER_KINDS = {
    (".nii", ".nii.gz", ".dcm", ".npy", ".npz"): "volume",
    (".csv", ".tsv"): "signal",
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"): "video",
}


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
    _refuse_other_kinds(options.image_path)
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
    judge = judge_by(options.labels, loaded)
    if image is None:
        return _explain_many(explainer, samples, problems, judge)
    source, folder = str(samples[0].path), Path(options.output_dir)
    one_class = loaded.task == "classification" and not (options.contrast or options.against)
    kinds = options.save or (["overlay", "guided"] if one_class else ["overlay"])
    result = _explain_image(explainer, source, image, folder, kinds, overwrite=True)
    _print_result(explainer, source, result)
    verdict = judge(samples[0].path, result.maps)
    if verdict is not None:
        print(f"prediction: {verdict.text(loaded.categories)}")
    return 1 if result.problems else 0


def _refuse_other_kinds(paths: Sequence[str]) -> None:
    """Name the command for what is no picture.

    Raises:
        ValueError: for the first volume, signal or video.
    """
    for path in paths:
        for endings, command in _OTHER_KINDS.items():
            if path.lower().endswith(endings):
                raise ValueError(f"{path} is no picture; give it to the command {command}: cam {command} --help")


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


def _explain_many(explainer: ImageExplainer, samples: Sequence[Sample], problems: Sequence[str], judge: Judge) -> int:
    """Give each picture a folder, a line and a step of the bar; one that fails stops nothing."""
    from tqdm import tqdm

    def say(line: str, error: bool = False) -> None:
        tqdm.write(line, file=sys.stderr if error else sys.stdout)  # above the bar

    out = Path(explainer.options.output_dir)
    for problem in problems:
        say(f"error: {problem}", error=True)
    sheets = ContactSheets(out, explainer.options.overwrite)
    failed: list[str] = []
    verdicts: list[Verdict] = []
    finished, files = 0, 0
    try:
        with tqdm(samples, unit="picture", disable=None, leave=False) as bar:  # None: only where somebody watches
            for sample in bar:
                wrong, written, verdict = _one_of_many(explainer, sample, out / sample.id, sheets, say, judge)
                verdicts += [verdict] if verdict is not None else []
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
    if verdicts:
        right = sum(verdict.right for verdict in verdicts)
        print(f"right:      {right} of {len(verdicts)} ({100 * right / len(verdicts):.1f} %)")
    print(f"written:    {files} files in {out}")
    if failed:
        names = ", ".join(failed[:_MOST_NAMES]) + (", ..." if len(failed) > _MOST_NAMES else "")
        print(f"error: {len(failed)} of {len(samples)} pictures failed: {names}", file=sys.stderr)
    return 1 if failed or problems else 0


def _one_of_many(
    explainer: ImageExplainer,
    sample: Sample,
    folder: Path,
    sheets: ContactSheets,
    say: Callable[[str], None],
    judge: Judge,
) -> tuple[Sequence[str], int, Verdict | None]:
    """Explain a picture; return what went wrong, how many files were written, and whether the prediction is right."""
    options, source = explainer.options, str(sample.path)
    kinds = options.save or ["overlay"]
    try:
        image = read_image(sample.path, max_pixels=options.max_pixels)
        result = _explain_image(explainer, source, image, folder, kinds, options.overwrite)
        verdict = judge(sample.path, result.maps)
    except Exception as error:  # the next picture may well do
        if options.debug:
            raise
        return [in_one_line(error)], 0, None
    if result.files:
        brief = report.in_brief(source, result.maps, explainer.loaded, folder, len(result.files))
        say(brief if verdict is None else f"{brief}; {verdict.text(explainer.loaded.categories)}")
    for note in report.notes(result.maps):
        say(f"{note} ({source})")
    if "overlay" in kinds:
        _add_to_sheets(sheets, result, sample.id, verdict)
    return result.problems, len(result.files), verdict


def _add_to_sheets(sheets: ContactSheets, result: ImageResult, name: str, verdict: Verdict | None) -> None:
    """Add the first map that was drawn, with what it explains and whether the prediction is right."""
    first = next((map_result for map_result in result.maps if map_result.map is not None), None)
    if first is None:
        return
    target = first.target if isinstance(first.target, ClassContrast) else first.category
    label = shared_label(first.category, target, first.outputs, first.kind, result.drawing.loaded.categories)
    what = "" if target is None else f"{'not ' if first.against else ''}{label}: "
    right = None if verdict is None else verdict.right
    sheets.add(result.drawing.overlay(first), f"{what}{name}", right)  # the class first: long captions are cut


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
    inputs = explainer.inputs(image)
    targets = explainer.targets(inputs)
    drawing = ImageDrawing(source, image, explainer.loaded, explainer.options)
    files = ImageFiles(drawing, kinds, several)
    sweeps = SweepFiles(explainer, drawing, kinds)
    if not overwrite:
        names = [name for method, target in explainer.requests(targets) for name in files.names(method, target)]
        names += sweeps.names(targets)
        refuse_existing(folder, [*names, GRID] if len(explainer.options.method) * len(targets) > 1 else names)
    maps, failed = explainer.maps(inputs, targets)
    problems = [*failed, *report.problems(maps, explainer.loaded)]
    guided = _guided_gradients(explainer, inputs, maps, targets) if "guided" in kinds else {}
    missing = [f"guided backpropagation: {why}" for why in {why for why in guided.values() if isinstance(why, str)}]
    swept, left_out = sweeps.contents(inputs, targets)
    contents = files.contents(maps, guided) | swept
    for name, content in contents.items():
        write_bytes(folder / name, content)
    was_named = "guided" in (explainer.options.save or [])
    return ImageResult(
        drawing,
        maps,
        [folder / name for name in contents],
        (int(inputs.shape[2]), int(inputs.shape[3])),
        problems + (missing if was_named else []),
        left_out + ([] if was_named else missing),
    )


def _guided_gradients(
    explainer: ImageExplainer, inputs: Tensor, maps: Sequence[MapResult], targets: Sequence[ImageTarget]
) -> GuidedGradients:
    """Run guided backpropagation once per target; a method that looks at no class gets that of the first one."""
    return {
        target: explainer.guided_gradients(inputs, targets[0] if target is None else target)
        for target in dict.fromkeys(result.target for result in maps if result.map is not None)
    }
