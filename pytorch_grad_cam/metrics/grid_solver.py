"""Fill holes in grids so that every missing cell is the weighted mean of its neighbours.

The equations are those of a graph: cells are joined by weighted edges, and ``sum_j w_ij (u_i - u_j) = 0`` holds at each
missing cell ``i``. The matrix is symmetric and positive, so conjugate gradients solve it; a multigrid cycle over blocks
of 2 x 2 (x 2) cells as the preconditioner makes the number of steps nearly independent of the size of the holes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

Offset = tuple[int, ...]

EXACT = 1e-9  # of the range of the known cells: as near as float64 and what a network reads ever need
_STEPS = 1000  # never reached in practice
_SMALLEST = 4  # cells along each axis of the coarsest grid
_LAST_SWEEPS = 4  # there, of two steps each
_CPU_VALUES = 4 * 3 * 224 * 224  # solved for at once on a CPU: more fall out of its caches


def fill_missing(values: Tensor, missing: Tensor, weights: Mapping[Offset, float], tolerance: float = EXACT) -> Tensor:
    """Solve for the missing cells of grids, each of which is its own problem.

    Args:
        values: ``(n, C, *S)``, float32 or float64, in which it is solved; what it holds at missing cells does not
            matter.
        missing: bool ``(n, *S)``.
        weights: of each neighbour, by its offset; the same for an offset and its negative. Neighbours outside of the
            grid are left out.
        tolerance: how far a cell may be from the solution, about, as a share of the range of the known cells.

    Returns:
        ``(n, C, *S)``: known cells as given. A missing cell that no path of missing cells joins to a known one gets the
        mean of the known cells, 0 if there are none.
    """
    together = max(1, _CPU_VALUES // values[0].numel()) if values.device.type == "cpu" else len(values)
    parts = zip(torch.split(values, together), torch.split(missing, together), strict=True)
    return torch.cat([_fill(some, holes, weights, tolerance) for some, holes in parts])


def _fill(values: Tensor, missing: Tensor, weights: Mapping[Offset, float], tolerance: float) -> Tensor:
    if not bool(missing.any()):
        return values.clone()
    holes, axes = missing[:, None], tuple(range(2, values.ndim))  # (n, 1, *S)
    known = ~holes
    mean = torch.where(holes, 0, values).sum(axes, keepdim=True) / known.sum(axes, keepdim=True).clamp_min(1)
    away = torch.where(holes, 0, values - mean)  # from the first guess, that every hole is the mean
    spread = (away.amax(axes, keepdim=True) - away.amin(axes, keepdim=True)).amax(1, keepdim=True)  # (n, 1, 1, ...)
    change = spread * _correction(away / torch.where(spread > 0, spread, 1), holes, weights, tolerance)
    return torch.where(holes, mean + change, values)


def _correction(values: Tensor, holes: Tensor, weights: Mapping[Offset, float], tolerance: float) -> Tensor:
    """Return what belongs into holes that hold 0, of values ``(n, C, *S)`` of range 1, by conjugate gradients.

    Whether an image is solved is decided by that image alone, so that no result depends on its neighbours in a batch.
    """
    system = _Equations(holes.to(values), weights)
    cycle = _Cycle(holes)
    axes = tuple(range(2, values.ndim))
    result, direction = torch.zeros_like(values), torch.zeros_like(values)
    residual = system.times(values).neg_()
    before = values.new_zeros((*values.shape[:2], *[1] * len(axes)))  # (n, C, 1, ...)
    unsolved = torch.ones_like(before[:, :1])
    for _ in range(_STEPS):
        correction = cycle(residual.float()).to(residual)  # in single precision: a direction need not be exact
        largest = torch.linalg.vector_norm(correction, float("inf"), (1, *axes), keepdim=True)  # (n, 1, 1, ...)
        still = (largest > tolerance) * unsolved
        result.addcmul_(unsolved - still, correction)  # the last step, where it is small enough to be one
        unsolved = still
        if not bool(unsolved.any()):
            break
        along = (residual * correction).sum(axes, keepdim=True)
        direction = correction.addcmul_(_ratio(along, before), direction)
        image = system.times(direction)
        step = unsolved * _ratio(along, (direction * image).sum(axes, keepdim=True))
        result.addcmul_(step, direction)
        residual.addcmul_(step, image, value=-1)
        before = along
    return result


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Divide; 0 for a channel that is solved already."""
    return torch.where(below > 0, above / torch.where(below > 0, below, 1), 0)


class _Equations:
    """The equations of the missing cells.

    Args:
        holes: ``(n, 1, *S)``, 1 at missing cells and 0 at known ones.
        weights: by offset.
    """

    def __init__(self, holes: Tensor, weights: Mapping[Offset, float]) -> None:
        self._holes = holes
        size, every = tuple(holes.shape[2:]), (slice(None), slice(None))
        self._terms = []
        self._total = torch.zeros_like(holes[:1])  # of the weights of all neighbours inside the grid
        for offset, weight in weights.items():
            here, there = _neighbour_slices(size, offset)
            self._terms.append(((*every, *here), (*every, *there), weight))
            self._total[(*every, *here)] += weight

    def times(self, vector: Tensor) -> Tensor:
        """Multiply the matrix by ``(n, C, *S)``, which is 0 at known cells, as the product is."""
        result = self._total * vector
        for here, there, weight in self._terms:
            result[here].sub_(vector[there], alpha=weight)
        return result.mul_(self._holes)


