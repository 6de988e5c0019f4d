"""What the names do that are there for code written for the package grad-cam."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn
from torch.nn import functional

from pytorch_grad_cam import AblationCAM, AblationLayerFasterRCNN, GuidedBackpropReLUModel
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.engine import arrays as svd
from pytorch_grad_cam.engine import layers
from pytorch_grad_cam.engine.layout import fasterrcnn_reshape_transform
from pytorch_grad_cam.guided_backprop import GuidedBackpropReLU, GuidedBackpropReLUasModule
from pytorch_grad_cam.sess import sliding_window
from pytorch_grad_cam.sobel_cam import sobel_cam
from pytorch_grad_cam.targets.detection import FasterRCNNBoxScoreTarget


# -- layers --------------------------------------------------------------------------------------------------
class Tree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.inner = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU6(), nn.Sequential(nn.ReLU()))
        self.again = self.act
        self.nothing = None


def test_layers_are_found() -> None:
    net = Tree()
    assert layers.find_layer_types_recursive(net, [nn.ReLU]) == [net.act, net.inner[2][0], net.act]
    assert layers.find_layer_types_recursive(net, (nn.Hardtanh,)) == []  # ReLU6 is one, but not exactly
    found = layers.find_layer_predicate_recursive(net, lambda layer: isinstance(layer, nn.Sequential))
    assert found == [net.inner, net.inner[2]]


def test_layers_are_replaced() -> None:
    net, new = Tree(), nn.Identity()
    assert layers.replace_layer_recursive(net, net.inner[2][0], new)
    assert net.inner[2][0] is new
    assert not layers.replace_layer_recursive(net, nn.ReLU(), new)
    layers.replace_all_layer_type_recursive(net, nn.ReLU, new)
    assert net.act is net.again is new
    assert isinstance(net.inner[1], nn.ReLU6)


# -- principal components ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "function", [svd.get_2d_projection, svd.get_2d_projection_kernel, svd.get_2d_projection_with_sign_correction]
)
def test_projections_take_arrays_and_leave_them_alone(function: Any) -> None:
    values = inputs(2, 3).numpy().astype(np.float64)
    values[1, 0, 0, 0] = np.nan
    before = copy.deepcopy(values)
    found = function(values)
    np.testing.assert_array_equal(values, before)
    assert found.dtype == np.float32
    assert found.shape == (3, 11, 14)
    np.testing.assert_array_equal(found, function(np.nan_to_num(values)))
    rows = np.nan_to_num(values[0]).reshape(2, -1).T
    rows -= rows.mean(0)
    if function is not svd.get_2d_projection_kernel:
        _, _, vt = np.linalg.svd(rows)
        want = rows @ vt[0] * np.sign(vt[0].sum())
        np.testing.assert_allclose(found[0].ravel(), want, atol=1e-5)


# -- guided ReLUs --------------------------------------------------------------------------------------------
def test_the_guided_relu_is_that_of_the_model() -> None:
    net, x = build(ConvNet), inputs(batch=1)
    want = GuidedBackpropReLUModel(net)(x, 1)
    guided = copy.deepcopy(net)
    GuidedBackpropReLUModel(guided).recursive_replace_relu_with_guidedrelu(guided)
    assert isinstance(guided.act1, GuidedBackpropReLUasModule)
    leaf = x.clone().requires_grad_()
    guided(leaf)[0, 1].backward()
    np.testing.assert_allclose(leaf.grad[0].permute(1, 2, 0), want, atol=1e-6)
    GuidedBackpropReLUModel(guided).recursive_replace_guidedrelu_with_relu(guided)
    assert type(guided.act1) is nn.ReLU
    z = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    (GuidedBackpropReLU.apply(z) * torch.tensor([1.0, -1.0, 5.0])).sum().backward()
    assert z.grad.tolist() == [0, 0, 5]


# -- detection -----------------------------------------------------------------------------------------------
class Detector(nn.Module):
    """Two pyramid levels; one box per image, whose score and place depend on the features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, padding=1)
        self.backbone = Pyramid()

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        levels = self.backbone(functional.relu(self.stem(x)))
        score = sum(level.mean((2, 3)) @ torch.arange(1.0, 1 + level.shape[1]) for level in levels.values())
        box = torch.tensor([1.0, 1, 6, 6]) + 0.01 * score[:, None]
        return [
            {"boxes": box[i : i + 1], "labels": torch.tensor([7]), "scores": score[i : i + 1].sigmoid()}
            for i in range(len(x))
        ]


class Pyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3, stride=2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return OrderedDict([("0", self.fine(x)), ("pool", self.coarse(x))])


