"""The segmentation networks and the detectors of torchvision: by name, with downloaded weights or a file's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.torchvision_weights import load_with_weights
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights, without_prefix


@cache
def task_by_name() -> Mapping[str, str]:
    """Return the task of each of these networks, "segmentation" or "detection", by its name."""
    from torchvision import models

    tasks = {name: "segmentation" for name in models.list_models(module=models.segmentation)}
    return tasks | {name: "detection" for name in models.list_models(module=models.detection)}


def load_task_network(name: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build one of the networks of `task_by_name`, with its backbone's last layer as target layer.

    The other arguments are those of `models.from_torchvision.load_torchvision`; here DEFAULT, too, means the first
    published weights.
    """
    from torchvision.models import get_model_builder, get_model_weights

    build = get_model_builder(name)
    usual = len(next(iter(get_model_weights(name))).meta["categories"])
    loaded = load_with_weights(
        name,
        None if weights is not None and weights.lower() == "default" else weights,
        lambda: build(weights=None, weights_backbone=None, num_classes=usual),
        partial(_build_from_file, name, usual=usual, trust_pickle=trust_pickle),
    )
    return replace(loaded, target_layers=(_last_backbone_layer(loaded.model),), task=task_by_name()[name])


def _build_from_file(name: str, path: str, usual: int, trust_pickle: bool) -> tuple[nn.Module, int]:
    """Build the network for the number of classes that the file has, and copy the file's weights into it."""
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    weights = read_weights(path, trust_pickle)
    options: dict[str, Any] = {"weights": None, "weights_backbone": None}
    if any("aux_classifier." in key for key in weights):
        options["aux_loss"] = True
    model = build(num_classes=usual, **options)
    weights = without_prefix(weights, model)
    classes = _class_count(model, weights, usual)
    if classes != usual:
        model = build(num_classes=classes, **options)
    copy_weights(model, weights, path)
    return model, classes


def _class_count(model: nn.Module, weights: Mapping[str, Tensor], usual: int) -> int:
    """Read the number of classes off what differs: outputs per class, or per class and anchor, grow with it."""
    counts = {
        weights[key].shape[0] * usual // own.shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].shape != own.shape and weights[key].shape[1:] == own.shape[1:]
        and own.shape[0] % usual == 0 and weights[key].shape[0] * usual % own.shape[0] == 0
    }  # fmt: skip
    return counts.pop() if len(counts) == 1 else usual


def _last_backbone_layer(model: Any) -> str:
    """Name the last layer of the backbone that everything passes: what follows serves some sizes of objects only."""
    backbone = model.backbone
    if hasattr(backbone, "extra"):  # SSD: the first of its maps
        return "backbone.features" if isinstance(backbone.features[0], nn.Conv2d) else "backbone.features.0"
    prefix, body = ("backbone.body", backbone.body) if hasattr(backbone, "body") else ("backbone", backbone)
    return f"{prefix}.{[name for name, _ in body.named_children()][-1]}"
