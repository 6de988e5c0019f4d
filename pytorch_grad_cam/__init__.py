"""Class Activation Maps for PyTorch: which parts of a picture made the network answer as it did.

Names are loaded when they are first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading
from pytorch_grad_cam.methods import METHODS as _METHODS

__version__ = "0.1.0"

# Every method of the table, and what is no method. Type checkers read __init__.pyi, which tools/write_stub.py writes.
_HOME = {
    **{method.class_name: method.module for method in _METHODS.values()},
    "AblationLayer": "ablation_layer",
    "AblationLayerFasterRCNN": "ablation_layer",
    "AblationLayerVit": "ablation_layer",
    "ActivationsAndGradients": "activations_and_gradients",
    "BaseCAM": "base_cam",
    "DeepFeatureFactorization": "feature_factorization.deep_feature_factorization",
    "EpochMaps": "epoch_maps",
    "Explainer": "runs.explainer",
    "Explanation": "core.explanation",
    "GuidedBackpropReLUModel": "guided_backprop",
    "load_explainer": "runs.load_explainer",
    "open_run": "runs.opened_run",
    "run_dff_on_image": "feature_factorization.deep_feature_factorization",
}

__all__ = ["__version__", *_HOME]


__getattr__ = _loading(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
