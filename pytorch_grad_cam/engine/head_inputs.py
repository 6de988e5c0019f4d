"""What feeds the head of a detector: the layers in front of the part that scores each position, at every scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytorch_grad_cam.engine.executed_layers import ExecutedLayer


def head_inputs(executed: Sequence[ExecutedLayer], last: ExecutedLayer, usable: Iterable[str]) -> list[str]:
    """Find the layers whose outputs go into the part of a network that holds its last weights.

    That part is the largest that does not hold every layer, as the module of YOLO that takes the maps of several
    scales. Where it is one layer, as in a network that keeps the heads of boxes and classes beside each other, it grows
    backwards up to what several of the heads take.

    Args:
        executed: all layers, in the order in which they finish.
        last: the last of them with weights.
        usable: names of the layers that can be looked at.

    Returns:
        Their names, in the order in which they finish; none if what goes into the part is not made by such layers.
    """
    part = _part_of(last.name, executed)
    members = {layer.name for layer in executed if _is_inside(layer.name, part)}
    feeding = _feeding(executed, members, set(usable))
    if members == {last.name}:
        feeding = _shared_by_heads(executed, members, feeding, set(usable)) or feeding
    if not feeding:
        feeding = _last_of_each_grid(executed, members, usable)
    return [layer.name for layer in executed if layer.name in feeding]


def _part_of(name: str, executed: Sequence[ExecutedLayer]) -> str:
    """Return the largest part of the network that holds a layer and does not hold every other layer."""
    names = name.split(".")
    parts = [".".join(names[:depth]) for depth in range(1, len(names) + 1)]
    return next((part for part in parts if not all(_is_inside(layer.name, part) for layer in executed)), name)


def _is_inside(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def _feeding(executed: Sequence[ExecutedLayer], members: set[str], usable: set[str]) -> set[str]:
    """Return the layers outside of a part that returned what layers inside of it take; of nested ones the outermost."""
    feeding = set()
    for layer in executed:
        for taken in layer.inputs if layer.name in members else ():
            makers = [name for name in taken.makers if name in usable]
            if makers and not members.intersection(taken.makers):
                feeding.add(makers[-1])
    return feeding


def _shared_by_heads(
    executed: Sequence[ExecutedLayer], members: set[str], feeding: set[str], usable: set[str]
) -> set[str]:
    """Go backwards from one head to what another takes as well; nothing if there is no other."""
    members = set(members)
    while feeding:
        takers = {layer.name for layer in executed if any(feeding.intersection(taken.makers) for taken in layer.inputs)}
        around = {taker for taker in takers if any(_is_inside(member, taker) for member in members)}
        if takers - members - around:
            return feeding
        members |= {layer.name for layer in executed if any(_is_inside(layer.name, name) for name in feeding)}
        feeding = _feeding(executed, members, usable)
    return set()


def _last_of_each_grid(executed: Sequence[ExecutedLayer], members: set[str], usable: Iterable[str]) -> set[str]:
    """Return, for each size of the maps that go into a part, the last layer before it that returned one of that size.

    For parts that take what was made between layers, as by a function that adds or rectifies.
    """
    start = next(order for order, layer in enumerate(executed) if layer.name in members)
    before = {layer.name: tuple(layer.output.shape[2:]) for layer in executed[:start] if layer.name in set(usable)}
    taken = [taken for layer in executed if layer.name in members for taken in layer.inputs]
    grids = {one.shape[2:] for one in taken if len(one.shape) > 2 and not one.makers}
    last = {grid: name for name, grid in before.items() if grid in grids}  # the later takes the place of the earlier
    return set(last.values())
