"""Lists of pictures, as detectors take them, as one batch."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn


def as_batch(model: nn.Module, given: Any) -> Any:
    """Stack a list of pictures ``(C, H, W)`` for a model that takes such a list; leave everything else as it is.

    Such a model, like torchvision's detectors, takes a batch ``(B, C, H, W)`` just as well: iterating over it gives the
    pictures. For other models a list holds several inputs.

    Raises:
        ValueError: for pictures of several sizes, which have no maps of one size.
    """
    if not isinstance(given, list) or not all(isinstance(item, Tensor) and item.ndim == 3 for item in given):
        return given
    if not given or not _takes_a_list(model):
        return given
    sizes = list(dict.fromkeys(tuple(item.shape) for item in given))
    if len(sizes) > 1:
        raise ValueError(
            f"the pictures have the sizes {', '.join(map(str, sizes))}, so their maps make no batch; explain them one "
            "by one, each as picture[None]"
        )
    return torch.stack(given)


def _takes_a_list(model: nn.Module) -> bool:
    """Say whether the model's forward begins with ``images``, or with something it declares to be a list of tensors."""
    first = next(iter(inspect.signature(model.forward).parameters.values()), None)
    if first is None:
        return False
    declared = str(first.annotation).replace("torch.", "").replace("typing.", "").lower()
    return first.name == "images" or declared.startswith("list[tensor")
