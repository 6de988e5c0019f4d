"""What is said about one picture that was explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytorch_grad_cam.bases.input_cam import INPUT
from pytorch_grad_cam.cli.explain.image_explainer import MapResult
from pytorch_grad_cam.cli.method_names import ALL, chosen_methods, special_methods
from pytorch_grad_cam.cli.output import headed_lines
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.picture_targets import (
    MOST_PREDICTIONS,
    ClassContrast,
    DetectedObjectTarget,
    predictions,
    target_label,
)
from pytorch_grad_cam.targets.class_choices import class_label
from pytorch_grad_cam.targets.score_kinds import NONE, STATED

_MOST_NAMES = 8  # in a line


def in_full(maps: Sequence[MapResult], loaded: LoadedModel, layers: str | Sequence[Any] | None) -> Iterator[str]:
    """Say what the network predicted in one picture and what was explained where, by at least one map.

    Args:
        layers: those that were named; a word for a choice, or None, where they were chosen.
    """
    yield from _predicted(maps[0], loaded)
    yield from _explained(maps, loaded)
    yield from _methods(maps)
    yield from _layers(maps, layers)


def in_brief(source: str, maps: Sequence[MapResult], loaded: LoadedModel, folder: Path, files: int) -> str:
    """Say the same in one line, for one of many pictures."""
    classes = predictions(maps[0].outputs, loaded, maps[0].kind, 1) or []
    seen = ", ".join(f"{class_label(index, loaded.categories)} {_share(maps[0], share)}" for index, share in classes)
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
    shares = predictions(result.outputs, loaded, result.kind, MOST_PREDICTIONS)
    if shares is not None:
        lines = [f"{_share(result, share):>7}  {class_label(index, loaded.categories)}" for index, share in shares]
        yield from headed_lines("predicted", lines or ["no class above 50 %"])
    if result.kind is not None:
        yield f"scores:     {result.kind}{'' if result.kind.reason == STATED else '; --scores says otherwise'}"


def _share(result: MapResult, share: float) -> str:
    """Write a share of one, or a number that is none."""
    return f"{share:.4g}" if _is_number(result) else f"{100 * share:.1f} %"


def _why_this_one(result: MapResult, loaded: LoadedModel) -> str:
    """Say why this class is explained where none was asked for."""
    if _is_one_score(result):
        return " (the network's one score)"
    if loaded.task != "segmentation":
        return " (the top class)"
    seen = predictions(result.outputs, loaded, None, 1) or []
    if [index for index, _ in seen] == [result.category]:
        return " (the largest region)"
    background = class_label(0, loaded.categories)
    return f" (the largest region but {background}, which mostly is the background; --target 0 explains that)"


def _is_number(result: MapResult) -> bool:
    """Say whether the network's scores are numbers that mean no share."""
    return result.kind is not None and result.kind.name == NONE


def _is_one_score(result: MapResult) -> bool:
    return result.kind is not None and result.kind.count == 1


def _explained(maps: Sequence[MapResult], loaded: LoadedModel) -> Iterator[str]:
    """Say what was explained: objects, a contrast, classes, or no class at all."""
    named = dict.fromkeys(result.target for result in maps)
    targets = [target for target in named if isinstance(target, (DetectedObjectTarget, ClassContrast))]
    classes = dict.fromkeys(result.category for result in maps if result.category is not None)
    if _is_one_score(maps[0]) and _is_number(maps[0]) and list(named) == [None]:
        yield "explained:  the network's one output"
        return
    if not classes:
        summary = METHODS[maps[0].method].summary
        yield f"explained:  no class; {summary}"
        return
    names = [target.name(loaded.categories) for target in targets]
    names = names or [class_label(index, loaded.categories) for index in classes]
    against = "what speaks against " if any(result.against for result in maps) else ""
    top = _why_this_one(maps[0], loaded) if list(named) == [None] else ""
    rest = " rather than any other" if any(result.rest for result in maps) else ""
    yield from headed_lines("explained", [against + name + rest + top for name in names])
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


def _layers(maps: Sequence[MapResult], layers: str | Sequence[Any] | None) -> Iterator[str]:
    """Say where the methods looked, each where it did if they did not look at the same."""
    methods: dict[str, list[str]] = {}  # by where
    for result in maps:
        where = "none, the picture itself"
        if result.layers != (INPUT,):
            chosen = result.uses_layers and (layers is None or isinstance(layers, str))
            several = ", one for each scale" if len(result.layers) > 1 else ""
            where = _shortened(result.layers) + (f" (chosen automatically{several})" if chosen else "")
        if result.method not in methods.setdefault(where, []):
            methods[where].append(result.method)
    if len(methods) == 1:
        yield from headed_lines("layer", list(methods))
    else:
        yield from headed_lines("layer", [f"{where}: {_shortened(names)}" for where, names in methods.items()])


def _shortened(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
