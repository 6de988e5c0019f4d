"""Pooling functions by nnabla's border rule, which torch has only half of.

``ignore_border``: floor((size + 2 pad - kernel) / stride) + 1 windows, as torch; else floor((size + pad - 1) / stride)
+ 1, so that a window starts wherever there is a pixel left (a width of 7, kernel 3 and stride 2 gives 4; torch's
``ceil_mode`` gives 3). Source: sony/nnabla, src/nbla/function/utils/base_pooling.cpp.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, Shape
from pytorch_grad_cam.models.nnp.limits import MAX_ACTIVATION


class Geometry(NamedTuple):
    """Where the windows of a pooling lie, one number per axis each."""

    size: Shape  # of the input
    kernel: Shape
    stride: Shape
    pad: Shape
    windows: Shape  # how many there are


class Windows(nn.Module):
    """A base class of pooling over the last two or three axes whose windows may hang over the end."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.kernel, self.stride = geometry.kernel, geometry.stride
        ends = [(size, p, (n - 1) * s + k - p) for size, k, s, p, n in zip(*geometry, strict=True)]
        # F.pad counts axes from the last; a negative number cuts off what no window reaches
        self.border = [n for size, p, end in ends for n in (end - size, p)][::-1]

    def pooled(self, x: Tensor, name: str, outside: float, **options: Any) -> Tensor:
        """Pool ``(..., *S)`` by torch's function of that name; ``outside`` is the value beyond the end."""
        axes = len(self.kernel)
        bordered = F.pad(x.reshape(-1, 1, *x.shape[-axes:]), self.border, value=outside)  # (N, 1, *S')
        y: Tensor = getattr(F, f"{name}_pool{axes}d")(bordered, self.kernel, self.stride, **options)
        return y.reshape(*x.shape[:-axes], *y.shape[2:])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel}, stride={self.stride}, border={tuple(self.border)}"


class MaxWindows(Windows):
    """Computes the maximum of every window; what lies outside does not count."""

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(x, "max", -math.inf)


class SumWindows(Windows):
    """Computes the sum of every window, or its mean: divided by the number of its pixels.

    The numbers of pixels are counted anew at every pass: a file of a few bytes may have millions of windows.

    Args:
        geometry: of the windows.
        divided: by how many pixels: "" none, "seen" those of the picture, "whole" those of the border too.
    """

    def __init__(self, geometry: Geometry, divided: str = "") -> None:
        super().__init__(geometry)
        self.geometry, self.divided = geometry, divided

    def forward(self, x: Tensor) -> Tensor:
        y = self.pooled(x, "avg", 0.0, divisor_override=1)
        if not self.divided:
            return y
        shares = torch.ones((), device=x.device)
        for size, k, s, p, n in zip(*self.geometry, strict=True):
            starts = torch.arange(n, device=x.device) * s - p
            ends = (starts + k).clamp(max=size + p)
            seen = ends - starts if self.divided == "whole" else ends.clamp(max=size) - starts.clamp(min=0)
            shares = shares.unsqueeze(-1) / seen
        return y * shares.to(y.dtype)


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
    geometry = _geometry(call)
    if not _has_torch_windows(call, geometry):
        return MaxWindows(geometry)
    kind = nn.MaxPool2d if len(geometry.kernel) == 2 else nn.MaxPool3d
    return kind(geometry.kernel, geometry.stride, geometry.pad)


def average_pooling(call: FunctionCall) -> nn.Module:
    """Build an AveragePooling; a window that hangs over the end is divided by the pixels that it has."""
    geometry = _geometry(call)
    whole = call.param.flag("including_pad")
    if _has_torch_windows(call, geometry):
        kind = nn.AvgPool2d if len(geometry.kernel) == 2 else nn.AvgPool3d
        return kind(geometry.kernel, geometry.stride, geometry.pad, count_include_pad=whole)  # type: ignore[arg-type]
    return SumWindows(geometry, "whole" if whole else "seen")


def sum_pooling(call: FunctionCall) -> nn.Module:
    """Build a SumPooling."""
    return SumWindows(_geometry(call))


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


def _geometry(call: FunctionCall) -> Geometry:
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
    return Geometry(size, kernel, stride, pad, count)


def _has_torch_windows(call: FunctionCall, geometry: Geometry) -> bool:
    """Say whether torch would take the same windows."""
    same = all(p <= k // 2 and (size + 2 * p - k) // s + 1 == n for size, k, s, p, n in zip(*geometry, strict=True))
    return same and len(call.shape()) in (len(geometry.kernel) + 1, len(geometry.kernel) + 2)


POOLING: dict[str, Builder] = {
    "MaxPooling": max_pooling,
    "AveragePooling": average_pooling,
    "SumPooling": sum_pooling,
    "GlobalAveragePooling": global_average_pooling,
    "Unpooling": unpooling,
}
