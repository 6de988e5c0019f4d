"""Metrics of maps against masks and boxes: laws, definitions in float64 NumPy, numbers by hand."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from helpers.detectors import YoloNet, pictures
from helpers.tiny_nets import ConvNet, UNet, build, inputs
from torch import Tensor

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.box_overlap import LocalisationError, regions
from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.localisation import box_ious
from pytorch_grad_cam.metrics.metric import DataSetMetric
from pytorch_grad_cam.metrics.pointing import EnergyInside, PointingGame, TopK
from pytorch_grad_cam.metrics.thresholds import MaxBoxAcc, MaxBoxAccV2, PxAP
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget, predicted_classes

LOCAL = [TopK(20) if metric.name == "top_k" else metric for metric in METRICS.values() if "masks" in metric.needs]
OF_ORDER = [metric for metric in LOCAL if metric.name not in ("energy_inside", "energy_to_chance", "mass_accuracy")]
SIZE = (11, 14)
BOXES = [[[3, 2, 9, 8]], [[0, 0, 5, 5], [7, 4, 14, 11]], [[1, 6, 13, 9]]]  # x1, y1, x2, y2


def drawn_maps(batch: int = 3, size: tuple[int, ...] = SIZE, seed: int = 0) -> Tensor:
    return torch.rand(batch, *size, generator=torch.Generator().manual_seed(seed))


def drawn_masks(batch: int = 3, size: tuple[int, ...] = SIZE) -> Tensor:
    return drawn_maps(batch, size, seed=9) > 0.7


@pytest.mark.parametrize("metric", LOCAL, ids=lambda metric: metric.name)
@pytest.mark.parametrize("given", ["masks", "boxes"])
def test_a_batch_is_its_images(metric: Any, given: str) -> None:
    x, maps, known = inputs(batch=3), drawn_maps(), drawn_masks() if given == "masks" else BOXES
    together = metric(x, maps, **{given: known})
    low, high = metric.range
    assert together.shape == (3,)
    assert together.dtype == torch.float32
    assert ((together >= low) & (together <= high)).all()
    alone = [metric(x[i : i + 1], maps[i : i + 1], **{given: known[i : i + 1]}) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    turned = metric(x.flip(0), maps.flip(0).numpy(), **{given: known.flip(0) if given == "masks" else known[::-1]})
    torch.testing.assert_close(together, turned.flip(0))
    torch.testing.assert_close(together, metric(x, maps.double() * 9, **{given: known}))  # no scale


@pytest.mark.parametrize("metric", LOCAL, ids=lambda metric: metric.name)
def test_what_cannot_be_judged_is_nan(metric: Any) -> None:
    x, maps, masks = inputs(batch=4), drawn_maps(4), drawn_masks(4)
    maps[0, 2, 3] = torch.nan
    maps[1] = 0
    masks[2] = False
    assert metric(x, maps, masks=masks).isnan().tolist() == [True, True, True, False]
    assert metric(x, maps, boxes=[*BOXES[:2], [], BOXES[2]]).isnan().tolist() == [True, True, True, False]
    rows = metric.statistics(Case(x, maps, masks=masks))
    assert metric.aggregate(rows) == pytest.approx(metric.aggregate(rows[3:]))
    assert np.isnan(metric.aggregate(rows[:3]))
    with pytest.raises(ValueError, match="masks=, bool"):
        metric(x, maps)


@pytest.mark.parametrize("metric", LOCAL, ids=lambda metric: metric.name)
def test_a_perfect_map_is_the_best_there_is(metric: Any) -> None:
    """The mask has the best value of the range, or, for a ratio, the most there can be; its inverse the worst."""
    x, masks = inputs(batch=3), torch.zeros(3, *SIZE, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, [(3, 2, 9, 8), (0, 0, 5, 5), (1, 6, 13, 9)], strict=True):
        mask[top:bottom, left:right] = True
    perfect = metric(x, masks.float(), masks=masks)
    inverted = metric(x, 1 - masks.float() + 0.1 * drawn_maps(), masks=masks)  # the object's places come last
    best = {"localisation_error": torch.zeros(3), "energy_to_chance": 154 / masks.sum((1, 2))}
    torch.testing.assert_close(perfect, best.get(metric.name, torch.ones(3)))
    others = metric(x, drawn_maps(), masks=masks)
    sign = 1 if metric.higher_is_better else -1
    assert (sign * perfect >= sign * others).all()
    assert (sign * others >= sign * inverted).all() or metric.name in ("max_box_acc", "max_box_acc_v2", "box_iou")
    assert (sign * perfect > sign * inverted).all()


def test_a_map_of_one_value_has_the_share_of_the_object_and_no_order() -> None:
    x, masks = inputs(batch=3), drawn_masks()
    for value in (0.5, 1.0, 7.0):
        ones = torch.full((3, *SIZE), value)
        share = masks.float().mean((1, 2))
        torch.testing.assert_close(METRICS["mass_accuracy"](x, ones, masks=masks), share)
        torch.testing.assert_close(METRICS["energy_inside"](x, ones, masks=masks), share)
        torch.testing.assert_close(METRICS["energy_to_chance"](x, ones, masks=masks), torch.ones(3))
        for metric in OF_ORDER:
            assert metric(x, ones, masks=masks).isnan().all(), metric.name


def test_pointing_mass_and_order_by_definition() -> None:
    x, masks = inputs(batch=3), drawn_masks()
    maps = drawn_maps() - 0.3  # negative values count for nothing
    maps[2] = (maps[2] * 5).round() / 5  # equal values
    for row in range(2, -1, -1):
        map, inside = maps[row].double().numpy(), masks[row].numpy()
        positive, size = map.clip(min=0), int(inside.sum())
        pairs = map[inside][:, None] - map[~inside][None]
        precision = 0.0
        for value in map[inside]:
            precision += inside[map >= value].mean() / size
        expected = {
            "energy_inside": positive[inside].sum() / positive.sum(),
            "energy_to_chance": positive[inside].sum() / positive.sum() / inside.mean(),
            "mass_accuracy": positive[inside].sum() / positive.sum(),
            "roc_auc": (pairs > 0).mean() + (pairs == 0).mean() / 2,
            "average_precision": precision,
        }
        if row < 2:  # with ties the order is drawn
            expected["rank_accuracy"] = inside.flat[np.argsort(-map, axis=None)[:size]].mean()
            expected["top_k"] = inside.flat[np.argsort(-map, axis=None)[:20]].mean()
        for metric in LOCAL:
            if metric.name in expected:
                found = metric(x, maps, masks=masks)[row]
                assert float(found) == pytest.approx(expected[metric.name], rel=1e-5), metric.name


def test_only_the_order_matters_to_metrics_of_order() -> None:
    x, maps, masks = inputs(batch=3), drawn_maps(), drawn_masks()
    for name in ("pointing_game", "rank_accuracy", "roc_auc", "average_precision"):
        torch.testing.assert_close(METRICS[name](x, 7 * maps**3 - 2, masks=masks), METRICS[name](x, maps, masks=masks))
    # The negative turns the order of pairs round.
    turned = METRICS["roc_auc"](x, -maps, masks=masks)
    torch.testing.assert_close(turned, 1 - METRICS["roc_auc"](x, maps, masks=masks))


def test_pointing_game_by_hand() -> None:
    x = inputs(batch=1)
    map, mask = torch.zeros(1, *SIZE), torch.zeros(1, *SIZE, dtype=torch.bool)
    mask[0, 2:5, 3:6] = True
    map[0, 7, 9] = 1  # 3 below, 4 to the right of its corner: 5 away
    for away, hit in ((0, 0.0), (4.9, 0.0), (5.1, 1.0)):
        assert float(PointingGame(away * 224 / 11)(x, map, masks=mask)) == hit
    with pytest.raises(ValueError, match="0 or more"):
        PointingGame(-1)(x, map, masks=mask)
    map[0, 4, 5] = 1  # as high, inside: which of the two counts is drawn
    drawn = [float(PointingGame(0)(x, map, masks=mask, seed=seed)) for seed in range(12)]
    assert set(drawn) == {0.0, 1.0}
    assert drawn == [float(PointingGame(0)(x, map, masks=mask, seed=seed)) for seed in range(12)]


def test_limits_of_energy_and_top_k() -> None:
    x, masks, maps = inputs(batch=3), drawn_masks(), drawn_maps()
    masks[1] = True
    assert EnergyInside(largest=0.5)(x, maps, masks=masks).isnan().tolist() == [False, True, False]
    assert METRICS["roc_auc"](x, maps, masks=masks).isnan().tolist() == [False, True, False]  # nothing beside it
    assert METRICS["top_k"](x, maps, masks=masks).isnan().all()  # 1000 of 154 positions say nothing
    with pytest.raises(ValueError, match="1 or more"):
        TopK(0)(x, maps, masks=masks)


def test_masks_and_boxes_together() -> None:
    """Energy takes the boxes, as its paper does; what is said of masks takes these."""
    x, maps, masks = inputs(batch=3), drawn_maps(), drawn_masks()
    both = {"masks": masks, "boxes": BOXES}
    for name, taken in (("energy_inside", "boxes"), ("mass_accuracy", "masks"), ("box_iou", "boxes")):
        torch.testing.assert_close(METRICS[name](x, maps, **both), METRICS[name](x, maps, **{taken: both[taken]}))
    filled = torch.zeros(3, *SIZE, dtype=torch.bool)
    for mask, boxes in zip(filled, BOXES, strict=True):
        for left, top, right, bottom in boxes:
            mask[top:bottom, left:right] = True
    for name in ("energy_inside", "rank_accuracy", "px_ap"):
        torch.testing.assert_close(METRICS[name](x, maps, masks=filled), METRICS[name](x, maps, boxes=BOXES))


def flooded(above: Any) -> list[list[tuple[int, ...]]]:
    """Regions of neighbouring places, found by walking from place to place."""
    left, found = {tuple(place) for place in np.argwhere(above).tolist()}, []
    while left:
        waiting = deque([left.pop()])
        region = []
        while waiting:
            place = waiting.popleft()
            region.append(place)
            near = {other for other in left if max(abs(a - b) for a, b in zip(place, other, strict=True)) <= 1}
            left -= near
            waiting.extend(near)
        found.append(region)
    return found


@pytest.mark.parametrize("size", [(23,), (9, 12), (5, 6, 7)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 1.0])
def test_regions(size: tuple[int, ...], share: float) -> None:
    above = drawn_maps(1, size)[0].numpy() < share
    extents, counts = regions(above)
    expected = sorted(
        (len(region), [[min(axis), max(axis) + 1] for axis in zip(*region, strict=True)]) for region in flooded(above)
    )
    assert extents.shape == (len(expected), len(size), 2)
    assert sorted(zip(counts.tolist(), extents.tolist(), strict=True)) == expected


def overlap(box: Any, other: Any) -> float:
    """IoU of two boxes of whole positions, by counting these."""
    one, two = np.zeros((2, 40, 40), bool)
    one[box[1] : box[3], box[0] : box[2]] = True
    two[other[1] : other[3], other[0] : other[2]] = True
    return float((one & two).sum() / (one | two).sum())


def table_by_hand(map: Any, boxes: Any, thresholds: Any) -> Any:
    """IoU of the largest region's box, and the best of all, at each threshold."""
    unit, rows = (map - map.min()) / np.ptp(map), []
    for threshold in thresholds:
        found = []
        for region in flooded(unit >= threshold):
            (top, left), (bottom, right) = np.min(region, 0), np.max(region, 0) + 1
            found.append((len(region), max(overlap((left, top, right, bottom), box) for box in boxes)))
        largest = [fit for size, fit in found if size == max(found)[0]]
        rows.append((largest, max(fit for _, fit in found)))
    return rows


