"""What can be asked: several targets at once, against, contrasts, labels, parts of outputs, several inputs, graphs."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import now
from helpers.methods_for_any_network import (
    ONE_OF_A_KIND,
    few_steps,  # noqa: F401 - the fixture
)
from helpers.tiny_nets import ConvNet, DictNet, ResidualNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import FullGrad, GradCAM, HiResCAM
from pytorch_grad_cam.engine.scoring import scores_of
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
RAW: dict[str, Any] = {"relu": False, "normalize": "none"}


class Together(nn.Module):
    """Runs a network on the sum of its inputs; an option scales it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, other: Tensor, scale: Tensor | float = 1.0, ids: Tensor | None = None) -> Tensor:
        bias = 0.0 if ids is None else ids.double().mean(1).to(x)[:, None]
        return self.net(x + other) * scale + bias


@dataclass
class Answer:
    logits: Tensor
    hidden: Tensor


Pair = namedtuple("Pair", ["hidden", "logits"])


class Wrapped(nn.Module):
    """Returns its scores inside something."""

    def __init__(self, net: nn.Module, kind: str) -> None:
        super().__init__()
        self.net, self.kind = net, kind

    def forward(self, x: Tensor) -> Any:
        scores, hidden = self.net(x), x.mean((2, 3))
        made = {
            "dict": {"hidden": hidden, "logits": scores},
            "dataclass": Answer(scores, hidden),
            "tuple": (scores, hidden),
            "namedtuple": Pair(hidden, scores),
            "nested": {"a": [hidden, scores]},
        }
        return made[self.kind]


@pytest.mark.parametrize("kind", ["dict", "dataclass", "tuple", "namedtuple"])
@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam", "fullgrad"])
def test_scores_are_found_inside_outputs(kind: str, method: str) -> None:
    net, x = build(ConvNet), inputs()
    plain, inside = METHODS[method].load()(net, "conv2"), METHODS[method].load()(Wrapped(net, kind), "net.conv2")
    for target in (None, 2, [1, 0]):
        np.testing.assert_allclose(inside(x, target), plain(x, target), atol=1e-6)
    assert inside.explain(x, 2).classes == (2, 2)


def test_a_part_of_the_output_by_name_index_and_callable() -> None:
    net, x = build(ConvNet), inputs()
    expected = GradCAM(net, "conv2")(x, 1)
    picks = {"dict": ["logits"], "dataclass": ["logits"], "tuple": [0], "namedtuple": [1, "logits"]}
    for kind, parts in picks.items():
        for part in parts:
            np.testing.assert_array_equal(GradCAM(Wrapped(net, kind), "net.conv2", output=part)(x, 1), expected)
    nested = GradCAM(Wrapped(net, "nested"), "net.conv2", output=lambda outputs: outputs["a"][1])
    np.testing.assert_array_equal(nested(x, 1), expected)
    # a callable target sees what the model returns, unless a part was picked
    sees_all = GradCAM(Wrapped(net, "dict"), "net.conv2")
    np.testing.assert_array_equal(sees_all(x, lambda outputs: outputs["logits"][1]), expected)
    with pytest.raises(ValueError, match=r"output='scores' is no part .* has the keys 'hidden', 'logits'"):
        GradCAM(Wrapped(net, "dict"), "net.conv2", output="scores")(x)
    with pytest.raises(ValueError, match=r"output=2 is no part .* the indices 0 to 1"):
        GradCAM(Wrapped(net, "tuple"), "net.conv2", output=2)(x)


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam", "fullgrad", "eigencam"])
def test_several_inputs(method: str) -> None:
    net, x = build(ConvNet), inputs(batch=3)
    other, ids = inputs(batch=3, seed=5), torch.arange(6).reshape(3, 2)
    cam = METHODS[method].load()(Together(net), "net.conv2")
    alone = [cam((x[i : i + 1], other[i : i + 1]), 1)[0] for i in range(3)]
    for given, more in (
        ((x, other), None),
        ({"x": x, "other": other}, None),
        (x, {"other": other}),
        ({"x": x, "other": other, "ids": ids}, {"scale": 1.0}),
    ):
        np.testing.assert_allclose(cam(given, 1, forward_kwargs=more), np.stack(alone), atol=1e-5)
    if method in ("gradcam", "ablationcam"):  # the others look at the picture's own values
        fixed = METHODS[method].load()(net, "conv2")
        np.testing.assert_allclose(cam((x, other), 1), fixed(x + other, 1), atol=1e-5)


