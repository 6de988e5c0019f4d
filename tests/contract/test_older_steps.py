"""Code that extends, patches and inspects grad-cam: its steps hold as soon as one of them is replaced."""

from __future__ import annotations

import copy
import gc
import importlib
import inspect
import pickle
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import ConvNet, build, frozen, inputs
from helpers.unchanged_model import assert_unchanged
from torch import Tensor, nn

import pytorch_grad_cam
from pytorch_grad_cam import (
    AblationCAM,
    ActivationsAndGradients,
    EigenCAM,
    FinerCAM,
    FullGrad,
    GradCAM,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    base_cam,
)
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


def class_one(output: Tensor) -> Tensor:
    return output[1]


ONE = [class_one, class_one]


@pytest.fixture
def net() -> Iterator[Any]:
    """A network in training mode with gradients of its own, which no call of either kind may change."""
    net = build(ConvNet).train()
    net(inputs()).sum().backward()
    with assert_unchanged(net, inputs()):
        yield net


class OnlyHalf(GradCAM):
    """Takes the steps, and changes nothing but the size of what comes out."""

    def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
        return super().aggregate_multi_layers(cam_per_target_layer) / 2


# A record of the user's own.


class Doubling(ActivationsAndGradients):
    """A record like those of the many scripts around YOLO: another output, and hooks of its own."""

    def __call__(self, x: Tensor) -> Any:
        self.gradients = []
        self.activations = []
        scores = self.model(x)
        return [[score, "box"] for score in scores]

    def save_activation(self, module: nn.Module, input: Any, output: Any) -> None:
        super().save_activation(module, input, output * 2)


@pytest.mark.parametrize("kind", [GradCAM, HiResCAM, LayerCAM])
def test_an_assigned_record_runs_the_pass(kind: Any) -> None:
    net, x = build(ConvNet), inputs()
    expected = kind(net, ["conv2"])(x, 1)
    cam = kind(net, [net.conv2])
    cam.activations_and_grads = ActivationsAndGradients(net, [net.conv2], None)
    np.testing.assert_allclose(cam(x, ONE), expected, atol=1e-6)
    cam.activations_and_grads.release()
    cam.activations_and_grads = Doubling(net, [net.conv2], None)
    np.testing.assert_allclose(cam(x, [lambda found: found[0][1]] * 2), expected, atol=1e-6)
    assert len(net.conv2._forward_hooks) == 2
    del cam
    gc.collect()
    assert not net.conv2._forward_hooks


def test_a_record_of_any_class() -> None:
    """It needs a call, ``activations``, ``gradients`` and ``release``; what it keeps may be arrays."""

    class Fixed:
        activations = (np.arange(8.0).reshape(1, 2, 2, 2),)
        gradients = (np.ones((1, 2, 2, 2), np.float32),)

        def __call__(self, x: Tensor) -> Any:
            return [x.sum() * torch.ones((), requires_grad=True)]

    net, x = build(ConvNet), inputs(batch=1)
    cam = GradCAM(net, [net.conv2])
    cam.activations_and_grads = Fixed()
    cam.get_target_width_height = lambda input_tensor: None
    # weights 1 and 1: 0 + 4, 1 + 5, 2 + 6, 3 + 7, in [0, 1]
    np.testing.assert_allclose(cam(x, [lambda total: total]), [[[0, 1 / 3], [2 / 3, 1]]], atol=1e-6)


def test_what_the_last_call_found_is_kept() -> None:
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, ["conv3", "conv2"])  # kept in the order in which they run
    cam(x, 1)
    record, expected = cam.activations_and_grads, ActivationsAndGradients(net, [net.conv2, net.conv3])
    expected(x)[:, 1].sum().backward()
    for kept, own in [(record.activations, expected.activations), (record.gradients, expected.gradients)]:
        assert len(kept) == 2
        for one, other in zip(kept, own, strict=True):
            torch.testing.assert_close(one, other)
            assert not one.requires_grad
    assert isinstance(record, ActivationsAndGradients)
    cam(x, 1)
    assert cam.activations_and_grads is record
    cam.release()
    assert record.activations == record.gradients == []
    cam.keeps_last_pass = False
    assert cam.explain_each(x, [0, 1]).maps.isfinite().all()
    cam(x, 1)
    assert record.activations == []
    differentiable = GradCAM(net, "conv2")
    differentiable.explain(x, 1, differentiable=True)
    assert not differentiable.activations_and_grads.activations[0].requires_grad


