"""Fill holes in a grid so that every missing cell is the weighted mean of its neighbours.

The equations are those of a graph: cells are joined by weighted edges, and ``sum_j w_ij (u_i - u_j) = 0`` holds at each
missing cell ``i``. The matrix is symmetric and positive, so conjugate gradients solve it; a multigrid cycle over blocks
of 2 x 2 (x 2) cells as the preconditioner makes the number of steps nearly independent of the size of the holes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Self

import torch
from torch import Tensor

Offset = tuple[int, ...]

TOLERANCE = 1e-8  # of the residual, as a share of the right-hand side
_STEPS = 1000  # never reached in practice
# A cycle over blocks makes corrections that are too small, by about this factor (Braess 1995,
# doi:10.1007/BF02238488).
_OVERCORRECTION = 1.8
_DAMPING = 0.8  # of Jacobi's iteration; below 1, so that the sharpest error shrinks as well
_SWEEPS = 2
_DIRECT = 200  # cells of a coarse grid that are solved for directly
_RIDGE = 1e-6  # of the diagonal, added there, as the equations need not determine every cell


def fill_missing(values: Tensor, missing: Tensor, weights: Mapping[Offset, float]) -> Tensor:
    """Solve for the missing cells of a grid.

    Args:
        values: ``(C, *S)`` float64; what it holds at missing cells does not matter.
        missing: bool ``(*S)``.
        weights: of each neighbour, by its offset; the same for an offset and its negative. Neighbours outside of the
            grid are left out.

    Returns:
        ``(C, *S)``: known cells as given. A missing cell that no path of missing cells joins to a known one gets the
        mean of the known cells, 0 if there are none.
    """
    known = ~missing
    start = values[:, known].mean(1) if bool(known.any()) else values.new_zeros(len(values))  # (C,)
    edges = {offset: weight for offset, weight in weights.items() if offset > tuple(-step for step in offset)}
    # Nothing beyond the neighbours of missing cells takes part.
    box = (slice(None), *_bounding_slices(missing, edges))
    filled = values.clone()
    filled[box] = _solve(values[box], missing[box[1:]], start, edges)
    return filled


def _solve(values: Tensor, missing: Tensor, start: Tensor, edges: Mapping[Offset, float]) -> Tensor:
    guess = torch.where(missing, start.reshape(-1, *[1] * missing.ndim), values)
    whole = _Graph.of_grid(torch.ones_like(missing), edges, values.dtype)
    inner = _Graph.of_grid(missing, edges, values.dtype)
    system = _Graph(torch.where(missing, whole.diagonal, 0), inner.edges)
    residual = -whole.times(guess) * missing  # of the guess, for the system
    # Beside the guess itself: where no known cell is near, its residual is nothing but rounding.
    scale = (system.diagonal * guess).flatten(1).norm(dim=1) + residual.flatten(1).norm(dim=1)
    if not bool(scale.any()):
        return guess
    peak = residual.abs().max().clamp_min(torch.finfo(values.dtype).tiny)
    change = peak * _conjugate_gradients(system, residual / peak, scale / peak)
    return torch.where(missing, guess + change, values)


class _Graph:
    """A symmetric matrix on the cells of a grid: a diagonal, and minus a weight for each joined pair of cells.

    Args:
        diagonal: ``(*S)``.
        edges: by offset, of each offset and its negative only the larger: ``(*S)``, the weight that joins a cell to
            the one at that offset, 0 where there is none.
    """

    def __init__(self, diagonal: Tensor, edges: Mapping[Offset, Tensor]) -> None:
        self.diagonal, self.edges = diagonal, edges
        self._inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
        self._damped = _DAMPING * self._inverse
        every = slice(None)
        pairs = [(edge, *_neighbour_slices(tuple(diagonal.shape), offset)) for offset, edge in edges.items()]
        self._pairs = [(edge[here], (every, *here), (every, *there)) for edge, here, there in pairs]

    @classmethod
    def of_grid(cls, cells: Tensor, weights: Mapping[Offset, float], dtype: torch.dtype) -> Self:
        """Join the given cells, bool ``(*S)``; each row of the matrix sums to 0."""
        diagonal, edges = torch.zeros(cells.shape, dtype=dtype, device=cells.device), {}
        for offset, weight in weights.items():
            here, there = _neighbour_slices(cells.shape, offset)
            edge = torch.zeros_like(diagonal)
            edge[here] = weight * (cells[here] & cells[there]).to(dtype)
            diagonal[here] += edge[here]
            diagonal[there] += edge[here]
            edges[offset] = edge
        return cls(diagonal, edges)

    def times(self, vector: Tensor) -> Tensor:
        """Multiply the matrix by ``(C, *S)``."""
        result = self.diagonal * vector
        for edge, here, there in self._pairs:
            result[here].addcmul_(edge, vector[there], value=-1)
            result[there].addcmul_(edge, vector[here], value=-1)
        return result

    def smooth(self, vector: Tensor, right: Tensor, sweeps: int = _SWEEPS) -> Tensor:
        """Take damped Jacobi steps towards the solution."""
        for _ in range(sweeps):
            vector = vector.addcmul(self._damped, right - self.times(vector))
        return vector

    def first_steps(self, right: Tensor) -> Tensor:
        """Return what the first steps from 0 give; the first one needs no product."""
        return self.smooth(self._damped * right, right, _SWEEPS - 1)

    def inverse(self) -> Tensor:
        """Return the inverse of the matrix as a whole, ``(n, n)``; a cell without an equation stays 0."""
        count = self.diagonal.numel()
        unit = torch.eye(count, dtype=self.diagonal.dtype, device=self.diagonal.device)
        matrix = self.times(unit.reshape(count, *self.diagonal.shape)).reshape(count, count)
        diagonal = self.diagonal.flatten()
        used = diagonal > 0
        matrix = matrix + torch.diag(torch.where(used, _RIDGE * diagonal, 1))
        inverse: Tensor = torch.linalg.inv(matrix) * used
        return inverse

    def coarser(self) -> _Graph:
        """Join blocks of two cells per axis: an edge between blocks sums those between their cells."""
        size = tuple((length + 1) // 2 for length in self.diagonal.shape)
        diagonal = _sum_blocks(self.diagonal, len(size))
        edges: dict[Offset, Tensor] = {}
        for offset, edge in self.edges.items():
            padded = _pad_to_even(edge, len(size))
            for corner in product((0, 1), repeat=len(size)):
                part = padded[tuple(slice(first, None, 2) for first in corner)]  # the block's cell at that corner
                step = tuple((first + along) // 2 for first, along in zip(corner, offset, strict=True))
                back = tuple(-distance for distance in step)
                if step == back:  # inside the block, where both cells take the same value
                    diagonal = diagonal - 2 * part
                    continue
                total = edges.setdefault(max(step, back), torch.zeros_like(diagonal))
                here, there = _neighbour_slices(size, step)
                total[here if step > back else there] += part[here]
        return _Graph(diagonal.clamp_min(0), edges)


class _Cycle:
    """One V-cycle from a fine graph to a few blocks and back, in single precision: it only has to be near."""

    def __init__(self, graph: _Graph) -> None:
        self.levels = [_Graph(graph.diagonal.float(), {offset: edge.float() for offset, edge in graph.edges.items()})]
        while self.levels[-1].diagonal.numel() > _DIRECT:
            self.levels.append(self.levels[-1].coarser())
        self._last = self.levels[-1].inverse()

    def __call__(self, right: Tensor, level: int = 0) -> Tensor:
        graph = self.levels[level]
        if level == len(self.levels) - 1:
            return (right.flatten(1) @ self._last).reshape(right.shape)
        vector = graph.first_steps(right)
        residual = right - graph.times(vector)
        correction = self(_sum_blocks(residual, right.ndim - 1), level + 1)
        vector = vector + _OVERCORRECTION * _repeat_blocks(correction, tuple(right.shape[1:]))
        return graph.smooth(vector, right)


def _conjugate_gradients(system: _Graph, right: Tensor, scale: Tensor) -> Tensor:
    """Solve for every channel of ``right`` ``(C, *S)`` at once, until each residual is small beside its scale."""
    cycle = _Cycle(system)
    column = (-1, *[1] * (right.ndim - 1))
    result, residual, direction = torch.zeros_like(right), right.clone(), torch.zeros_like(right)
    before = right.new_zeros(len(right))  # (C,)
    for _ in range(_STEPS):
        if bool((residual.flatten(1).norm(dim=1) <= TOLERANCE * scale).all()):
            break
        preconditioned = cycle(residual.float()).to(residual)
        along = (residual * preconditioned).flatten(1).sum(1)  # (C,)
        direction = preconditioned.addcmul(_ratio(along, before).reshape(column), direction)
        image = system.times(direction)
        step = _ratio(along, (direction * image).flatten(1).sum(1)).reshape(column)
        result.addcmul_(step, direction)
        residual.addcmul_(step, image, value=-1)
        before = along
    return result


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Divide; 0 for a channel that is solved already."""
    return torch.where(below > 0, above / torch.where(below > 0, below, 1), 0)