def test_which_input_the_map_is_for() -> None:
    net = build(ConvNet)
    x, other = inputs(), inputs(seed=5)
    cam = FullGrad(Together(net))
    first, second = cam((x, other), 1), cam((x, other), 1, image=1)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(cam({"x": x, "other": other}, 1, image="other"), second)
    with pytest.raises(ValueError, match=r"image='z' is none of the inputs: 'x', 'other'"):
        cam({"x": x, "other": other}, 1, image="z")
    with pytest.raises(ValueError, match="none of the inputs is a picture"):
        cam({"x": 3, "other": "text"}, 1)
    with pytest.raises(ValueError, match=r"has 3 rows.*batch of 2"):
        cam((x, inputs(batch=3)), 1)


def test_one_mapping_as_the_only_argument() -> None:
    class Batch(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, batch: dict[str, Any]) -> Tensor:
            return self.net(batch["image"])

    net, x = build(ConvNet), inputs()
    found = GradCAM(Batch(net), "net.conv2")({"image": x, "names": ["a", "b"]}, 1)
    np.testing.assert_array_equal(found, GradCAM(net, "conv2")(x, 1))


BY_LAYER = [
    name for name, row in METHODS.items() if not row.needs and row.load().uses_targets and row.load().uses_layers
]


@pytest.mark.parametrize("method", now(BY_LAYER, lambda name: name in ONE_OF_A_KIND))
def test_several_targets_equal_one_after_the_other(method: str) -> None:
    net, x = build(ResidualNet), inputs()
    cam = METHODS[method].load()(net, ["norm", "tail"])
    one = [cam.explain(x, category) for category in range(3)]
    many = cam.explain_each(x)
    assert many.maps.shape == (2, 3, *x.shape[2:])
    torch.testing.assert_close(many.maps, torch.stack([each.maps for each in one], 1), atol=1e-5, rtol=0)
    assert many.classes == ((0, 1, 2),) * 2
    torch.testing.assert_close(many.scores, torch.stack([each.scores for each in one], 1))
    picked = cam.explain_each(x, [[2, 1], lambda output: output[0]])
    torch.testing.assert_close(picked.maps[:, 0], cam.explain(x, [2, 1]).maps, atol=1e-5, rtol=0)
    assert picked.classes == ((2, None), (1, None))


def test_several_targets_take_one_forward_pass() -> None:
    net, x = build(ConvNet), inputs()
    passes = []

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            passes.append(len(x))
            return self.net(x)

    GradCAM(Counting(), "net.conv2").explain_each(x)
    assert passes == [2]
    with pytest.raises(ValueError, match="at least one target"):
        GradCAM(net, "conv2").explain_each(x, [])


