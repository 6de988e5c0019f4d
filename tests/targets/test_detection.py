"""Detectors: torchvision's on a tiny backbone, one of the YOLO form, and a trained one on real photos."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.detectors import LAYER, TORCHVISION, YoloNet, detector, pictures
from helpers.paths import ROOT
from helpers.tiny_nets import build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM, HiResCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.targets.detection import (
    BoxTarget,
    DetectedObject,
    Detections,
    StrongestDetectionTarget,
    as_detections,
    corners_of,
    detected_objects,
    overlaps,
)
from pytorch_grad_cam.visualization.overlay import draw_boxes

SIGNED: dict[str, Any] = {"relu": False, "normalize": "none"}


def by_hand(net: nn.Module, x: Tensor, box: tuple[float, ...], category: int) -> Tensor:
    """Grad-CAM of the detection in that place, signed, at the layer's resolution: autograd and the equation alone."""
    kept = {}

    def keep(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        kept["A"] = output.detach().clone().requires_grad_()
        return kept["A"].clone()

    handle = net.get_submodule(LAYER).register_forward_hook(keep)
    found = net([x])[0]
    handle.remove()
    same = (found["boxes"] - torch.tensor(box)).abs().amax(1) < 1e-3
    (score,) = found["scores"][same & (found["labels"] == category)]
    (grads,) = torch.autograd.grad(score, kept["A"])
    return (grads.mean((2, 3), keepdim=True) * kept["A"]).sum(1)[0]


@pytest.mark.parametrize("kind", TORCHVISION)
def test_the_detectors_of_torchvision(kind: str) -> None:
    """Row 3 of the needs of users: outputs are lists of dicts, one map per object in one call, equal to autograd's."""
    net, x = detector(kind), pictures()
    with torch.no_grad():
        outputs = net(x)
    objects = detected_objects(outputs[0], 0.0, 3)
    assert len(objects) == 3
    found = GradCAM(net, LAYER).explain_each(x[:1], [each.target for each in objects], **SIGNED)
    assert found.maps.shape == (1, 3, 80, 120)
    assert found.classes == (tuple(each.category for each in objects),)
    for index, each in enumerate(objects):
        assert found.scores is not None
        assert float(found.scores[0, index]) == pytest.approx(each.score, abs=1e-6)
        expected = by_hand(net, x[0], each.box, each.category)
        assert expected.abs().max() > 0
        torch.testing.assert_close(found.raw[0][0, index], expected, rtol=1e-3, atol=1e-7)
    # a batch of two is two single images, as a tensor and as the list that detectors take
    firsts = [detected_objects(each, 0.0, 1)[0] for each in outputs]
    both = GradCAM(net, LAYER).explain(x, [each.target for each in firsts], **SIGNED).raw[0]
    alone = [by_hand(net, image, each.box, each.category) for image, each in zip(x, firsts, strict=True)]
    torch.testing.assert_close(both, torch.stack(alone), rtol=1e-3, atol=1e-7)
    listed = GradCAM(net, LAYER).explain(list(x), [each.target for each in firsts], **SIGNED).raw[0]
    torch.testing.assert_close(listed, both)


@pytest.mark.parametrize("method", [HiResCAM, LayerCAM, ScoreCAM, AblationCAM])
@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_other_methods(method: type[GradCAM]) -> None:
    net, x = detector("SSD"), pictures(1)
    each = detected_objects(net(x)[0], 0.0, 1)[0]
    raw = method(net, LAYER).explain(x, each.target, relu=False).raw[0]
    assert bool((raw != 0).any())


def test_without_a_target_the_surest_object_is_explained() -> None:
    net, x = detector("RetinaNet"), pictures()
    outputs = net(x)
    cam = GradCAM(net, LAYER)
    best = [detected_objects(each, 0.0, 1)[0] for each in outputs]
    top = cam.explain(x, **SIGNED)
    assert top.classes == tuple(each.category for each in best)
    torch.testing.assert_close(top.raw[0], cam.explain(x, [each.target for each in best], **SIGNED).raw[0])
    other = next(each for each in detected_objects(outputs[0], 0.0) if each.category != best[0].category)
    named = cam.explain(x[:1], other.category, **SIGNED)
    torch.testing.assert_close(named.raw[0], cam.explain(x[:1], other.target, **SIGNED).raw[0])
    with pytest.raises(ValueError, match=r"image 1: the detector finds no object of class 77 .* it finds classes \d"):
        cam(x, [other.category, 77])
    with pytest.raises(ValueError, match=r"all classes .* the model returns list.*detection_targets"):
        cam.explain_each(x)


def test_lists_of_pictures_of_several_sizes_are_refused() -> None:
    net = detector("RetinaNet")  # declares no types
    with pytest.raises(ValueError, match=r"sizes \(3, 80, 120\), \(3, 80, 100\), .* one by one"):
        GradCAM(net, LAYER)([pictures()[0], pictures()[0, :, :, :100]])


def test_a_list_of_inputs_is_no_list_of_pictures() -> None:
    """Only models that take a list of pictures get a batch; signals (B, C, T) in a list stay several inputs."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(2, 3, 3, padding=1)

        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            return self.conv(x + other).mean(2)

    net, x, other = build(Two), inputs(1), inputs(1, seed=4)
    found = HiResCAM(net, "conv").explain([x, other], 1, **SIGNED)
    torch.testing.assert_close(found.raw[0], net.conv(x + other)[:, 1] / x.shape[2])


DETECTED = {
    "boxes": torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 8, 10], [50, 50, 60, 60]]),
    "scores": torch.tensor([0.9, 0.8, 0.3, 0.7]),
    "labels": torch.tensor([1, 1, 1, 2]),
}


def test_box_targets_by_hand() -> None:
    box = (0, 0, 10, 10)  # overlaps: 1, 1/3, 0.8, 0
    torch.testing.assert_close(
        overlaps(torch.tensor([0.0, 0, 10, 10]), DETECTED["boxes"]), torch.tensor([1, 1 / 3, 0.8, 0])
    )
    assert float(BoxTarget(box)(DETECTED)) == pytest.approx(0.9)
    assert float(BoxTarget(box, 1, overlap_counts=True)(DETECTED)) == pytest.approx(0.9)
    near = (0, 0, 8, 10)  # overlaps: 0.8, 0.2 / 1.5, 1, 0
    assert float(BoxTarget(near, 1)(DETECTED)) == pytest.approx(0.9)  # 0.8 x 0.9 is more than 1 x 0.3
    assert float(BoxTarget(near, 1, overlap_counts=True)(DETECTED)) == pytest.approx(0.72)
    assert float(BoxTarget(near, 1, least_overlap=0.9)(DETECTED)) == pytest.approx(0.3)
    assert float(BoxTarget(np.array(box), 2)(DETECTED)) == 0
    assert float(StrongestDetectionTarget(2)(DETECTED)) == pytest.approx(0.7)
    per_class = Detections(DETECTED["boxes"], torch.tensor([[0.1, 0.9], [0.8, 0.1], [0.3, 0.2], [0.7, 0.6]]))
    assert float(BoxTarget(box, 0)(per_class)) == pytest.approx(0.3)
    assert float(BoxTarget(box)(per_class)) == pytest.approx(0.9)
    with pytest.raises(IndexError, match="class 5 does not exist: the detector has 2 classes, 0 to 1"):
        BoxTarget(box, 5)(per_class)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("overlap_counts", [False, True])
def test_nothing_matches_is_zero_with_a_graph(count: int, overlap_counts: bool) -> None:
    """Part 2, row 49, of the users' troubles: a detached zero cannot be differentiated."""
    leaf = torch.ones(4, requires_grad=True)
    boxes = leaf.expand(count, 4) + torch.tensor([0.0, 0, torch.inf, 5])  # what an unbounded head may give
    found = {"boxes": boxes, "scores": leaf[:1].expand(count), "labels": torch.ones(count, dtype=torch.long)}
    for target in (BoxTarget((50, 50, 60, 60), 1, overlap_counts=overlap_counts), StrongestDetectionTarget(9)):
        score = target(found)
        assert score.item() == 0
        (grads,) = torch.autograd.grad(score, leaf, retain_graph=True)
        assert grads.tolist() == [0, 0, 0, 0]


def test_a_box_without_a_detection_names_the_cause() -> None:
    net, x = detector("RetinaNet"), pictures(1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = GradCAM(net, LAYER).explain(x, BoxTarget((0, 0, 3, 3), 1))
    texts = [str(each.message) for each in said]
    assert any("no detection of class 1 overlaps the box [0, 0, 3, 3] by more than 0.5" in text for text in texts)
    assert "zero gradient" in found.notes[0][0]


def test_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"box \[5, 5, 2, 2\] is none; give left, top, right, bottom"):
        BoxTarget((5, 5, 2, 2))
    with pytest.raises(ValueError, match=r"returns dict with 'pred_boxes', 'logits' for an image, .* give read="):
        BoxTarget((0, 0, 1, 1))({"pred_boxes": torch.ones(3, 4), "logits": torch.ones(3, 2)})
    with pytest.raises(ValueError, match=r"returns a tensor \(7, 20\) for an image"):
        as_detections(torch.ones(7, 20))


def test_objects_are_listed_once() -> None:
    one = detected_objects(DETECTED)  # labelled boxes were suppressed by the detector itself
    assert [each.score for each in one] == pytest.approx([0.9, 0.8, 0.7])
    assert detected_objects(DETECTED, 0.85) == one[:1]
    assert detected_objects(DETECTED, 0.0, at_most=2) == one[:2]
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.7, 0.0], [0.0, 0.6]])
    several = detected_objects(Detections(DETECTED["boxes"], scores))
    assert [(each.category, round(each.score, 1)) for each in several] == [(0, 0.9), (0, 0.8), (1, 0.6)]
    outline = DetectedObject((-3.0, 2.4, 9.6, 20.0), 1, 0.5).outline
    assert (outline.left, outline.top, outline.right, outline.bottom) == (0, 2, 10, 20)
    drawn = draw_boxes(np.zeros((40, 40, 3), np.uint8), [outline], colour=(255, 0, 0), width=1)
    assert drawn[2, 0].tolist() == drawn[19, 9].tolist() == [255, 0, 0]
    assert drawn[5, 5].tolist() == [0, 0, 0]


