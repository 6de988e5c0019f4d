"""compare and sanity: measure methods, layers and reference maps on the same images, by the same metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam import __version__
from pytorch_grad_cam.evaluation.batches import ImageBatch, Images, batches_of
from pytorch_grad_cam.evaluation.candidates import CHEAP, Candidate, candidates
from pytorch_grad_cam.evaluation.comparison import Comparison
from pytorch_grad_cam.evaluation.families import LOCALISATION, family_of, label_of
from pytorch_grad_cam.evaluation.groups import Groups, confidences_of, measure_groups
from pytorch_grad_cam.evaluation.measuring import Measurement, measure, scored_case
from pytorch_grad_cam.evaluation.records import Records
from pytorch_grad_cam.evaluation.sanity_checks import SANITY_METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.questions import Scoring
from pytorch_grad_cam.metrics.table import METRICS
from pytorch_grad_cam.runs.fingerprint import model_fingerprint
from pytorch_grad_cam.targets.classification import category_of

# Cheap, and without annotations: two curves, of which the difference is what counts, mosaics, one masked pass, the map.
DEFAULT_METRICS = ("insertion_minus_deletion", "insertion", "deletion", "gridpg", "average_drop", "entropy")
WITH_OBJECTS = ("energy_to_chance", "pointing_game")  # beside these, where masks or boxes are known

# Whether a bar is shown; or what is told how many maps were measured, and of how many.
Progress = bool | Callable[[int, int | None], None]


def compare(
    model: Any,
    images: Images,
    methods: Any = CHEAP,
    layers: Iterable[Any] | None = None,
    metrics: Iterable[str | Metric] | None = None,
    targets: Any = None,
    masks: Any = None,
    boxes: Sequence[Any] | None = None,
    *,
    score: Scoring = "softmax",
    batch_size: int = 16,
    seed: int = 0,
    journal: str | Path | None = None,
    progress: Progress = True,
    reshape_transform: Any = None,
    thumbnails: int = 0,
    name: str | None = None,
    categories: Sequence[str] | None = None,
    total: int | None = None,
) -> Comparison:
    """Find out which method, at which layer, is best on a network and images of one's own, and whether any is good.

    Every row is measured on the same images, targets and random numbers. The reference maps (random, uniform, a
    centred blob, edges), which know no network, always come along: whoever does not beat them has shown nothing.

    Args:
        model: the network, which stays as it is; or any callable, for methods that are callables.
        images: ``(N, C, *S)``, as the model takes them; or batches one after the other, such as a data loader: tensors,
            pairs of a tensor and targets, or `ImageBatch`. One batch is in memory at a time.
        methods: ``"cheap"`` (those whose passes do not grow with channels or samples), ``"all"`` that suit any network,
            or a list of names, classes and objects; or a mapping from names of one's own to these, or to callables
            ``explain(inputs, targets, model) -> maps (B, *S)``. Objects keep their layers and options.
        layers: each gives a row for each method: a dotted name, a module, or a list of these, whose maps are averaged.
            None: the automatic choice, made once, on the first images.
        metrics: names in ``pytorch_grad_cam.metrics.METRICS``, or objects of them with parameters of one's own. None:
            what is cheap, see ``DEFAULT_METRICS``; with ``masks=`` or ``boxes=`` also ``WITH_OBJECTS``.
        targets: None (each image's top class), a class, a callable, or one of these per image.
        masks: bool ``(N, *S)``, where the object is.
        boxes: per image ``(K, 4)``: x1, y1, x2, y2 in positions of the input, the last exclusive.
        score: what metrics score a class by: "softmax", "sigmoid" for networks whose classes are a yes or no each, or
            "raw" for those that return probabilities.
        batch_size: images that are explained at once, and changed images per forward pass.
        seed: of everything that is drawn.
        journal: a file that keeps what was measured, so that a call that was stopped, or killed, goes on where it was
            when it is repeated with the same arguments. One process at a time.
        progress: show a bar, where somebody watches; or a function that is called with the number of maps that were
            measured and that of all, None where it is not known.
        reshape_transform: for methods that are made here, see ``BaseCAM``.
        thumbnails: side of the small copies of the maps that are kept, in pixels; 0: none.
        name: what the network is called; None: its class.
        categories: names of the classes.
        total: number of images, for the bar, where it cannot be known.

    Returns:
        Values per image, means with intervals, paired differences, costs, and what follows from them in sentences.
        A method that fails on this network is a row with the reason.

    Raises:
        TypeError, ValueError: for arguments that do not go together; nothing has been measured then.
        ValueError: if the journal is that of other arguments.
    """
    known_objects = () if masks is None and boxes is None else WITH_OBJECTS
    chosen = chosen_metrics((*DEFAULT_METRICS, *known_objects) if metrics is None else metrics)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} is no number of images; give a whole number from 1 on")
    rows = candidates(model, methods, layers, seed=seed, batch_size=batch_size, reshape_transform=reshape_transform)
    settings = {"seed": seed, "batch_size": batch_size, "score": score}
    records = Records(
        None if journal is None else Path(journal),
        len(rows) + 1,
        settings | _identity(model, rows, chosen) | {"thumbnails": thumbnails},
    )
    measurement = Measurement(chosen, seed, batch_size, score, thumbnails)
    groups = Groups(chosen, seed)
    known = len(images) if isinstance(images, Tensor) else total
    with _bar(progress, None if known is None else known * len(rows)) as advance:
        first = 0
        for index, batch in enumerate(batches_of(images, batch_size, targets=targets, masks=masks, boxes=boxes)):
            _check_needs(chosen, batch)
            _batch(records, measurement, groups, model, rows, batch, index, first, advance)
            first += len(batch.inputs)
    return Comparison.of_records(
        records, rows, chosen, settings, model=name or type(model).__name__, categories=categories
    )


def sanity(model: Any, images: Any, methods: Any = CHEAP, **options: Any) -> Comparison:
    """Ask of each method whether its map changes with the class, with the network's weights and with the picture.

    Measured is how alike two maps are (Spearman's correlation of their absolute values, 1: the same places): for the
    class and for another one; for the network and for copies whose layers have random weights, a quarter, half, three
    quarters and all of them, from the output down; for the picture and for the same with its positions shuffled. That
    a map survives random weights in the upper layers says little, because the activations keep their shape; the
    verdict on the weights is that of the end, where all are random.

    Args:
        model: the network, a ``torch.nn.Module``, which stays as it is.
        images, methods: as for ``compare``.
        **options: as for ``compare``, but for the metrics.

    Returns:
        A comparison whose ``verdicts()`` has a sentence for each method.
    """
    return compare(model, images, methods, metrics=SANITY_METRICS, **options)


def chosen_metrics(metrics: Iterable[str | Metric]) -> dict[str, Metric]:
    """Return metrics by the names under which they are reported.

    Raises:
        ValueError: for an unknown name, the same metric twice, or none.
        TypeError: for what is neither a name nor a metric.
    """
    listed = [metrics] if isinstance(metrics, (str, Metric)) else list(metrics)
    found: dict[str, Metric] = {}
    for given in listed:
        if not isinstance(given, (str, Metric)):
            raise TypeError(f"a metric must be a name or an object of a metric, not {given!r}")
        metric = _by_name(given) if isinstance(given, str) else given
        if label_of(metric) in found:
            raise ValueError(f"the metric {label_of(metric)} was given twice")
        found[label_of(metric)] = metric
    if not found:
        raise ValueError("no metric was given; give names, or None for those that are cheap and need no annotation")
    return found


def _by_name(name: str) -> Metric:
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    if plain in METRICS:
        return METRICS[plain]
    import difflib  # only for who mistyped

    close = difflib.get_close_matches(plain, METRICS, n=1)
    hint = f"did you mean {close[0]!r}? Known" if close else "known"
    raise ValueError(f"unknown metric {name!r}; {hint}: {', '.join(METRICS)}")


def _identity(model: Any, rows: Sequence[Candidate], metrics: dict[str, Metric]) -> dict[str, Any]:
    """Return what else decides on the numbers."""
    return {
        "version": f"{__version__}, torch {torch.__version__}",
        "model": model_fingerprint(model) if isinstance(model, nn.Module) else repr(type(model)),
        "rows": [row.describe() for row in rows],
        "metrics": list(metrics),
    }


def _check_needs(metrics: dict[str, Metric], batch: ImageBatch) -> None:
    """Refuse metrics for which something is missing.

    Raises:
        ValueError: if masks or boxes are.
    """
    for label, metric in metrics.items():
        missing = {"masks": batch.masks is None and batch.boxes is None, "boxes": batch.boxes is None}
        lacking = [need for need in metric.needs if missing.get(need)]
        if family_of(metric) == LOCALISATION and lacking:
            raise ValueError(
                f"the metric {label} needs {lacking[0]}; give masks= or boxes= (on the command line --masks, --boxes), "
                "or leave it out"
            )


def _batch(
    records: Records,
    measurement: Measurement,
    groups: Groups,
    model: Any,
    rows: Sequence[Candidate],
    batch: ImageBatch,
    index: int,
    first: int,
    advance: Any,
) -> None:
    """Measure every row on one batch, unless that was done before."""
    digest = batch.digest()
    cases: list[Case] = []  # the one of the batch, once it is needed

    def case() -> Case:
        cases[:] = cases or [scored_case(model, batch, measurement)]
        return cases[0]

    if not records.begin(index, digest):
        records.add(index, 0, _about_images(case(), batch, digest))
    about = records.get(index, 0)
    assert about is not None
    found = [(group, group.case(model, measurement)) for group in groups.add(batch.inputs, first, about)]
    for place, row in enumerate(rows, 1):
        record = records.get(index, place)
        if record is None:
            reason = records.fails_always(place)
            record = measure(row, case(), measurement, first) if reason is None else {"reason": reason}
            if "maps" in record:
                record["joint"], failed = measure_groups(row, found, measurement)
                record["reasons"] |= failed
            records.add(index, place, record)
        elif record.get("layers"):
            row.pin(record["layers"])
        advance(len(batch.inputs))


def _about_images(case: Case, batch: ImageBatch, digest: str) -> dict[str, Any]:
    classes = [category_of(target) for target in case.explained_targets]
    scores: list[float | None] = [None] * len(batch.inputs) if case.model is None else case.scores.tolist()
    confidences, ungrouped = confidences_of(case)
    return {
        "digest": digest,
        "ids": list(batch.ids or []),
        "classes": [each if isinstance(each, int) else None for each in classes],
        "confidences": confidences,
        "ungrouped": ungrouped,
        "scores": scores,
    }


@contextmanager
def _bar(show: Progress, total: int | None) -> Iterator[Any]:
    """Show a bar where somebody watches, or tell a function, and yield what advances it."""
    if callable(show):
        done = [0]

        def tell(count: int) -> None:
            done[0] += count
            show(done[0], total)

        yield tell
        return
    if not show:
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="map", disable=None, leave=False) as bar:  # None: not where nobody watches
        yield bar.update
