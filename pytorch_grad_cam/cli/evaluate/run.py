"""The command ``evaluate``: measure methods on pictures, say what follows, and write it down."""

from __future__ import annotations

import base64
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.cli.evaluate.options import EvaluateOptions
from pytorch_grad_cam.cli.evaluate.pictures import Pictures
from pytorch_grad_cam.cli.network import load_network
from pytorch_grad_cam.cli.output import json_file, refuse_existing, written_files
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import encoded_image, read_image
from pytorch_grad_cam.data.samples import Sample, find_samples
from pytorch_grad_cam.evaluation.comparison import Comparison
from pytorch_grad_cam.evaluation.experiment import DEFAULT_METRICS, WITH_OBJECTS, compare
from pytorch_grad_cam.evaluation.page import page
from pytorch_grad_cam.evaluation.records import JournalError
from pytorch_grad_cam.evaluation.sanity_checks import SANITY_METRICS
from pytorch_grad_cam.metrics.questions import Scoring
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.lock import folder_lock
from pytorch_grad_cam.runs.picture_targets import read_scores
from pytorch_grad_cam.targets.score_kinds import NONE, SOFTMAX

CSV, JSON, TIMING, PAGE = "scores.csv", "scores.json", "timing.json", "evaluation.html"
JOURNAL = ".evaluation.jsonl"
_THUMBNAIL = 56  # pixels of a map's longer side on the page
_MOST_PROBLEMS = 5  # that are said one by one


def run(options: EvaluateOptions) -> int:
    """Measure, write the files and say what was found.

    Returns:
        0; 1 if a picture was left out, which is said; 130 after Ctrl-C.

    Raises:
        Exception: with a message for people where nothing can be measured.
    """
    samples, problems = find_samples(options.image_path)
    if not samples:
        raise FileNotFoundError("; ".join(problems))
    folder = Path(options.output_dir)
    check_writable(folder)
    if not (options.overwrite or (folder / JOURNAL).exists()):  # stopped while it wrote, a run has left some of them
        refuse_existing(folder, [CSV, JSON, TIMING, PAGE])
    loaded, device = load_network(options)
    pictures = Pictures(samples, loaded, options, device, list(problems))
    with folder_lock(folder):
        try:
            comparison = _compared(options, loaded, pictures, folder / JOURNAL)
        except KeyboardInterrupt:
            print("error: interrupted; what was measured is kept, and the same command goes on there", file=sys.stderr)
            return 130
        files = _files(comparison, list(_page_pictures(comparison, samples, loaded, options)))
        for name, content in files.items():
            write_bytes(folder / name, content)
        (folder / JOURNAL).unlink(missing_ok=True)
    print(f"model:      {loaded.source}")
    print(f"pictures:   {len(comparison.images)}\n")
    print(comparison.table())
    print()
    for question, answer in comparison.verdicts():
        print(f"{question}\n  {answer}")
    print(*written_files([folder / name for name in files]), sep="\n")
    _say_problems(pictures.problems)
    return 1 if pictures.left_out or problems else 0


def _compared(options: EvaluateOptions, loaded: LoadedModel, pictures: Pictures, journal: Path) -> Comparison:
    """Measure, from where an interrupted run was; with --overwrite a run of other options is begun anew."""
    given: dict[str, Any] = {
        "methods": options.method,
        "layers": _layers(options, loaded),
        "metrics": _metrics(options),
        "score": _score(loaded, pictures),
        "batch_size": options.batch_size,
        "seed": options.seed,
        "journal": journal,
        "reshape_transform": loaded.reshape_transform,
        "thumbnails": _THUMBNAIL,
        "name": loaded.source,
        "categories": loaded.categories,
        "total": len(pictures.samples),
    }
    try:
        return compare(loaded.model, pictures, **given)
    except JournalError as error:
        if not options.overwrite:
            raise JournalError(f"{error}; --overwrite deletes it") from error
        journal.unlink()
        return compare(loaded.model, pictures, **given)


def _layers(options: EvaluateOptions, loaded: LoadedModel) -> list[Any] | None:
    if options.layers is not None:
        return [text.split("+") for text in options.layers]
    return None if loaded.target_layers is None else [list(loaded.target_layers)]


def _metrics(options: EvaluateOptions) -> list[Any]:
    if options.sanity:
        return [*(options.metric or []), *SANITY_METRICS]
    with_objects = options.boxes is not None or options.masks is not None
    return options.metric or [*DEFAULT_METRICS, *(WITH_OBJECTS if with_objects else ())]


def _score(loaded: LoadedModel, pictures: Pictures) -> Scoring:
    """Find out with the first picture how a class is scored: shares that the network returns stay as they are."""
    first = next(iter(dataclasses.replace(pictures, problems=[], left_out=0)), None)
    kind = None if first is None else read_scores(loaded, first.inputs[:1], None)[0]
    if kind is None:
        return "softmax"
    if kind.are_shares or kind.name == NONE:
        return "raw"
    return "softmax" if kind.name == SOFTMAX else "sigmoid"


def _files(comparison: Comparison, pictures: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    data = comparison.as_dict(times=True)
    return {
        CSV: comparison.to_csv().encode(),
        JSON: comparison.to_json().encode(),
        TIMING: json_file({"milliseconds_per_map": data["times"]}),
        PAGE: page(data, pictures).encode(),
    }


def _page_pictures(
    comparison: Comparison, samples: Sequence[Sample], loaded: LoadedModel, options: EvaluateOptions
) -> Iterator[dict[str, Any]]:
    """Yield each picture as the network saw it, and the small copies of its maps."""
    paths = {sample.id: sample.path for sample in samples}
    for index, image in enumerate(comparison.images):
        inputs = loaded.preprocessing(read_image(paths[image.id], max_pixels=options.max_pixels, page=options.page))
        jpeg = encoded_image("picture.jpg", _as_seen(inputs, loaded))
        maps = {row.id: row.thumbnails[index] for row in comparison.rows if row.thumbnails}
        yield {
            "id": image.id,
            "image": _data_url("image/jpeg", jpeg),
            "maps": {id: _data_url("image/png", png) for id, png in maps.items() if png is not None},
        }


def _as_seen(inputs: torch.Tensor, loaded: LoadedModel) -> NDArray[np.uint8]:
    """Undo the normalisation of an input ``(C, h, w)``: RGB ``(h, w, 3)``."""
    mean, std = (
        torch.tensor(numbers)[:, None, None] for numbers in (loaded.preprocessing.mean, loaded.preprocessing.std)
    )
    pixels = ((inputs * std + mean).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.repeat(pixels, 3 // pixels.shape[2], axis=2))


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _say_problems(problems: Sequence[str]) -> None:
    for problem in problems[:_MOST_PROBLEMS]:
        print(f"note: {problem}", file=sys.stderr)
    if len(problems) > _MOST_PROBLEMS:
        print(f"note: and {len(problems) - _MOST_PROBLEMS} more of this kind", file=sys.stderr)
