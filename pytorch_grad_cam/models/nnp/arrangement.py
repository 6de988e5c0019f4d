"""Functions that rearrange values: they join, cut, pad and reshape. None mixes images, and none fixes the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.function_call import Builder, FunctionCall, Operation, Shape, unary
from pytorch_grad_cam.models.nnp.limits import MAX_ACTIVATION, MAX_LINKS

_WHOLE = 0x7FFFFFFF  # in a slice: from the start, to the end, or every one


class Concatenate(Operation):
    """Concatenates its inputs on an axis."""

    def __init__(self, inputs: Sequence[Shape | Tensor], axis: int) -> None:
        super().__init__(inputs)
        self.axis = axis

    def forward(self, *activations: Tensor) -> Tensor:
        return torch.cat(self.operands(activations), self.axis)


class Stack(Concatenate):
    """Stacks its inputs on a new axis."""

    def forward(self, *activations: Tensor) -> Tensor:
        return torch.stack(self.operands(activations), self.axis)


class Split(nn.Module):
    """Splits an axis: one output per position."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = x.unbind(self.axis)
        return parts


class Reshape(nn.Module):
    """Reshapes ``(B, ...)`` to ``(B', *tail)``, where B' holds what is left."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tail = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.tail)

    def extra_repr(self) -> str:
        return f"{self.tail}"


class Transpose(nn.Module):
    """Puts the axes in another order."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)

    def extra_repr(self) -> str:
        return f"{self.axes}"


class Broadcast(nn.Module):
    """Repeats axes of length 1, all but the batch."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tail = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(x.shape[0], *self.tail)


class Gather(nn.Module):
    """Selects positions of several axes, in any order and number: slices, and padding by values that are there.

    The positions are counted anew at every pass: a file of a few bytes may name axes of millions.

    Args:
        places: the places to take, by axis.
        fold: what becomes of places outside 0 to the last: "reflect" turns at the ends, "repeat" stays there.
    """

    def __init__(self, places: dict[int, range], fold: str = "") -> None:
        super().__init__()
        self.places, self.fold = places, fold

    def forward(self, x: Tensor) -> Tensor:
        for axis, run in self.places.items():
            places = torch.arange(run.start, run.stop, run.step, device=x.device)
            x = x.index_select(axis, self._folded(places, x.shape[axis] - 1))
        return x

    def _folded(self, places: Tensor, last: int) -> Tensor:
        if self.fold == "repeat":
            return places.clamp(0, last)
        if self.fold == "reflect" and last:
            places = places.abs() % (2 * last)
            return torch.minimum(places, 2 * last - places)
        return places * 0 if self.fold else places


class ConstantPad(nn.Module):
    """Adds a border of one value.

    Args:
        width: before and behind each of the last axes, the outermost first.
        value: what stands in the border.
    """

    def __init__(self, width: Sequence[tuple[int, int]], value: float) -> None:
        super().__init__()
        self.width = [count for pair in reversed(width) for count in pair]  # F.pad counts axes from the last
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.width, value=self.value)

    def extra_repr(self) -> str:
        return f"{tuple(self.width)}, value={self.value}"


def concatenate(call: FunctionCall) -> nn.Module:
    """Build a Concatenate."""
    rank = max(operand.ndim if isinstance(operand, Tensor) else len(operand) for operand in call.inputs)
    return Concatenate(call.inputs, _new_axis(call, rank - 1))


def stack(call: FunctionCall) -> nn.Module:
    """Build a Stack."""
    return Stack(call.inputs, _new_axis(call, len(call.shape())))


def split(call: FunctionCall) -> nn.Module:
    """Build a Split."""
    axis = call.axis()
    if call.shape()[axis] > MAX_LINKS:
        raise ValueError(f"its axis {axis} has {call.shape()[axis]} positions; {MAX_LINKS} outputs at most can be read")
    return Split(axis)


def reshape(call: FunctionCall) -> nn.Module:
    """Build a Reshape."""
    return Reshape(_axes_per_image(call.param.shape("shape"), call.per_image, call.batch_size, len(call.declared)))


def transpose(call: FunctionCall) -> nn.Module:
    """Build a Transpose; the batch stays where it is."""
    axes, rank = call.param.integers("axes"), len(call.shape())
    if sorted(axes) != list(range(rank)) or axes[0] != 0:
        raise ValueError(f"its axes {axes} must be 0 and then 1 to {rank - 1} in some order: the batch stays first")
    return Transpose(axes)


def broadcast(call: FunctionCall) -> nn.Module:
    """Build a Broadcast."""
    shape, target = call.shape(), call.param.shape("shape")
    fits = len(target) == len(shape) and all(
        old in (1, new) and new >= 1 for old, new in zip(shape[1:], target[1:], strict=True)
    )
    if not fits or math.prod(target[1:]) > MAX_ACTIVATION:
        raise ValueError(f"its shape {target} does not fit an input of the shape {shape[1:]}")
    return Broadcast(tuple(target[1:]))


def slicing(call: FunctionCall) -> nn.Module:
    """Build a Slice of the last axes by start, stop and step, as NumPy's; all images are kept."""
    shape = call.shape()
    starts, stops, steps = (call.param.integers(name) for name in ("start", "stop", "step"))
    steps = steps or [1] * len(starts)
    first = len(shape) - len(starts)
    if first < 0 or not len(starts) == len(stops) == len(steps):
        raise ValueError(f"its start {starts}, stop {stops} and step {steps} do not fit {len(shape)} axes")
    places: dict[int, range] = {}
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True), first):
        if axis == 0:
            if start not in (0, _WHOLE) or step not in (1, _WHOLE) or stop not in (_WHOLE, call.batch_size):
                raise ValueError(
                    f"it takes some images of the batch ({start} to {stop}); images are explained one by one"
                )
            continue
        which = _places(start, stop, step, shape[axis])
        if not which:
            raise ValueError(f"it takes nothing of the axis {axis} ({start} to {stop} of {shape[axis]}, step {step})")
        if which != range(shape[axis]):
            places[axis] = which
    return Gather(places)


