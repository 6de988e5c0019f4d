"""Parts of methods that code written for the package grad-cam looks at or replaces, one by one."""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, AblationLayerVit, EigenCAM, FullGrad, GradCAM, RefineCAM, ScoreCAM
from pytorch_grad_cam.common.messages import NoScoresError
from pytorch_grad_cam.utils.model_targets import (
    BinaryClassifierOutputTarget,
    ClassifierOutputReST,
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    FasterRCNNBoxScoreTarget,
    FinerWeightedTarget,
    RawScoresOutputTarget,
    SoftmaxOutputTarget,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


# --- views ----------------------------------------------------------------------------------------------------------


def test_the_usual_views_can_be_iterated() -> None:
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, "conv2")
    views = list(cam.tta_transforms)
    assert len(views) == len(cam.tta_transforms) == 6  # type: ignore[arg-type]
    for view, (flip, factor) in zip(views, itertools.product((False, True), (0.9, 1, 1.1)), strict=True):
        flipped = x.flip(3) if flip else x
        torch.testing.assert_close(view.augment_image(x), flipped * factor)
        assert torch.equal(view.deaugment_mask(x), flipped)
        assert view.deaugment_label(x) is x
    each = [GradCAM(net, "conv2")(view.augment_image(x), 1) for view in views]
    back = [view.deaugment_mask(torch.from_numpy(maps)[:, None])[:, 0] for view, maps in zip(views, each, strict=True)]
    np.testing.assert_allclose(cam(x, 1, aug_smooth=True), torch.stack(back).mean(0), atol=1e-6)


def test_the_usual_views_are_those_of_ttach() -> None:
    ttach = pytest.importorskip("ttach")
    net, x = build(ConvNet), inputs()
    usual = ttach.Compose([ttach.HorizontalFlip(), ttach.Multiply(factors=[0.9, 1, 1.1])])
    for theirs, ours in zip(usual, GradCAM(net, "conv2").tta_transforms, strict=True):
        torch.testing.assert_close(ours.augment_image(x), theirs.augment_image(x))
        torch.testing.assert_close(ours.deaugment_mask(x), theirs.deaugment_mask(x))


def test_views_may_be_set_later() -> None:
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, "conv2")
    usual = cam(x, 1, aug_smooth=True)
    cam.tta_transforms = [next(iter(cam.tta_transforms))]
    assert not np.allclose(cam(x, 1, aug_smooth=True), usual)
    cam.tta_transforms = None  # type: ignore[assignment]
    assert np.array_equal(cam(x, 1, aug_smooth=True), usual)


# --- steps and data of some methods ---------------------------------------------------------------------------------


def test_scores_of_ablated_channels_are_put_together_by_the_method() -> None:
    net, x = build(ConvNet), inputs()
    cam = AblationCAM(net, "conv2")
    assert cam.assemble_ablation_scores([0.5, -1.0], 2.0, np.array([3, 0]), 5) == [-1.0, 2.0, 2.0, 0.5, 2.0]
    seen: list[tuple[Any, ...]] = []

    class Own(AblationCAM):
        def assemble_ablation_scores(self, *arguments: Any) -> Any:
            seen.append(arguments)
            return np.float32(super().assemble_ablation_scores(*arguments)) * [1, 1, 0, 1, 1]

    found = Own(net, "conv2").explain(x, 1)
    usual = cam.explain(x, 1)
    assert len(seen) == len(x)
    new, score, channels, count = seen[0]
    assert count == 5
    assert sorted(channels.tolist()) == list(range(5))
    assert found.scores is not None
    assert score == float(found.scores[0])
    weights, others = found.weights[0], usual.weights[0]
    assert weights is not None
    assert others is not None
    torch.testing.assert_close(weights[0, 2], torch.tensor(score / abs(score)))  # its score counts as 0
    others[:, 2] = weights[:, 2]
    torch.testing.assert_close(weights, others)
    assert len(new) == 5


