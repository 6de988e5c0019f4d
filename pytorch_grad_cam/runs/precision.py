"""The precision of a network's passes, by its name on the command line."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from pytorch_grad_cam.base_cam import BaseCAM

DTYPES: dict[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def cast_passes(dtype: str, device: torch.device) -> AbstractContextManager[Any]:
    """Let a network run under autocast to a type of `DTYPES` while the block runs; its weights stay as they are."""
    cast = DTYPES[dtype]
    return nullcontext() if cast is None else torch.autocast(device.type, cast)


def casts_itself(cam: BaseCAM) -> bool:
    """Say whether a method knows which of its passes may be less precise: those over changed inputs.

    Such a method is given the type as its ``dtype``, and is not to run under `cast_passes`: from activations in
    bfloat16 it makes other masks, and the ranks of its channels suffer.
    """
    return hasattr(cam, "dtype")