def test_boxes_are_scored_by_overlap_and_score() -> None:
    detected = {
        "boxes": torch.tensor([[0.0, 0, 4, 4], [10, 10, 14, 12]], requires_grad=True),
        "labels": torch.tensor([1, 2]),
        "scores": torch.tensor([0.5, 0.25], requires_grad=True),
    }
    boxes = [np.array([0, 0, 4, 2]), [10, 10, 14, 13], torch.tensor([0.0, 0, 4, 4])]
    score = FasterRCNNBoxScoreTarget([1, 2, 3], boxes, iou_threshold=0.4)(detected)
    assert score.item() == pytest.approx((0.5 + 0.5) + (8 / 12 + 0.25))  # the third is of another class
    assert FasterRCNNBoxScoreTarget([1], boxes[:1])(detected).item() == 0  # no more than the threshold
    empty = {name: value[:0] for name, value in detected.items()}
    nothing = FasterRCNNBoxScoreTarget([1], boxes[:1])(empty)
    assert nothing.item() == 0
    assert nothing.requires_grad  # so that a gradient of 0 can be taken
    with pytest.raises(ValueError, match="2 labels for 3 boxes"):
        FasterRCNNBoxScoreTarget([1, 2], boxes)


def test_levels_of_a_pyramid_are_stacked() -> None:
    levels = OrderedDict([("0", -torch.ones(2, 3, 8, 8)), ("pool", 2 * torch.ones(2, 4, 3, 5))])
    found = fasterrcnn_reshape_transform(levels)
    assert found.shape == (2, 7, 3, 5)
    assert found[:, :3].unique().tolist() == [1]
    with pytest.raises(ValueError, match=r"\['0'\], not a dict of pyramid levels with one called 'pool'"):
        fasterrcnn_reshape_transform({"0": levels["0"]})


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_a_detector_by_ablation() -> None:
    net, x = build(Detector), inputs(batch=2)
    targets = [FasterRCNNBoxScoreTarget([7], net(x)[i]["boxes"].detach()) for i in range(2)]
    cam = AblationCAM(net, [net.backbone], fasterrcnn_reshape_transform, AblationLayerFasterRCNN(), 4)
    explanation = cam.explain(x, targets)
    with torch.no_grad():
        levels = net.backbone(functional.relu(net.stem(x)))
        score = torch.cat([target(out) for target, out in zip(targets, net(x), strict=True)])
        for channel in range(9):
            changed = {name: level.clone() for name, level in levels.items()}
            name, inside = ("0", channel) if channel < 4 else ("pool", channel - 4)
            changed[name][:, inside] = 0
            handle = net.backbone.register_forward_hook(lambda *_, changed=changed: changed)
            without = torch.cat([target(out) for target, out in zip(targets, net(x), strict=True)])
            handle.remove()
            torch.testing.assert_close(
                explanation.weights[0][:, channel], (score - without) / score, atol=1e-5, rtol=1e-4
            )


def test_ablation_layers_prepare_copies() -> None:
    layer = AblationLayerFasterRCNN()
    layer.indices = np.array([1, 5])
    layer.set_next_batch(1, {"0": torch.ones(2, 4, 2, 2), "pool": torch.ones(2, 3, 1, 1)}, 2)
    found = layer(None)
    assert found["0"].sum((2, 3)).tolist() == [[4, 0, 4, 4], [4, 4, 4, 4]]
    assert found["pool"].flatten(1).tolist() == [[1, 1, 1], [1, 0, 1]]
    assert isinstance(layer, AblationLayer)


# -- the rest ------------------------------------------------------------------------------------------------
def test_edges() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
    padded = np.pad(gray, 1, mode="reflect")
    smooth = padded[:-2] + 2 * padded[1:-1] + padded[2:]  # (9, 14)
    across = np.abs(smooth[:, 2:] - smooth[:, :-2])
    smooth = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    down = np.abs(smooth[2:] - smooth[:-2])
    want = np.rint((np.minimum(across, 255) + np.minimum(down, 255)) / 2)
    found = sobel_cam(picture)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, want, atol=1)
    np.testing.assert_array_equal(sobel_cam(picture / 255), found)  # floats are not rounded away
    assert sobel_cam(np.full((4, 5), 0.3)).max() == 0


def test_windows_cover_a_picture() -> None:
    assert sliding_window(288, 288, 224, 224) == [(0, 0), (64, 0), (0, 64), (64, 64)]
    assert sliding_window(224, 448, 112, 224) == [(0, 0), (112, 0), (224, 0)]
    assert sliding_window(10, 10, 20, 8) == [(0, 0), (2, 0), (0, 2), (2, 2)]