class _Level:
    """A grid of blocks, for a cycle: neighbours are weighed by products of (1, 2, 1) whatever the equations say.

    The same weights on every grid approximate the same equations, as the sum of a block's residuals does.

    Args:
        part: ``(n, 1, *S)``, which share of a block is missing, in the square mean.
        fixed: ``(n, 1, *S)``, the weights that join what is missing in a block to what is known, in sum.
    """

    def __init__(self, part: Tensor, fixed: Tensor, partial: bool = True) -> None:
        self.axes, self._partial = part.ndim - 2, partial
        self._centre = 2**self.axes
        share = 1 / (self._centre**2 - self._centre)
        self.part, self.fixed, self.open = part, fixed, (part > 0).to(part)
        self._scaled = share * part
        inner = self._scaled * (_neighbour_sums(part) - self._centre * part)
        diagonal = inner + fixed
        self._inverse = torch.where(diagonal > 0, 1 / torch.where(diagonal > 0, diagonal, 1), 0)
        self._diagonal = diagonal + self._centre * self._scaled * part  # what _neighbour_sums has in the middle

    @classmethod
    def finest(cls, holes: Tensor) -> _Level:
        """Return that of the cells themselves, from bool ``(n, 1, *S)``."""
        part = holes.float()
        centre = 2 ** (part.ndim - 2)
        return cls(part, part * _neighbour_sums(1 - part) / (centre**2 - centre), partial=False)

    def coarser(self) -> _Level:
        """Join blocks of two cells per axis."""
        return _Level((_sum_blocks(self.part**2) / self._centre).sqrt(), _sum_blocks(self.fixed))

    def residual(self, vector: Tensor, right: Tensor) -> Tensor:
        """Return what is left of the right-hand side ``(n, C, *S)``."""
        rest = torch.addcmul(right, self._diagonal, vector, value=-1)
        return rest.addcmul_(self._scaled, _neighbour_sums(self.part * vector if self._partial else vector))

    def smooth(self, vector: Tensor | None, right: Tensor, sweeps: tuple[float, ...]) -> Tensor:
        """Take Jacobi steps of the given lengths towards the solution, from 0 if there is no vector yet."""
        for length in sweeps:
            if vector is None:
                vector = (length * self._inverse) * right
            else:
                vector = vector.addcmul_(self._inverse, self.residual(vector, right), value=length)
        assert vector is not None
        return vector


class _Cycle:
    """One V-cycle from the cells to a few blocks and back.

    Args:
        holes: bool ``(n, 1, *S)``.
    """

    def __init__(self, holes: Tensor) -> None:
        self.levels = [_Level.finest(holes)]
        while max(self.levels[-1].part.shape[2:]) > _SMALLEST:
            self.levels.append(self.levels[-1].coarser())
        axes = self.levels[0].axes
        top = 2**axes / (2**axes - 1)  # the largest eigenvalue; a coarser grid does not see those of the upper half
        # Of the cells themselves one step before and one after, as it is they that cost; of blocks Chebyshev's two.
        self._cells = (1.1 / top,)
        self._blocks = tuple(1 / (top * (0.75 + sign * 0.25 * math.cos(math.pi / 4))) for sign in (-1, 1))

    def __call__(self, right: Tensor, level: int = 0) -> Tensor:
        grid, lengths = self.levels[level], self._blocks if level else self._cells
        if level == len(self.levels) - 1:
            return grid.smooth(None, right, lengths * _LAST_SWEEPS)
        vector = grid.smooth(None, right, lengths)
        correction = self(_sum_blocks(grid.residual(vector, right)), level + 1)
        vector.addcmul_(grid.open, _repeat_blocks(correction, tuple(right.shape[2:])))
        return grid.smooth(vector, right, lengths[::-1])


def _neighbour_sums(tensor: Tensor) -> Tensor:
    """Sum each cell of ``(n, C, *S)`` and its neighbours, weighed by products of (1, 2, 1); outside there is 0."""
    axes = tensor.ndim - 2
    result = F.pad(tensor, (1, 1) * axes)
    for axis in [*range(2, tensor.ndim)] * 2:  # (1, 2, 1) is (1, 1) of (1, 1)
        length = result.shape[axis] - 1
        result = result.narrow(axis, 0, length) + result.narrow(axis, 1, length)
    return result


def _neighbour_slices(size: tuple[int, ...], offset: Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the cells with a neighbour at ``offset`` lie, and where those neighbours lie."""
    here = tuple(slice(max(0, -step), max(0, n - max(0, step))) for n, step in zip(size, offset, strict=True))
    there = tuple(slice(max(0, step), max(0, n + min(0, step))) for n, step in zip(size, offset, strict=True))
    return here, there


def _sum_blocks(tensor: Tensor) -> Tensor:
    """Sum the cells of each block of two per axis of ``(n, C, *S)``; a length that is odd is padded with 0."""
    lengths = tensor.shape[2:]
    if any(length % 2 for length in lengths):
        tensor = F.pad(tensor, [pad for length in reversed(lengths) for pad in (0, length % 2)])
    for axis in range(2, tensor.ndim):
        pairs = tensor.reshape(*tensor.shape[:axis], -1, 2, *tensor.shape[axis + 1 :])
        tensor = pairs.select(axis + 1, 0) + pairs.select(axis + 1, 1)
    return tensor


def _repeat_blocks(tensor: Tensor, size: tuple[int, ...]) -> Tensor:
    """Give the cells of each block its value: the transpose of `_sum_blocks`."""
    for axis, length in enumerate(size, 2):
        pairs = tensor.unsqueeze(axis + 1)
        pairs = pairs.expand(*pairs.shape[: axis + 1], 2, *pairs.shape[axis + 2 :])
        tensor = pairs.flatten(axis, axis + 1).narrow(axis, 0, length)
    return tensor
