"""The segmentation networks and the detectors of torchvision: by name, with downloaded weights or a file's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.from_file import RANDOM, fill, read_weights, without_prefix
from pytorch_grad_cam.models.from_torchvision import downloaded
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation


@cache
def tasks() -> Mapping[str, str]:
    """Return the task of each of these networks, "segmentation" or "detection", by name."""
    from torchvision import models

    found = {name: "segmentation" for name in models.list_models(module=models.segmentation)}
    return found | {name: "detection" for name in models.list_models(module=models.detection)}


def load_for_task(name: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build one of `tasks`, in evaluation mode, with its backbone's last layer as target layer.

    Args:
        name: its name, in lower case.
        weights: None for torchvision's published weights, the name of others, "random", or a file.
        trust_pickle: see `models.from_file.read_weights`.

    Raises:
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if a file's weights are no such network's, or there are no weights of that name.
    """
    from torchvision.models import get_model_builder, get_model_weights

    published = list(get_model_weights(name))
    by_name = {preset.name.lower(): preset for preset in published} | {"default": published[0]}
    build, known = get_model_builder(name), published[0].meta["categories"]
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        if weights is None or weights.lower() in by_name:
            preset = by_name[weights.lower()] if weights else published[0]
            model, source = downloaded(name, build, preset), f"{name}, weights {preset.name}"
            classes = len(known)
        elif weights.lower() == RANDOM:
            preset, source, classes = published[0], f"{name}, random weights", len(known)
            model = build(weights=None, weights_backbone=None, num_classes=classes)
        elif Path(weights).suffix or Path(weights).exists():
            preset, source = published[0], f"{name}, weights from {weights}"
            model, classes = _from_file(build, weights, len(known), trust_pickle)
        else:
            names = ", ".join(each.name for each in published)
            raise ValueError(f"{weights!r} is neither a file nor weights of {name}; torchvision has {names}, {RANDOM}")
    return LoadedModel(
        in_evaluation(model),
        Preprocessing.from_torchvision(preset.transforms()),
        tuple(known) if classes == len(known) else None,
        (_layer(model),),
        source=source,
        task=tasks()[name],
    )


def with_side(loaded: LoadedModel, side: int) -> LoadedModel:
    """Let a network see whole pictures with a shorter side of ``side`` pixels; detectors resize them on their own.

    Raises:
        ValueError: for a detector with a fixed size.
    """
    transform: Any = getattr(loaded.model, "transform", None)
    if transform is None or not hasattr(transform, "min_size"):
        whole = loaded.preprocessing.crop is None
        resized = replace(loaded.preprocessing, resize=side) if whole else loaded.preprocessing.sized(side)
        return replace(loaded, preprocessing=resized)
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        raise ValueError(f"this detector sees {width} x {height} pixels whatever the picture; leave out --size {side}")
    longest = transform.max_size / transform.min_size[-1]
    transform.min_size, transform.max_size = (side,), max(side, round(side * longest))
    return loaded


def _from_file(build: Callable[..., nn.Module], path: str, usual: int, trust_pickle: bool) -> tuple[nn.Module, int]:
    """Build the network for the number of classes that the file has, and fill it."""
    weights = read_weights(path, trust_pickle)
    options: dict[str, Any] = {"weights": None, "weights_backbone": None}
    if any("aux_classifier." in key for key in weights):
        options["aux_loss"] = True
    model = build(num_classes=usual, **options)
    weights = without_prefix(weights, model)
    classes = _classes(model, weights, usual)
    if classes != usual:
        model = build(num_classes=classes, **options)
    fill(model, weights, path)
    return model, classes


def _classes(model: nn.Module, weights: Mapping[str, Tensor], usual: int) -> int:
    """Read the number of classes off what differs: outputs per class, or per class and anchor, grow with it."""
    found = {
        weights[key].shape[0] * usual // own.shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].shape != own.shape and weights[key].shape[1:] == own.shape[1:]
        and own.shape[0] % usual == 0 and weights[key].shape[0] * usual % own.shape[0] == 0
    }  # fmt: skip
    return found.pop() if len(found) == 1 else usual


def _layer(model: Any) -> str:
    """Name the last layer of the backbone that everything passes: what follows serves some sizes of objects only."""
    backbone = model.backbone
    if hasattr(backbone, "extra"):  # SSD: the first of its maps
        return "backbone.features" if isinstance(backbone.features[0], nn.Conv2d) else "backbone.features.0"
    prefix, body = ("backbone.body", backbone.body) if hasattr(backbone, "body") else ("backbone", backbone)
    return f"{prefix}.{[name for name, _ in body.named_children()][-1]}"
