"""Tokens and their grid: how many come before the patches, and how the patches lie."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from torch import nn
from torch.nn.modules.conv import _ConvNd

MAX_PREFIX_TOKENS = 16  # class, distillation, registers
USUAL_PREFIX_TOKENS = (0, 1, 2)  # none, a class token, one for distillation too; registers are rarer

Grid = tuple[int, ...]  # numbers of patches along each axis
PrefixAndGrid = tuple[int, Grid]  # tokens before the patches, and the grid of the patches


def prefix_and_grid(
    tokens: int, size: Sequence[int], grid: Sequence[int] | None = None, embedded: Iterable[Grid] = ()
) -> PrefixAndGrid:
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
    by_embedding = _fitting(tokens, embedded)
    if by_embedding:
        return by_embedding[0]
    for candidates in _square_patches(tokens, size):
        if candidates:
            return _fewest_prefix_tokens(candidates, tokens, size)
    raise ValueError(
        f"{tokens} tokens are no grid of square patches of an input of size {tuple(size)}, with up to "
        f"{MAX_PREFIX_TOKENS} tokens (class, registers) before it; say how the patches lie (grid=, or a "
        "reshape_transform where the method takes one)"
    )


def embedded_grids(model: nn.Module, channels: int, size: Sequence[int]) -> list[Grid]:
    """List the grids that a network's patch embedding makes of an input: a convolution that can take it and strides.

    The input has ``C`` channels and the size ``*S``. Networks that merge patches go on with every second of them, along
    all axes or, in videos, all but the first.
    """
    grids: dict[Grid, None] = {}
    for module in model.modules():
        if not isinstance(module, _ConvNd) or module.in_channels != channels:
            continue
        if len(module.stride) != len(size) or max(module.stride) == 1:
            continue
        for grid, merged, unmerged_axes in itertools.product(
            _convolved_sizes(module, size), (1, 2, 4, 8), range(min(2, len(size) - 1))
        ):
            if min(grid) > 0:
                merged_axes = (-(-length // merged) for length in grid[unmerged_axes:])
                grids[(*grid[:unmerged_axes], *merged_axes)] = None
    return list(grids)


def _square_patches(tokens: int, size: Sequence[int]) -> Iterator[list[PrefixAndGrid]]:
    """Yield what can be with patches as long as wide, the likeliest first: usual prefixes, then whole patches."""
    patches = range(1, min(size) + 1)
    cut = [tuple(length // patch for length in size) for patch in patches]  # without the patches that end outside
    filled = [tuple(-(-length // patch) for length in size) for patch in patches]  # with the input filled up for them
    whole = [grid for grid, other in zip(cut, filled, strict=True) if grid == other]
    by_size = [_fitting(tokens, whole), _fitting(tokens, cut + filled)]
    for candidates in by_size:
        yield [(prefix, grid) for prefix, grid in candidates if prefix in USUAL_PREFIX_TOKENS]
    yield from by_size


def _fewest_prefix_tokens(candidates: Sequence[PrefixAndGrid], tokens: int, size: Sequence[int]) -> PrefixAndGrid:
    """Return the first candidate if it is the only one, or leaves as few tokens over as is usual and no other does."""
    prefix, _ = candidates[0]
    if len(candidates) == 1 or (prefix in USUAL_PREFIX_TOKENS and prefix < candidates[1][0]):
        return candidates[0]
    several = " or ".join(f"{prefix} and a grid of {' x '.join(map(str, grid))}" for prefix, grid in candidates)
    raise ValueError(
        f"{tokens} tokens of an input of size {tuple(size)} can be read in several ways: {several}; say how "
        "the patches lie (grid=, or a reshape_transform where the method takes one)"
    )


def _fitting(tokens: int, grids: Iterable[Grid]) -> list[PrefixAndGrid]:
    """Pair grids of more than one place with the tokens that they leave over, the fewest first."""
    prefixes = {grid: tokens - math.prod(grid) for grid in grids if math.prod(grid) > 1}
    few = [(prefix, grid) for grid, prefix in prefixes.items() if 0 <= prefix <= MAX_PREFIX_TOKENS]
    fewer_than_patches = [(prefix, grid) for prefix, grid in few if prefix < math.prod(grid)]
    return sorted(fewer_than_patches or few, key=lambda candidate: candidate[0])


def _convolved_sizes(convolution: _ConvNd, size: Sequence[int]) -> tuple[Grid, Grid]:
    """Return what a convolution makes of an input's size: as it is, and with the input filled up to whole strides."""
    padding = (0,) * len(size) if isinstance(convolution.padding, str) else convolution.padding
    exact = tuple(
        (length + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for length, pad, dilation, kernel, stride in zip(
            size, padding, convolution.dilation, convolution.kernel_size, convolution.stride, strict=True
        )
    )
    filled = tuple(-(-length // stride) for length, stride in zip(size, convolution.stride, strict=True))
    return exact, filled
