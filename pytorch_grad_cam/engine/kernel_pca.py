"""Kernel principal component analysis of activations: every position projected onto the first component."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import oriented, widest

# From rows (n, C) and gamma to the kernel matrix (n, n).
KERNELS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "linear": lambda rows, gamma: rows @ rows.T,
    "poly": lambda rows, gamma: (gamma * rows @ rows.T + 1) ** 3,
    "rbf": lambda rows, gamma: torch.exp(-gamma * torch.cdist(rows, rows).square()),
    "sigmoid": lambda rows, gamma: torch.tanh(gamma * rows @ rows.T + 1),
    "cosine": lambda rows, gamma: _unit(rows) @ _unit(rows).T,
}

MAX_POSITIONS = 16384  # the kernel matrix of more would take more than 2 GiB
MAX_DENSE_POSITIONS = 400  # up to this many positions all eigenvectors at once are faster than one by Lanczos' method
STEPS, RESTARTS, CHECK_EVERY, TOLERANCE = 200, 3, 10, 1e-9


def kernel_projection(tensor: Tensor, kernel: str = "sigmoid", gamma: float | None = None) -> Tensor:
    """Project each position of a ``(B, C, *S)`` tensor onto the first kernel principal component of its channels.

    Rows ``x_p`` are the centred channels at a position, ``K_pq = k(x_p, x_q)``, centred in both directions; the result
    is ``sqrt(lambda_1) a_1`` of its largest eigenvalue. The sign goes along with the plain channel sum, as in
    ``principal_projection``.

    Args:
        tensor: ``(B, C, *S)``, finite.
        kernel: one of ``KERNELS``.
        gamma: factor in "poly", "rbf" and "sigmoid"; None is ``1 / C``.

    Returns:
        ``(B, *S)``, signed.

    Raises:
        ValueError: for an unknown kernel, or more positions than ``MAX_POSITIONS``.
    """
    checked_kernel(kernel)
    rows = tensor.flatten(2).transpose(1, 2)  # (B, n, C)
    if rows.shape[1] > MAX_POSITIONS:
        raise ValueError(
            f"the layer has {rows.shape[1]} positions, and a kernel matrix of more than {MAX_POSITIONS} is too large; "
            "choose a deeper layer, or EigenCAM"
        )
    rows = rows.to(widest(rows.device))
    rows = rows - rows.mean(1, keepdim=True)
    factor = 1 / rows.shape[2] if gamma is None else gamma
    with torch.autocast(rows.device.type, enabled=False):
        projections = [_first_projection(KERNELS[kernel](image, factor), image.sum(1)) for image in rows]
    projection = oriented(torch.stack(projections), rows.transpose(1, 2))  # (B, n)
    return projection.to(tensor.dtype).reshape(tensor.shape[0], *tensor.shape[2:])


def checked_kernel(kernel: str) -> str:
    """Return the kernel's name, or raise a ValueError that lists those there are."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} is unknown; choose one of {', '.join(map(repr, KERNELS))}")
    return kernel


def _first_projection(matrix: Tensor, start: Tensor) -> Tensor:
    """Return ``sqrt(lambda_1) a_1`` of a kernel matrix ``(n, n)`` after centring it; 0 if nothing varies."""
    centred = matrix - matrix.mean(0) - matrix.mean(1, keepdim=True) + matrix.mean()
    if len(matrix) <= MAX_DENSE_POSITIONS:
        values, vectors = torch.linalg.eigh(centred)
        value, vector = values[-1], vectors[:, -1]
    else:
        value, vector = _largest_eigenpair(centred, start)
    # Centring leaves rounding of the kernel's own size, which is no component.
    negligible = value <= 1e-12 * len(matrix) * matrix.abs().max()
    projection: Tensor = vector * torch.where(negligible, 0, value.clamp_min(0)).sqrt()
    return projection


def _largest_eigenpair(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalue of a symmetric matrix ``(n, n)`` and its vector, by Lanczos' method, restarted.

    The start is the guess plus noise, so that it is not orthogonal to the answer.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(matrix), generator=generator, device="cpu").to(matrix)
    guess = start / start.norm().clamp_min(torch.finfo(matrix.dtype).tiny)
    vector = guess + 0.1 * noise / noise.norm()
    value, tiny = matrix.new_zeros(()), TOLERANCE * matrix.abs().max()
    for _ in range(RESTARTS):
        basis = matrix.new_zeros(STEPS + 1, len(matrix))
        basis[0] = vector / vector.norm()
        tridiagonal = matrix.new_zeros(STEPS + 1, STEPS + 1)
        for step in range(STEPS):
            known = basis[: step + 1]
            following = matrix @ basis[step]
            tridiagonal[step, step] = following @ basis[step]
            for _ in range(2):  # twice is enough: orthogonal up to rounding
                following = following - known.T @ (known @ following)
            size = following.norm()
            basis[step + 1] = following / size.clamp_min(torch.finfo(matrix.dtype).tiny)
            tridiagonal[step, step + 1] = tridiagonal[step + 1, step] = size
            if step % CHECK_EVERY == CHECK_EVERY - 1 or step == STEPS - 1 or size <= tiny:
                values, vectors = torch.linalg.eigh(tridiagonal[: step + 1, : step + 1])
                value, vector = values[-1], known.T @ vectors[:, -1]
                if size * vectors[-1, -1].abs() <= TOLERANCE * value.abs():  # the norm of what is left over
                    return value, vector
    return value, vector


def _unit(rows: Tensor) -> Tensor:
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    return rows / lengths.clamp_min(torch.finfo(rows.dtype).tiny)