def recipes() -> dict[str, Any]:
    """The readers that docs/tasks.md shows."""
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    code = next(block for block in text.split("```python")[1:] if "def yolov8" in block).split("network =")[0]
    found: dict[str, Any] = {}
    exec(code, found)
    return found


def test_the_readers_of_the_documentation() -> None:
    centre = torch.tensor([[10.0, 20, 4, 8], [30, 40, 10, 10]])  # (N, 4)
    shares = torch.tensor([[0.2, 0.6], [0.5, 0.1]])  # (N, M)
    corners = torch.tensor([[8.0, 16, 12, 24], [25, 35, 35, 45]])
    read = recipes()
    sure = torch.tensor([[0.5], [1.0]])
    logits = torch.cat([shares, 1 - shares.sum(1, keepdim=True)], 1).log()
    outputs = {
        "yolov8": (torch.cat([centre, shares], 1).T, shares),
        "yolov5": (torch.cat([centre, sure, shares], 1), shares * sure),
        "detr": ({"pred_boxes": centre, "logits": logits}, shares),
    }
    for name, (output, scores) in outputs.items():
        found = read[name](output)
        torch.testing.assert_close(found.boxes, corners)
        torch.testing.assert_close(found.scores, scores)
        assert float(BoxTarget(corners[1], 0, read=read[name])(output)) == pytest.approx(float(scores[1, 0]))


