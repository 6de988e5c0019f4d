"""Tokens and their grid: how many come before the patches, and how the patches lie."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from torch import nn
from torch.nn.modules.conv import _ConvNd

MOST_PREFIX_TOKENS = 16  # class, distillation, registers
USUAL_PREFIX_TOKENS = (0, 1, 2)  # none, a class token, one for distillation too; registers are rarer

Found = tuple[int, tuple[int, ...]]  # tokens before the patches, grid of the patches


def prefix_and_grid(
    tokens: int,
    size: Sequence[int],
    grid: Sequence[int] | None = None,
    embedded: Iterable[tuple[int, ...]] = (),
) -> Found:
    """Find how a transformer's tokens cover its input.

    Args:
        tokens: how many there are, ``N``.
        size: of the input, ``*S``.
        grid: the grid of the patches if it is known.
        embedded: grids that the network's patch embedding makes, see ``embedded_grids``; the first that leaves the
            fewest tokens over counts. Without one that fits, patches are taken to be as long as wide.

    Returns:
        How many tokens come before those of the patches, and the grid: as few as are usual and whole patches if that
        can be, else patches that leave a rest of the input out or are filled up, else more tokens before them.

    Raises:
        ValueError: if no grid fits, or if several do equally well; the message lists them.
    """
    if grid is not None:
        prefix = tokens - math.prod(grid)
        if len(grid) != len(size) or prefix < 0:
            raise ValueError(
                f"grid={tuple(grid)} does not go with {tokens} tokens of an input of size {tuple(size)}; give the "
                "numbers of patches along each of its axes"
            )
        return prefix, tuple(grid)
    known = _leaving_few(tokens, embedded)
    if known:
        return known[0]
    patches = range(1, min(size) + 1)
    whole = [tuple(length // patch for length in size) for patch in patches if not _rest(patch, size)]
    cut = [tuple(length // patch for length in size) for patch in patches]
    filled = [tuple(-(-length // patch) for length in size) for patch in patches]
    readings = [_leaving_few(tokens, whole), _leaving_few(tokens, [*cut, *filled])]
    usual = [[each for each in found if each[0] in USUAL_PREFIX_TOKENS] for found in readings]
    for found in (*usual, *readings):
        if len(found) == 1 or (found and found[0][0] in USUAL_PREFIX_TOKENS and found[0][0] < found[1][0]):
            return found[0]
        if found:
            several = " or ".join(f"{prefix} and a grid of {' x '.join(map(str, each))}" for prefix, each in found)
            raise ValueError(
                f"{tokens} tokens of an input of size {tuple(size)} can be read in several ways: {several}; say how "
                "the patches lie (grid=, or a reshape_transform where the method takes one)"
            )
    raise ValueError(
        f"{tokens} tokens are no grid of square patches of an input of size {tuple(size)}, with up to "
        f"{MOST_PREFIX_TOKENS} tokens (class, registers) before it; say how the patches lie (grid=, or a "
        "reshape_transform where the method takes one)"
    )


def embedded_grids(model: nn.Module, channels: int, size: Sequence[int]) -> list[tuple[int, ...]]:
    """List the grids that a network's patch embedding makes of an input: a convolution that can take it and strides.

    Networks that merge patches go on with every second of them, along all axes or, in videos, all but the first.

    Args:
        model: the network.
        channels: of the input, ``C``.
        size: of the input, ``*S``.
    """
    grids: dict[tuple[int, ...], None] = {}
    for module in model.modules():
        if not isinstance(module, _ConvNd) or module.in_channels != channels or len(module.stride) != len(size):
            continue
        if max(module.stride) == 1:
            continue
        padding = (0,) * len(size) if isinstance(module.padding, str) else module.padding
        cut = tuple(
            (length + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for length, pad, dilation, kernel, stride in zip(
                size, padding, module.dilation, module.kernel_size, module.stride, strict=True
            )
        )
        filled = tuple(-(-length // stride) for length, stride in zip(size, module.stride, strict=True))
        for grid, merged, still in itertools.product((cut, filled), (1, 2, 4, 8), range(len(size) - 1)):
            if still <= 1 and min(grid) > 0:  # axes that are not merged: none, or the first
                grids[grid[:still] + tuple(-(-length // merged) for length in grid[still:])] = None
    return list(grids)


def _leaving_few(tokens: int, grids: Iterable[tuple[int, ...]]) -> list[Found]:
    """Pair grids of more than one place with the tokens that they leave over, the fewest first."""
    found = {grid: tokens - math.prod(grid) for grid in grids if math.prod(grid) > 1}
    few = [(prefix, grid) for grid, prefix in found.items() if 0 <= prefix <= MOST_PREFIX_TOKENS]
    sensible = [each for each in few if each[0] < math.prod(each[1])] or few
    return sorted(sensible, key=lambda each: each[0])


def _rest(patch: int, size: Sequence[int]) -> bool:
    return any(length % patch for length in size)
