"""Non-negative matrix factorisation, on the tensor's device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import widest

_INNER = 3  # updates of a factor per product with the matrix, which is what costs
_EXTRA = 10  # directions more than asked for, and
_POWERS = 4  # products more with the matrix, in the random search for singular vectors


@dataclass(frozen=True)
class Factors:
    """Two non-negative matrices whose product ``left @ right`` is close to a matrix ``V``.

    Attributes:
        left: ``(M, K)``, not negative.
        right: ``(K, N)``, not negative; the largest value of each row is 1. Rows are sorted: the first part of
            the sum has the largest norm. A part that is not needed is 0.
        error: ``||V - left right|| / ||V||`` in Frobenius' norm, 0 to 1.
        energy: ``(K,)``: squared norm of each part of the sum as a share of all parts'.
        steps: that were taken.
    """

    left: Tensor
    right: Tensor
    error: float
    energy: Tensor
    steps: int


def nmf(matrix: Tensor, components: int, *, seed: int = 0, max_steps: int = 500, tolerance: float = 1e-8) -> Factors:
    """Minimise ``||V - W H||`` over ``W, H >= 0``, from a start that a singular value decomposition gives.

    Args:
        matrix: ``(M, N)``, finite and not negative.
        components: ``K``, 1 to ``min(M, N)``.
        seed: of the random search for the first singular vectors.
        max_steps: at most.
        tolerance: stop when a step lowers the squared error by less than this share of ``||V||^2``.

    Raises:
        ValueError: for a matrix with negative or non-finite values, or a number of components that it cannot have.

    Source: A. Cichocki, A.-H. Phan, 2009, "Fast Local Algorithms for Large Scale Nonnegative Matrix and Tensor
        Factorizations", doi:10.1587/transfun.E92.A.708 (HALS); N. Gillis, F. Glineur, 2012, "Accelerated Multiplicative
        Updates and Hierarchical ALS Algorithms for Nonnegative Matrix Factorization", doi:10.1162/NECO_a_00256.
    """
    if matrix.ndim != 2 or not 1 <= components <= min(matrix.shape):
        raise ValueError(
            f"a matrix {tuple(matrix.shape)} cannot be split into {components} components; ask for 1 to "
            f"{min(matrix.shape) if matrix.ndim == 2 else 0}"
        )
    if not (bool(matrix.isfinite().all()) and bool((matrix >= 0).all())):
        raise ValueError("the matrix has values that are negative or not finite; shift or clip them first")
    scale = matrix.max().clamp_min(torch.finfo(matrix.dtype).tiny)
    precise = matrix.to(widest(matrix.device))
    with torch.autocast(matrix.device.type, enabled=False):
        return _alternating_least_squares(
            precise / scale, components, seed, max_steps, tolerance, float(scale), matrix.dtype
        )


def _alternating_least_squares(
    matrix: Tensor, components: int, seed: int, max_steps: int, tolerance: float, scale: float, dtype: torch.dtype
) -> Factors:
    left, right = _initial_factors(matrix, components, seed)
    whole = float((matrix**2).sum())
    before, squared, steps = whole, whole, 0
    for _ in range(max_steps if whole > 0 else 0):
        steps += 1
        left = _updated_factor(left, matrix @ right.T, right @ right.T)
        projected = left.T @ matrix  # (K, N)
        gram = left.T @ left
        right = _updated_factor(right.T, projected.T, gram).T
        squared = whole - 2 * float((right * projected).sum()) + float((gram * (right @ right.T)).sum())
        if before - squared <= tolerance * whole:
            break
        before = squared
    peak = right.amax(1)
    right = right / torch.where(peak > 0, peak, 1)[:, None]
    left = left * peak
    parts = (left**2).sum(0) * (right**2).sum(1)  # squared norm of each outer product
    order = parts.argsort(descending=True, stable=True)
    return Factors(
        (left[:, order] * scale).to(dtype),
        right[order].to(dtype),
        (max(squared, 0.0) / whole) ** 0.5 if whole > 0 else 0.0,
        (parts[order] / parts.sum().clamp_min(torch.finfo(parts.dtype).tiny)).to(dtype),
        steps,
    )


def _updated_factor(factor: Tensor, target: Tensor, gram: Tensor) -> Tensor:
    """Move each column of a factor ``(M, K)`` to the best non-negative one while the others stay, in turn."""
    factor = factor.clone()
    diagonal = gram.diagonal()
    inverse = torch.where(diagonal > 0, 1 / diagonal, 0)
    for _ in range(_INNER):
        for column in range(factor.shape[1]):
            step = (target[:, column] - factor @ gram[:, column]) * inverse[column]
            factor[:, column] = (factor[:, column] + step).clamp_min(0)
    return factor


def _initial_factors(matrix: Tensor, components: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return first factors: the non-negative halves of the first singular vectors.

    Source: C. Boutsidis, E. Gallopoulos, 2008, "SVD based initialization: A head start for nonnegative matrix
        factorization", doi:10.1016/j.patcog.2007.09.010 (NNDSVD).
    """
    u, values, v = _truncated_svd(matrix, components, seed)
    u[:, 0], v[:, 0] = u[:, 0].abs(), v[:, 0].abs()  # of a non-negative matrix these have one sign
    up, un, vp, vn = u.clamp_min(0), (-u).clamp_min(0), v.clamp_min(0), (-v).clamp_min(0)
    positive = up.norm(dim=0) * vp.norm(dim=0) >= un.norm(dim=0) * vn.norm(dim=0)  # (K,)
    left, right = torch.where(positive, up, un), torch.where(positive, vp, vn)
    weight = (values * left.norm(dim=0) * right.norm(dim=0)).sqrt()
    tiny = torch.finfo(matrix.dtype).tiny
    left, right = (factor / factor.norm(dim=0).clamp_min(tiny) * weight for factor in (left, right))
    return left, right.T


def _truncated_svd(matrix: Tensor, components: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first singular vectors ``(M, K)``, values ``(K,)`` and vectors ``(N, K)``, by a random search.

    Source: N. Halko, P.-G. Martinsson, J. A. Tropp, 2011, "Finding Structure with Randomness", arXiv:0909.4061.
    """
    width = min(components + _EXTRA, *matrix.shape)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(matrix.shape[1], width, generator=generator, dtype=torch.float64, device="cpu")
    basis, _ = torch.linalg.qr(matrix @ start.to(matrix))
    for _ in range(_POWERS):
        basis, _ = torch.linalg.qr(matrix.T @ basis)
        basis, _ = torch.linalg.qr(matrix @ basis)
    small, values, v = torch.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ small)[:, :components], values[:components], v[:components].T.contiguous()