@pytest.mark.filterwarnings("ignore:.*the target depends on one position")
def test_heads_of_the_yolo_form() -> None:
    """Row 3 of the needs of users, for the detectors that they ask about most."""
    net, x, yolo = build(YoloNet), pictures(), recipes()["yolov8"]
    objects = detected_objects(net(x)[0], 0.0, 4, read=yolo)
    assert len(objects) == 4
    found = HiResCAM(net, "features").explain_each(x[:1], [each.target for each in objects], **SIGNED)
    kept = net.features(x[:1]).detach().requires_grad_()
    scores = net.classes(kept).sigmoid()[0].flatten(1)  # (M, N)
    boxes = corners_of(net(x)[0, :4].T)
    for index, each in enumerate(objects):
        cell = int((boxes - torch.tensor(each.box)).abs().sum(1).argmin())
        (grads,) = torch.autograd.grad(scores[each.category, cell], kept, retain_graph=True)
        torch.testing.assert_close(found.raw[0][0, index], (grads * kept.detach()).sum(1)[0])
    # the score is made of one cell: with HiResCAM all the evidence lies there
    assert all(int((raw != 0).sum()) == 1 for raw in found.raw[0][0])
    with pytest.raises(ValueError, match=r"the model returns a tensor \(2, 7, 150\), not one score per class"):
        HiResCAM(net, "features")(x)


