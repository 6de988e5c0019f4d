"""The classification networks of torchvision: by name, with downloaded weights or a file's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.torchvision_weights import load_with_weights
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights, without_prefix

CLASSES = 1000  # outputs of a torchvision network unless another number is asked for
# Files from torchvision's own site name DenseNet's layers as in 2017.
_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


def classifier_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def load_classifier(name: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build one of `classifier_names`; the other arguments are those of `models.from_torchvision.load_torchvision`."""
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    loaded = load_with_weights(
        name,
        weights,
        lambda: build(weights=None, **_build_options(name, {})),
        partial(_build_from_file, name, trust_pickle=trust_pickle),
    )
    return _with_own_size(loaded) if name.startswith("vit_") else loaded


def _with_own_size(loaded: LoadedModel) -> LoadedModel:
    """Give a vision transformer the one size that it takes: that of its weights."""
    size: Any = loaded.model.image_size
    if loaded.preprocessing.crop == size:
        return loaded
    return replace(loaded, preprocessing=replace(loaded.preprocessing, resize=size, crop=size))


def _build_from_file(name: str, path: str, trust_pickle: bool) -> tuple[nn.Module, int]:
    """Build the network for the number of classes that the file has, and copy the file's weights into it."""
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    weights = read_weights(path, trust_pickle)
    options = _build_options(name, weights)
    model = build(weights=None, **options)
    weights = without_prefix(weights, model)
    if name.startswith("densenet"):
        weights = {_DENSENET.sub(r"\1\2.", key): value for key, value in weights.items()}
    classes = _class_count(model, weights)
    if classes != CLASSES:
        model = build(weights=None, num_classes=classes, **options)
    copy_weights(model, weights, path)
    return model, classes


def _build_options(name: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a network must be built with so that these weights fit it and mean the same."""
    if name in ("googlenet", "inception_v3"):  # as torchvision builds them for weights of its own
        extra_heads = any(".aux" in f".{key.lower()}" for key in weights)
        return {"init_weights": False, "transform_input": True, "aux_logits": extra_heads}
    if name.startswith("vit_"):
        positions = next((value for key, value in weights.items() if key.endswith("pos_embedding")), None)
        if positions is not None and positions.ndim == 3:
            patch = int(name.rpartition("_")[2])
            return {"image_size": math.isqrt(positions.shape[1] - 1) * patch}
    return {}


def _class_count(model: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Read the number of classes off the weights: the first axis where the network has 1000 and the file another."""
    counts = {
        weights[key].shape[0]
        for key, own in model.state_dict().items()
        if key in weights and weights[key].ndim == own.ndim > 0 and own.shape[0] == CLASSES
        and weights[key].shape[1:] == own.shape[1:]
    }  # fmt: skip
    return counts.pop() if len(counts) == 1 else CLASSES
