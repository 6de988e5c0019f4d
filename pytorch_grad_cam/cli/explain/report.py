"""What is said about one picture that was explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytorch_grad_cam.bases.input_cam import INPUT
from pytorch_grad_cam.cli.classes import named, predicted
from pytorch_grad_cam.cli.explain.arguments import ALL, chosen_methods
from pytorch_grad_cam.cli.explain.contrast import Contrast
from pytorch_grad_cam.cli.explain.maps import Found
from pytorch_grad_cam.cli.explain.outputs import TOP
from pytorch_grad_cam.cli.explain.tasks import Thing, label, shown
from pytorch_grad_cam.cli.methods.run import special_methods
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.loaded import LoadedModel

_SHOWN = 8  # names in a line
_FILES = 12  # that are named one by one


def in_full(maps: Sequence[Found], loaded: LoadedModel, chosen: bool) -> Iterator[str]:
    """Say what the network predicted and what was explained where.

    Args:
        maps: of one picture, at least one.
        loaded: the network.
        chosen: whether the layer was chosen automatically.
    """
    yield from predictions(maps[0], loaded)
    classes = list(dict.fromkeys(each.explained for each in maps if each.explained is not None))
    methods = list(dict.fromkeys(each.method for each in maps))
    if classes:
        top = " (the top class)" if all(each.index is None for each in maps) else ""
        asked = dict.fromkeys(each.index for each in maps if isinstance(each.index, (Thing, Contrast)))
        names = [each.name(loaded.categories) for each in asked] or [named(one, loaded.categories) for one in classes]
        against = "what speaks against " if any(each.against for each in maps) else ""
        yield from listed("explained", [against + name + top for name in names])
        for each in asked:
            if isinstance(each, Contrast):
                first, second = (named(index, loaded.categories) for index in (each.first, each.second))
                yield f"colours:    red speaks for {first}, blue for {second}"
    elif maps[0].score is not None:
        yield "explained:  the network's one output"
    else:
        yield f"explained:  no class; {METHODS[methods[0]].summary}"
    if len(methods) > 1:
        more = f", ... ({len(methods)} in all)" if len(methods) > _SHOWN else ""
        yield f"methods:    {', '.join(methods[:_SHOWN])}{more}"
    left = special_methods(methods)
    if left and set(chosen_methods([ALL])) <= set(methods):
        yield f"not run:    {left}; they need what is in brackets, name them with --method"
    at_layers = [each.layers for each in maps if each.layers != (INPUT,)]
    layers = min(at_layers, key=len, default=())  # FullGrad looks at all of them
    more = f", ... ({len(layers)} in all)" if len(layers) > _SHOWN else ""
    how = " (chosen automatically)" if chosen else ""
    yield f"layer:      {', '.join(layers[:_SHOWN])}{more}{how}" if layers else "layer:      none, the picture itself"


def predictions(found: Found, loaded: LoadedModel) -> Iterator[str]:
    """Say what the network sees in the picture."""
    shares = shown(found.outputs, loaded.task, TOP) or predicted(found.outputs, loaded, TOP)
    if shares is not None:
        lines = [f"{100 * share:5.1f} %  {named(index, loaded.categories)}" for index, share in shares]
        yield from listed("predicted", lines or ["no class above 50 %"])


def written(paths: Sequence[Path]) -> Iterator[str]:
    """Name the files that were written, or their number and the last one, which shows all the maps."""
    if len(paths) <= _FILES:
        return listed("written", [str(path) for path in paths])
    return listed("written", [f"{len(paths)} files in {paths[0].parent}, the last of them {paths[-1]}"])


def in_brief(source: str, maps: Sequence[Found], loaded: LoadedModel, folder: Path, files: int) -> str:
    """Say the same in one line, for one of many pictures."""
    outputs = maps[0].outputs
    found = shown(outputs, loaded.task, 1) or predicted(outputs, loaded, 1) or []
    seen = ", ".join(f"{named(index, loaded.categories)} {100 * share:.1f} %" for index, share in found)
    return f"{source}: {seen or 'no class'}; {files} file{'s' if files != 1 else ''} in {folder}"


def problems(maps: Sequence[Found], loaded: LoadedModel) -> list[str]:
    """Say which maps mean nothing, and why."""
    found = []
    for each in maps:
        if each.map is None:
            kind = "object" if isinstance(each.index, Thing) else "class"
            index = "" if each.index is None else f", {kind} {label(each.index, loaded.categories)}"
            which = f"{each.method}{index}: " if len(maps) > 1 else ""
            found.append(f"{which}nothing was drawn, the map means nothing: {each.notes}")
    return found


def notes(maps: Sequence[Found]) -> Iterator[str]:
    """Say what else there is to know about maps that were drawn."""
    for each in maps:
        if each.map is not None and each.notes:
            yield f"note: {f'{each.method}: ' if len(maps) > 1 else ''}{each.notes}"


def listed(head: str, lines: Sequence[str]) -> Iterator[str]:
    """Write lines below each other, the first after a head."""
    for line in lines:
        yield f"{head + ':' if head else '':12}{line}"
        head = ""
