"""What a model takes: its device, its channels, its number of images, and inputs checked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pytorch_grad_cam.engine.diagnosis import finite, listed
from pytorch_grad_cam.engine.layers import refuse_uninitialized
from pytorch_grad_cam.engine.trees import concatenate, select_rows


def device_of(model: nn.Module) -> torch.device:
    """Return where the model is: the device of its first parameter or buffer, the CPU if it has none."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def fixed_batch(model: nn.Module) -> int | None:
    """Return the only number of images that a model's layers take, as those of an exported program; None: any."""
    size: int | None = getattr(model, "fixed_batch", None)
    return size


def checked_input(model: nn.Module, input_tensor: Tensor, allow_nonfinite: bool, keep_graph: bool = False) -> Tensor:
    """Return the input on the model's device, in its floating type and cut from any graph; the caller's is untouched.

    Args:
        model: the network.
        input_tensor: ``(B, C, *S)`` with one to three spatial axes.
        allow_nonfinite: let NaN and infinity pass.
        keep_graph: do not cut it from its graph.

    Raises:
        TypeError: for anything but a tensor of real numbers, one by one in memory, and for whole numbers where the
            model computes with floating numbers.
        ValueError: for a wrong number of axes, an empty batch, NaN or infinity, and a model without numbers or made in
            inference mode.
    """
    if not isinstance(input_tensor, Tensor):
        raise TypeError(
            f"the input must be a tensor (B, C, *S), not {type(input_tensor).__name__}; "
            "convert a picture with pytorch_grad_cam.utils.image.preprocess_image"
        )
    _refuse_kind_of(input_tensor)
    if not 3 <= input_tensor.ndim <= 5 or not input_tensor.numel():
        raise ValueError(
            f"the input has the shape {tuple(input_tensor.shape)}; it must be (B, C, *S) with a batch axis, channels "
            "and one to three spatial axes, none of them empty (a single image needs input_tensor[None])"
        )
    _refuse_state_of(model)
    weights = next((p for p in model.parameters() if p.is_floating_point()), None)
    # Masks and noise would be rounded to whole numbers; only what an embedding looks up are whole numbers by nature.
    if weights is not None and not input_tensor.is_floating_point() and not _embeds(model):
        raise TypeError(
            f"the input holds whole numbers ({input_tensor.dtype}), but the model computes in {weights.dtype}; scale "
            "it as the model was trained, e.g. x.float() / 255 and then its mean and std (for a model that does this "
            "itself: x.float())"
        )
    dtype = weights.dtype if weights is not None and input_tensor.is_floating_point() else input_tensor.dtype
    inputs = input_tensor if keep_graph else input_tensor.detach()
    if inputs.is_inference():
        with torch.inference_mode(False):
            inputs = inputs.clone()  # out of inference mode, which no gradient can enter
    inputs = inputs.to(device_of(model), dtype)
    if not allow_nonfinite and inputs.is_floating_point():
        good = finite(inputs.detach())
        if not all(good):
            bad = listed([index for index, is_good in enumerate(good) if not is_good])
            raise ValueError(
                f"the input contains NaN or infinity (image {bad}); mend the data, or pass allow_nonfinite=True"
            )
    return inputs


def _refuse_kind_of(tensor: Tensor) -> None:
    """Refuse tensors that hold no plain numbers, with what to do instead."""
    if tensor.is_nested:
        raise TypeError(
            "the input is a nested tensor, whose images may differ in size, so their maps make no batch; explain them "
            "one by one, each as image[None]"
        )
    if tensor.is_meta:
        raise TypeError("the input is on the device meta, so it has a shape and no numbers; give a tensor with numbers")
    if tensor.is_quantized:
        raise TypeError(f"the input is quantised ({tensor.dtype}); give floating point numbers: x.dequantize()")
    if tensor.layout is not torch.strided:
        raise TypeError(f"the input has the layout {tensor.layout}; give a dense one: x.to_dense()")
    if tensor.is_complex():
        raise TypeError(
            f"the input holds complex numbers ({tensor.dtype}), and a map is made of real ones; give x.abs(), or real "
            "and imaginary parts as channels to a model that takes these"
        )


def _refuse_state_of(model: nn.Module) -> None:
    """Refuse a model whose first parameter, or buffer, holds no numbers or can have no gradient."""
    state = next(chain(model.parameters(), model.buffers()), None)
    if state is None:
        return
    if is_lazy(state):
        refuse_uninitialized(model)
    if state.is_meta:
        raise ValueError(
            "the model is on the device meta, so its parameters have shapes and no numbers; make it on a real device, "
            "e.g. model.to_empty(device='cpu'), and load its weights"
        )
    if state.is_inference():
        raise ValueError(
            "the model was made under torch.inference_mode(), so its parameters cannot take part in a gradient; "
            "make or load it outside of that block"
        )


def _embeds(model: nn.Module) -> bool:
    return any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules())


def lacks_batch(model: nn.Module, image: Tensor) -> bool:
    """Say whether the model's first convolution would take the input for one image ``(C, *S)``."""
    first = _first_convolution(model)
    return first is not None and image.ndim == first.weight.ndim - 1 and len(image) == first.in_channels


def input_channels(model: nn.Module) -> int | None:
    """Return how many channels the model's first convolution takes; None if it has none."""
    first = _first_convolution(model)
    return None if first is None else first.in_channels


def input_axes(model: nn.Module) -> int | None:
    """Return how many spatial axes the model's first convolution works on, 1 to 3; None if it has none."""
    first = _first_convolution(model)
    return None if first is None else len(first.kernel_size)


def _first_convolution(model: nn.Module) -> nn.Conv1d | nn.Conv2d | nn.Conv3d | None:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return next((module for module in model.modules() if isinstance(module, kinds)), None)


def for_trial(model: nn.Module, image: Tensor) -> Tensor:
    """Repeat one image ``(1, C, *S)`` as often as the model must have it."""
    return image.expand(fixed_batch(model) or 1, *image.shape[1:])


def split_rows(count: int, size: int) -> Iterator[tuple[Tensor, int]]:
    """Share ``count`` images out: yield ``size`` indices at a time, and how many of them are no copies."""
    for start in range(0, count, size):
        yield torch.arange(start, start + size).clamp(max=count - 1), min(size, count - start)


def run_in_batches(run: Callable[[Tensor], Any], count: int, size: int) -> Any:
    """Run something on ``count`` images, ``size`` at a time, and join what it returns.

    It takes the indices of ``size`` images, and returns values with a row for each.
    """
    return concatenate([select_rows(run(rows), torch.arange(wanted), size) for rows, wanted in split_rows(count, size)])
