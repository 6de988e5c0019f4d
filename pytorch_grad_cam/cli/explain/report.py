"""What is said about one picture that was explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytorch_grad_cam.bases.input_cam import INPUT
from pytorch_grad_cam.cli.classes import class_label
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.explain.targets import (
    MOST_PREDICTIONS,
    ClassContrast,
    DetectedObjectTarget,
    predictions,
    target_label,
)
from pytorch_grad_cam.cli.method_names import ALL, chosen_methods, special_methods
from pytorch_grad_cam.cli.output import headed_lines
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.loaded import LoadedModel

_MOST_NAMES = 8  # in a line


def in_full(maps: Sequence[MapResult], loaded: LoadedModel, automatic_layer: bool) -> Iterator[str]:
    """Say what the network predicted in one picture and what was explained where, by at least one map."""
    yield from _predicted(maps[0], loaded)
    yield from _explained(maps, loaded)
    yield from _methods(maps)
    yield _layers(maps, automatic_layer)


def in_brief(source: str, maps: Sequence[MapResult], loaded: LoadedModel, folder: Path, files: int) -> str:
    """Say the same in one line, for one of many pictures."""
    classes = predictions(maps[0].outputs, loaded, 1) or []
    seen = ", ".join(f"{class_label(index, loaded.categories)} {100 * share:.1f} %" for index, share in classes)
    return f"{source}: {seen or 'no class'}; {files} file{'s' if files != 1 else ''} in {folder}"


def seen_share(share: float) -> Iterator[str]:
    """Say how much of the picture the network saw, unless it saw all of it."""
    if share < 1:
        yield f"seen:       {100 * share:.0f} % of the picture, its centre (--squash or --pad shows all of it)\n"


def problems(maps: Sequence[MapResult], loaded: LoadedModel) -> list[str]:
    """Say which maps mean nothing, and why."""
    sentences = []
    for result in maps:
        if result.map is None:
            kind = "object" if isinstance(result.target, DetectedObjectTarget) else "class"
            label = "" if result.target is None else f", {kind} {target_label(result.target, loaded.categories)}"
            which = f"{result.method}{label}: " if len(maps) > 1 else ""
            sentences.append(f"{which}nothing was drawn, the map means nothing: {result.notes}")
    return sentences


def notes(maps: Sequence[MapResult]) -> Iterator[str]:
    """Say what else there is to know about maps that were drawn."""
    for result in maps:
        if result.map is not None and result.notes:
            yield f"note: {f'{result.method}: ' if len(maps) > 1 else ''}{result.notes}"


def _predicted(result: MapResult, loaded: LoadedModel) -> Iterator[str]:
    """Say what the network sees in the picture."""
    shares = predictions(result.outputs, loaded, MOST_PREDICTIONS)
    if shares is not None:
        lines = [f"{100 * share:5.1f} %  {class_label(index, loaded.categories)}" for index, share in shares]
        yield from headed_lines("predicted", lines or ["no class above 50 %"])


def _explained(maps: Sequence[MapResult], loaded: LoadedModel) -> Iterator[str]:
    """Say what was explained: objects, a contrast, classes, or no class at all."""
    named = dict.fromkeys(result.target for result in maps)
    targets = [target for target in named if isinstance(target, (DetectedObjectTarget, ClassContrast))]
    classes = dict.fromkeys(result.category for result in maps if result.category is not None)
    if not classes:
        summary = METHODS[maps[0].method].summary
        what = f"no class; {summary}" if maps[0].score is None else "the network's one output"
        yield f"explained:  {what}"
        return
    names = [target.name(loaded.categories) for target in targets]
    names = names or [class_label(index, loaded.categories) for index in classes]
    against = "what speaks against " if any(result.against for result in maps) else ""
    top = " (the top class)" if list(named) == [None] else ""
    yield from headed_lines("explained", [against + name + top for name in names])
    for target in targets:
        if isinstance(target, ClassContrast):
            first, second = (class_label(index, loaded.categories) for index in (target.first, target.second))
            yield f"colours:    red speaks for {first}, blue for {second}"


def _methods(maps: Sequence[MapResult]) -> Iterator[str]:
    """Name several methods, and where all were asked for those that were left out."""
    methods = list(dict.fromkeys(result.method for result in maps))
    if len(methods) > 1:
        yield f"methods:    {_shortened(methods)}"
    left_out = special_methods(methods)
    if left_out and set(chosen_methods([ALL])) <= set(methods):
        yield f"not run:    {left_out}; they need what is in brackets, name them with --method"


def _layers(maps: Sequence[MapResult], automatic_layer: bool) -> str:
    """Say where the methods looked."""
    at_layers = [result.layers for result in maps if result.layers != (INPUT,)]
    layers = min(at_layers, key=len, default=())  # FullGrad looks at all of them
    if not layers:
        return "layer:      none, the picture itself"
    return f"layer:      {_shortened(layers)}{' (chosen automatically)' if automatic_layer else ''}"


def _shortened(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