def test_boxes_by_definition() -> None:
    x = inputs(batch=3)
    maps = torch.nn.functional.avg_pool2d(drawn_maps(seed=4)[:, None], 3, 1, 1)[:, 0]
    tables = [table_by_hand(map.double().numpy(), boxes, [0.15]) for map, boxes in zip(maps, BOXES, strict=True)]
    found = METRICS["box_iou"](x, maps, boxes=BOXES)
    error = METRICS["localisation_error"](x, maps, boxes=BOXES)
    for row, [(largest, _)] in enumerate(tables):
        assert float(found[row]) in [pytest.approx(fit) for fit in largest]
        assert float(error[row]) == float(found[row] < 0.5)
    # The function of the same meaning thresholds a share of the largest value: the same for maps from 0 on.
    low = maps - maps.amin((1, 2), keepdim=True)
    np.testing.assert_allclose(METRICS["box_iou"](x, low, boxes=BOXES), box_ious(low, BOXES), rtol=1e-6)


def test_a_box_needs_its_class_where_that_is_asked_for() -> None:
    net, x = build(ConvNet), inputs(batch=3)
    order = net(x).argsort(1, descending=True)
    maps = torch.zeros(3, *SIZE)
    for map, (left, top, right, bottom) in zip(maps, [boxes[0] for boxes in BOXES], strict=True):
        map[top:bottom, left:right] = 1
    second = order[:, 1].tolist()
    assert LocalisationError()(x, maps, boxes=BOXES).tolist() == [0, 0, 0]
    assert LocalisationError(top=1)(x, maps, second, net, boxes=BOXES).tolist() == [1, 1, 1]
    assert LocalisationError(top=2)(x, maps, second, net, boxes=BOXES).tolist() == [0, 0, 0]
    assert LocalisationError(top=1)(x, maps, None, net, boxes=BOXES).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="top=None"):
        LocalisationError(top=0)(x, maps, 1, net, boxes=BOXES)
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        LocalisationError(threshold=0)(x, maps, boxes=BOXES)


