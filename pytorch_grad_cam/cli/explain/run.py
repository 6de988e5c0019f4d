"""The command without a verb: explain pictures, one after the other, and say what was found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, as_said, chosen_layers
from pytorch_grad_cam.cli.explain.labels import Judge, Verdict, judge_by
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.picture import ImageResult, PictureWork
from pytorch_grad_cam.cli.explain.schedule import Schedule
from pytorch_grad_cam.cli.explain.sheets import ContactSheets
from pytorch_grad_cam.cli.network import load_network, network_summary
from pytorch_grad_cam.cli.output import kept_files, written_files
from pytorch_grad_cam.data.files import check_writable
from pytorch_grad_cam.data.images import count_pages, read_image
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.picture_targets import ClassContrast, shared_label

_MOST_NAMES = 5  # in a line
_MANY = 100  # pictures from which on somebody should know of the command for data sets
# Endings of what is no picture, and the command that takes it.
_OTHER_KINDS = {
    (".nii", ".nii.gz", ".dcm", ".npy", ".npz"): "volume",
    (".csv", ".tsv"): "signal",
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"): "video",
}


def run(options: ExplainOptions) -> int:
    """Explain every picture that the options name, write the files and say what was found.

    Returns:
        0; 1 if a picture or a map failed, which is said; 130 if Ctrl-C ended the work when a part of it was done.

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
    image = None if many else read_image(samples[0].path, max_pixels=options.max_pixels, page=options.page)
    loaded, device = load_network(options)
    loaded = as_said(loaded, options)
    explainer = ImageExplainer(loaded, options, device)
    schedule = Schedule(explainer, len(samples))
    judge = judge_by(options.labels, loaded)
    if image is None:
        return _explain_many(explainer, schedule, samples, problems, judge)
    one_class = loaded.task == "classification" and not (options.contrast or options.against)
    kinds = options.save or (["overlay", "guided"] if one_class else ["overlay"])
    source = str(samples[0].path)
    work = PictureWork(explainer, schedule, source, image, Path(options.output_dir), kinds, _say)
    try:
        work.explain("replace" if options.overwrite else "keep", _print_head)
    except KeyboardInterrupt:
        if not work.result.files:
            raise
        print(f"error: interrupted; {_done(work.result)}, nothing was left half written", file=sys.stderr)
        return 130
    _print_result(work.result)
    verdict = judge(samples[0].path, work.result.maps)
    if verdict is not None:
        print(f"prediction: {verdict.text(loaded.categories)}")
    return 1 if work.result.problems else 0


def _refuse_other_kinds(paths: Sequence[str]) -> None:
    """Name the command for what is no picture.

    Raises:
        ValueError: for the first volume, signal or video.
    """
    for path in paths:
        for endings, command in _OTHER_KINDS.items():
            if path.lower().endswith(endings):
                raise ValueError(f"{path} is no picture; give it to the command {command}: cam {command} --help")


