"""The networks of torchvision as a source: classifiers, segmentation networks and detectors, by name."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import RANDOM, copy_weights, read_weights, without_prefix

# Files from torchvision's own site name DenseNet's layers as in 2017.
_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers, segmentation networks and detectors."""
    return [*classifier_names(), *task_by_name()]


def classifier_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


@cache
def task_by_name() -> Mapping[str, str]:
    """Return the task of each of the other networks, "segmentation" or "detection", by its name."""
    from torchvision import models

    tasks = {name: "segmentation" for name in models.list_models(module=models.segmentation)}
    return tasks | {name: "detection" for name in models.list_models(module=models.detection)}


def load_torchvision(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build a torchvision network, in evaluation mode; of segmentation and detection the target layer is fixed.

    Args:
        spec: one of `torchvision_names`, in any case.
        weights: None for torchvision's first published weights (IMAGENET1K_V1, what ``pretrained=True`` gave; mostly),
            the name of others (IMAGENET1K_V2, DEFAULT), "random", or a file. Downloaded weights are kept in
            torch's cache. For segmentation and detection DEFAULT, too, means the first published ones.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if a file's weights are no such network's, or there are no weights of that name.
    """
    from torchvision.models import get_model_builder, get_model_weights

    name = spec.lower()
    task = task_by_name().get(name, "classification")
    published = list(get_model_weights(name))
    by_name = {preset.name.lower(): preset for preset in published}
    by_name["default"] = get_model_weights(name).DEFAULT if task == "classification" else published[0]
    preset, classes = published[0], len(published[0].meta["categories"])
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        if weights is None or weights.lower() in by_name:
            preset = by_name[weights.lower()] if weights else preset
            model, source = _downloaded(name, preset), f"{name}, weights {preset.name}"
        elif weights.lower() == RANDOM:
            model = get_model_builder(name)(weights=None, num_classes=classes, **_build_options(name, {}))
            source = f"{name}, random weights"
        elif Path(weights).suffix or Path(weights).exists():
            model, classes = _build_from_file(name, weights, classes, trust_pickle)
            source = f"{name}, weights from {weights}"
        else:
            known = ", ".join(preset.name for preset in published)
            raise ValueError(f"{weights!r} is neither a file nor weights of {name}; torchvision has {known}, {RANDOM}")
    categories = tuple(preset.meta["categories"] or ())  # weights without a classifier have none
    loaded = LoadedModel(
        in_evaluation(model),
        Preprocessing.from_torchvision(preset.transforms()),
        categories if categories and classes == len(categories) else None,
        target_layers=None if task == "classification" else (_last_backbone_layer(model),),
        source=source,
        task=task,
    )
    return _with_own_size(loaded) if name.startswith("vit_") else loaded


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


def _build_from_file(name: str, path: str, usual: int, trust_pickle: bool) -> tuple[nn.Module, int]:
    """Build the network for the number of classes that a file has, and copy the file's weights into it.

    Returns:
        The network and that number; ``usual`` is the published weights'.
    """
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    weights = read_weights(path, trust_pickle)
    options = _build_options(name, weights)
    model = build(weights=None, num_classes=usual, **options)
    weights = without_prefix(weights, model)
    if name.startswith("densenet"):
        weights = {_DENSENET.sub(r"\1\2.", key): value for key, value in weights.items()}
    count = _task_class_count if name in task_by_name() else _class_count
    classes = count(model, weights, usual)
    if classes != usual:
        model = build(weights=None, num_classes=classes, **options)
    copy_weights(model, weights, path)
    return model, classes


def _build_options(name: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a network must be built with so that these weights fit it and mean the same."""
    if name in task_by_name():
        auxiliary = any("aux_classifier." in key for key in weights)
        return {"weights_backbone": None} | ({"aux_loss": True} if auxiliary else {})
    if name in ("googlenet", "inception_v3"):  # as torchvision builds them for weights of its own
        extra_heads = any(".aux" in f".{key.lower()}" for key in weights)
        return {"init_weights": False, "transform_input": True, "aux_logits": extra_heads}
    if name.startswith("vit_"):
        positions = next((value for key, value in weights.items() if key.endswith("pos_embedding")), None)
        if positions is not None and positions.ndim == 3:
            patch = int(name.rpartition("_")[2])
            return {"image_size": math.isqrt(positions.shape[1] - 1) * patch}
    return {}


def _class_count(model: nn.Module, weights: Mapping[str, Tensor], usual: int) -> int:
    """Read a classifier's number of classes off the first axis of weights where the network has the usual number."""
    counts = {
        weights[key].shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].ndim == own.ndim > 0 and own.shape[0] == usual
        and weights[key].shape[1:] == own.shape[1:]
    }  # fmt: skip
    return counts.pop() if len(counts) == 1 else usual


def _task_class_count(model: nn.Module, weights: Mapping[str, Tensor], usual: int) -> int:
    """Read the number of classes off what differs: outputs per class, or per class and anchor, grow with it."""
    counts = {
        weights[key].shape[0] * usual // own.shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].shape != own.shape and weights[key].shape[1:] == own.shape[1:]
        and own.shape[0] % usual == 0 and weights[key].shape[0] * usual % own.shape[0] == 0
    }  # fmt: skip
    return counts.pop() if len(counts) == 1 else usual


def _with_own_size(loaded: LoadedModel) -> LoadedModel:
    """Give a vision transformer the one size that it takes: that of its weights."""
    size: Any = loaded.model.image_size
    if loaded.preprocessing.crop == size:
        return loaded
    return replace(loaded, preprocessing=replace(loaded.preprocessing, resize=size, crop=size))


def _last_backbone_layer(model: Any) -> str:
    """Name the last layer of the backbone that everything passes: what follows serves some sizes of objects only."""
    backbone = model.backbone
    if hasattr(backbone, "extra"):  # SSD: the first of its maps
        return "backbone.features" if isinstance(backbone.features[0], nn.Conv2d) else "backbone.features.0"
    prefix, body = ("backbone.body", backbone.body) if hasattr(backbone, "body") else ("backbone", backbone)
    return f"{prefix}.{[name for name, _ in body.named_children()][-1]}"
