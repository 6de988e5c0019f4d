"""compare on what is no plain picture classifier: signals, volumes, segmentation, detection, outputs with parts."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers import detectors
from helpers.tiny_nets import ConvNet, DictNet, FlatLinear, UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam.evaluation import Comparison, compare
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlation import FaithfulnessCorrelation, Infidelity, MuFidelity, SensitivityN
from pytorch_grad_cam.metrics.curves import Deletion, Insertion
from pytorch_grad_cam.metrics.imputation import RoadCombined
from pytorch_grad_cam.metrics.mosaics import GridPG
from pytorch_grad_cam.metrics.superpixels import IROF
from pytorch_grad_cam.targets.detection import BoxTarget
from pytorch_grad_cam.targets.detector_layouts import reader_for

pytestmark = pytest.mark.again

SMALL = {
    metric.name: metric
    for metric in (
        FaithfulnessCorrelation(subsets=12),
        MuFidelity(subsets=12),
        SensitivityN(sizes=3, subsets=8),
        Infidelity(samples=8),
        IROF("grid", 16),
        RoadCombined((20, 80)),
    )
}
JOINT = {name for name, metric in METRICS.items() if metric.joint}


def chosen(*left_out: str) -> list[Any]:
    return [SMALL.get(name, name) for name in METRICS if name not in left_out]


def values(found: Comparison) -> dict[str, Any]:
    """The values of the one method by the metric's plain name."""
    row = found.methods[0]
    assert row.reason is None
    return {found.metrics[label].name: numbers for label, numbers in row.values.items()}


def reasons(found: Comparison) -> dict[str, str]:
    row = found.methods[0]
    return {found.metrics[label].name: reason for label, reason in row.reasons.items()}


def in_range(found: Comparison) -> None:
    """Every number of every row lies where its metric says that it does."""
    for row in found.rows:
        for label, numbers in row.values.items():
            low, high = found.metrics[label].range
            known = numbers[np.isfinite(numbers)]
            assert ((known >= low - 1e-6) & (known <= high + 1e-6)).all(), (row.id, label, known)


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes(axes: int) -> None:
    """Every metric but those of boxes, which are of pictures."""
    size = {1: (40,), 3: (8, 9, 10)}[axes]
    x = inputs(axes, batch=3, size=size)
    masks = torch.zeros(3, *size, dtype=torch.bool)
    masks[(slice(None), *[slice(2, 6)] * axes)] = True
    metrics = chosen("top_k", *JOINT)
    found = compare(build(ConvNet, axes), x, ["vanillagradient"], None, metrics, masks=masks, progress=False)
    assert reasons(found) == {}
    assert all(np.isfinite(numbers).any() for numbers in values(found).values()), values(found)
    in_range(found)
    boxed = compare(build(ConvNet, axes), x, ["gradcam"], metrics="energy_inside", boxes=[[[0, 0, 4, 4]]] * 3)
    assert "are of pictures" in reasons(boxed)["energy_inside"]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_mosaics_of_signals_and_volumes(axes: int) -> None:
    """Each image has one channel that is 1, and the network says which: a mosaic has 2, 4 or 8 of them."""
    cells = 2**axes
    x = torch.zeros(cells, cells, *[6] * axes)
    x[range(cells), range(cells)] = 1.0

    class Means(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes](cells, cells, 1, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.eye(cells).reshape(cells, cells, *[1] * axes))

        def forward(self, images: Tensor) -> Tensor:
            return 50 * self.conv(images).flatten(2).mean(2)

    found = compare(Means().eval(), x, ["gradcam"], ["conv"], metrics="gridpg", progress=False)
    assert found.interval("gradcam", "gridpg").value == pytest.approx(1, abs=1e-6)
    assert found.interval("gradcam", "gridpg").judged == cells


def region_scores(net: nn.Module, changed: Tensor, unchanged: Tensor) -> Any:
    """Mean softmax probability of the unchanged image's main class where that is predicted, in float64 NumPy."""
    with torch.no_grad():
        before, after = (net(images).double().numpy() for images in (unchanged, changed))
    tops = before.argmax(1)
    shares = np.exp(after - after.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    found = []
    for top, share in zip(tops, shares, strict=True):
        areas = np.bincount(top.ravel(), minlength=3)
        areas[0] = 0
        category = int(areas.argmax())
        found.append(share[category][top == category].mean())
    return np.array(found)


@pytest.mark.parametrize("axes", [2, 3])
def test_segmentation_is_scored_by_the_mean_probability_of_the_region(axes: int) -> None:
    net, x = build(UNet, axes), inputs(axes, batch=3)
    case = Case(x, torch.rand(3, *x.shape[2:], generator=torch.Generator().manual_seed(0)), None, net)
    np.testing.assert_allclose(case.scores.numpy(), region_scores(net, x, x), rtol=1e-5)
    lost = case.scores.numpy() - region_scores(net, x * case.unit_maps[:, None], x)
    np.testing.assert_allclose(-METRICS["confidence_change"].of(case).numpy(), lost, rtol=1e-3, atol=1e-6)
    masks = torch.zeros(3, *x.shape[2:], dtype=torch.bool)
    masks[(slice(None), *[slice(1, 4)] * axes)] = True
    found = compare(net, x, ["gradcam"], metrics=chosen("top_k"), masks=masks, progress=False)
    in_range(found)
    refused = reasons(found)
    assert refused.keys() == JOINT
    assert all("not one score per class" in refused[name] for name in JOINT)
    assert np.isfinite(values(found)["random_logit"]).all()  # another class in the same region


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "raw"])
def test_one_channel_is_no_or_yes_at_each_position(score: Any) -> None:
    class Foreground(UNet):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)[:, :1]
            return logits.sigmoid() if score == "raw" else logits

    net, x = build(Foreground), inputs(batch=2)
    with torch.no_grad():
        yes = net(x)[:, 0] if score == "raw" else net(x)[:, 0].sigmoid()
    inside = net(x)[:, 0] > 0
    expected = [float(share[region].mean()) for share, region in zip(yes, inside, strict=True)]
    assert Case(x, torch.rand(2, 11, 14), 1, net, score=score).scores.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("score", ["softmax", "sigmoid", "raw"])
