"""Short forms for asking the package, shared by the tests of its numbers."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

import pytorch_grad_cam

METHODS = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "gradcamelementwise": "GradCAMElementWise",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "randomcam": "RandomCAM",
}
MEANINGLESS = "not every map means something"

blank = functools.partial(pytest.warns, UserWarning, match=MEANINGLESS)


def explain(method: str, net: nn.Module, layer: str, x: Tensor, targets: Any = None, **kwargs: Any) -> Any:
    """The Explanation of one layer, given by name."""
    cam = getattr(pytorch_grad_cam, METHODS[method])(net, [net.get_submodule(layer)])
    return cam.explain(x, targets, **kwargs)


def close(got: Tensor, want: Tensor, tolerance: float = 1e-5) -> None:
    """Asserts equality relative to the largest wanted magnitude."""
    assert got.shape == want.shape
    assert (got.double() - want.double()).abs().max() <= tolerance * want.double().abs().max()


def spread(weights: Tensor, ndim: int) -> Tensor:
    """Weights (..., C) with `ndim` axes of length 1 behind, ready to multiply (..., C, *S)."""
    return weights.reshape(weights.shape + (1,) * ndim)


def unit_range(maps: np.ndarray) -> np.ndarray:
    """(B, *S) maps, each shifted and scaled to the range 0 to 1."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    return (maps - low) / (high - low)
