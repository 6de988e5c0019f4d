"""The precision of passes over changed inputs: lower than the network's own where the user asks for speed.

Under autocast the network's weights stay as they are. What such passes are for is small differences between scores, so
what is cheap stays in full precision: the head that makes the scores, and all arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.restore import intercepting
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

PassDtype = torch.dtype | None  # None: passes run as the caller's would


def pass_dtype(dtype: PassDtype) -> PassDtype:
    """Return a type that passes can be asked to run in.

    Raises:
        ValueError: for any other.
    """
    if dtype not in (None, torch.bfloat16, torch.float16):
        raise ValueError(
            f"dtype={dtype!r} is no type for passes under autocast; give torch.bfloat16 or torch.float16, or leave "
            "dtype out: then they run as the network does"
        )
    return dtype


def in_precision(run: Callable[[Any], Any], dtype: PassDtype) -> Callable[[Any], Any]:
    """Return ``run`` with its passes in another precision, and its outputs in at least float32.

    Args:
        run: from changed images or activations, one or more rows for each, to the model's outputs.
        dtype: see `pass_dtype`; None: ``run`` itself.

    Raises:
        ValueError: for a type that there is not; by what is returned, if the device cannot autocast to it.
    """
    if pass_dtype(dtype) is None:
        return run

    def passes(variants: Any) -> Any:
        first = next(tensors_in(variants))
        with _cast(first.device.type, dtype), intercepting(_FullPrecisionHead(len(first))):
            outputs = run(variants)
        return map_tensors(outputs, working_precision)

    return passes


def _cast(device: str, dtype: PassDtype) -> torch.autocast:
    """Return autocast to a type on a kind of device."""
    if not torch.amp.is_autocast_available(device):
        raise ValueError(f"dtype={dtype}: PyTorch has no autocast on the device {device!r}; leave dtype out")
    return torch.autocast(device, dtype)


class _FullPrecisionHead(TorchFunctionMode):
    """Computes the linear layers that take one vector of each image, the head, as without autocast.

    They cost next to nothing, and in bfloat16 a score of 11 is known to 0.06 only, more than what most channels weigh.
    Layers that take tokens, many vectors of each image, are left to autocast.

    Args:
        rows: of what the pass is run on.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.linear:
            return self._linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if input.ndim != 2 or len(input) > self._rows:
            return functional.linear(input, weight, bias)
        with torch.autocast(input.device.type, enabled=False):
            return functional.linear(input.to(weight.dtype), weight, bias)
