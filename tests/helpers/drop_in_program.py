"""A program written for the package grad-cam, run word for word with both packages; it knows neither's inside."""

from __future__ import annotations

import sys

import numpy as np
import torch

from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from pytorch_grad_cam import (
    SESS,
    AblationCAM,
    AblationLayerVit,
    FinerCAM,
    FullGrad,
    GradCAM,
    LayerCAM,
    RefineCAM,
    ShapleyCAM,
)
from pytorch_grad_cam.sobel_cam import sobel_cam
from pytorch_grad_cam.utils.find_layers import find_layer_types_recursive
from pytorch_grad_cam.utils.image import show_factorization_on_image
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputReST,
    ClassifierOutputTarget,
    FasterRCNNBoxScoreTarget,
)
from pytorch_grad_cam.utils.reshape_transforms import fasterrcnn_reshape_transform
from pytorch_grad_cam.utils.svd_on_activations import (
    get_2d_projection_kernel,
    get_2d_projection_with_sign_correction,
)


def main() -> dict[str, np.ndarray]:
    """Everything the program finds out, by a name of its own."""
    net, x = build(ConvNet, seed=1), inputs(2, 2, size=(32, 40))
    layers = find_layer_types_recursive(net, [torch.nn.ReLU])[1:]
    one = [net.act2]
    targets = [ClassifierOutputTarget(0), ClassifierOutputTarget(2)]
    found = {}
    with FinerCAM(model=net, target_layers=layers) as cam:
        found["finer, given targets"] = cam(input_tensor=x, targets=targets)
        found["finer, one reference"] = cam(x, None, False, 0.6, [1])
        found["finer, a class"] = cam.forward(x, comparison_categories=[1], target_idx=1)
    found["refine"] = RefineCAM(net, layers, base_method=GradCAM)(input_tensor=x, targets=targets)
    for name, kind in (("logit", ClassifierOutputTarget), ("rest", ClassifierOutputReST)):
        found[f"shapley, {name}"] = ShapleyCAM(net, one)(x, [kind(1), kind(2)])
    with SESS(model=net, target_layers=one, num_scales=3) as cam:
        found["sess"] = cam(input_tensor=x, targets=targets)
        found["sess, top class"] = cam(x)
    found["sess, small windows"] = SESS(
        net, one, None, LayerCAM, [24, 29, 40], window_size=24, step_size=10, theta=0.2, pre_filter_ratio=0.3
    )(x, targets)
    found["sess, max"] = SESS(net, one, num_scales=2, pool="max", use_softmax_scores=False, smooth=False)(x, targets)
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    found["sobel"] = sobel_cam(picture)
    activations = inputs(2, 2, size=(21, 22)).numpy() ** 2
    for kernel in ("linear", "poly", "rbf", "sigmoid", "cosine"):
        found[f"up to sign: {kernel}"] = get_2d_projection_kernel(activations, kernel)
    found["up to sign: corrected"] = get_2d_projection_with_sign_correction(activations)
    detected = {
        "boxes": torch.tensor([[0.0, 0, 4, 4], [10, 10, 14, 12]]),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.5, 0.25]),
    }
    boxes = np.array([[0, 0, 4, 3], [10, 10, 14, 13], [0, 0, 4, 4]])
    found["boxes"] = FasterRCNNBoxScoreTarget([1, 2, 3], boxes, 0.4)(detected).numpy()
    levels = {"0": inputs(2, 2, size=(8, 8)), "pool": inputs(2, 2, size=(3, 5))}
    found["pyramid"] = fasterrcnn_reshape_transform(levels).numpy()
    return found | parts(net, x) | unusual_models(net, x)


class Called:
    """A model that is no module."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.net = net

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def __getattr__(self, name: str) -> object:
        if name in ("parameters", "eval", "zero_grad"):
            return getattr(self.net, name)
        raise AttributeError(name)


class TwoOutputs(torch.nn.Module):
    """Returns scores, and something beside them."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.net(x), x


def unusual_models(net: ConvNet, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Maps of models that are not called and do not answer as others do."""
    targets = [ClassifierOutputTarget(1)]
    return {
        "no module": GradCAM(Called(net), [net.act2])(x, targets * 2),
        "tuple output": GradCAM(TwoOutputs(net), [net.act2])(x[:1], targets),
    }


def parts(net: ConvNet, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Steps and attributes that code looks at."""
    found = {}
    cam = AblationCAM(net, [net.act2])
    channels = np.array([4, 0, 2], np.int32)
    found["ablation scores"] = np.array(cam.assemble_ablation_scores([0.5, 0.25, -1.0], 2.0, channels, 6))
    cam.save_activation(net.act2, (x,), x * 2)
    found["saved activation"] = cam.activations.numpy()
    layer = AblationLayerVit()
    layer.set_next_batch(input_batch_index=1, activations=inputs(2, 5, size=(4,)), num_channels_to_ablate=3)
    found["tokens to ablate"] = layer.activations.numpy()
    residual = build(ResidualNet, seed=1)
    full = FullGrad(residual, [])
    for index, module in enumerate(
        m for m in residual.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d))
    ):
        if module.bias is not None:
            found[f"bias {index}"] = full.get_bias_data(module).numpy()
    found["views"] = np.stack([view.augment_image(x).numpy() for view in GradCAM(net, [net.act2]).tta_transforms])
    found["views back"] = np.stack([view.deaugment_mask(x).numpy() for view in cam.tta_transforms])
    concepts, colours = np.random.default_rng(1).random((3, 90, 120)), [np.array(c) for c in np.eye(3)]
    drawn = show_factorization_on_image(
        np.zeros((90, 120, 3), np.float32), concepts, colours, concept_labels=["tabby cat:0.7", "dog:0.3", "bird:0.1"]
    )
    found["size with legend"] = np.array(drawn.shape)
    rows = [np.abs(drawn[:, 120:].astype(int) - 255 * np.eye(3)[k]).max(2) < 40 for k in range(3)]
    found["order of the legend"] = np.argsort([np.nonzero(row)[0].mean() for row in rows]) + 1
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez(sys.argv[1], **main())