def pad(call: FunctionCall) -> nn.Module:
    """Build a Pad of the last axes, by a constant, by reflection, or by repeating the outermost value."""
    shape, flat = call.shape(), call.param.integers("pad_width")
    width = list(zip(flat[::2], flat[1::2], strict=False))
    first = len(shape) - len(width)
    if len(flat) % 2 or first < 0 or min(flat, default=0) < 0 or (first == 0 and width[0] != (0, 0)):
        raise ValueError(f"its pad_width {flat} must be pairs from 0 for the last axes, without the batch")
    sizes = [sum(pair) + length for pair, length in zip(width, shape[first:], strict=True)]
    if math.prod(sizes) * math.prod(shape[1:first]) > MAX_ACTIVATION * 2:
        raise ValueError(f"its pad_width {flat} would give more than {MAX_ACTIVATION} values for an image")
    mode = call.param.text("mode") or "constant"
    if mode == "constant":
        return ConstantPad(width, call.param.number("constant_value"))
    if mode not in ("reflect", "repeat"):
        raise ValueError(f"its mode {mode!r:.60} is none of constant, reflect and repeat")
    places = {
        axis: range(-before, shape[axis] + behind)
        for axis, (before, behind) in enumerate(width, first)
        if before or behind
    }
    return Gather(places, fold=mode)


def image_augmentation(call: FunctionCall) -> nn.Module:
    """Build an ImageAugmentation without what changes pictures at random in training; it must keep their size."""
    output = tuple(call.param.shape("shape"))
    if output and math.prod(output[-len(call.shape()) + 1 :]) != call.per_image:
        raise ValueError(
            f"it makes pictures of the shape {output} of {call.shape()[1:]}; without it the sizes do not fit"
        )
    return unary(nn.Identity)(call)


def _new_axis(call: FunctionCall, last: int) -> int:
    """Return the argument that names an axis of the result, from 1 to ``last``."""
    axis = call.param.integer("axis")
    axis += last + 1 if axis < 0 else 0
    if not 1 <= axis <= last:
        raise ValueError(f"its axis {call.param.integer('axis')} is not one of 1 to {last}: images stay apart")
    return axis


def _places(start: int, stop: int, step: int, length: int) -> range:
    """Return the places that a slice of an axis takes."""
    step = 1 if step == _WHOLE else step
    if step == 0:
        raise ValueError("its step is 0")
    start = (0 if step > 0 else length - 1) if start == _WHOLE else start + (length if start < 0 else 0)
    whole = length if step > 0 else -1
    stop = whole if stop == _WHOLE else min(stop + (length if stop < 0 else 0), length)
    if not 0 <= start < length:
        return range(0)
    return range(start, max(stop, -1), step)


def _axes_per_image(shape: Sequence[int], per_image: int, batch_size: int, declared: int) -> tuple[int, ...]:
    """Return the sizes of the axes behind the batch that the shape of a Reshape means, whatever batch size it names.

    The file may say (-1, 300), (32, 300) with the batch size baked in, or, from the Console, (300) without the batch.
    Where it can be read in two ways, the number of axes that the file declares for the result decides (0: none).
    """
    shape = list(shape)
    if not shape or 0 in shape or sum(size < 0 for size in shape) > 1:
        raise ValueError(f"its shape {shape} must have positive sizes, and one -1 at most")
    whole, rest = _with_size_inferred(shape, per_image), _with_size_inferred(shape[1:], per_image)
    with_batch = [rest] if shape[0] < 0 or shape[0] == batch_size else []
    # Another batch size than the file's own; then parts of images as rows of their own, as in (8, 6) for 4 x 12.
    unusual = [rest, shape[1:] if math.prod(shape) == batch_size * per_image or shape[0] < 0 else None]
    orders = {len(shape): [*with_batch, *unusual, whole], len(shape) + 1: [whole, *with_batch, *unusual]}
    for axes in orders.get(declared, [*with_batch, whole, *unusual]):
        if axes is not None and min(axes, default=1) > 0 and per_image % math.prod(axes) == 0:
            return tuple(axes)
    raise ValueError(f"its shape {shape} does not fit {per_image} values for an image, at any batch size")


def _with_size_inferred(shape: list[int], count: int) -> list[int] | None:
    """Return sizes that hold exactly ``count`` numbers, with -1 filled in; None if they cannot."""
    known = math.prod(size for size in shape if size > 0)
    if all(size > 0 for size in shape):
        return shape if known == count else None
    return [size if size > 0 else count // known for size in shape] if count % known == 0 else None


ARRANGEMENT: dict[str, Builder] = {
    "Concatenate": concatenate,
    "Stack": stack,
    "Split": split,
    "Slice": slicing,
    "Reshape": reshape,
    "Transpose": transpose,
    "Broadcast": broadcast,
    "Pad": pad,
    "Flatten": unary(nn.Flatten),
    "Identity": unary(nn.Identity),
    "Dropout": unary(nn.Identity),
    "ImageAugmentation": image_augmentation,
    "RepeatStart": unary(nn.Identity),
    "RepeatEnd": unary(nn.Identity),
}
