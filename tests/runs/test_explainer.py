"""One object explains one picture or many: every batch, class and method as it would be alone."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.colour_net import Colours, described, red_and_blue
from helpers.detectors import LAYER, detector
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.core.several import explain_by_methods
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.load_explainer import load_explainer
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.targets.spec import TargetSpec

RED, BLUE = 0, 1


def pictures(count: int = 5) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (60, 90 + 10 * (index % 2), 3), np.uint8) for index in range(count)]


def test_a_picture_is_explained_as_by_hand() -> None:
    found = Explainer(described())(red_and_blue())
    assert found.predicted[0][0] == RED
    (map,) = found.maps
    assert (map.method, map.category, map.label, map.notes) == ("gradcam", RED, "0 red", ())
    on_picture = found.on_picture()
    assert on_picture[25:35, 28:36].min() > 0.9  # where the red square is
    assert on_picture[25:35, 60:68].max() == 0
    assert np.isnan(on_picture[:, 0]).all()  # the network sees the centre


def test_a_batch_is_its_pictures_alone() -> None:
    explainer = Explainer(described(), ExplainerOptions(("gradcam", "eigencam", "hirescam"), ("top-2",)))
    together = explainer(pictures())
    for picture, found in zip(pictures(), together, strict=True):
        alone = explainer(picture)
        assert [each.method for each in found.maps] == ["gradcam"] * 2 + ["eigencam"] + ["hirescam"] * 2
        assert dict(alone.predicted) == pytest.approx(dict(found.predicted))
        for one, other in zip(alone.maps, found.maps, strict=True):
            assert (one.category, one.label, one.notes) == (other.category, other.label, other.notes)
            np.testing.assert_allclose(one.map, other.map, atol=1e-5)


def test_classes_by_name_index_and_rank_are_asked_once() -> None:
    (picture,) = Explainer(described(), ExplainerOptions(classes=("dark blue", 0, "top-3")))([red_and_blue()])
    questions = [(each.target, each.category) for each in picture.maps]
    assert questions == [(1, 1), (0, 0), (None, 0), (None, 1), (None, 2)]


def test_a_picture_may_have_a_class_of_its_own() -> None:
    explainer = Explainer(described())
    images = [red_and_blue()] * 3
    asked = [explainer.prepare(image, category) for image, category in zip(images, (BLUE, None, 2), strict=True)]
    assert [found.maps[0].category for found in explainer(asked)] == [BLUE, RED, 2]


def test_a_contrast_is_signed() -> None:
    (found,) = Explainer(described(), ExplainerOptions(contrast=("red", "dark blue")))([red_and_blue()]).__iter__()
    (map,) = found.maps
    assert map.signed
    assert map.label == "0 red rather than 1 dark blue"
    assert found.on_picture()[30, 32] > 0 > found.on_picture()[30, 64]


def test_a_class_rather_than_the_rest() -> None:
    network = described()
    images = network.preprocessing(red_and_blue())[None]
    found = load_explainer(network, ["gradcam", "eigencam"], classes=["dark blue", "top-1"], contrast="rest")
    blue, top, _ = found(red_and_blue()).maps
    for map, category in ((blue, BLUE), (top, RED)):
        wanted = GradCAM(network.model).explain(images, category, contrast="rest")
        np.testing.assert_allclose(map.map, wanted.numpy()[0], atol=1e-6)
        assert map.score == pytest.approx(float(wanted.scores))
        assert not map.signed


def test_a_class_of_its_own_does_not_go_with_two_others() -> None:
    explainer = load_explainer(described(), contrast=(0, 1))
    with pytest.raises(ValueError, match="contrast compares two others"):
        explainer.prepare(red_and_blue(), BLUE)


class CountedColours(Colours):
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        type(self).passes += 1
        return super().forward(x)


def test_all_classes_and_alike_methods_take_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountedColours, "passes", 0)
    network = LoadedModel(CountedColours(), described().preprocessing, ("red", "dark blue", "nothing"), ("colours",))
    methods = ("gradcam", "hirescam", "layercam", "gradcam++")
    explainer = Explainer(network, ExplainerOptions(methods, ("top-3",), scores="softmax"))
    explainer(pictures(1))
    before = CountedColours.passes
    found = explainer(pictures(4)[::2])
    assert CountedColours.passes - before == 1
    assert all(len(each.maps) == 12 for each in found)


def test_methods_that_share_a_pass_are_what_they_are_alone() -> None:
    model = described().model
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    methods = [GradCAM(model, ["colours"]), HiResCAM(model, ["colours"])]
    specs = [TargetSpec(), TargetSpec(BLUE), TargetSpec(rank=1)]
    for method, found in zip(methods, explain_by_methods(methods, images, specs, False), strict=True):
        for target, explanation in zip((None, BLUE, [*found[2].classes]), found, strict=True):
            alone = method.explain(images, target)
            assert torch.equal(alone.maps, explanation.maps)
            assert alone.classes == explanation.classes
            assert alone.method == explanation.method == type(method).__name__
    ranked = model(images).argsort(1, descending=True)[:, 1].tolist()
    assert list(explain_by_methods(methods, images, specs, False)[0][2].classes) == ranked


def test_layers_of_every_resolution() -> None:
    explainer = load_explainer("shapes", ["gradcam", "hirescam"], layers="stages")
    (found, alone) = (load_explainer("shapes", "hirescam", layers=each)(red_and_blue()) for each in ("stages", None))
    assert len(explainer(red_and_blue()).maps[1].layers) == 3
    np.testing.assert_allclose(explainer(red_and_blue()).maps[1].map, found.maps[0].map, atol=1e-6)
    assert np.abs(found.maps[0].map - alone.maps[0].map).max() > 0.1


def test_methods_with_other_layers_share_no_pass() -> None:
    model, image = described().model, torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    (one,), (other,) = explain_by_methods([GradCAM(model), GradCAM(model, "stages")], image, [TargetSpec(0)], False)
    assert torch.equal(one.maps, GradCAM(model).explain(image, 0).maps)
    assert torch.equal(other.maps, GradCAM(model, "stages").explain(image, 0).maps)


def test_a_rank_that_there_is_not() -> None:
    with pytest.raises(IndexError, match="no class of rank 3: the model has 3 classes"):
        explain_by_methods([GradCAM(described().model)], torch.rand(1, 3, 8, 8), [TargetSpec(rank=3)], False)


def test_it_is_pickled_without_its_network() -> None:
    explainer = Explainer(described, ExplainerOptions(classes=(BLUE,)))
    first = explainer(red_and_blue())
    data = pickle.dumps(explainer)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data)(red_and_blue()).maps[0].map, first.maps[0].map)


def test_nothing_is_left_in_the_network() -> None:
    network = described()
    network.model.train()
    Explainer(network)(pictures(2))
    assert all(module.training for module in network.model.modules())
    assert all(not module._forward_hooks and not module._backward_hooks for module in network.model.modules())
    assert all(parameter.grad is None for parameter in network.model.parameters())


class Small(Colours):
    """Has room for two pictures."""

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return super().forward(x)


def test_where_the_memory_is_too_small_fewer_are_explained_at_once(logged: list[str]) -> None:
    explainer = Explainer(LoadedModel(Small(), described().preprocessing), ExplainerOptions(batch_size=5))
    assert len(explainer(pictures())) == 5
    assert explainer.batch_size == 2
    assert "5 pictures at once do not fit into the memory; going on with 2" in logged


def test_a_picture_that_does_not_fit_alone_is_an_error() -> None:
    class Full(Colours):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Explainer(LoadedModel(Full(), described().preprocessing))(pictures(2))


def test_what_is_predicted_is_what_the_explanation_says() -> None:
    explainer = Explainer(described())
    assert explainer.predict(pictures()) == [found.predicted for found in explainer(pictures())]


@pytest.mark.parametrize(("method", "first"), [("gradcam", True), ("scorecam", False)])
def test_half_precision_is_close(method: str, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of one pass runs under autocast; one of many casts those over changed inputs itself."""
    whole = load_explainer(described(), method, layers=["colours"])(red_and_blue())
    explainer = load_explainer(described(), method, layers=["colours"], dtype="bfloat16")
    explainer.predict([red_and_blue()])  # finds out what the scores are, by a pass of its own
    cast: list[bool] = []
    forward = Colours.forward

    def noted(self: Colours, x: Tensor) -> Tensor:
        cast.append(torch.is_autocast_enabled("cpu"))
        return forward(self, x)

    monkeypatch.setattr(Colours, "forward", noted)
    half = explainer(red_and_blue())
    assert cast[0] is first
    assert all(cast[1:])
    np.testing.assert_allclose(half.maps[0].map, whole.maps[0].map, atol=0.02)