def _say(line: str) -> None:
    """Print a line above a bar, at once also where nobody watches: a log shall show how far the work is."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def _done(result: ImageResult) -> str:
    """Say which maps of a picture were made before an interrupt."""
    names = list(dict.fromkeys(one.method for one in result.maps if one.map is not None))
    listed = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return f"{result.drawn} of {result.requested} maps are done and kept in {result.folder} ({listed})"


def _print_head(result: ImageResult) -> None:
    """Say which picture and which network the maps are of."""
    print(f"picture:    {result.drawing.source}{_page_of(result)}")
    print(f"model:      {network_summary(result.drawing.loaded, result.input_size)}")
    print(*report.seen_share(result.drawing.seen_share()), sep="", end="", flush=True)


def _page_of(result: ImageResult) -> str:
    """Say which page of a file it is that was explained, where there are several."""
    pages, page = count_pages(result.drawing.source), result.drawing.options.page
    return f" (page {page} of {pages}; --page N takes another)" if pages > 1 else ""


def _print_result(result: ImageResult) -> None:
    """Say all that there is to say about one picture."""
    loaded, options = result.drawing.loaded, result.drawing.options
    if not result.announced:
        _print_head(result)
    layers = chosen_layers(options) or loaded.target_layers
    if result.maps:
        print(*report.in_full(result.maps, loaded, layers), sep="\n")
    for line in (*written_files(result.files), *kept_files(result.moved)):
        print(line)
    for remark in result.remarks:
        print(f"not drawn:  {remark}")
    for note in report.notes(result.maps):
        print(note, file=sys.stderr)
    for problem in result.problems:
        print(f"error: {problem}", file=sys.stderr)


def _explain_many(
    explainer: ImageExplainer, schedule: Schedule, samples: Sequence[Sample], problems: Sequence[str], judge: Judge
) -> int:
    """Give each picture a folder, a line and a step of the bar; one that fails stops nothing."""
    from tqdm import tqdm

    out = Path(explainer.options.output_dir)
    for problem in problems:
        _complain(problem)
    if len(samples) >= _MANY:
        _say(
            f"note: each of the {len(samples)} pictures gets a folder of its own; the command run explains them in "
            "batches, into one folder with an index, and goes on where it was stopped"
        )
    sheets = ContactSheets(out, explainer.options.overwrite)
    failed: list[str] = []
    verdicts: list[Verdict] = []
    finished, files = 0, 0
    unfinished: list[str] = []
    try:
        with tqdm(samples, unit="picture", disable=None, leave=False) as bar:  # None: only where somebody watches
            for sample in bar:
                wrong, written, verdict = _one_of_many(
                    explainer, schedule, sample, out / sample.id, sheets, unfinished, judge
                )
                verdicts += [verdict] if verdict is not None else []
                failed += [str(sample.path)] * bool(wrong)
                for problem in wrong:
                    _complain(problem if str(sample.path) in problem else f"{sample.path}: {problem}")
                files += written
                finished += 1
        files += len(sheets.write())
    except KeyboardInterrupt:
        done = f"{finished} of {len(samples)} pictures were done{''.join(f', {part}' for part in unfinished)}"
        print(f"error: interrupted; {done}, nothing was left half written", file=sys.stderr)
        return 130
    if verdicts:
        right = sum(verdict.right for verdict in verdicts)
        print(f"right:      {right} of {len(verdicts)} ({100 * right / len(verdicts):.1f} %)")
    print(f"written:    {files} files in {out}")
    if failed:
        names = ", ".join(failed[:_MOST_NAMES]) + (", ..." if len(failed) > _MOST_NAMES else "")
        print(f"error: {len(failed)} of {len(samples)} pictures failed: {names}", file=sys.stderr)
    return 1 if failed or problems else 0


def _complain(problem: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"error: {problem}", file=sys.stderr)  # above the bar


def _one_of_many(
    explainer: ImageExplainer,
    schedule: Schedule,
    sample: Sample,
    folder: Path,
    sheets: ContactSheets,
    unfinished: list[str],
    judge: Judge,
) -> tuple[Sequence[str], int, Verdict | None]:
    """Explain a picture; return what went wrong, how many files were written, and whether the prediction is right.

    An interrupt leaves in ``unfinished`` what was done of the picture.
    """
    options, source = explainer.options, str(sample.path)
    kinds = options.save or ["overlay"]
    work: PictureWork | None = None
    try:
        image = read_image(sample.path, max_pixels=options.max_pixels, page=options.page)
        work = PictureWork(explainer, schedule, source, image, folder, kinds, _say)
        work.explain("replace" if options.overwrite else "refuse", _announce)
        verdict = judge(sample.path, work.result.maps)
    except KeyboardInterrupt:
        unfinished += [f"{source}: {_done(work.result)}"] if work is not None and work.result.files else []
        raise
    except Exception as error:  # the next picture may well do
        if options.debug:
            raise
        return [in_one_line(error)], 0 if work is None else len(work.result.files), None
    finally:
        schedule.end_picture()
    result = work.result
    if result.maps and result.files:
        brief = report.in_brief(f"{source}{_page_of(result)}", result.maps, explainer.loaded, folder, len(result.files))
        _say(brief if verdict is None else f"{brief}; {verdict.text(explainer.loaded.categories)}")
    for note in report.notes(result.maps):
        _say(f"{note} ({source})")
    for remark in result.remarks:
        _say(f"not drawn:  {remark} ({source})")
    if "overlay" in kinds:
        _add_to_sheets(sheets, result, sample.id, verdict)
    return result.problems, len(result.files), verdict


def _announce(result: ImageResult) -> None:
    """Say which picture the lines that follow are about."""
    _say(f"picture:    {result.drawing.source}{_page_of(result)}")


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
