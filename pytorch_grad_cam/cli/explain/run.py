"""The command without a verb: explain pictures, one after the other, and say what was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pytorch_grad_cam.cli.errors import in_one_line
from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.contrast import Contrast
from pytorch_grad_cam.cli.explain.maps import Explainer
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.explain.picture import explain_picture
from pytorch_grad_cam.cli.explain.sheets import Sheets
from pytorch_grad_cam.cli.explain.tasks import label
from pytorch_grad_cam.cli.network import described, device_of, load
from pytorch_grad_cam.data.images import check_writable, read_image
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many

_SHOWN = 5  # names in a line


def explain(options: ExplainOptions) -> int:
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
    picture = None if many else read_image(samples[0].path)  # before the network is loaded, which takes longer
    device = device_of(options)
    loaded = load(options, device)
    if options.task is not None:
        loaded = replace(loaded, task=options.task)
    explainer = Explainer(loaded, options, device, bars=not many and sys.stderr.isatty())
    if picture is None:
        return _many(explainer, options, samples, problems)
    source, folder = str(samples[0].path), Path(options.output_dir)
    one_class = loaded.task == "classification" and not (options.contrast or options.against)
    kinds = options.save or (["overlay", "guided"] if one_class else ["overlay"])
    done = explain_picture(explainer, options, source, picture, folder, kinds, replace=True)
    print(f"picture:    {source}")
    print(f"model:      {described(loaded, done.size)}")
    for line in report.in_full(done.maps, loaded, chosen=not (options.target_layers or loaded.target_layers)):
        print(line)
    for line in report.written(done.written):
        print(line)
    for remark in done.remarks:
        print(f"not drawn:  {remark}")
    for note in report.notes(done.maps):
        print(note, file=sys.stderr)
    for problem in done.problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if done.problems else 0


def _many(explainer: Explainer, options: ExplainOptions, samples: Sequence[Sample], problems: Sequence[str]) -> int:
    """Give each picture a folder, a line and a step of the bar; one that fails stops nothing."""
    from tqdm import tqdm

    def say(line: str, error: bool = False) -> None:
        tqdm.write(line, file=sys.stderr if error else sys.stdout)  # above the bar

    out = Path(options.output_dir)
    for problem in problems:
        say(f"error: {problem}", error=True)
    sheets = Sheets(out, options.overwrite)
    failed: list[str] = []
    finished, files = 0, 0
    try:
        with tqdm(samples, unit="picture", disable=None, leave=False) as bar:  # None: only where somebody watches
            for sample in bar:
                wrong, written = _one_of_many(explainer, options, sample, out / sample.id, sheets, say)
                failed += [str(sample.path)] * bool(wrong)
                for each in wrong:
                    which = "" if str(sample.path) in each else f"{sample.path}: "
                    say(f"error: {which}{each}", error=True)
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
        shown = ", ".join(failed[:_SHOWN]) + (", ..." if len(failed) > _SHOWN else "")
        print(f"error: {len(failed)} of {len(samples)} pictures failed: {shown}", file=sys.stderr)
    return 1 if failed or problems else 0


def _one_of_many(
    explainer: Explainer,
    options: ExplainOptions,
    sample: Sample,
    folder: Path,
    sheets: Sheets,
    say: Callable[[str], None],
) -> tuple[Sequence[str], int]:
    """Explain a picture; return what went wrong and how many files were written."""
    kinds = options.save or ["overlay"]
    try:
        done = explain_picture(
            explainer, options, str(sample.path), read_image(sample.path), folder, kinds, options.overwrite
        )
    except Exception as error:  # the next picture may well do
        if options.debug:
            raise
        return [in_one_line(error)], 0
    if done.written:
        say(report.in_brief(str(sample.path), done.maps, explainer.loaded, folder, len(done.written)))
    for note in report.notes(done.maps):
        say(f"{note} ({sample.path})")
    best = next((each for each in done.maps if each.map is not None), None)
    if best is not None and best.map is not None and "overlay" in kinds:
        asked = best.index if isinstance(best.index, Contrast) else best.explained
        what = "" if asked is None else f"{'not ' if best.against else ''}{label(asked, explainer.loaded.categories)}: "
        sheets.add(done.drawing.overlay(best), f"{what}{sample.id}")  # the class first: long captions are cut
    return done.problems, len(done.written)