def test_pictures_that_were_put_together_are_explained_as_they_are_and_not_copied() -> None:
    """All of them, a half as where the memory is too small, and some as where others are not wanted."""
    seen: list[int] = []
    loaded = described()
    loaded.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].data_ptr()))
    explainer = load_explainer(loaded)
    alone = [explainer.prepare(picture) for picture in [*pictures(6)[::2], *pictures(6)[1::2]]]  # three of each size
    explainer(alone)  # the first call looks around
    together = explainer.gather(alone)
    batches = [each.batch for each in together]
    assert batches[0] is not None
    assert all(batch is batches[0] for batch in batches)  # the network sees them all in one size
    for chosen, copied in (([0, 1, 2, 3, 4, 5], False), ([3, 4, 5], False), ([0, 2], True)):
        seen.clear()
        found = explainer([together[place] for place in chosen])
        assert all((pointer == together[chosen[0]].inputs.data_ptr()) is not copied for pointer in seen)  # type: ignore[union-attr]
        for one, expected in zip(found, explainer([alone[place] for place in chosen]), strict=True):
            assert np.array_equal(one.maps[0].map, expected.maps[0].map)  # type: ignore[arg-type]


def test_channels_last() -> None:
    """Pictures are the network's with their channels innermost, those of perturbation methods too; maps stay."""
    seen: list[bool] = []
    loaded = described()
    loaded.model.register_forward_pre_hook(
        lambda _, args: seen.append(args[0].is_contiguous(memory_format=torch.channels_last))
    )
    names = ("gradcam", "scorecam")
    usual = load_explainer(loaded, names)(pictures()[:2])
    assert not seen[0]
    seen.clear()
    innermost = load_explainer(loaded, names, channels_last=True)(pictures()[:2])
    assert len(seen) > 2
    assert all(seen)
    for one, other in zip(usual, innermost, strict=True):
        for expected, found in zip(one.maps, other.maps, strict=True):
            np.testing.assert_allclose(found.map, expected.map, atol=1e-5)


