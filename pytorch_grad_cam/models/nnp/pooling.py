"""Pooling functions by nnabla's border rule, which torch has only half of.

``ignore_border``: floor((size + 2 pad - kernel) / stride) + 1 windows, as torch; else floor((size + pad - 1) / stride)
+ 1, so that a window starts wherever there is a pixel left (a width of 7, kernel 3 and stride 2 gives 4; torch's
``ceil_mode`` gives 3). Source: sony/nnabla, src/nbla/function/utils/base_pooling.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, Shape
from pytorch_grad_cam.models.nnp.limits import MAX_ACTIVATION


class Windows(nn.Module):
    """A base class of pooling over the last two or three axes whose windows may hang over the end.

    Args:
        size, kernel, stride, pad: per axis.
        count: windows per axis.
    """

    def __init__(self, size: Shape, kernel: Shape, stride: Shape, pad: Shape, count: Shape) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        ends = [(n - 1) * s + k - p for n, s, k, p in zip(count, stride, kernel, pad, strict=True)]
        # F.pad counts axes from the last; a negative number cuts off what no window reaches
        self.border = [n for p, end, length in zip(pad, ends, size, strict=True) for n in (end - length, p)][::-1]

    def bordered(self, x: Tensor, value: float) -> Tensor:
        """Return ``(..., *S)`` as ``(N, 1, *S')``, padded to whole windows."""
        spatial = x.shape[-len(self.kernel) :]
        return F.pad(x.reshape(-1, 1, *spatial), self.border, value=value)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel}, stride={self.stride}, border={tuple(self.border)}"


class MaxWindows(Windows):
    """Computes the maximum of every window; what lies outside does not count."""

    def forward(self, x: Tensor) -> Tensor:
        pool: Any = F.max_pool2d if len(self.kernel) == 2 else F.max_pool3d
        y: Tensor = pool(self.bordered(x, -math.inf), self.kernel, self.stride)
        return y.reshape(*x.shape[: -len(self.kernel)], *y.shape[2:])


class SumWindows(Windows):
    """Computes the sum of every window, divided by the number of its pixels if ``shares`` are given.

    Args:
        shares: None, or one over the number of pixels of each window, ``(*S')``.
    """

    shares: Tensor | None

    def __init__(
        self, size: Shape, kernel: Shape, stride: Shape, pad: Shape, count: Shape, shares: Tensor | None
    ) -> None:
        super().__init__(size, kernel, stride, pad, count)
        self.register_buffer("shares", shares, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        pool: Any = F.avg_pool2d if len(self.kernel) == 2 else F.avg_pool3d
        y: Tensor = pool(self.bordered(x, 0.0), self.kernel, self.stride, divisor_override=1)
        y = y.reshape(*x.shape[: -len(self.kernel)], *y.shape[2:])
        return y if self.shares is None else y * self.shares


class Unpooling(nn.Module):
    """Repeats every value over a block of the size ``kernel``, on the last axes."""

    def __init__(self, kernel: Shape) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        for axis, times in enumerate(self.kernel, x.ndim - len(self.kernel)):
            x = x.repeat_interleave(times, axis)
        return x

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel}"


def max_pooling(call: FunctionCall) -> nn.Module:
    """Build a MaxPooling, torch's own where its rule is the same."""
    size, kernel, stride, pad, count = _geometry(call)
    if _has_torch_windows(call, size, kernel, stride, pad, count):
        kind: Any = nn.MaxPool2d if len(kernel) == 2 else nn.MaxPool3d
        pool: nn.Module = kind(kernel, stride, pad)
        return pool
    return MaxWindows(size, kernel, stride, pad, count)


