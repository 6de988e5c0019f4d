"""The classification networks of torchvision: by name, with downloaded weights or a file's."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.from_file import RANDOM, fill, read_weights, without_prefix
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation

CLASSES = 1000  # outputs of a torchvision network unless another number is asked for
# Files from torchvision's own site name DenseNet's layers as in 2017.
_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def load_torchvision(name: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build a torchvision network, in evaluation mode.

    Args:
        name: one of `names`.
        weights: None for torchvision's first published weights (IMAGENET1K_V1, what ``pretrained=True`` gave; mostly),
            the name of others (IMAGENET1K_V2, DEFAULT), "random", or a file. Downloaded weights are kept in
            torch's cache.
        trust_pickle: see `models.from_file.read_weights`.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if a file's weights are no such network's.
    """
    from torchvision.models import get_model_builder, get_model_weights

    published = list(get_model_weights(name))
    by_name = {preset.name.lower(): preset for preset in published} | {"default": get_model_weights(name).DEFAULT}
    build = get_model_builder(name)
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        if weights is None or weights.lower() in by_name:
            preset = by_name[weights.lower()] if weights else published[0]
            model = downloaded(name, build, preset)
            source = f"{name}, weights {preset.name}"
        elif weights.lower() == RANDOM:
            preset, source = published[0], f"{name}, random weights"
            model = build(weights=None, **_options(name, {}))
        elif Path(weights).suffix or Path(weights).exists():
            preset = published[0]
            model = _from_file(name, build, weights, trust_pickle)
            source = f"{name}, weights from {weights}"
        else:
            known = ", ".join(preset.name for preset in published)
            raise ValueError(f"{weights!r} is neither a file nor weights of {name}; torchvision has {known}, {RANDOM}")
    preprocessing = Preprocessing.from_torchvision(preset.transforms())
    categories = preset.meta["categories"] if _outputs(model) == CLASSES else None
    loaded = LoadedModel(in_evaluation(model), preprocessing, tuple(categories) if categories else None, source=source)
    return _for_one_size(loaded) if name.startswith("vit_") else loaded


def _for_one_size(loaded: LoadedModel) -> LoadedModel:
    """Give a vision transformer the one size that it takes: that of its weights."""
    size: Any = loaded.model.image_size
    if loaded.preprocessing.crop == size:
        return loaded
    return replace(loaded, preprocessing=replace(loaded.preprocessing, resize=size, crop=size))


def downloaded(name: str, build: Callable[..., nn.Module], preset: Any) -> nn.Module:
    """Build a network with published weights.

    Raises:
        RuntimeError: if they cannot be downloaded.
    """
    try:
        return build(weights=preset, progress=sys.stderr.isatty())
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError) as error:
        reason = getattr(error, "reason", None) or error
        raise RuntimeError(
            f"the weights of {name} could not be fetched from {preset.url} ({reason}); give a file of them with "
            "--weights FILE, or try the built-in network, which needs none: --model shapes"
        ) from error


def _from_file(name: str, build: Callable[..., nn.Module], path: str, trust_pickle: bool) -> nn.Module:
    weights = read_weights(path, trust_pickle)
    options = _options(name, weights)
    model = build(weights=None, **options)
    weights = without_prefix(weights, model)
    if name.startswith("densenet"):
        weights = {_DENSENET.sub(r"\1\2.", key): value for key, value in weights.items()}
    classes = _classes(model, weights)
    if classes != CLASSES:
        model = build(weights=None, num_classes=classes, **options)
    fill(model, weights, path)
    return model


def _options(name: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a network must be built with so that these weights fit it and mean the same."""
    if name in ("googlenet", "inception_v3"):  # as torchvision builds them for weights of its own
        extra_heads = any(".aux" in f".{key.lower()}" for key in weights)
        return {"init_weights": False, "transform_input": True, "aux_logits": extra_heads}
    if name.startswith("vit_"):
        positions = next((value for key, value in weights.items() if key.endswith("pos_embedding")), None)
        if positions is not None and positions.ndim == 3:
            patch = int(name.rpartition("_")[2])
            return {"image_size": math.isqrt(positions.shape[1] - 1) * patch}
    return {}


def _classes(model: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Read the number of classes off the weights: the first axis where the network has 1000 and the file another."""
    found = {
        weights[key].shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].ndim == own.ndim > 0 and own.shape[0] == CLASSES
        and weights[key].shape[1:] == own.shape[1:]
    }  # fmt: skip
    return found.pop() if len(found) == 1 else CLASSES


def _outputs(model: nn.Module) -> int:
    """The number of classes of a torchvision network: the length of its last layer with weights."""
    last = [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    return int(last.weight.shape[0])
