"""compare: what is measured, that nothing but the question changes it, and that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import EigenCAM, FinerCAM, GradCAM
from pytorch_grad_cam.evaluation import ImageBatch, compare
from pytorch_grad_cam.evaluation.families import family_of, quality_metrics
from pytorch_grad_cam.evaluation.records import JournalError, Records
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.curves import Insertion
from pytorch_grad_cam.metrics.references import REFERENCES

FAST: dict[str, Any] = {"metrics": [Insertion(4), "average_drop", "gini"], "progress": False}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return build(ConvNet, seed=1)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return inputs(batch=5, size=(12, 8))


def test_values_are_those_of_the_metrics(net: nn.Module, images: Tensor) -> None:
    found = compare(net, images, ["gradcam"], ["conv2"], **FAST)
    maps = GradCAM(net, "conv2")(images)
    row = found.row("gradcam")
    assert row.layers == ("conv2",)
    for name, metric in (("insertion(steps=4)", Insertion(4)), ("gini", METRICS["gini"])):
        np.testing.assert_array_equal(row.values[name], metric(images, maps, None, net).double().numpy())
        assert found.interval("gradcam", name).value == pytest.approx(np.nanmean(row.values[name]))
    assert [image.category for image in found.images] == net(images).argmax(1).tolist()
    assert (row.forward, row.backward, row.maps) == (1.0, 1.0, 5)


def test_reference_maps_always_come_along(net: nn.Module, images: Tensor) -> None:
    found = compare(net, images, GradCAM, **FAST)
    assert [row.id for row in found.references] == list(REFERENCES)
    assert found.row("uniform").values["average_drop"].tolist() == [0.0] * 5
    assert np.isnan(found.row("uniform").values["insertion(steps=4)"]).all()  # a constant map has no order
    drawn = compare(net, images, GradCAM, **FAST).row("random").values["gini"]
    assert len(set(drawn.tolist())) == 5  # each image has noise of its own
    np.testing.assert_array_equal(drawn, found.row("random").values["gini"])


@pytest.mark.parametrize("batch_size", [2, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 7))])
def test_batches_change_nothing(net: nn.Module, images: Tensor, batch_size: int) -> None:
    methods = ["gradcam", "smoothgrad", "eigencam"]
    whole = compare(net, images, methods, **FAST, batch_size=5)
    found = compare(net, images, methods, **FAST, batch_size=batch_size)
    loaded = compare(net, iter(images.split(3)), methods, **FAST, batch_size=5)
    for row, other, third in zip(whole.rows, found.rows, loaded.rows, strict=True):
        assert row.id == other.id == third.id
        for name in whole.metrics:
            np.testing.assert_allclose(row.values[name], other.values[name], atol=2e-5)
            np.testing.assert_allclose(row.values[name], third.values[name], atol=2e-5)


def test_the_order_of_methods_and_metrics_changes_nothing(net: nn.Module, images: Tensor) -> None:
    one = compare(net, images, ["gradcam", "layercam"], metrics=["deletion", "entropy"], progress=False)
    other = compare(net, images, ["layercam", "gradcam"], metrics=["entropy", "deletion"], progress=False)
    for id in ("gradcam", "layercam"):
        for name in ("deletion", "entropy"):
            assert one.interval(id, name) == other.interval(id, name)
    assert one.difference("gradcam", "layercam", "deletion") == other.difference("gradcam", "layercam", "deletion")


def test_the_same_call_gives_the_same_text(net: nn.Module, images: Tensor) -> None:
    first, second = (compare(net, images, ["gradcam", "smoothgrad"], **FAST) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.to_csv() == second.to_csv()
    assert "times" not in json.loads(first.to_json())
    assert json.loads(first.to_json(times=True))["times"]["smoothgrad"] > 0


def test_differences_are_paired(net: nn.Module, images: Tensor) -> None:
    found = compare(net, images, ["gradcam", "layercam"], **FAST)
    first, second = (found.row(id).values["gini"] for id in ("gradcam", "random"))
    difference = found.difference("gradcam", "random", "gini")
    assert difference.value == pytest.approx(np.nanmean(first - second))
    assert found.better("random", "gradcam", "gini") is True  # here noise is sparser
    assert found.better("gradcam", "random", "gini") is False
    assert found.better("gradcam", "gradcam", "gini") is None
    names = {(one, other) for one, other, _, _ in found.differences("gini")}
    unjudged = {other for _, other, _, _ in found.differences("insertion(steps=4)")}
    assert "uniform" not in unjudged  # it has no order
    gradcam, layercam = (found.row(id).id for id in ("gradcam", "layercam"))
    assert {(id, name) for id in (gradcam, layercam) for name in REFERENCES} < names
    assert len(names) == 2 * len(REFERENCES) + 1  # and the second best with the best


def test_methods_and_layers(net: nn.Module, images: Tensor) -> None:
    found = compare(net, images, ["gradcam", "vanillagradient"], ["conv1", net.conv2, ["conv1", "conv2"]], **FAST)
    assert [row.id for row in found.methods] == [
        "gradcam conv1",
        "gradcam conv2",
        "gradcam conv1+conv2",
        "vanillagradient",  # it has no layers, so it comes once
    ]
    averaged = GradCAM(net, ["conv1", "conv2"])(images)
    np.testing.assert_array_equal(
        found.row("gradcam conv1+conv2").values["gini"],
        METRICS["gini"](images, averaged, None, net).double().numpy(),
    )
    assert "Which layer?" in dict(found.verdicts())


def test_methods_by_class_object_and_callable(net: nn.Module, images: Tensor) -> None:
    own = GradCAM(net, "conv1")
    found = compare(
        net,
        images,
        {"mine": own, "peer": lambda x, targets, model: x.abs().sum(1), "eigen": EigenCAM},
        ["conv2"],
        **FAST,
    )
    assert [row.method for row in found.methods] == ["mine", "peer", "eigen"]
    assert found.row("mine").layers == ("conv1",)
    np.testing.assert_array_equal(
        found.row("peer").values["gini"], METRICS["gini"](images, images.abs().sum(1)).double().numpy()
    )
    with pytest.raises(ValueError, match="made with another model"):
        compare(build(ConvNet, seed=2), images, own, **FAST)


def test_a_method_that_does_not_suit_the_network_is_a_row(net: nn.Module, images: Tensor) -> None:
    found = compare(net, images, ["gradcam", "attentionrollout"], **FAST, batch_size=2)
    row = found.row("attentionrollout")
    assert row.maps == 0
    assert "attention" in (row.reason or "")
    assert np.isnan(row.values["gini"]).all()
    assert "attentionrollout: " in found.table()
    assert row not in found.methods


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_a_class_is_asked_of_methods_as_a_class(net: nn.Module, images: Tensor) -> None:
    """FinerCAM compares a class with similar ones; given its logit as a callable it would be GradCAM."""
    found = compare(net, images, ["finercam"], ["conv2"], targets=1, **FAST)
    maps = FinerCAM(net, "conv2")(images, 1)
    np.testing.assert_array_equal(found.row("finercam").values["gini"], METRICS["gini"](images, maps).double().numpy())


def test_random_weights_reach_the_layers_of_the_copy(net: nn.Module, images: Tensor) -> None:
    """A map of stored modules would stay that of the old network: similarity 1."""
    made = {"object": GradCAM(net, net.conv2), "finer": FinerCAM(net, net.conv2), "name": "gradcam"}
    found = compare(net, images, made, ["conv2"], metrics=["parameter_randomisation"], progress=False)
    for row in found.methods:
        assert row.reasons == {}
        assert (row.values["parameter_randomisation"] < 0.95).all()
    np.testing.assert_array_equal(*(found.row(id).values["parameter_randomisation"] for id in ("object", "name")))


def test_the_model_stays_as_it_is(net: nn.Module, images: Tensor) -> None:
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    compare(net, images, "gradcam", metrics=["insertion", "parameter_randomisation"], progress=False)
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.eval()


class StopHereError(Exception):
    """What ends a run at a picked moment."""


def test_a_run_that_was_stopped_goes_on(net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    """Stopped after each number of records: the same text as in one go, and nothing is measured twice."""
    methods = ["gradcam", "attentionrollout", "eigencam"]
    whole = compare(net, images, methods, **FAST, batch_size=2, thumbnails=4)
    per_batch = len(whole.rows) + 1
    journal, measured = tmp_path / "j.jsonl", 0
    add = Records.add
    for stop in (1, 4, per_batch + 3, 10**6):
        count = 0

        def counted(self: Records, *arguments: Any, stop: int = stop) -> None:
            nonlocal count
            if count == stop:
                raise StopHereError
            count += 1
            add(self, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Records, "add", counted)
            try:
                found = compare(net, images, methods, **FAST, batch_size=2, thumbnails=4, journal=journal)
            except StopHereError:
                with open(journal, "ab") as file:
                    file.write(b'{"start": 3, "sto')  # as a kill may leave it
        measured += count
    assert measured == 3 * per_batch
    assert found.to_json() == whole.to_json()
    assert found.to_csv() == whole.to_csv()
    assert [row.thumbnails for row in found.rows] == [row.thumbnails for row in whole.rows]
    assert found.rows[0].thumbnails[0] is not None


def test_a_journal_of_another_question_is_not_continued(net: nn.Module, images: Tensor, tmp_path: Path) -> None:
    journal = tmp_path / "j.jsonl"
    compare(net, images, "gradcam", **FAST, journal=journal)
    kept = journal.read_bytes()
    with pytest.raises(JournalError, match=r"other settings \(seed\)"):
        compare(net, images, "gradcam", **FAST, journal=journal, seed=1)
    with pytest.raises(JournalError, match=r"other settings \(model\)"):
        compare(build(ConvNet, seed=2), images, "gradcam", **FAST, journal=journal)
    assert journal.read_bytes() == kept
    other = compare(net, images + 1, "gradcam", **FAST, journal=journal)  # other images are measured anew
    assert other.to_csv() == compare(net, images + 1, "gradcam", **FAST).to_csv()


def test_mosaics_do_not_depend_on_batches() -> None:
    net, images = build(ConvNet, seed=1), inputs(batch=12, size=(12, 8))
    targets = [index % 3 for index in range(12)]
    bias = torch.zeros(12, 3)
    bias[range(12), targets] = 9.0

    class Sure(nn.Module):
        """Finds in each image the class that its first value says, so that all can be put together."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            outputs: Tensor = self.net(x)
            wanted = nn.functional.one_hot(x[:, 0, 0, 0].round().long().clamp(0, 2), 3)
            return outputs * 0.01 + 9 * wanted

    images[:, 0, 0, 0] = torch.tensor(targets, dtype=torch.float32)
    from pytorch_grad_cam.metrics.mosaics import Focus

    how: dict[str, Any] = {"metrics": [Focus(least=0.5)], "progress": False}
    found = [compare(Sure(), images, "eigencam", ["net.conv2"], **how, batch_size=size) for size in (1, 5, 12)]
    values = [each.row("eigencam").values["focus"] for each in found]
    assert np.isfinite(values[0]).sum() >= 1
    for other in values[1:]:
        np.testing.assert_allclose(values[0], other, atol=1e-5)
    assert np.nanmean(found[0].row("uniform").values["focus"]) == pytest.approx(0.5)