def test_thresholds_over_a_data_set_by_definition() -> None:
    x, steps = inputs(batch=3), 10
    maps = torch.nn.functional.avg_pool2d(drawn_maps(seed=4)[:, None], 3, 1, 1)[:, 0]
    levels = [step / steps for step in range(steps + 1)]
    tables = [table_by_hand(map.double().numpy(), boxes, levels) for map, boxes in zip(maps, BOXES, strict=True)]
    case = Case(x, maps, boxes=BOXES)
    rows = MaxBoxAcc(steps=steps).statistics(case)
    assert rows.shape == (3, 11)
    for row, table in zip(rows.tolist(), tables, strict=True):
        for fit, (largest, _) in zip(row, table, strict=True):
            assert fit in [pytest.approx(each) for each in largest]  # of equally large regions one is taken
    torch.testing.assert_close(MaxBoxAcc(steps=steps).of(case), rows.amax(1).float())
    hits = [np.mean([row[level] >= 0.4 for row in rows.tolist()]) for level in range(11)]
    assert MaxBoxAcc(0.4, steps).aggregate(rows) == pytest.approx(max(hits))
    assert max(hits) > 0
    best = np.array([[fit for _, fit in table] for table in tables])
    rows = MaxBoxAccV2(steps=steps).statistics(case)
    np.testing.assert_allclose(rows, best)
    expected = np.mean([(best >= demand).mean(0).max() for demand in (0.3, 0.5, 0.7)])
    assert MaxBoxAccV2(steps=steps).aggregate(rows) == pytest.approx(expected)
    with pytest.raises(ValueError, match="1 or more"):
        MaxBoxAcc(steps=0).statistics(case)


