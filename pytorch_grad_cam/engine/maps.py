"""Arithmetic on maps and activations, in torch, for any number of spatial axes.

Shapes: ``B`` images, ``C`` channels, ``*S`` spatial axes (``T``; ``H, W``; ``D, H, W``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

# A map whose spread is below this share of its largest value is constant: what varies is rounding.
CONSTANT = 1e-6

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def working_precision(tensor: Tensor) -> Tensor:
    """Return the tensor in float32, or float64 if it is that already: half precision is for networks, not for sums."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def widest(device: torch.device) -> torch.dtype:
    """Return the widest floating type of a device: float64, on Apple's GPUs and some of Intel's float32."""
    return torch.float64 if device.type in ("cpu", "cuda") or _has_float64(device.type) else torch.float32


@cache
def _has_float64(device_type: str) -> bool:
    try:
        torch.zeros(1, dtype=torch.float64, device=device_type)
    except (TypeError, RuntimeError):
        return False
    return True


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Reshape ``(B,)`` so that it broadcasts against ``(B, ...)``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def spatial_axes(tensor: Tensor) -> tuple[int, ...]:
    """Return the spatial axes of a ``(B, C, *S)`` tensor."""
    return tuple(range(2, tensor.ndim))


def spatial_sum(tensor: Tensor) -> Tensor:
    """Sum a ``(B, C, *S)`` tensor over its positions, keeping the axes: ``(B, C, 1, ...)``."""
    return tensor.sum(dim=spatial_axes(tensor), keepdim=True)


def spatial_mean(tensor: Tensor) -> Tensor:
    """Average a ``(B, C, *S)`` tensor over its positions: ``(B, C)``."""
    return tensor.mean(dim=spatial_axes(tensor))


def is_constant(maps: Tensor) -> Tensor:
    """Say of each map ``(B, *S)`` whether it has one value everywhere, up to rounding: bool ``(B,)``."""
    flat = maps.flatten(1)
    return _same(flat.amin(1), flat.amax(1))


def _same(low: Tensor, high: Tensor) -> Tensor:
    return high - low <= CONSTANT * torch.maximum(low.abs(), high.abs())


def unit_range(maps: Tensor) -> Tensor:
    """Stretch each map ``(B, *S)`` to [0, 1]; a constant map becomes 0.

    There is no absolute epsilon, so the result does not depend on the scale of the scores.
    """
    low, spread = low_and_spread(maps)
    return (maps - per_image(low, maps)) / per_image(spread, maps)


def low_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest value of each map ``(B, *S)`` and how far the largest is from it, infinity if constant."""
    flat = maps.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    return low, torch.where(_same(low, high), torch.inf, high - low)


def unit_peak(maps: Tensor) -> Tensor:
    """Divide each map ``(B, *S)`` by its largest absolute value; 0 stays 0 and signs stay."""
    peak = maps.flatten(1).abs().amax(1)
    return maps / per_image(torch.where(peak > 0, peak, torch.inf), maps)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps ``(B, *S)`` linearly to ``(B, *size)``, with half-pixel centres; never overshoots."""
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    mode = LINEAR[maps.ndim - 1]
    return functional.interpolate(maps[:, None], size=tuple(size), mode=mode, align_corners=False)[:, 0]


def channel_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """Weigh activations ``(B, C, *S)`` by ``(B, C)`` or ``(B, C, *S)`` and sum the channels: ``(B, *S)``."""
    return weighted(weights, activations).sum(1)  # no matrix product: autocast would run it in half precision


def weighted(weights: Tensor, activations: Tensor) -> Tensor:
    """Weigh activations ``(B, C, *S)`` by ``(B, C)`` or ``(B, C, *S)``."""
    if weights.ndim == 2:
        weights = weights.reshape(*weights.shape, *[1] * (activations.ndim - 2))
    return weights * activations


def principal_projection(tensor: Tensor, centred: bool = True) -> Tensor:
    """Project each position of a ``(B, C, *S)`` tensor onto the first principal component of its channels.

    The component's sign is free; it is chosen so that the result goes along with the plain channel sum, which makes
    strongly activated places bright; where the channels sum to 0 everywhere, so that its largest value is positive.
    Only one component is needed, so the smaller of the two Gram matrices (positions or channels) replaces a full
    singular value decomposition.

    Args:
        tensor: ``(B, C, *S)``, finite.
        centred: subtract each channel's mean over the positions first.

    Returns:
        ``(B, *S)``, signed.
    """
    rows = tensor.flatten(2)  # (B, C, n)
    # float64: in float32 the squares of tiny gradients underflow, and the solver gives up on sparse ones, whose Gram
    # matrix has many eigenvalues near 0.
    rows = (rows if widest(rows.device) == torch.float64 else rows.cpu()).double()
    if centred:
        rows = rows - rows.mean(2, keepdim=True)
    with torch.autocast(rows.device.type, enabled=False):  # the network's half precision is not for this
        if rows.shape[2] <= rows.shape[1]:
            values, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows)  # (B, n, n)
            projection = vectors[:, :, -1] * values[:, -1:].clamp_min(0).sqrt()  # L = sigma_1 u_1
        else:
            _, vectors = torch.linalg.eigh(rows @ rows.transpose(1, 2))  # (B, C, C)
            projection = (vectors[:, :, -1:] * rows).sum(1)  # L = X v_1
    return oriented(projection, rows).to(tensor).reshape(tensor.shape[0], *tensor.shape[2:])


def oriented(projection: Tensor, rows: Tensor) -> Tensor:
    """Choose the sign of projections ``(B, n)`` of rows ``(B, C, n)``; see ``principal_projection``."""
    along = (projection * rows.sum(1)).sum(1, keepdim=True)
    # After a norm the channels may sum to 0 everywhere; then the place that stands out most is the bright one.
    blind = along.abs() <= CONSTANT * projection.norm(dim=1, keepdim=True) * rows.norm(dim=(1, 2))[:, None]
    peak = projection.gather(1, projection.abs().argmax(1, keepdim=True))
    return torch.where(torch.where(blind, peak, along) < 0, -projection, projection)


def combined(weights: Tensor, activations: Tensor, eigen_smooth: bool) -> Tensor:
    """Make a map ``(B, *S)`` of weighted activations: their channel sum, or their principal component."""
    if not eigen_smooth:
        return channel_sum(weights, activations)
    return principal_projection(weighted(weights, activations))
