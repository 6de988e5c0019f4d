"""What the builder of a module is given: a function of the file, its arguments, shapes and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.text import Message

BATCH = 2  # images in the shapes that builders see; more than one, so that no axis can be mistaken for the batch
Shape = tuple[int, ...]


@dataclass(frozen=True)
class FunctionCall:
    """A function of the file with its arguments, the shapes of its activations, and its weights.

    Attributes:
        param: its arguments.
        inputs: in order, the shape of an activation for `BATCH` images, or a weight (a float32 tensor).
        batch_size: that the file was saved with.
        declared: shape of its first output as the file declares it, batch first; may be empty.
    """

    param: Message
    inputs: Sequence[Shape | Tensor]
    batch_size: int
    declared: Shape

    def _input(self, place: int) -> Shape | Tensor:
        if place >= len(self.inputs):
            raise ValueError(f"it has {len(self.inputs)} inputs, which is too few")
        return self.inputs[place]

    def shape(self, place: int = 0) -> Shape:
        """Return the shape of an input that must be an activation."""
        shape = self._input(place)
        if isinstance(shape, Tensor):
            raise ValueError(f"its input {place + 1} must be an activation, not a parameter")
        return shape

    def weight(self, place: int, shape: Sequence[int] | None = None) -> Tensor:
        """Return an input that must be a parameter, of a certain shape if one is given."""
        weight = self._input(place)
        if not isinstance(weight, Tensor):
            raise ValueError(f"its input {place + 1} must be a parameter, not something that the network computes")
        if shape is not None and weight.shape != tuple(shape):
            raise ValueError(f"its parameter {place} has the shape {tuple(weight.shape)} instead of {tuple(shape)}")
        return weight

    def bias(self, place: int, channels: int) -> Tensor | None:
        """Return an optional parameter with one number per channel."""
        if len(self.inputs) <= place:
            return None
        bias = self.weight(place)
        if bias.numel() != channels:
            raise ValueError(f"its bias has {bias.numel()} numbers for {channels} channels")
        return bias.flatten()

    def limit_inputs(self, count: int) -> None:
        """Refuse more inputs than the function has."""
        if not 1 <= len(self.inputs) <= count:
            raise ValueError(f"it has {len(self.inputs)} inputs; {count} at most are known")

    def sizes(self, name: str, count: int, default: int, least: int) -> Shape:
        """Return an argument with one number per spatial axis.

        Raises:
            ValueError: if there is another number of them, or one is below ``least``.
        """
        values = self.param.shape(name) or [default] * count
        if len(values) != count or min(values) < least:
            raise ValueError(f"its {name} {tuple(values)} must be {count} numbers of at least {least}")
        return tuple(values)

    def axis(self, name: str = "axis") -> int:
        """Return an argument that names an axis other than the batch, counted from 0."""
        rank = len(self.shape())
        axis = self.param.integer(name)
        axis += rank if axis < 0 else 0
        if not 1 <= axis < rank:
            raise ValueError(
                f"its {name} {self.param.integer(name)} is not one of the axes 1 to {rank - 1} of its input"
            )
        return axis

    def axes(self) -> list[int]:
        """Return the axes of a reduction, which must leave the batch alone."""
        rank = len(self.shape())
        axes = [axis + rank if axis < 0 else axis for axis in self.param.integers("axes")]
        if not axes or not all(1 <= axis < rank for axis in axes) or len(set(axes)) < len(axes):
            raise ValueError(
                f"its axes {self.param.integers('axes')} must be some of 1 to {rank - 1}: images stay apart"
            )
        return axes

    def require_channels_first(self) -> None:
        """Refuse data with channels last."""
        if self.param.flag("channel_last"):
            raise ValueError(
                "its channels come last (channel_last), which is not supported; export it with channels first"
            )

    @property
    def per_image(self) -> int:
        """How many numbers its first input has for one image."""
        return math.prod(self.shape()) // BATCH


Builder = Callable[[FunctionCall], nn.Module]


def unary(make: Callable[..., nn.Module], *numbers: str) -> Builder:
    """Return the builder of a function of one activation, whose module is made of the arguments of these names."""

    def build(call: FunctionCall) -> nn.Module:
        call.limit_inputs(1)
        call.shape()
        return make(*map(call.param.number, numbers))

    return build


class Operation(nn.Module):
    """A function some of whose inputs may be weights, which it keeps and puts in their places.

    Args:
        inputs: as `FunctionCall.inputs`.
    """

    def __init__(self, inputs: Sequence[Shape | Tensor]) -> None:
        super().__init__()
        self._places = tuple(isinstance(operand, Tensor) for operand in inputs)
        for place, operand in enumerate(inputs):
            if isinstance(operand, Tensor):
                self.register_parameter(f"input{place}", nn.Parameter(operand))

    def operands(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Return all inputs in order."""
        following = iter(activations)
        # not get_parameter: while shapes are tried, something else stands in for the weights
        return [
            getattr(self, f"input{place}") if fixed else next(following) for place, fixed in enumerate(self._places)
        ]