def test_masks_and_boxes(net: nn.Module, images: Tensor) -> None:
    masks = torch.zeros(5, 12, 8, dtype=torch.bool)
    masks[:, 2:5, 1:4] = True
    found = compare(net, images, "gradcam", metrics=["energy_to_chance", "px_ap"], masks=masks, progress=False)
    assert found.row("uniform").values["energy_to_chance"].tolist() == pytest.approx([1.0] * 5)
    pooled = METRICS["px_ap"]
    batch = ImageBatch(images, masks=masks)
    again = compare(net, [batch], "gradcam", metrics=["px_ap"], progress=False)
    assert again.interval("gradcam", "px_ap").value == pytest.approx(found.interval("gradcam", "px_ap").value)
    statistics = found.row("gradcam").statistics["px_ap"]
    assert found.interval("gradcam", "px_ap").value == pytest.approx(pooled.aggregate(torch.from_numpy(statistics)))
    with pytest.raises(ValueError, match="px_ap needs masks"):
        compare(net, images, "gradcam", metrics=["px_ap"], progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": "gradcan"}, "did you mean 'gradcam'"),
        ({"methods": []}, "no method was given"),
        ({"metrics": ["insertion", "insertion"]}, "given twice"),
        ({"metrics": ["insertio"]}, "did you mean 'insertion'"),
        ({"metrics": []}, "no metric was given"),
        ({"layers": ["conv9"]}, "no layer 'conv9'"),
        ({"targets": [0, 1]}, "targets were given for 2 images only"),
        ({"masks": torch.zeros(6, 12, 8, dtype=torch.bool)}, "more masks were given"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"score": "logit"}, "score='logit' is unknown"),
        ({"images": []}, "no image"),
    ],
)
def test_what_cannot_be_compared(net: nn.Module, images: Tensor, change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"images": images, "methods": "gradcam", **FAST} | change
    with pytest.raises(ValueError, match=message):
        compare(net, **given)


