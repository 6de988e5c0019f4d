"""Class Activation Maps for PyTorch: which parts of a picture made the network answer as it did.

Names are loaded when they are first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_grad_cam.lazy import loading as _loading

if TYPE_CHECKING:
    from pytorch_grad_cam.ablation_cam import AblationCAM as AblationCAM
    from pytorch_grad_cam.ablation_layer import AblationLayer as AblationLayer
    from pytorch_grad_cam.ablation_layer import AblationLayerFasterRCNN as AblationLayerFasterRCNN
    from pytorch_grad_cam.ablation_layer import AblationLayerVit as AblationLayerVit
    from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients as ActivationsAndGradients
    from pytorch_grad_cam.attention_relevance import AttentionRelevance as AttentionRelevance
    from pytorch_grad_cam.attention_rollout import AttentionRollout as AttentionRollout
    from pytorch_grad_cam.base_cam import BaseCAM as BaseCAM
    from pytorch_grad_cam.class_activation_mapping import CAM as CAM
    from pytorch_grad_cam.eigen_cam import EigenCAM as EigenCAM
    from pytorch_grad_cam.eigen_grad_cam import EigenGradCAM as EigenGradCAM
    from pytorch_grad_cam.epoch_maps import EpochMaps as EpochMaps
    from pytorch_grad_cam.explanation import Explanation as Explanation
    from pytorch_grad_cam.feature_factorization.deep_feature_factorization import (
        DeepFeatureFactorization as DeepFeatureFactorization,
    )
    from pytorch_grad_cam.feature_factorization.deep_feature_factorization import run_dff_on_image as run_dff_on_image
    from pytorch_grad_cam.fem import FEM as FEM
    from pytorch_grad_cam.finer_cam import FinerCAM as FinerCAM
    from pytorch_grad_cam.fullgrad_cam import FullGrad as FullGrad
    from pytorch_grad_cam.grad_cam import GradCAM as GradCAM
    from pytorch_grad_cam.grad_cam_elementwise import GradCAMElementWise as GradCAMElementWise
    from pytorch_grad_cam.grad_cam_plusplus import GradCAMPlusPlus as GradCAMPlusPlus
    from pytorch_grad_cam.gscore_cam import GScoreCAM as GScoreCAM
    from pytorch_grad_cam.guided_backprop import GuidedBackpropReLUModel as GuidedBackpropReLUModel
    from pytorch_grad_cam.guided_grad_cam import GuidedGradCAM as GuidedGradCAM
    from pytorch_grad_cam.hirescam import HiResCAM as HiResCAM
    from pytorch_grad_cam.integrated_gradients import IntegratedGradients as IntegratedGradients
    from pytorch_grad_cam.is_cam import ISCAM as ISCAM
    from pytorch_grad_cam.kpca_cam import KPCA_CAM as KPCA_CAM
    from pytorch_grad_cam.layer_cam import LayerCAM as LayerCAM
    from pytorch_grad_cam.le_grad import LeGrad as LeGrad
    from pytorch_grad_cam.opti_cam import OptiCAM as OptiCAM
    from pytorch_grad_cam.random_cam import RandomCAM as RandomCAM
    from pytorch_grad_cam.recipro_cam import ReciproCAM as ReciproCAM
    from pytorch_grad_cam.refine_cam import RefineCAM as RefineCAM
    from pytorch_grad_cam.rise import RISE as RISE
    from pytorch_grad_cam.score_cam import ScoreCAM as ScoreCAM
    from pytorch_grad_cam.seg_eigen_cam import SegEigenCAM as SegEigenCAM
    from pytorch_grad_cam.sess import SESS as SESS
    from pytorch_grad_cam.shapley_cam import ShapleyCAM as ShapleyCAM
    from pytorch_grad_cam.smooth_grad import SmoothGrad as SmoothGrad
    from pytorch_grad_cam.smooth_grad_cam_plusplus import SmoothGradCAMPlusPlus as SmoothGradCAMPlusPlus
    from pytorch_grad_cam.ss_cam import SSCAM as SSCAM
    from pytorch_grad_cam.vanilla_gradient import VanillaGradient as VanillaGradient
    from pytorch_grad_cam.var_grad import VarGrad as VarGrad
    from pytorch_grad_cam.vit_recipro_cam import ViTReciproCAM as ViTReciproCAM
    from pytorch_grad_cam.xgrad_cam import XGradCAM as XGradCAM

__version__ = "0.1.0"

_HOME = {
    "AblationCAM": "ablation_cam",
    "AblationLayer": "ablation_layer",
    "AblationLayerFasterRCNN": "ablation_layer",
    "AblationLayerVit": "ablation_layer",
    "ActivationsAndGradients": "activations_and_gradients",
    "AttentionRelevance": "attention_relevance",
    "AttentionRollout": "attention_rollout",
    "BaseCAM": "base_cam",
    "DeepFeatureFactorization": "feature_factorization.deep_feature_factorization",
    "CAM": "class_activation_mapping",
    "EigenCAM": "eigen_cam",
    "EigenGradCAM": "eigen_grad_cam",
    "EpochMaps": "epoch_maps",
    "Explanation": "explanation",
    "FEM": "fem",
    "FinerCAM": "finer_cam",
    "FullGrad": "fullgrad_cam",
    "GradCAM": "grad_cam",
    "GradCAMElementWise": "grad_cam_elementwise",
    "GradCAMPlusPlus": "grad_cam_plusplus",
    "GScoreCAM": "gscore_cam",
    "GuidedBackpropReLUModel": "guided_backprop",
    "GuidedGradCAM": "guided_grad_cam",
    "HiResCAM": "hirescam",
    "IntegratedGradients": "integrated_gradients",
    "ISCAM": "is_cam",
    "KPCA_CAM": "kpca_cam",
    "LayerCAM": "layer_cam",
    "LeGrad": "le_grad",
    "OptiCAM": "opti_cam",
    "RandomCAM": "random_cam",
    "ReciproCAM": "recipro_cam",
    "RefineCAM": "refine_cam",
    "RISE": "rise",
    "run_dff_on_image": "feature_factorization.deep_feature_factorization",
    "ScoreCAM": "score_cam",
    "SegEigenCAM": "seg_eigen_cam",
    "SESS": "sess",
    "ShapleyCAM": "shapley_cam",
    "SmoothGrad": "smooth_grad",
    "SmoothGradCAMPlusPlus": "smooth_grad_cam_plusplus",
    "SSCAM": "ss_cam",
    "VanillaGradient": "vanilla_gradient",
    "VarGrad": "var_grad",
    "ViTReciproCAM": "vit_recipro_cam",
    "XGradCAM": "xgrad_cam",
}

__all__ = ["__version__", *_HOME]


__getattr__ = _loading(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
