# Written by tools/write_stub.py from METHODS and _HOME.

from pytorch_grad_cam.ablation_cam import AblationCAM as AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayer as AblationLayer
from pytorch_grad_cam.ablation_layer import AblationLayerFasterRCNN as AblationLayerFasterRCNN
from pytorch_grad_cam.ablation_layer import AblationLayerVit as AblationLayerVit
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients as ActivationsAndGradients
from pytorch_grad_cam.attention_relevance import AttentionRelevance as AttentionRelevance
from pytorch_grad_cam.attention_rollout import AttentionRollout as AttentionRollout
from pytorch_grad_cam.base_cam import BaseCAM as BaseCAM
from pytorch_grad_cam.class_activation_mapping import CAM as CAM
from pytorch_grad_cam.core.explanation import Explanation as Explanation
from pytorch_grad_cam.eigen_cam import EigenCAM as EigenCAM
from pytorch_grad_cam.eigen_grad_cam import EigenGradCAM as EigenGradCAM
from pytorch_grad_cam.epoch_maps import EpochMaps as EpochMaps
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import DeepFeatureFactorization as DeepFeatureFactorization
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
from pytorch_grad_cam.runs.explainer import Explainer as Explainer
from pytorch_grad_cam.runs.load_explainer import load_explainer as load_explainer
from pytorch_grad_cam.runs.opened_run import open_run as open_run
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

__version__: str
__all__: list[str]