def test_a_hook_that_saves_activations() -> None:
    net, x = build(ConvNet), inputs()
    cam = AblationCAM(net, "conv2")
    handle = net.conv2.register_forward_hook(cam.save_activation)
    net(x)
    handle.remove()
    assert torch.equal(cam.activations, net.conv2(net.act1(net.conv1(x))))


def test_copies_of_tokens_to_ablate() -> None:
    tokens, layer = torch.arange(24.0).reshape(2, 3, 4), AblationLayerVit()
    layer.set_next_batch(1, tokens, 5)
    assert torch.equal(layer.activations, tokens[1].expand(5, 3, 4))


def test_biases_of_full_gradients() -> None:
    net, x = build(ResidualNet), inputs()
    cam = FullGrad(net)
    norm, affine = nn.BatchNorm2d(3), [torch.rand(3) for _ in range(4)]
    norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = affine
    weight, bias, mean, variance = (tensor.double() for tensor in affine)
    expected = bias - mean * weight / (variance + norm.eps).sqrt()
    torch.testing.assert_close(cam.get_bias_data(norm).double(), expected, atol=1e-6, rtol=1e-6)
    convolution = nn.Conv2d(1, 2, 1)
    assert torch.equal(cam.get_bias_data(convolution), convolution.bias.data)  # type: ignore[union-attr]
    assert not cam.get_bias_data(norm).requires_grad
    assert [bias.shape for bias in cam.bias_data] == [(layer.bias.numel(),) for layer in cam.target_layers or []]
    with pytest.raises(ValueError, match=r"ReLU\(\) has no bias that FullGrad knows"):
        cam.get_bias_data(nn.ReLU())

    class Without(FullGrad):
        def get_bias_data(self, layer: nn.Module) -> Tensor:
            return torch.zeros_like(super().get_bias_data(layer))

    found = Without(net).explain(x, 1)
    assert not any(raw.any() for raw in found.raw[1:])
    assert found.raw[0].any()  # of the input


def test_the_score_of_boxes_is_one_number_with_an_axis() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [5, 5, 9, 9]], requires_grad=True)
    detected = {"boxes": boxes, "scores": torch.tensor([0.5, 0.25]), "labels": torch.tensor([1, 2])}
    for labels, expected in (([1, 2], 2.75), ([2, 2], 1.25), ([3, 3], 0.0)):
        score = FasterRCNNBoxScoreTarget(labels, boxes.detach())(detected)
        assert score.shape == (1,)
        assert score.requires_grad
        assert score.item() == expected
    none = {name: value[:0] for name, value in detected.items()}
    assert FasterRCNNBoxScoreTarget([1], boxes[:1].detach())(none).tolist() == [0.0]


# --- models that are no modules -------------------------------------------------------------------------------------


class Called:
    """Holds a network, and is called like one."""

    def __init__(self, net: nn.Module) -> None:
        self.net, self.note = net, "mine"

    def parameters(self) -> Any:
        return self.net.parameters()

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


class CalledInTurn:
    """Holds networks in a list and in a dict."""

    def __init__(self, *nets: nn.Module) -> None:
        self.nets, self.more = list(nets[:1]), {"last": nets[1:], "other": nets[-1]}

    def parameters(self) -> Any:
        return self.nets[0].parameters()

    def __call__(self, x: Tensor) -> Tensor:
        other = self.more["other"]
        assert isinstance(other, nn.Module)
        return self.nets[0](x) + other(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", [GradCAM, ScoreCAM, EigenCAM, AblationCAM, RefineCAM, FullGrad])
def test_a_model_that_is_no_module(method: Any) -> None:
    net, x = build(ResidualNet), inputs()
    expected = method(net, [net.norm])(x, 1)
    net.train()
    called = Called(net)
    cam = method(called, [net.norm])
    assert np.array_equal(cam(x, 1), expected)  # in evaluation mode
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())
    assert cam.model.note == "mine"
    assert np.array_equal(method(called, ["net.norm"])(x, 1), expected)
    with pytest.raises(AttributeError, match="'Called' object has no attribute 'other'"):
        _ = cam.model.other