def average_pooling(call: FunctionCall) -> nn.Module:
    """Build an AveragePooling; a window that hangs over the end is divided by the pixels that it has."""
    size, kernel, stride, pad, count = _geometry(call)
    whole = call.param.flag("including_pad")
    if _has_torch_windows(call, size, kernel, stride, pad, count):
        kind: Any = nn.AvgPool2d if len(kernel) == 2 else nn.AvgPool3d
        pool: nn.Module = kind(kernel, stride, pad, count_include_pad=whole)
        return pool
    shares = torch.ones(())
    for length, k, s, p, n in zip(size, kernel, stride, pad, count, strict=True):
        starts = torch.arange(n) * s - p
        ends = (starts + k).clamp(max=length + p)
        seen = ends - starts if whole else ends.clamp(max=length) - starts.clamp(min=0)
        shares = shares.unsqueeze(-1) / seen
    return SumWindows(size, kernel, stride, pad, count, shares)


def sum_pooling(call: FunctionCall) -> nn.Module:
    """Build a SumPooling."""
    return SumWindows(*_geometry(call), shares=None)


def global_average_pooling(call: FunctionCall) -> nn.Module:
    """Build a GlobalAveragePooling: (B, C, H, W) or (B, C, L) to (B, C, 1, 1)."""
    rank = len(call.shape())
    if rank == 3:
        return nn.Sequential(nn.Unflatten(2, (call.shape()[2], 1)), nn.AdaptiveAvgPool2d(1))
    if rank != 4:
        raise ValueError(f"its input has {rank} axes; 4 (batch, channels, height, width) or 3 are supported")
    return nn.AdaptiveAvgPool2d(1)


def unpooling(call: FunctionCall) -> nn.Module:
    """Build an Unpooling."""
    call.require_channels_first()
    kernel = tuple(call.param.shape("kernel"))
    if not 1 <= len(kernel) < len(call.shape()) or min(kernel) < 1:
        raise ValueError(f"its kernel {kernel} must be positive numbers for the last axes, without the batch")
    if math.prod(kernel) * call.per_image > MAX_ACTIVATION:
        raise ValueError(f"its kernel {kernel} would give more than {MAX_ACTIVATION} values for an image")
    return Unpooling(kernel)


def _geometry(call: FunctionCall) -> tuple[Shape, Shape, Shape, Shape, Shape]:
    """Return sizes, kernel, stride, pad and the number of windows, one number per axis each."""
    call.require_channels_first()
    shape = call.shape()
    kernel = tuple(call.param.shape("kernel"))
    axes = len(kernel)
    if axes not in (2, 3) or len(shape) < axes + 1 or min(kernel) < 1:
        raise ValueError(f"its kernel {kernel} must be 2 or 3 positive numbers, for an input of the shape {shape[1:]}")
    stride = call.sizes("stride", axes, 0, 1) if call.param.shape("stride") else kernel
    pad = call.sizes("pad", axes, 0, 0)
    size = shape[-axes:]
    ignore = call.param.flag("ignore_border")
    count = tuple(
        (length + p - (k - p if ignore else 1)) // s + 1
        for length, k, s, p in zip(size, kernel, stride, pad, strict=True)
    )
    if any(p >= k for p, k in zip(pad, kernel, strict=True)):
        raise ValueError(f"its pad {pad} is not smaller than its kernel {kernel}: windows would lie outside")
    if min(count) < 1:
        raise ValueError(f"its kernel {kernel} is larger than its input {size}")
    reach = math.prod((n - 1) * s + k for n, s, k in zip(count, stride, kernel, strict=True))
    if reach * (call.per_image // math.prod(size)) > MAX_ACTIVATION:
        raise ValueError(f"its kernel {kernel} and stride {stride} reach over more than {MAX_ACTIVATION} values")
    return size, kernel, stride, pad, count


def _has_torch_windows(
    call: FunctionCall, size: Sequence[int], kernel: Shape, stride: Shape, pad: Shape, count: Sequence[int]
) -> bool:
    """Say whether torch would take the same windows."""
    same = all(
        p <= k // 2 and (length + 2 * p - k) // s + 1 == n
        for length, k, s, p, n in zip(size, kernel, stride, pad, count, strict=True)
    )
    return same and len(call.shape()) in (len(kernel) + 1, len(kernel) + 2)


POOLING: dict[str, Builder] = {
    "MaxPooling": max_pooling,
    "AveragePooling": average_pooling,
    "SumPooling": sum_pooling,
    "GlobalAveragePooling": global_average_pooling,
    "Unpooling": unpooling,
}