def test_two_lines_from_a_file_to_a_map(tmp_path: Path) -> None:
    red_and_blue(tmp_path / "both.png")
    explainer = load_explainer("shapes", "hirescam", classes="ring")
    found = explainer(tmp_path / "both.png")
    assert found.maps[0].label == "5 ring"
    assert found.image.shape == (60, 90, 3)
    assert explainer([str(tmp_path / "both.png")])[0].predicted == found.predicted


def test_a_network_of_ones_own() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    gray = Preprocessing(None, None, (0.5,), (0.5,))
    found = load_explainer(network, preprocessing=gray, categories=["no", "yes"])(red_and_blue())
    assert found.source == "Sequential"
    assert {found.categories[index] for index, _ in found.predicted} == {"no", "yes"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"methods": ()}, "no method was named"),
        ({"methods": "gradcamm"}, "did you mean"),
        ({"dtype": "int8"}, "dtype='int8' is unknown"),
        ({"batch_size": 0}, "batch_size=0 is no number of pictures"),
        ({"classes": 1, "contrast": (0, 1)}, "contrast compares two classes"),
        ({"contrast": "all"}, "must be two classes, or 'rest'"),
        ({"contrast": (1,)}, "must be two classes, or 'rest'"),
    ],
)
def test_options_that_cannot_be(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_explainer("shapes", **arguments)  # type: ignore[arg-type]


def test_what_the_network_does_not_have() -> None:
    with pytest.raises(ValueError, match="green"):
        load_explainer(described(), classes="green")(red_and_blue())
    with pytest.raises(ValueError, match="loaded by name"):
        load_explainer(described(), weights="weights.pth")(red_and_blue())


def test_objects_of_a_detector_are_explained_one_by_one() -> None:
    seen = Preprocessing(None, None, (0.0,) * 3, (1.0,) * 3)
    network = LoadedModel(detector("FCOS"), seen, target_layers=(LAYER,), task="detection")
    explainer = Explainer(network)
    together = explainer([red_and_blue(), red_and_blue()[:, ::-1].copy()])
    assert [map.label[:2] for map in together[0].maps] == [
        f"{number} " for number in range(1, len(together[0].maps) + 1)
    ]
    for one, image in zip(together, (red_and_blue(), red_and_blue()[:, ::-1].copy()), strict=True):
        alone = explainer(image)
        assert dict(one.predicted) == pytest.approx(dict(alone.predicted))
        np.testing.assert_allclose(one.maps[0].map, alone.maps[0].map, atol=1e-5)


class Dense(nn.Module):
    """Class 1 where it is red, class 2 where it is blue, class 0 elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Sequential(Colours().colours)

    def forward(self, x: Tensor) -> Tensor:
        red, blue, _ = self.colours(x).unbind(1)
        return torch.stack([torch.full_like(red, 0.1), red, blue], 1)


def test_regions_of_a_segmentation() -> None:
    seen = Preprocessing((60, 90), None, (0.0,) * 3, (1.0,) * 3)
    network = LoadedModel(Dense(), seen, target_layers=("colours",), task="segmentation")
    (found,) = Explainer(network, ExplainerOptions(classes=(1, 2)))([red_and_blue()])
    areas = dict(found.predicted)
    assert areas[1] == pytest.approx(20 * 16 / 5400, abs=1e-3)
    red, blue = found.maps
    assert red.map[30, 32] == blue.map[30, 62] == 1
    assert red.map[30, 62] == blue.map[30, 32] == 0