def _bounding_slices(missing: Tensor, edges: Mapping[Offset, float]) -> tuple[slice, ...]:
    """Return the box of the missing cells and their neighbours."""
    box = []
    for axis, places in enumerate(missing.nonzero().T):
        reach = max((abs(offset[axis]) for offset in edges), default=0)
        box.append(slice(max(0, int(places.min()) - reach), int(places.max()) + reach + 1))
    return tuple(box)


def _neighbour_slices(size: tuple[int, ...], offset: Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the cells with a neighbour at ``offset`` lie, and where those neighbours lie."""
    here = tuple(slice(max(0, -step), max(0, n - max(0, step))) for n, step in zip(size, offset, strict=True))
    there = tuple(slice(max(0, step), max(0, n + min(0, step))) for n, step in zip(size, offset, strict=True))
    return here, there


def _pad_to_even(tensor: Tensor, axes: int) -> Tensor:
    """Pad the last axes with zeros to even lengths."""
    lengths = tensor.shape[-axes:]
    return torch.nn.functional.pad(tensor, [pad for length in reversed(lengths) for pad in (0, length % 2)])


def _sum_blocks(tensor: Tensor, axes: int) -> Tensor:
    """Sum the cells of each block of two per axis, along the last axes."""
    tensor = _pad_to_even(tensor, axes)
    for axis in range(tensor.ndim - axes, tensor.ndim):
        tensor = tensor.reshape(*tensor.shape[:axis], -1, 2, *tensor.shape[axis + 1 :]).sum(axis + 1)
    return tensor


def _repeat_blocks(tensor: Tensor, size: tuple[int, ...]) -> Tensor:
    """Give the cells of each block its value: the transpose of `_sum_blocks`."""
    for axis, length in enumerate(size, tensor.ndim - len(size)):
        tensor = tensor.repeat_interleave(2, axis).narrow(axis, 0, length)
    return tensor
