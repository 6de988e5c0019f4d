"""Where the scores are in what a model returns, for a batch or for one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pytorch_grad_cam.engine.image_model import Pick

# Where models that return more than a tensor keep one score per class; the last is how well texts fit a picture.
_SCORES = ("logits", "out", "logits_per_image")
# Parts of these names describe a picture and score no class.
_DESCRIPTIONS = ("embed", "hidden", "pooler", "feature")


def scores_inside(outputs: Any) -> tuple[Pick, Tensor] | None:
    """Return the part of a mapping, record or tuple that holds the scores, and where it is; None if there is none."""
    for name in _SCORES:
        part = outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
        if isinstance(part, Tensor):
            return name, part
    if isinstance(outputs, (tuple, list)):
        for index, part in enumerate(outputs):
            if isinstance(part, Tensor):
                return index, part
    return None


def description_inside(outputs: Any) -> str | None:
    """Return the name of an embedding in outputs whose parts have names and hold no scores; None if there is none."""
    names = list(outputs) if isinstance(outputs, Mapping) else list(getattr(outputs, "_fields", ()))
    names = names or list(getattr(outputs, "__dataclass_fields__", ()))
    if any(name in names for name in _SCORES):
        return None
    return next((str(name) for name in names if any(word in str(name).lower() for word in _DESCRIPTIONS)), None)