def pooled_precision(maps: Any, masks: Any, levels: Any) -> float:
    area = recall = 0.0
    for level in reversed(levels):
        reached = maps >= level
        if reached.any():
            now = (reached & masks).sum() / masks.sum()
            area, recall = area + (reached & masks).sum() / reached.sum() * (now - recall), now
    return float(area)


def test_pixel_precision_by_definition() -> None:
    x, maps, masks, steps = inputs(batch=3), drawn_maps() * 3 - 1, drawn_masks(), 20
    levels = [step / steps for step in range(steps + 1)]
    units = np.stack([(map - map.min()) / np.ptp(map) for map in maps.numpy().astype(np.float64)])
    case = Case(x, maps, masks=masks)
    rows = PxAP(steps).statistics(case)
    assert rows.shape == (3, 21, 2)
    assert rows[:, 0, 0].tolist() == [154] * 3
    found = PxAP(steps).of(case)
    for row in range(3):
        assert float(found[row]) == pytest.approx(pooled_precision(units[row], masks[row].numpy(), levels), rel=1e-5)
    assert PxAP(steps).aggregate(rows) == pytest.approx(pooled_precision(units, masks.numpy(), levels), rel=1e-5)
    fine = PxAP(100_000)(x, maps, masks=masks)  # every value has a threshold of its own
    torch.testing.assert_close(fine, METRICS["average_precision"](x, maps, masks=masks), rtol=1e-3, atol=1e-3)


