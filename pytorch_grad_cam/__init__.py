"""Class Activation Maps for PyTorch: which parts of a picture made the network answer as it did.

Names are loaded when they are first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytorch_grad_cam.ablation_cam import AblationCAM as AblationCAM
    from pytorch_grad_cam.ablation_layer import AblationLayer as AblationLayer
    from pytorch_grad_cam.ablation_layer import AblationLayerVit as AblationLayerVit
    from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients as ActivationsAndGradients
    from pytorch_grad_cam.base_cam import BaseCAM as BaseCAM
    from pytorch_grad_cam.eigen_cam import EigenCAM as EigenCAM
    from pytorch_grad_cam.eigen_grad_cam import EigenGradCAM as EigenGradCAM
    from pytorch_grad_cam.explanation import Explanation as Explanation
    from pytorch_grad_cam.fullgrad_cam import FullGrad as FullGrad
    from pytorch_grad_cam.grad_cam import GradCAM as GradCAM
    from pytorch_grad_cam.grad_cam_elementwise import GradCAMElementWise as GradCAMElementWise
    from pytorch_grad_cam.grad_cam_plusplus import GradCAMPlusPlus as GradCAMPlusPlus
    from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel as GuidedBackpropReLUModel
    from pytorch_grad_cam.hirescam import HiResCAM as HiResCAM
    from pytorch_grad_cam.layer_cam import LayerCAM as LayerCAM
    from pytorch_grad_cam.random_cam import RandomCAM as RandomCAM
    from pytorch_grad_cam.score_cam import ScoreCAM as ScoreCAM
    from pytorch_grad_cam.xgrad_cam import XGradCAM as XGradCAM

__version__ = "0.1.0"

_HOME = {
    "AblationCAM": "ablation_cam",
    "AblationLayer": "ablation_layer",
    "AblationLayerVit": "ablation_layer",
    "ActivationsAndGradients": "activations_and_gradients",
    "BaseCAM": "base_cam",
    "EigenCAM": "eigen_cam",
    "EigenGradCAM": "eigen_grad_cam",
    "Explanation": "explanation",
    "FullGrad": "fullgrad_cam",
    "GradCAM": "grad_cam",
    "GradCAMElementWise": "grad_cam_elementwise",
    "GradCAMPlusPlus": "grad_cam_plusplus",
    "GuidedBackpropReLUModel": "guided_backprop",
    "HiResCAM": "hirescam",
    "LayerCAM": "layer_cam",
    "RandomCAM": "random_cam",
    "ScoreCAM": "score_cam",
    "XGradCAM": "xgrad_cam",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