def test_against_and_contrast_by_hand() -> None:
    net, x = build(ConvNet), inputs()
    cam = HiResCAM(net, "conv2")
    plain = [cam.explain(x, category, **RAW) for category in range(3)]
    against = cam.explain(x, 1, against=True, **RAW)
    torch.testing.assert_close(against.maps, -plain[1].maps)
    assert against.classes == (1, 1)
    contrast = cam.explain(x, contrast=(2, 0), **RAW)
    torch.testing.assert_close(contrast.maps, plain[2].maps - plain[0].maps, atol=1e-5, rtol=1e-4)
    assert cam.explain(x, contrast=(2, 0)).maps.min() < 0  # signed by itself
    top = net(x).argmax(1)
    torch.testing.assert_close(cam.explain(x, against=True).maps, cam.explain(x, top, against=True).maps)
    for wrong, error in (((1, 1), ValueError), ((0, 9), IndexError), (1, ValueError)):
        with pytest.raises(error, match=r"contrast=|class 9"):
            cam(x, contrast=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes the place of targets"):
        cam(x, 1, contrast=(0, 1))


def test_labels_as_xplique_takes_them() -> None:
    net, x = build(ConvNet), inputs()
    cam = GradCAM(net, "conv2")
    one_hot = np.eye(3, dtype=np.float32)[[2, 0]]
    for labels in (one_hot, torch.from_numpy(one_hot), torch.from_numpy(one_hot).long(), one_hot.astype(bool)):
        found = cam.explain(x, labels)
        torch.testing.assert_close(found.maps, cam.explain(x, [2, 0]).maps)
        assert found.classes == (2, 0)
    weighed = cam.explain(x, torch.tensor([[0.5, 0, 2.0]] * 2))
    torch.testing.assert_close(weighed.maps, cam.explain(x, lambda y: 0.5 * y[0] + 2 * y[2]).maps)
    with pytest.raises(ValueError, match=r"labels \(2, 4\) for 2 images and 3 classes"):
        cam(x, torch.zeros(2, 4))


def test_yes_and_no_of_one_score() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    x, cam = inputs(), HiResCAM(net, "0")
    yes, no = cam.explain(x, 1, **RAW), cam.explain(x, 0, **RAW)
    torch.testing.assert_close(yes.maps, -no.maps)
    torch.testing.assert_close(yes.maps, cam.explain(x, **RAW).maps)
    assert (yes.classes, no.classes) == ((1, 1), (0, 0))
    assert cam.explain(x, **RAW).classes == (1, 1)
    with pytest.raises(IndexError, match=r"class 2 does not exist: the model has 2 classes"):
        cam(x, 2)


@pytest.mark.parametrize("one", [lambda y: y, lambda y: y[:, 0]], ids=["(B, 1)", "(B,)"])
def test_one_score_means_two_classes_however_it_is_asked(one: Any) -> None:
    """Of two images, the first shall be no and the second yes: an index, labels, a contrast, all classes."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    x, cam = inputs(), HiResCAM(net, "0", output=one)
    score = cam.explain(x, lambda y: y.sum(), **RAW).maps
    expected = torch.stack([-score[0], score[1]])
    for targets in ([0, 1], [[0], [1]], [[1, 0], [0, 1]], [[0.0], [1.0]]):
        found = cam.explain(x, np.array(targets), **RAW)
        torch.testing.assert_close(found.maps, expected)
        assert found.classes == (0, 1)
    weighed = cam.explain(x, torch.tensor([[0.5], [-2.0]]), **RAW)
    torch.testing.assert_close(weighed.maps, torch.stack([0.5 * score[0], -2 * score[1]]))
    assert weighed.classes == (None, None)
    torch.testing.assert_close(cam.explain(x, contrast=(1, 0), **RAW).maps, score)
    torch.testing.assert_close(cam.explain(x, contrast=(0, 1), **RAW).maps, -score)
    every = cam.explain_each(x, **RAW)
    torch.testing.assert_close(every.maps, torch.stack([-score, score], 1))
    assert every.classes == ((0, 1), (0, 1))
    with pytest.raises(IndexError, match=r"class 2 does not exist: the model has 2 classes"):
        cam.explain(x, contrast=(2, 0))
    with pytest.raises(ValueError, match=r"labels \(2, 3\) for 2 images and 2 classes"):
        cam(x, np.zeros((2, 3)))


def test_dict_outputs_of_the_tiny_network() -> None:
    net, x = build(DictNet), inputs()
    np.testing.assert_array_equal(GradCAM(net, "conv2")(x, 1), GradCAM(net, "conv2")(x, lambda out: out["logits"][1]))


def test_none_for_some_of_the_images() -> None:
    net, x = build(ConvNet), inputs(batch=3)
    top = GradCAM(net, "conv2").explain(x)
    found = GradCAM(net, "conv2").explain(x, [None, 2, None])
    assert found.classes == (top.classes[0], 2, top.classes[2])
    torch.testing.assert_close(found.maps[::2], top.maps[::2])


class TestClassesOfABatchAtOnce:
    def test_as_one_after_the_other(self) -> None:
        outputs, classes = torch.randn(4, 5, requires_grad=True), [0, -1, 4, np.int64(2)]
        scores = scores_of(outputs, [ClassifierOutputTarget(each) for each in classes])
        alone = torch.stack([row[each] for row, each in zip(outputs, classes, strict=True)])
        assert torch.equal(scores, alone)
        found, expected = (torch.autograd.grad(each.prod(), outputs)[0] for each in (scores, alone))
        assert torch.equal(found, expected)

    def test_a_subclass_with_its_own_answer_is_asked(self) -> None:
        class Twice(ClassifierOutputTarget):
            def __call__(self, model_output: Tensor) -> Tensor:
                return 2 * super().__call__(model_output)

        outputs = torch.randn(2, 3)
        assert torch.equal(scores_of(outputs, [Twice(1)] * 2), 2 * outputs[:, 1])
        mixed = scores_of(outputs, [Twice(1), ClassifierOutputTarget(1)])
        assert torch.equal(mixed, outputs[:, 1] * torch.tensor([2, 1]))

    @pytest.mark.parametrize("category", [3, -4])
    def test_a_class_that_is_not_there(self, category: int) -> None:
        with pytest.raises(IndexError, match=f"class {category} does not exist: the model has 3 outputs, 0 to 2"):
            scores_of(torch.zeros(2, 3), [ClassifierOutputTarget(0), ClassifierOutputTarget(category)])
