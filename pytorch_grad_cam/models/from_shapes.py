"""The built-in network as a source: "shapes", with its own weights or a file's."""

from __future__ import annotations

import torch
from torch import nn

from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.data.scenes import SIZE
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.shapes import MEAN, STD, ShapesNet, load_shapes
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights


def load_built_in(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build the built-in network, in evaluation mode.

    Args:
        spec: "shapes"; there is no other.
        weights: a file of weights instead of those that come along.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        ValueError: if a file's weights are no such network's.
    """
    if weights is None:
        model: nn.Module = load_shapes()
        source = "shapes, the built-in network"
    else:
        with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
            model = in_evaluation(ShapesNet())
        copy_weights(model, read_weights(weights, trust_pickle), weights)
        source = f"shapes, weights from {weights}"
    preprocessing = Preprocessing(resize=SIZE, crop=SIZE, mean=MEAN, std=STD)
    return LoadedModel(model, preprocessing, SHAPES, source=source, multi_label=True)
