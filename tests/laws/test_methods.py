"""Laws that hold for every method of the table, on tiny networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again, now
from helpers.methods_for_any_network import ANY_NETWORK, ONE_OF_A_KIND, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import (
    SIZES,
    ConvNet,
    InPlaceNet,
    ResidualNet,
    SharedReluNet,
    TinyViT,
    UNet,
    build,
    frozen,
    inputs,
    tokens_to_grid,
)
from torch import Tensor, nn

from pytorch_grad_cam import EigenCAM, GradCAM, HiResCAM, LayerCAM, RandomCAM, RefineCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import ContainerLayerWarning
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget

BY_LAYER = {name: method for name, method in ANY_NETWORK.items() if method.load().uses_layers}
every_layer_method = pytest.mark.parametrize("method", BY_LAYER.values(), ids=BY_LAYER)


def every_layer_method_but(*names: str) -> pytest.MarkDecorator:
    """Leave out methods for which a law cannot hold."""
    rest = {name: method for name, method in BY_LAYER.items() if name not in names}
    assert len(rest) == len(BY_LAYER) - len(names), "a name is unknown"
    return pytest.mark.parametrize("method", rest.values(), ids=rest)


every_method = pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)
OPTIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (2, {}),
    "eigen_smooth": (3, {"eigen_smooth": True}),
    "signed": (1, {"relu": False}),
    "aug_smooth": (2, {"aug_smooth": True}),  # six times the work, and a flip is a flip along any number of axes
}
NETS = {"conv": ConvNet, "inplace": InPlaceNet, "residual": ResidualNet, "shared": SharedReluNet}
# Every network in two dimensions, and each other number of dimensions with and without several images.
KINDS = (
    *((2, "conv", 1), (2, "inplace", 3), (2, "residual", 3), (2, "shared", 1)),
    *((1, "inplace", 3), (1, "shared", 1), (3, "residual", 3), (3, "conv", 1)),
)
LAYER = {"conv": "conv2", "inplace": "conv2", "residual": "norm", "shared": "act"}

# Some maps of random networks are empty, and saying so is right; what is said is tested in test_messages.
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


@every_method
@pytest.mark.parametrize("kinds", [KINDS[::2], *again(KINDS[1::2])], ids=["some", "others"])
def test_shape_range_type_and_repetition(method: Any, kinds: tuple[tuple[int, str, int], ...]) -> None:
    for ndim, kind, batch in kinds:
        case = f"{ndim} dimensions, {kind}, {batch} images"
        x = inputs(ndim, batch)
        cam = method.load()(build(NETS[kind], ndim), LAYER[kind])
        found = cam(x)
        assert found.shape == (batch, *SIZES[ndim]), case
        assert found.dtype == np.float32, case
        assert found.min() >= 0, case
        assert found.max() <= 1, case
        np.testing.assert_array_equal(cam(x), found, err_msg=case)


@pytest.mark.parametrize(
    ("name", "asked"),
    now(
        [(name, asked) for asked in OPTIONS for name in ANY_NETWORK],
        lambda name, asked: asked == "plain" or name in ONE_OF_A_KIND,
    ),
)
def test_a_batch_equals_its_images_alone(name: str, asked: str) -> None:
    method, (ndim, options) = ANY_NETWORK[name], OPTIONS[asked]
    net, x = build(ResidualNet, ndim), inputs(ndim, 2 if options else 3)
    cam = method.load()(net, ["norm", "tail"])
    alone = [cam(image[None], category, **options)[0] for category, image in enumerate(x)]
    np.testing.assert_allclose(cam(x, list(range(len(x))), **options), np.stack(alone), atol=1e-5)


OWN_SCORE = ("finercam", "shapleycam")  # for a class, which a callable does not name


@pytest.mark.parametrize("name", now(ANY_NETWORK, lambda name: name in (*ONE_OF_A_KIND, *OWN_SCORE)))
def test_all_forms_of_a_class_mean_the_same(name: str) -> None:
    net, x = build(ConvNet), inputs()
    cam = ANY_NETWORK[name].load()(net, net.conv2)
    own = name in OWN_SCORE
    expected = cam(x, 1) if own else cam(x, lambda output: output[1])
    for targets in (1, np.int64(1), [1, 1], (1, 1), torch.tensor([1, 1]), torch.tensor(1), np.array([1, 1])):
        np.testing.assert_array_equal(cam(x, targets), expected)
    top = net(x).argmax(1)
    np.testing.assert_array_equal(cam(x), cam(x, top))
    np.testing.assert_array_equal(cam(input_tensor=x, targets=None, aug_smooth=False, eigen_smooth=False), cam(x))


@every_method
def test_a_frozen_network_gives_the_same_map(method: Any) -> None:
    net, x = build(ResidualNet), inputs()
    twin = frozen(net)
    np.testing.assert_array_equal(
        method.load()(twin, [twin.norm, twin.tail])(x, 1), method.load()(net, [net.norm, net.tail])(x, 1)
    )


@every_method
def test_a_network_in_training_gives_the_map_of_evaluation(method: Any) -> None:
    net, x = build(ResidualNet), inputs()
    expected = method.load()(net, net.norm)(x, 1)
    net.train()
    np.testing.assert_array_equal(method.load()(net, net.norm)(x, 1), expected)


@pytest.mark.again
@every_method
def test_an_in_place_operation_after_the_layer_changes_nothing(method: Any) -> None:
    plain, written_over = build(ConvNet), build(InPlaceNet)
    x = inputs()
    for layer in ("conv2", "act2"):
        np.testing.assert_array_equal(
            method.load()(written_over, layer)(x, 1), method.load()(plain, layer)(x, 1), err_msg=layer
        )
    assert (EigenCAM(written_over, "conv2").explain(x).raw[0] < 0).any()  # what a ReLU would have removed


@pytest.mark.again
@every_method
def test_precision_of_the_network(method: Any) -> None:
    x, net = inputs(), build(ConvNet)
    expected = method.load()(net, net.conv2)(x, 1)
    # Small differences between large scores, and cubes of gradients, feel the 8 bits of bfloat16 most.
    coarse = 0.2 if method.name in ("reciprocam", "smoothgradcam++") else 0.1
    for dtype, tolerance in ((torch.float16, coarse), (torch.bfloat16, coarse), (torch.float64, 1e-4)):
        net = build(ConvNet).to(dtype)
        found = method.load()(net, net.conv2)(x, 1)  # a float32 input is cast
        assert found.dtype == np.float32, dtype
        np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=str(dtype))


@every_layer_method_but("guidedgradcam", "refinecam", "sess")  # which make the average into something else
def test_two_layers_are_averaged_after_scaling(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    size = (6, 7)  # of both layers: nothing is resized
    both = method.load()(net, [net.act3, net.conv2]).explain(x, 1, size=size)
    mean = np.mean([method.load()(net, layer)(x, 1, size=size) for layer in (net.act3, net.conv2)], axis=0)
    low, high = mean.min((1, 2), keepdims=True), mean.max((1, 2), keepdims=True)
    np.testing.assert_allclose(both.numpy(), (mean - low) / (high - low), atol=1e-5)
    assert both.layers == ("act3", "conv2")
    assert [tuple(raw.shape) for raw in both.raw] == [(2, 6, 7), (2, 6, 7)]


@every_layer_method_but("sess")  # its layers are averaged window by window, so there is one raw map
def test_the_order_of_layers_does_not_matter(method: Any) -> None:
    net, x = build(ResidualNet), inputs()
    forward, backward = (method.load()(net, layers).explain(x, 1) for layers in (["norm", "tail"], ["tail", "norm"]))
    np.testing.assert_allclose(forward.numpy(), backward.numpy(), atol=1e-6)
    assert torch.equal(forward.raw[0], backward.raw[1])


def test_several_layers_cost_one_pass() -> None:
    net, x = build(ConvNet), inputs()
    calls = []
    net.head.register_forward_hook(lambda *args: calls.append(1))
    GradCAM(net, ["conv1", "conv2", "act2", "conv3"])(x)
    assert len(calls) == 1


def test_a_module_called_twice_is_explained_at_its_last_call() -> None:
    net, x = build(SharedReluNet), inputs()
    hidden = net.act(net.conv2(net.act(net.conv1(x))))
    (weights,) = GradCAM(net, net.act).explain(x, 1).weights
    leaf = hidden.detach().requires_grad_()
    (grad,) = torch.autograd.grad(net.head(torch.tanh(net.conv3(leaf)).flatten(2).mean(2))[:, 1].sum(), leaf)
    torch.testing.assert_close(weights, grad.mean((2, 3)))


def test_the_same_layer_twice_counts_once() -> None:
    net, x = build(ConvNet), inputs()
    np.testing.assert_allclose(GradCAM(net, ["conv2", "conv2"])(x, 1), GradCAM(net, "conv2")(x, 1), atol=1e-6)


def test_a_sequential_is_one_layer() -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for layers in ([net[0]], "0"):
        assert GradCAM(net, layers).explain(inputs(), 1).layers == ("0",)


def test_a_container_by_itself_is_one_layer_and_that_is_said() -> None:
    """With the package grad-cam it is several: their maps are averaged."""
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    words = r"'0' is a container of 2 layers.* Write \[model\[0\]\] for the one, list\(model\[0\]\) for the other"
    with pytest.warns(ContainerLayerWarning, match=words) as warned:
        cam = GradCAM(net, net[0])
    assert [warning.filename for warning in warned] == [__file__]
    assert cam.explain(inputs(), 1).layers == ("0",)
    assert GradCAM(net, list(net[0])).explain(inputs(), 1).layers == ("0.0", "0.1")
    outer = nn.ModuleDict({"body": nn.Sequential(net)})
    with pytest.warns(ContainerLayerWarning, match=r"Write \[model.body\[0\]\[0\]\] for the one"):
        RefineCAM(outer, outer["body"][0][0])  # type: ignore[index]
    with pytest.warns(ContainerLayerWarning, match=r"Write \[model\] for the one, list\(model\) for the other"):
        GradCAM(net, net)
    one = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert GradCAM(one, one[0]).explain(inputs(), 1).layers == ("0",)  # one or its only member: the same map


@every_layer_method_but("sess")  # its windows are squares by default; this network takes oblongs (test_sess)
def test_tokens_through_a_reshape_transform(method: Any) -> None:
    net = build(TinyViT)
    x = inputs(size=TinyViT.size)
    explanation = method.load()(net, net.blocks[-1].norm1, tokens_to_grid).explain(x, 1)
    assert explanation.raw[0].shape == (2, *TinyViT.grid)
    assert explanation.maps.shape == (2, *TinyViT.size)


def test_a_layer_that_returns_a_tuple() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            return self.conv(x), {"unused": x}

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Pair()

        def forward(self, x: Tensor) -> Tensor:
            return self.pair(x)[0].relu().mean((2, 3))

    net, x = build(Net), inputs()
    np.testing.assert_array_equal(GradCAM(net, net.pair, lambda pair: pair[0])(x, 1), GradCAM(net, "pair.conv")(x, 1))


def test_a_backbone_that_the_model_itself_runs_without_gradients() -> None:
    class Frozen(nn.Module):
        def __init__(self, net: nn.Module, around: Any) -> None:
            super().__init__()
            self.net, self.around = net, around

        def forward(self, x: Tensor) -> Tensor:
            with self.around():
                features = self.net.act3(self.net.conv3(self.net.features(x)))
            return self.net.head(features.flatten(2).mean(2))

    net, x = build(ConvNet), inputs()
    expected = HiResCAM(net, net.conv2)(x, 1)
    wrapped = Frozen(net, torch.no_grad)
    np.testing.assert_array_equal(HiResCAM(wrapped, "net.conv2")(x, 1), expected)
    np.testing.assert_array_equal(HiResCAM(wrapped, "net.act3")(x, 1), HiResCAM(net, net.act3)(x, 1))
    with pytest.raises(RuntimeError, match="inference_mode"):
        HiResCAM(Frozen(net, torch.inference_mode), "net.conv2")(x, 1)


def test_a_segmenter_with_a_mask() -> None:
    net, x = build(UNet), inputs()
    mask = torch.zeros(SIZES[2])
    mask[2:5, 3:9] = 1
    cam = HiResCAM(net, net.head)
    for given in (mask, mask.bool(), mask.numpy(), mask.double()):
        found = cam.explain(x, SemanticSegmentationTarget(2, given), relu=False)
        assert found.raw[0][:, mask == 0].abs().max() == 0  # a 1x1 head: nothing outside the mask takes part
    expected = cam(x, SemanticSegmentationTarget(2, mask))
    # The mask stays where it is while the views are flipped.
    smooth = cam(x, SemanticSegmentationTarget(2, mask), aug_smooth=True)
    assert smooth[:, mask == 0].max() == 0
    assert np.corrcoef(smooth.ravel(), expected.ravel())[0, 1] > 0.5


def test_size_and_scales() -> None:
    net, x = build(ConvNet), inputs()
    cam = HiResCAM(net, net.conv2)
    signed = cam.explain(x, 1, relu=False)
    assert signed.maps.min() < 0
    torch.testing.assert_close(signed.maps.flatten(1).abs().amax(1), torch.ones(2), atol=0.3, rtol=0)
    small = cam.explain(x, 1, relu=False, normalize="none", size=(6, 7))
    assert torch.equal(small.maps, small.raw[0])
    positive = cam.explain(x, 1, normalize="max", size=(6, 7))
    torch.testing.assert_close(positive.maps, small.maps.relu() / small.maps.amax((1, 2), keepdim=True))
    assert cam(x, 1, size=(3, 50)).shape == (2, 3, 50)
    assert cam(x, 1, normalize="none", relu=False).min() < 0


@every_layer_method_but("refinecam")  # which takes several, see test_stages_choice.py
def test_the_automatic_layer_is_the_last_with_positions(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    cam = method.load()(net)
    explanation = cam.explain(x, 1)
    assert explanation.layers == ("act3",)
    np.testing.assert_array_equal(explanation.numpy(), method.load()(net, net.act3)(x, 1))


def test_the_automatic_layer_costs_one_pass_once() -> None:
    net, x, calls = build(ConvNet), inputs(), []
    net.register_forward_hook(lambda *args: calls.append(1))
    cam = GradCAM(net)
    for _ in range(3):
        cam(x)
    assert len(calls) == 4


def test_random_weights_come_from_the_seed_alone() -> None:
    net, x = build(ConvNet), inputs()
    one = RandomCAM(net, net.conv2, seed=1).explain(x)
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(RandomCAM(net, net.conv2, seed=1).explain(x).raw[0], one.raw[0])
    assert not torch.equal(RandomCAM(net, net.conv2, seed=2).explain(x).raw[0], one.raw[0])
    (weights,) = RandomCAM(net, net.conv2).explain(x).weights
    assert weights.min() >= -1
    assert weights.max() < 1


def test_smoothing_over_views_fixes_the_class() -> None:
    net, x = build(ConvNet), inputs()
    cam = LayerCAM(net, net.conv2)
    top = net(x).argmax(1).tolist()
    np.testing.assert_array_equal(cam(x, aug_smooth=True), cam(x, top, aug_smooth=True))
    views = [(flip, factor) for flip in (False, True) for factor in (0.9, 1.0, 1.1)]
    each = [cam((x.flip(-1) if flip else x) * factor, top) for flip, factor in views]
    mean = np.mean([one[..., ::-1] if flip else one for one, (flip, _) in zip(each, views, strict=True)], axis=0)
    np.testing.assert_allclose(cam(x, aug_smooth=True), mean, atol=1e-5)


def test_smoothing_with_ttach() -> None:
    import ttach

    net, x = build(ConvNet), inputs()
    views = ttach.Compose([ttach.HorizontalFlip(), ttach.Multiply(factors=[0.9, 1, 1.1])])
    np.testing.assert_allclose(
        GradCAM(net, net.conv2, tta_transforms=views)(x, 1, aug_smooth=True),
        GradCAM(net, net.conv2)(x, 1, aug_smooth=True),
        atol=1e-6,
    )


def test_an_override_written_elsewhere_gets_arrays() -> None:
    """As code that subclasses grad-cam's BaseCAM is written; ``tensors = True`` asks for tensors."""
    seen: list[Any] = []

    class Mine(BaseCAM):
        def get_cam_weights(self, input_tensor, target_layers, targets, activations, grads):  # type: ignore[no-untyped-def]
            seen.extend([activations, grads])
            return grads.mean(axis=(2, 3))

    class MineInTensors(Mine):
        tensors = True

    class WholeMap(BaseCAM):
        def get_cam_image(self, input_tensor, target_layer, targets, activations, grads, eigen_smooth):  # type: ignore[no-untyped-def,override]
            seen.extend([activations, grads])
            return np.sum(grads.mean(axis=(2, 3), keepdims=True) * activations, axis=1)

    net, x = build(ConvNet), inputs()
    expected = GradCAM(net, net.conv2)(x, 1)
    np.testing.assert_allclose(Mine(net, net.conv2)(x, 1), expected, atol=1e-6)
    np.testing.assert_allclose(WholeMap(net, net.conv2)(x, 1), expected, atol=1e-6)
    assert {type(each) for each in seen} == {np.ndarray}
    seen.clear()
    np.testing.assert_allclose(MineInTensors(net, net.conv2)(x, 1), expected, atol=1e-6)
    assert {type(each) for each in seen} == {Tensor}