def test_one_batch_is_in_memory(net: nn.Module) -> None:
    """Images are asked for when the ones before are done."""
    alive: list[int] = []

    def loader() -> Iterator[Tensor]:
        for index in range(4):
            assert len(alive) == index
            yield inputs(batch=2, size=(12, 8), seed=index)

    def explain(x: Tensor, targets: Any, model: Any) -> Tensor:
        alive.append(len(x))
        return x.abs().sum(1)

    compare(net, loader(), {"own": explain}, metrics=["gini"], progress=False)
    assert alive == [2] * 4


def test_every_metric_has_a_family() -> None:
    families = {name: family_of(metric) for name, metric in METRICS.items()}
    assert families["insertion"] == "faithfulness"
    assert families["gridpg"] == families["pointing_game"] == "localisation"
    assert families["random_logit"] == "randomisation"
    assert families["max_sensitivity"] == "robustness"
    assert families["average_drop"] == "masking"
    assert families["gini"] == "complexity"
    assert quality_metrics({name: METRICS[name] for name in ("insertion", "deletion", "average_drop", "gini")}) == [
        "insertion",
        "deletion",
    ]
    both = ("insertion", "insertion_minus_deletion", "deletion")
    assert quality_metrics({name: METRICS[name] for name in both}) == ["insertion_minus_deletion"]


def test_a_function_is_told_how_far_it_is(net: nn.Module, images: Tensor) -> None:
    told: list[tuple[int, int | None]] = []
    options = {**FAST, "progress": lambda done, total: told.append((done, total))}
    compare(net, images, ["gradcam"], **options, batch_size=3)
    rows = 1 + len(REFERENCES)
    assert told == [(done, 5 * rows) for done in [*range(3, 3 * rows + 1, 3), *range(3 * rows + 2, 5 * rows + 1, 2)]]
    told.clear()
    compare(net, iter(images.split(3)), ["gradcam"], **options)
    assert told[-1] == (5 * rows, None)