def test_modules_in_lists_and_dicts_are_found() -> None:
    one, two, x = build(ConvNet), build(ConvNet, seed=1), inputs()
    called = CalledInTurn(one.train(), two.train())
    cam = GradCAM(called, ["nets_0.conv2"])  # type: ignore[arg-type]
    cam(x, 1)
    assert set(dict(cam.model.named_children())) == {"nets_0", "more_other"}
    assert all(net.training for net in (one, two))
    assert np.array_equal(cam(x, 1), GradCAM(called, [one.conv2])(x, 1))  # type: ignore[arg-type]


def test_what_a_model_that_is_no_module_holds_elsewhere() -> None:
    net, x = build(ConvNet), inputs()

    class Closed:
        def parameters(self) -> Any:
            return net.parameters()

        def __call__(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return net(x) * scale  # type: ignore[no-any-return]

    expected = GradCAM(net, [net.conv2])(x, 1)
    assert np.array_equal(GradCAM(Closed(), [net.conv2])(x, 1), expected)  # type: ignore[arg-type]
    assert np.array_equal(GradCAM(Closed(), net.conv2)(x, 1), expected)  # type: ignore[arg-type]
    found = GradCAM(Closed(), [net.conv2]).explain(x, 1, forward_kwargs={"scale": -1.0})  # type: ignore[arg-type]
    np.testing.assert_allclose(found.scores, -net(x)[:, 1].detach())


def test_a_model_that_is_no_module_can_be_copied_and_saved() -> None:
    net, x = build(ConvNet), inputs()
    model = GradCAM(Called(net), [net.conv2]).model  # type: ignore[arg-type]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.called is not model.called
        assert other.net is other.called.net
        assert torch.equal(other(x), net(x))


def test_what_is_no_model() -> None:
    for wrong in (lambda x: x, Called, "resnet50", 3):
        with pytest.raises(TypeError, match=r"must be a torch.nn.Module, not .*; another object must be called like"):
            GradCAM(wrong, ["conv"])  # type: ignore[arg-type]


# --- outputs with parts ---------------------------------------------------------------------------------------------


class WithParts(nn.Module):
    """Returns scores among other things."""

    def __init__(self, net: nn.Module, pack: Any) -> None:
        super().__init__()
        self.net, self.pack = net, pack

    def forward(self, x: Tensor) -> Any:
        return self.pack(self.net(x), x)


PACKS: list[Any] = [
    lambda scores, x: (scores, x),
    lambda scores, x: [scores],
    lambda scores, x: {"loss": x.mean((1, 2, 3)), "logits": scores},
    lambda scores, x: {"out": scores},
]


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(
    "target",
    [
        ClassifierOutputTarget(1),
        ClassifierOutputSoftmaxTarget(1),
        ClassifierOutputReST(1),
        FinerWeightedTarget(1, [0, 2], 0.6),
    ],
)
def test_targets_of_classes_find_the_scores_in_an_output_with_parts(pack: Any, target: Any) -> None:
    net, x = build(ConvNet), inputs()
    expected = GradCAM(net, ["conv2"]).explain(x, [target] * 2)
    found = GradCAM(WithParts(net, pack), ["net.conv2"]).explain(x, [target] * 2)
    torch.testing.assert_close(found.maps, expected.maps)
    torch.testing.assert_close(found.scores, expected.scores)


def test_single_numbers_in_an_output_with_parts() -> None:
    rows = torch.tensor([[0.5], [-2.0]])
    for row in rows:
        assert BinaryClassifierOutputTarget(0)((row, None)).item() == -row.item()
        assert RawScoresOutputTarget()({"logits": row}) is row
        assert SoftmaxOutputTarget()([row]).item() == 1
    with pytest.raises(NoScoresError, match="a target of a class needs scores, but the model returns str; pick the"):
        ClassifierOutputTarget(1)("nothing")
