"""The search for a method of our own: what candidates are, how they are compared, and what is concluded."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.independent_gradients import record
from helpers.tiny_nets import ConvNet, TinyViT, build, inputs
from torch.testing import assert_close

from benchmarks import search
from benchmarks.candidates import ANCHOR, CANDIDATES, ROUNDS, OfStages, in_cells
from benchmarks.search import Cell, counted, finalists, pooled, qualifies
from benchmarks.search_cases import BestIoU, RankAuc, Setting, half_of
from pytorch_grad_cam import GradCAM, GradCAMElementWise, HiResCAM, LayerCAM, ShapleyCAM
from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.evaluation.statistics import Interval
from pytorch_grad_cam.metrics.pointing import EnergyInside, RocAuc


@pytest.fixture(autouse=True)
def no_passes_of_others() -> None:
    OfStages.forget()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_candidates_that_are_methods_of_the_shelf(ndim: int) -> None:
    net, x = build(ConvNet, ndim), inputs(ndim)
    for name, cam in {
        ANCHOR: GradCAM(net),
        "gradcam, stages": GradCAM(net, "stages"),
        "hirescam, stages": HiResCAM(net, "stages"),
        "layercam, stages": LayerCAM(net, "stages"),
        "elementwise, stages": GradCAMElementWise(net, "stages"),
        "shapleycam": ShapleyCAM(net),
    }.items():
        assert_close(CANDIDATES[name](net).explain(x, 1).maps, cam.explain(x, 1).maps, msg=name)
    rest = GradCAM(net).explain(x, 1, contrast="rest").maps
    assert_close(CANDIDATES["gradcam, log odds"](net).explain(x, 1).maps, rest)


@pytest.mark.parametrize("name", list(CANDIDATES))
def test_candidates_explain_other_networks(name: str) -> None:
    for net, x in (
        (build(ConvNet, 1), inputs(1)),
        (build(ConvNet, 3), inputs(3)),
        (build(TinyViT), inputs(size=(6, 10))),
    ):
        maps = CANDIDATES[name](net).explain(x, 1).maps
        assert maps.shape == (len(x), *x.shape[2:])
        assert maps.min() >= 0
        assert maps.max() <= 1


def test_sharpened_and_cells_by_hand() -> None:
    net, x = build(ConvNet), inputs(size=(8, 12))
    want = record(net, ["conv1", "conv3"], x, lambda outputs: outputs[:, 1])
    raws = [torch.from_numpy((a * g).sum(1)) for a, g in zip(want.A, want.G, strict=True)]
    pooled_by_hand = raws[0].reshape(2, 4, 2, 6, 2).mean((2, 4)).numpy()
    early, late = pooled_by_hand / np.abs(pooled_by_hand).mean((1, 2), keepdims=True), raws[1].numpy()
    late = late / np.abs(late).mean((1, 2), keepdims=True)
    assert raws[1].shape[1:] == (4, 6)
    cells = CANDIDATES["cells"](net, ["conv1", "conv3"])
    assert isinstance(cells, OfStages)
    found = cells.fused(raws, (4, 6))
    assert_close(found, torch.from_numpy(np.maximum(early + late, 0)))
    # What is sharpened holds as much of a cell as before, up to what resizing blurs: here a layer with one cell alone.
    sharpened = CANDIDATES["sharpened"](net, ["conv1", "conv3"])
    assert isinstance(sharpened, OfStages)
    last = torch.tensor([[[0.0, 4.0]]], dtype=torch.float64)
    local = torch.rand(1, 4, 8, dtype=torch.float64)
    found = sharpened.fused([local, last], (4, 8))
    assert (found[:, :, :2] == 0).all()  # nothing moves to where the last layer has nothing
    assert found[0, :, 6:].argmax() == local[0, :, 6:].argmax()


@pytest.mark.filterwarnings("ignore::pytorch_grad_cam.common.messages.MeaninglessMapWarning")
def test_a_pass_is_run_once() -> None:
    net, x = build(ConvNet), inputs()
    count = [0]
    net.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    layers = ["conv1", "conv3"]
    first = CANDIDATES["hirescam, stages"](net, layers).explain(x, 1)
    CANDIDATES["balanced"](net, layers).explain(x, 1)
    assert count == [1]
    CANDIDATES["balanced"](net, layers).explain(x, 0)
    CANDIDATES["balanced"](net, layers).explain(x + 1, 1)
    CANDIDATES["hirescam, stages, log odds"](net, layers).explain(x, 1)
    other = CANDIDATES["hirescam, stages"](build(ConvNet, seed=5), layers).explain(x, 1)
    assert count == [4]
    assert not torch.equal(first.maps, other.maps)


def test_cells_of_a_grid() -> None:
    fine, coarse = torch.arange(8.0).reshape(1, 2, 4), torch.zeros(1, 1, 2)
    assert in_cells(fine, coarse).tolist() == [[[2.5, 4.5]]]
    assert in_cells(coarse, fine) is coarse


def test_best_iou_by_hand() -> None:
    maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]], [[1.0, 1.0], [0.0, 0.0]], [[0.0, 1.0], [2.0, 3.0]]])
    masks = torch.tensor([[[1, 0], [1, 0]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]], dtype=torch.bool)
    # {4}: 1/2, {4, 3}: 1/3, {4, 3, 2}: 2/3; both ones at once: 1/2; last: 1/4
    found = BestIoU()(torch.zeros(3, 1, 2, 2), maps, masks=masks)
    assert_close(found, torch.tensor([2 / 3, 1 / 2, 1 / 4]))
    assert_close(BestIoU()(torch.zeros(3, 1, 2, 2), maps**3, masks=masks), found)


def test_ranks_of_thinned_maps_are_those_of_maps() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.nn.functional.interpolate(
        torch.rand(2, 1, 7, 7, generator=generator), size=(224, 224), mode="bilinear"
    )
    masks = torch.zeros(2, 224, 224, dtype=torch.bool)
    masks[:, 30:130, 60:170] = True
    x = torch.zeros(2, 1, 224, 224)
    assert_close(RankAuc()(x, maps[:, 0], masks=masks), RocAuc()(x, maps[:, 0], masks=masks), atol=5e-3, rtol=0)


def test_halves_share_nothing() -> None:
    first, second = half_of(range(51), 0), half_of(range(51), 1)
    assert sorted(first + second) == list(range(51))
    assert abs(len(first) - len(second)) <= 1


def cell(sign: int, metric: str = "energy_inside", value: float = 0.1, half: float = 0.05) -> Cell:
    middle = sign * value
    return Cell("tiny", metric, 0.5, Interval(middle, middle - half, middle + half, 4))


def test_conclusions() -> None:
    good, mixed, bad = [cell(1), cell(1), cell(0)], [cell(1), cell(1), cell(-1)], [cell(-1), cell(0), cell(0)]
    assert counted(mixed) == (2, 0, 1)
    assert [qualifies(each) for each in (good, mixed, bad, [cell(1), cell(0)])] == [True, False, False, False]
    assert finalists({"bad": bad, "mixed": mixed, "good": good})[:2] == ["good", "mixed"]
    (mean,) = pooled([cell(1), cell(-1)]).values()
    assert mean.value == 0
    assert mean.high == pytest.approx(0.05 / math.sqrt(2))


def test_one_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(4, 16, 16, dtype=torch.bool)
    masks[:, 2:9, 3:12] = True

    def images(half: int, times: float) -> list[ImageBatch]:
        names = ["0: 0", "0: 1", "1: 0", "1: 1"]
        return [
            ImageBatch(torch.rand(4, 2, 16, 16, generator=generator.manual_seed(half)), [0, 1, 0, 1], masks, ids=names)
        ]

    setting = Setting("tiny", "A tiny network", "tiny", (EnergyInside(),), images)
    monkeypatch.setattr(search, "settings", lambda shared: [setting])
    monkeypatch.setattr(search.networks, "build", lambda name: build(ConvNet))
    monkeypatch.setattr(search, "costs_of", lambda names: dict.fromkeys(names, 1.0))
    out, words = tmp_path / "page.md", tmp_path / "words.md"
    words.write_text("What a person says of it.", encoding="utf-8")
    search.main(["--work", str(tmp_path), "--output", str(out), "--conclusion", str(words)])
    text = out.read_text(encoding="utf-8")
    comparison = search.measure(setting, 0, ROUNDS[0], 1.0, tmp_path)  # from the journal
    (found,) = search.cells(comparison, "A tiny network", "sharpened")
    rows = {row.method: row.values["energy_inside"] for row in comparison.rows}
    assert found.found.value == pytest.approx(np.nanmean(rows["sharpened"] - rows[ANCHOR]))
    assert f"{found.found.value:+.3f}" in text.split("## Development half: each network")[1]
    assert "What a person says of it." in text
    assert ("**None does.**" in text) != ("**Found: " in text)
    held = search.measure(setting, 1, [ANCHOR, *finalists_of(text)], 1.0, tmp_path)
    assert len(held.rows) == 4 + search.FINALISTS + 1


def finalists_of(text: str) -> list[str]:
    lines = text.split("## Held-out half: means over networks")[1].split("##")[0].splitlines()
    return [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")][2:]