def test_the_methods_record_called_on_an_input() -> None:
    """It runs the model as an explanation would, and hooks it only meanwhile."""
    net, x = build(ConvNet).train(), inputs()
    cam = GradCAM(net, ["conv2"])
    outputs = cam.activations_and_grads(x)
    assert net.training
    assert not net.conv2._forward_hooks
    torch.testing.assert_close(outputs, build(ConvNet).eval()(x))
    outputs[:, 1].sum().backward()
    weights = cam.activations_and_grads.gradients[0].mean((2, 3))
    torch.testing.assert_close(weights, GradCAM(net, "conv2").explain(x, 1).weights[0])


# A record used directly.


def test_a_record_stays_until_it_is_released_or_gone() -> None:
    net, x = build(ConvNet), inputs()
    record = ActivationsAndGradients(net, [net.conv2, net.conv3], None)
    assert len(record.handles) == 4
    net(x)  # not through the record
    assert [tuple(each.shape) for each in record.activations] == [(2, 5, 6, 7), (2, 6, 6, 7)]
    record.release()
    assert not record.handles
    assert not net.conv2._forward_hooks
    record = ActivationsAndGradients(net, [net.conv2], None)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net)))  # copies of the model hold hooks that do nothing
    twin(x)
    assert not record.activations
    del record
    assert not net.conv2._forward_hooks


def test_the_graph_goes_from_the_input_on() -> None:
    net, x = build(ConvNet), inputs().requires_grad_()
    record = ActivationsAndGradients(net, [net.conv2], None)
    scores = record(x)
    scores[:, 0].sum().backward(retain_graph=True)
    scores[:, 1].sum().backward()
    assert x.grad is not None
    assert net.conv1.weight.grad is not None
    first, second = record.gradients  # one per backward, the last first
    for grad, category in ((first, 1), (second, 0)):
        torch.testing.assert_close(grad.mean((2, 3)), GradCAM(build(ConvNet), "conv2").explain(x, category).weights[0])
    kept = ActivationsAndGradients(net, [net.conv2], None, detach=False)
    kept(x)
    assert kept.activations[0].requires_grad


def test_a_reshape_transform_of_a_record() -> None:
    net, x = build(ConvNet), inputs()
    record = ActivationsAndGradients(net, [net.conv2], lambda output: output.flatten(2))
    record(x)[:, 1].sum().backward()
    assert record.activations[0].shape == record.gradients[0].shape == (2, 5, 42)
    bare = ActivationsAndGradients(net, [net], lambda output: "no tensor")  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="reshape_transform"):
        bare(x)


# Arrays.


def answered(step: Any, *arguments: Any) -> tuple[Any, Any]:
    """What a step answers to tensors, and to the same as arrays."""
    arrays = [each.numpy() if isinstance(each, Tensor) and index > 0 else each for index, each in enumerate(arguments)]
    return step(*arguments), step(*arrays)


@pytest.mark.parametrize("method", [row for row in ANY_NETWORK.values()], ids=lambda row: row.name)
@pytest.mark.usefixtures("few_steps")
def test_steps_of_the_shelf_answer_in_kind(method: Any) -> None:
    net, x = build(ConvNet), inputs()
    cam = method.load()(net, ["conv2"])
    if not isinstance(cam, BaseCAM) or not cam.takes_steps:
        return
    generator = torch.Generator().manual_seed(0)
    activations, grads = torch.randn(2, 2, 5, 6, 7, generator=generator)
    steps = [
        step for step in ("get_cam_weights", "get_cam_image") if getattr(type(cam), step) is not getattr(BaseCAM, step)
    ]
    assert steps
    for step in {*steps, "get_cam_image"}:
        tensor, array = answered(getattr(cam, step), x, net.conv2, ONE, activations, grads)
        assert isinstance(tensor, Tensor), step
        assert isinstance(array, np.ndarray), step
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-5, atol=1e-6)


