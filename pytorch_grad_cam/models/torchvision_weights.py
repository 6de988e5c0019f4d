"""A torchvision network with weights: published ones, random ones or a file's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import RANDOM


def load_with_weights(
    name: str,
    weights: str | None,
    build_random: Callable[[], nn.Module],
    build_from_file: Callable[[str], tuple[nn.Module, int]],
) -> LoadedModel:
    """Build a torchvision network with the weights that are asked for, in evaluation mode.

    Args:
        name: torchvision's, in lower case.
        weights: None for the first published ones, the name of others, "random", or a file.
        build_random: builds the network for the published number of classes, without weights.
        build_from_file: builds and fills the network from a file; returns it with its number of classes.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if they are neither published nor a file.
    """
    from torchvision.models import get_model_weights

    published = list(get_model_weights(name))
    by_name = {preset.name.lower(): preset for preset in published} | {"default": get_model_weights(name).DEFAULT}
    preset, classes = published[0], len(published[0].meta["categories"])
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        if weights is None or weights.lower() in by_name:
            preset = by_name[weights.lower()] if weights else preset
            model, source = _downloaded(name, preset), f"{name}, weights {preset.name}"
        elif weights.lower() == RANDOM:
            model, source = build_random(), f"{name}, random weights"
        elif Path(weights).suffix or Path(weights).exists():
            (model, classes), source = build_from_file(weights), f"{name}, weights from {weights}"
        else:
            known = ", ".join(preset.name for preset in published)
            raise ValueError(f"{weights!r} is neither a file nor weights of {name}; torchvision has {known}, {RANDOM}")
    categories = tuple(preset.meta["categories"] or ())  # weights without a classifier have none
    return LoadedModel(
        in_evaluation(model),
        Preprocessing.from_torchvision(preset.transforms()),
        categories if categories and classes == len(categories) else None,
        source=source,
    )


def _downloaded(name: str, preset: Any) -> nn.Module:
    from torchvision.models import get_model_builder

    try:
        model: nn.Module = get_model_builder(name)(weights=preset, progress=sys.stderr.isatty())
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        reason = getattr(error, "reason", None) or error
        raise RuntimeError(
            f"the weights of {name} could not be fetched from {preset.url} ({reason}); give a file of them with "
            "--weights FILE, or try the built-in network, which needs none: --model shapes"
        ) from error
    return model