def test_scores_inside_an_output_are_probabilities_as_well(score: Any) -> None:
    """As those of transformers are: an object with ``logits``."""
    x, maps = inputs(batch=3), torch.rand(3, 11, 14, generator=torch.Generator().manual_seed(0))
    plain, inside = build(ConvNet), build(DictNet)
    assert type(inside(x)) is dict
    for metric in (Insertion(5), Deletion(5), METRICS["average_gain"] if score != "raw" else Deletion(4)):
        cases = [Case(x, maps, None, net, score=score) for net in (plain, inside)]
        torch.testing.assert_close(metric.of(cases[1]), metric.of(cases[0]))
    if score == "softmax":
        assert case_scores(inside, x) == pytest.approx(plain(x).softmax(1).amax(1).tolist(), rel=1e-5)


def case_scores(net: nn.Module, x: Tensor, **options: Any) -> list[float]:
    found: list[float] = Case(x, torch.zeros(len(x), *x.shape[2:]), None, net, **options).scores.tolist()
    return found


def test_one_score_is_a_yes_or_no() -> None:
    class OneScore(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, :1]

    net, x = build(OneScore), inputs(batch=3)
    assert case_scores(net, x) == pytest.approx(net(x).sigmoid()[:, 0].tolist(), rel=1e-5)
    no = Case(x, torch.zeros(3, 11, 14), 0, net).scores
    assert no.tolist() == pytest.approx((1 - net(x).sigmoid()[:, 0]).tolist(), rel=1e-5)
    assert case_scores(net, x, score="raw") == pytest.approx(net(x)[:, 0].tolist(), rel=1e-5)


def test_mosaics_of_a_network_that_returns_probabilities() -> None:
    """A softmax of these would call no picture known."""
    x = torch.zeros(8, 1, 6, 6)
    x[:] = torch.arange(8.0).reshape(8, 1, 1, 1)

    def model(images: Tensor) -> Tensor:
        nearest = (images.mean((1, 2, 3)).round().long() % 8).unsqueeze(1)
        return torch.full((len(images), 8), 0.02).scatter_(1, nearest, 0.86)

    def explain(images: Tensor, targets: Any, net: Any) -> Tensor:
        return torch.stack(
            [(image[0] == target.category).float() for image, target in zip(images, targets, strict=True)]
        )

    found = compare(model, x, {"right": explain}, metrics="gridpg", score="raw", progress=False)
    assert found.interval("right", "gridpg").value == 1


@pytest.mark.parametrize(
    "kind", ["FasterRCNN", *(pytest.param(k, marks=pytest.mark.slow) for k in ("RetinaNet", "SSD"))]
)
def test_detectors(kind: str) -> None:
    """Scored is how sure the detector stays of the one object that it is surest of; boxes may be tensors."""
    net, x = detectors.detector(kind), detectors.pictures(2)
    boxes = [torch.tensor([[10.0, 10, 60, 50]]), torch.tensor([[20.0, 30, 70, 60], [0, 0, 9, 9]])]
    wanted = ["energy_to_chance", "pointing_game", Insertion(3), "average_drop", "random_logit", "gridpg"]
    found = compare(net, x, ["gradcam"], [detectors.LAYER], wanted, boxes=boxes, progress=False)
    in_range(found)
    with torch.no_grad():
        best = [float(each["scores"].max()) for each in net(x)]
    assert [image.score for image in found.images] == pytest.approx(best, rel=1e-5)
    assert reasons(found).keys() == {"random_logit", "gridpg"}
    assert "one class of each box" in reasons(found)["random_logit"]
    assert "not one score per class" in reasons(found)["gridpg"]


def test_another_class_of_the_same_box() -> None:
    """Heads that score each class for each box can be asked."""
    net, x = build(detectors.YoloNet), detectors.pictures(1)
    read = reader_for((net(x),), "yolov8", (80, 120))
    assert read is not None
    boxes, scores, _ = read(net(x)[0])
    place = int(scores.amax(1).argmax())
    target = BoxTarget(boxes[place], int(scores[place].argmax()), read=read)
    asked: list[Any] = []

    def explain(images: Tensor, targets: Any, model: Any) -> Tensor:
        asked.extend(targets)
        return torch.rand(len(images), 80, 120)

    METRICS["random_logit"](x, torch.rand(1, 80, 120), [target], net, explain=explain)
    (other,) = asked
    assert torch.equal(other.box, target.box)
    assert other.category != target.category


def test_a_network_of_one_size_says_so_for_mosaics() -> None:
    x = inputs(batch=6)
    targets = [0, 1, 2, 0, 1, 2]
    found = compare(build(FlatLinear), x, ["gradcam"], metrics=GridPG(least=0.0), targets=targets, progress=False)
    assert "there are not enough of these" in next(iter(reasons(found).values()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "fcn_resnet50"])
def test_segmentation_of_torchvision(name: str) -> None:
    from torchvision.models import segmentation

    torch.manual_seed(0)
    net = partial(getattr(segmentation, name), weights=None, weights_backbone=None, num_classes=5)().eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = compare(net, x, ["gradcam"], metrics=[Insertion(4), "average_drop", "random_logit"], progress=False)
    in_range(found)
    assert reasons(found) == {}