def test_an_unbound_step() -> None:
    grads = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    weights = GradCAM.get_cam_weights(GradCAM, None, None, None, grads, grads)  # type: ignore[arg-type]
    np.testing.assert_allclose(weights, grads.mean((2, 3)))  # type: ignore[arg-type]


def test_super_in_overrides(net: Any) -> None:
    class Weights(GradCAM):
        def get_cam_weights(self, *arguments: Any) -> Any:
            assert isinstance(arguments[-1], np.ndarray)
            return super().get_cam_weights(*arguments) * 2

    class Image(HiResCAM):
        def get_cam_image(self, *arguments: Any, **named: Any) -> Any:
            assert isinstance(arguments[3], np.ndarray)
            return super().get_cam_image(*arguments, **named) + 0.0

    class Both(ScoreCAM):
        def get_cam_weights(self, *arguments: Any) -> Any:
            return np.abs(super().get_cam_weights(*arguments))

    x = inputs()
    for kind, base in ((Weights, GradCAM), (Image, HiResCAM), (Both, ScoreCAM)):
        np.testing.assert_allclose(kind(net, ["conv2"])(x, 1), base(net, ["conv2"])(x, 1), atol=1e-5)  # type: ignore[operator]


# Steps replaced on a class, on an object, in a module.


@pytest.mark.parametrize("kind", [GradCAM, HiResCAM, LayerCAM, EigenCAM, *again(ScoreCAM, AblationCAM)])
def test_the_steps_make_the_same_maps(net: Any, kind: Any) -> None:
    x, replaced = inputs(), kind(net, ["conv2", "conv3"])
    replaced.aggregate_multi_layers = types.MethodType(
        lambda self, maps: BaseCAM.aggregate_multi_layers(self, maps), replaced
    )
    for targets in (ONE, 1, None, [0, 1]):
        expected = kind(net, ["conv2", "conv3"])(x, targets)
        np.testing.assert_allclose(replaced(x, targets), expected, atol=1e-5)
    expected = kind(net, ["conv2", "conv3"])(x, 1, eigen_smooth=True)
    np.testing.assert_allclose(replaced(x, 1, eigen_smooth=True), expected, atol=1e-5)
    expected = kind(net, ["conv2", "conv3"])(x, 1, aug_smooth=True)
    np.testing.assert_allclose(replaced(x, 1, aug_smooth=True), expected, atol=1e-5)


def test_steps_patched_on_an_object(net: Any) -> None:
    x, seen = inputs(), []
    cam = GradCAM(net, ["conv2"])
    expected = cam(x, 1)
    cam.get_target_width_height = lambda input_tensor: None  # type: ignore[method-assign]
    small = cam(x, 1)
    assert small.shape == (2, 6, 7)
    raw = GradCAM(net, ["conv2"]).explain(x, 1).raw[0].relu()
    np.testing.assert_allclose(small, (raw / raw.amax((1, 2), keepdim=True)).numpy(), atol=1e-5)
    del cam.get_target_width_height
    np.testing.assert_array_equal(cam(x, 1), expected)

    def forward(self: Any, input_tensor: Tensor, targets: Any, eigen_smooth: bool = False) -> Any:
        seen.append("forward")
        return type(self).forward(self, input_tensor, targets, eigen_smooth)

    cam.forward = types.MethodType(forward, cam)  # type: ignore[method-assign]
    np.testing.assert_allclose(cam(x, 1), expected, atol=1e-6)
    assert seen == ["forward"]
    cam(x, 1, aug_smooth=True)
    assert len(seen) == 7  # flips times factors
    cam.compute_cam_per_layer = lambda *arguments: [np.ones((2, 1, 3, 3), np.float32)]  # type: ignore[method-assign,assignment]
    assert cam(x, 1).shape == (2, 3, 3)