def test_statistics_of_batches_are_those_of_the_whole() -> None:
    """Whoever measures batch by batch, and keeps the rows, has the number of the data set."""
    x, maps = inputs(batch=3), drawn_maps()
    for metric in LOCAL:
        whole = metric.statistics(Case(x, maps, boxes=BOXES))
        parts = [metric.statistics(Case(x[i : i + 1], maps[i : i + 1], boxes=BOXES[i : i + 1])) for i in range(3)]
        torch.testing.assert_close(torch.cat(parts), whole)
        torch.testing.assert_close(metric.of_statistics(whole).float(), metric(x, maps, boxes=BOXES))
        assert metric.aggregate(torch.cat(parts)) == metric.aggregate(whole)
        if not isinstance(metric, DataSetMetric):
            assert metric.aggregate(whole) == pytest.approx(float(whole.mean()))


@pytest.mark.parametrize("size", [(23,), (5, 6, 7)])
def test_signals_and_volumes(size: tuple[int, ...]) -> None:
    x, masks = torch.zeros(2, 2, *size), torch.zeros(2, *size, dtype=torch.bool)
    masks[(slice(None), *[slice(1, 4)] * len(size))] = True
    maps = drawn_maps(2, size)
    for metric in LOCAL:
        small = TopK(5) if metric.name == "top_k" else metric
        sign = 1 if metric.higher_is_better else -1
        better, worse = small(x, masks.float(), masks=masks), small(x, maps, masks=masks)
        assert (sign * better >= sign * worse).all(), metric.name
        assert better.isfinite().all(), metric.name
        with pytest.raises(ValueError, match="give masks"):
            small(x, maps, boxes=[[[0, 0, 1, 1]]] * 2)


def test_a_segmentation() -> None:
    """The object is where the network sees its class; the target's region stays that of the unchanged image."""
    net, x = build(UNet), inputs(batch=2)
    scores = net(x).detach()
    classes = [int(predicted_classes(each).flatten().mode().values) for each in scores]
    masks = torch.stack([predicted_classes(each) == c for each, c in zip(scores, classes, strict=True)])
    maps = GradCAM(net, "up").explain(x, classes).maps
    for targets in (
        [SemanticSegmentationTarget(c, mask) for c, mask in zip(classes, masks, strict=True)],
        [SemanticSegmentationTarget(c) for c in classes],
    ):
        case = Case(x, maps, targets, net, masks=masks)
        for metric in (*LOCAL, METRICS["insertion"], METRICS["pixel_flipping_morf"]):
            assert metric.of(case).isfinite().all(), metric.name
        expected = (scores[torch.arange(2), classes] * masks).sum((1, 2))
        torch.testing.assert_close(case.scores.float(), expected)
    changes = {
        type(targets): DropInConfidence()(x, maps, targets, net)
        for targets in (
            [SemanticSegmentationTarget(c, mask) for c, mask in zip(classes, masks, strict=True)],
            tuple(SemanticSegmentationTarget(c) for c in classes),
        )
    }
    np.testing.assert_allclose(changes[list], changes[tuple])


def test_a_detection() -> None:
    """Boxes as a detector gives them are the object, and its target scores the changed images."""
    net, x = YoloNet(), pictures()
    target = lambda output: output[4:].amax()  # noqa: E731  # the surest cell and class
    boxes = [[[10, 10, 60, 50]], [[30, 20, 110, 70], [0, 0, 20, 20]]]
    maps = GradCAM(net, "features.2").explain(x, [target] * 2).maps
    case = Case(x, maps, [target] * 2, net, boxes=boxes)
    for metric in (*LOCAL, METRICS["deletion"]):
        assert metric.of(case).isfinite().all(), metric.name