def test_a_trained_detector_looks_at_the_object(shared: Path) -> None:
    """FastestDet on photos of Pascal VOC: most of the map lies in the box of the object that is asked about."""
    from PIL import Image
    from torchvision.transforms import functional

    from benchmarks import networks

    net, folder = networks.build("fastestdet"), shared / "data" / "voc2012"
    inside, chance = [], []
    for row in json.loads((folder / "annotations.json").read_text())[:8]:
        photo = Image.open(folder / row["file"]).convert("RGB").resize((352, 352), Image.Resampling.BILINEAR)
        x = functional.to_tensor(photo)[None]
        objects = detected_objects({name: part[0] for name, part in net(x).items()}, 0.6, 3)
        if not objects:
            continue
        maps = HiResCAM(net, "backbone.stage4").explain_each(x, [each.target for each in objects]).maps[0]
        for map, each in zip(maps, objects, strict=True):
            at = each.outline
            inside.append(float(map[at.top : at.bottom, at.left : at.right].sum() / map.sum()))
            chance.append(at.area / 352**2)
    assert len(inside) >= 8
    assert np.mean(inside) > 2 * np.mean(chance)
    assert np.mean([one > other for one, other in zip(inside, chance, strict=True)]) > 0.9


class _YoloForm(nn.Module):
    """Puts FastestDet's boxes and scores together as YOLO's heads do: (B, 4 + M, N)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        found = self.net(x)
        corners = found["boxes"]
        centres, sides = (corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]
        return torch.cat([centres, sides, found["scores"]], 2).mT


@pytest.mark.slow
def test_the_automatic_layer_of_the_yolo_form_looks_at_the_object(shared: Path) -> None:
    """On boxes that people drew, as much of the map lies inside as with the layer that was named by hand."""
    from benchmarks import networks, tasks

    detector = networks.build("fastestdet")
    net, yolo = _YoloForm(detector).eval(), recipes()["yolov8"]
    chosen, named = HiResCAM(net), HiResCAM(net, "net.spp")
    inside, chance = [], []
    for case, _ in zip(tasks.detected(detector), range(12), strict=False):
        assert isinstance(case.target, BoxTarget)
        target = BoxTarget(case.target.box, case.target.category, read=yolo)
        found = chosen.explain(case.image[None], target)
        assert found.layers == ("net.spp",)
        assert not any(found.notes)
        assert torch.equal(found.maps, named.explain(case.image[None], target).maps)
        map = found.maps[0].numpy()
        inside.append(map[case.mask].sum() / map.sum())
        chance.append(case.mask.mean())
    assert len(inside) == 12
    assert np.mean(inside) > 0.8
    assert np.mean(inside) > np.mean(chance) + 0.3