@pytest.mark.parametrize("step", ["get_cam_weights", "get_cam_image"])
def test_weights_and_image_patched_on_an_object_stay_on_our_way(net: Any, step: str) -> None:
    x = inputs()
    for kind in (GradCAM, EigenCAM, ScoreCAM):
        cam = kind(net, ["conv2"])
        shape = (2, 5) if step == "get_cam_weights" else (2, 6, 7)
        value = np.random.default_rng(0).uniform(0.1, 1, shape)
        if step == "get_cam_weights" and kind is EigenCAM:
            continue  # takes no weights
        setattr(cam, step, lambda *arguments, value=value: value)
        found = cam.explain(x, 1, relu=False, normalize="none", size=(6, 7))
        assert found.raw
        expected = value
        if step == "get_cam_weights":
            expected = np.einsum("bc,bchw->bhw", value, cam.activations_and_grads.activations[0].numpy())
        np.testing.assert_allclose(found.maps.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_module_names_that_are_patched(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs()
    expected = GradCAM(net, ["conv2"])(x, 1)
    smooth = GradCAM(net, ["conv2"])(x, 1, eigen_smooth=True)
    with monkeypatch.context() as patch:
        own = base_cam.scale_cam_image
        patch.setattr(base_cam, "scale_cam_image", lambda cam, target_size=None: own(cam, target_size) * 0.5)
        np.testing.assert_allclose(
            GradCAM(net, ["conv2"])(x, 1), expected / 2, atol=1e-5
        )  # [0, 1] in the end, times 0.5
    with monkeypatch.context() as patch:
        patch.setattr(base_cam, "get_2d_projection", lambda weighted: -weighted.sum(1))
        turned = GradCAM(net, ["conv2"])(x, 1, eigen_smooth=True)
        assert np.abs(turned - smooth).max() > 0.1
    with monkeypatch.context() as patch:
        asked = []
        patch.setattr(base_cam, "ClassifierOutputTarget", lambda top: asked.append(top) or class_one)
        np.testing.assert_allclose(GradCAM(net, ["conv2"])(x), expected, atol=1e-6)
        assert asked == net.eval()(x).argmax(1).tolist()
        net.train()
    with monkeypatch.context() as patch:
        patch.setattr(base_cam, "ActivationsAndGradients", Doubling)
        cam = GradCAM(net, ["conv2"])
        np.testing.assert_allclose(cam(x, [lambda found: found[0][1]] * 2), expected, atol=1e-6)
        cam.release()
    np.testing.assert_array_equal(GradCAM(net, ["conv2"])(x, 1), expected)


def test_one_object_under_all_its_paths() -> None:
    """What grad-cam imports into a module is there from the start, and is the same object everywhere."""
    for name in ("ActivationsAndGradients", "scale_cam_image", "get_2d_projection", "ClassifierOutputTarget"):
        assert name in vars(base_cam)
    pairs = [
        ("base_cam.scale_cam_image", "utils.image.scale_cam_image"),
        ("base_cam.ActivationsAndGradients", "activations_and_gradients.ActivationsAndGradients"),
        ("base_cam.ClassifierOutputTarget", "utils.model_targets.ClassifierOutputTarget"),
        ("base_cam.get_2d_projection", "utils.svd_on_activations.get_2d_projection"),
        ("fullgrad_cam.scale_accross_batch_and_channels", "utils.image.scale_accross_batch_and_channels"),
        ("eigen_cam.BaseCAM", "base_cam.BaseCAM"),
    ]
    for pair in pairs:
        first, second = (
            vars(importlib.import_module(f"pytorch_grad_cam.{path.rpartition('.')[0]}"))[path.rpartition(".")[2]]
            for path in pair
        )
        assert first is second, pair
    assert "tqdm" in vars(importlib.import_module("pytorch_grad_cam.ablation_cam"))
    assert "tqdm" in vars(importlib.import_module("pytorch_grad_cam.score_cam"))


@pytest.mark.parametrize(("module", "kind"), [("score_cam", ScoreCAM), ("ablation_cam", AblationCAM)])
def test_a_patched_bar_is_the_one_that_is_shown(module: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    def bar(steps: Any) -> Iterator[int]:
        for step in steps:
            shown.append(step)
            yield step
        shown.append("end")

    monkeypatch.setattr(importlib.import_module(f"pytorch_grad_cam.{module}"), "tqdm", types.SimpleNamespace(tqdm=bar))
    kind(build(ConvNet), ["conv2"])(inputs(), 1)
    assert shown == [*range(len(shown) - 1), "end"]
    assert len(shown) > 5


def test_a_patched_scaling_of_full_grad(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_grad_cam import fullgrad_cam

    net, x = build(ConvNet), inputs()
    expected, sizes = FullGrad(net)(x, 1), []
    own = fullgrad_cam.scale_accross_batch_and_channels

    def scaled(tensor: Any, target_size: Any) -> Any:
        sizes.append(target_size)
        return np.zeros_like(own(tensor, target_size)) + np.arange(14, dtype=np.float32)

    monkeypatch.setattr(fullgrad_cam, "scale_accross_batch_and_channels", scaled)
    changed = FullGrad(net)(x, 1)
    assert set(sizes) == {(14, 11)}
    np.testing.assert_allclose(changed, np.broadcast_to(np.arange(14) / 13, (2, 11, 14)), atol=1e-6)
    assert np.abs(changed - expected).max() > 0.1


def test_a_patched_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_grad_cam.feature_factorization.deep_feature_factorization import run_dff_on_image
    from pytorch_grad_cam.utils import image

    asked: list[Any] = []
    monkeypatch.setattr(
        image, "create_labels_legend", lambda *arguments, **named: asked.append(arguments) or ["a", "b"]
    )
    net, x = build(ConvNet), inputs(batch=1)
    run_dff_on_image(net, net.conv3, net.head, np.zeros((11, 14, 3), np.float32), x[0], None, n_components=2, top_k=1)
    assert len(asked) == 1


# What the steps cannot do is said.


def test_options_of_ours_are_refused_where_the_steps_are_taken(net: Any) -> None:
    x, cam = inputs(), OnlyHalf(net, ["conv2"])
    np.testing.assert_allclose(cam(x, 1), GradCAM(net, "conv2")(x, 1) / 2, rtol=1e-4)
    for options in ({"normalize": "none"}, {"relu": False}, {"size": (3, 3)}, {"contrast": (0, 1)}, {"against": True}):
        for call in (cam, cam.explain):
            with pytest.raises(TypeError, match=rf"OnlyHalf.*aggregate_multi_layers.*{next(iter(options))}"):
                call(x, **options)
    with pytest.raises(TypeError, match="relu_rule"):
        OnlyHalf(net, ["conv2"], relu_rule="guided")(x, 1)
    found = cam.explain(x, [1, 0], against=False, differentiable=False)  # what is so anyway is no option
    np.testing.assert_allclose(found.numpy(), cam(x, [1, 0]))
    assert (found.classes, found.layers, found.raw) == ((1, 0), ("conv2",), ())
    torch.testing.assert_close(found.outputs, build(ConvNet).eval()(x))
    each = cam.explain_each(x, [1, 0])
    np.testing.assert_allclose(each.maps[:, 0].numpy(), cam(x, 1))
    with pytest.raises(TypeError, match="one target at a time"):
        cam.explain_each(x)


def test_steps_that_a_method_does_not_take_are_refused(net: Any) -> None:
    class Own(FullGrad):
        def aggregate_multi_layers(self, cam_per_target_layer: Any) -> Any:
            return super().aggregate_multi_layers(cam_per_target_layer)

    class Half(FullGrad):
        def forward(self, *arguments: Any, **named: Any) -> Any:
            return super().forward(*arguments, **named) / 2

    class HalfFiner(FinerCAM):
        def forward(self, *arguments: Any, **named: Any) -> Any:
            return super().forward(*arguments, **named) / 2

    x = inputs()
    with pytest.raises(TypeError, match="aggregate_multi_layers has no place"):
        Own(net)(x, 1)
    cam = LayerCAM(net, ["conv2"], fusion="max")
    cam.aggregate_multi_layers = lambda maps: maps[0]  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match="aggregate_multi_layers has no place"):
        cam(x, 1)
    with pytest.raises(TypeError, match="made of another one"):
        FinerCAM(net, ["conv2"], base_method=OnlyHalf)(x, 1)
    np.testing.assert_allclose(Half(net)(x, 1), FullGrad(net)(x, 1) / 2, rtol=1e-4)
    np.testing.assert_allclose(HalfFiner(net, ["conv2"])(x, 1), FinerCAM(net, ["conv2"])(x, 1) / 2, rtol=1e-4)


def test_targets_that_give_no_number(net: Any) -> None:
    with pytest.raises(TypeError, match="must return a tensor"):
        OnlyHalf(net, ["conv2"])(inputs(), [])


# Other things that such code does.


def test_frozen_networks_and_inputs_with_gradients(net: Any) -> None:
    x = inputs()
    np.testing.assert_allclose(
        OnlyHalf(frozen(build(ConvNet)), ["conv2"])(x, 1), OnlyHalf(net, ["conv2"])(x, 1), atol=1e-6
    )
    seen: list[Any] = []

    class Input(OnlyHalf):
        def get_cam_weights(self, input_tensor: Any, *rest: Any) -> Any:  # type: ignore[override]
            seen.append(input_tensor.grad)
            return super().get_cam_weights(input_tensor, *rest)

    Input(net, ["conv2"], None, True)(x, 1)
    leaf = x.clone().requires_grad_()
    build(ConvNet)(leaf)[:, 1].sum().backward()
    torch.testing.assert_close(seen[0], leaf.grad)
    OnlyHalf(net, ["conv2"], detach=False)(x, 1)


def test_clips_whose_frames_are_images(net: Any) -> None:
    """``(B, T, 3, H, W)`` in, 4-D layers of ``(B * T, ...)``: the override sees what grad-cam would show it."""

    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, clip: Tensor) -> Tensor:
            return self.net(clip.flatten(0, 1)).unflatten(0, clip.shape[:2]).mean(1)

    class PerFrame(GradCAM):
        def get_target_width_height(self, input_tensor: Tensor) -> Any:
            return input_tensor.shape[-1], input_tensor.shape[-2]

    clip = torch.stack([inputs(), inputs().flip(0)])  # (2, 2, C, H, W)
    maps = PerFrame(Frames(), [net.conv2])(clip, ONE)
    assert maps.shape == (4, 11, 14)
    alone = GradCAM(net, "conv2")(clip.flatten(0, 1), 1)
    np.testing.assert_allclose(maps, alone, atol=1e-5)


def test_the_device_can_be_said() -> None:
    cam = GradCAM(build(ConvNet), ["conv2"])
    assert cam.device == torch.device("cpu")
    cam.device = "cpu"  # type: ignore[assignment]
    assert cam.device == torch.device("cpu")
    assert cam(inputs(), 1).shape == (2, 11, 14)


def test_a_class_that_makes_everything_by_itself(net: Any) -> None:
    class Alone(GradCAM):
        def __init__(self, model: nn.Module, target_layers: Any) -> None:
            self.model = model
            self.target_layers = target_layers
            self.activations_and_grads = ActivationsAndGradients(model, target_layers, None)

    cam = Alone(net, [net.conv2])
    np.testing.assert_allclose(cam(inputs(), ONE), GradCAM(net, "conv2")(inputs(), 1), atol=1e-5)
    cam.release()


def test_subclasses_are_all_methods() -> None:
    class Users(GradCAM):
        pass

    class Direct(BaseCAM):
        pass

    listed = BaseCAM.__subclasses__()
    assert pytorch_grad_cam.base_cam.BaseCAM.__subclasses__() == listed
    shelf = [row.load() for row in METHODS.values()]
    assert {kind for kind in shelf if inspect.isclass(kind) and issubclass(kind, BaseCAM)} <= {*listed}
    assert Direct in listed
    assert Users in GradCAM.__subclasses__()
    assert len(listed) == len({*listed})


def test_pickles_that_name_old_paths() -> None:
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    old = b"cpytorch_grad_cam.utils.model_targets\nClassifierOutputTarget\n)\x81}(S'category'\nI3\nub."
    target = pickle.loads(old)
    assert type(target) is ClassifierOutputTarget
    assert target.category == 3
    for path in ("base_cam.BaseCAM", "grad_cam.GradCAM", "activations_and_gradients.ActivationsAndGradients"):
        module, _, name = path.rpartition(".")
        assert pickle.loads(f"cpytorch_grad_cam.{module}\n{name}\n.".encode()) is getattr(pytorch_grad_cam, name)
