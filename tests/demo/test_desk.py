"""What the demo answers, without a page: maps, lists, limits, and errors as sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.scenes import Scene, render_scene
from pytorch_grad_cam.demo.answers import ASK_FOR_PICTURE, LONGEST_SIDE, Answer, Answers, overlay, shrunk
from pytorch_grad_cam.demo.desk import Desk, Question
from pytorch_grad_cam.demo.words import AUTOMATIC, NO_CLASS, TOP_CLASS, bars, layer_list, method_list, typed
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.load import load_model


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(load_model("shapes"), max_passes=20)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render_scene(10_000, ("star", "ring"))


@pytest.fixture
def file(scene: Scene, tmp_path: Path) -> str:
    write_image(tmp_path / "secret-folder" / "scene.png", scene.image)
    return str(tmp_path / "secret-folder" / "scene.png")


@pytest.fixture
def answers(desk: Desk) -> Answers:
    return Answers({"shapes": desk}, max_pixels=40_000)


def share_on(map: np.ndarray, mask: np.ndarray) -> float:
    return float(map[mask].sum() / map.sum())


def ask(answers: Answers, file: str | None, **question: str) -> Answer:
    return answers.answer(file, "shapes", Question(**question), 0.5)


@pytest.mark.parametrize("label", ["star", "ring"])
def test_the_map_of_a_class_lies_on_it(answers: Answers, file: str, scene: Scene, label: str) -> None:
    answer = ask(answers, file, category=label)
    (mask,) = (each.mask for each in scene.objects if each.label == label)
    assert answer.found is not None
    assert share_on(answer.found.on_picture(), mask) > 5 * mask.mean()
    assert answer.overlay is not None
    assert answer.overlay.shape == scene.image.shape
    assert label in answer.caption


def test_a_contrast_is_signed_and_for_the_first(answers: Answers, file: str, scene: Scene) -> None:
    found = ask(answers, file, category="star", rather="ring").found
    assert found is not None
    map, masks = found.on_picture(), {each.label: each.mask for each in scene.objects}
    assert map[masks["star"]].mean() > 0 > map[masks["ring"]].mean()


def test_a_contrast_without_a_first_class_takes_the_top_class(answers: Answers, file: str) -> None:
    top, other = ask(answers, file).classes[1:3]
    assert f"{top[1]} {top[0]} rather than {other[1]} {other[0]}" in ask(answers, file, rather=other[1]).caption


def test_what_is_predicted_is_offered(answers: Answers, file: str) -> None:
    answer = ask(answers, file)
    assert answer.classes[0] == (TOP_CLASS, TOP_CLASS)
    assert {name for name, _ in answer.classes[1:]} == {"star", "ring"}
    assert answer.others == [(NO_CLASS, NO_CLASS), *answer.classes[1:]]
    assert answer.bars.count("<li>") == 2
    assert "100.0 %" in answer.bars


def test_a_layer_is_taken(answers: Answers, file: str, desk: Desk) -> None:
    listed = layer_list(desk.layers)
    assert listed[0] == (AUTOMATIC, AUTOMATIC)
    assert ("stage1.conv1 (Conv2d, 32 x 32 x 32)", "stage1.conv1") in listed
    assert not [value for _, value in listed if value.startswith("head.classifier")]  # has no positions
    found = ask(answers, file, layer="stage1.conv1").found
    assert found is not None
    assert found.maps[0].layers == ("stage1.conv1",)


def test_opacity(answers: Answers, file: str, scene: Scene) -> None:
    found = ask(answers, file).found
    assert found is not None
    picture = overlay(found, 0.0).astype(float)  # scaled to full brightness, as the classic overlay is
    assert np.abs(picture - scene.image * (255 / scene.image.max())).max() <= 1
    assert np.array_equal(overlay(found, 1.0), found.overlay(image_weight=0.0))


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"category": "starr"}, "no class is called &#x27;starr&#x27;; did you mean &#x27;star&#x27; (3)"),
        ({"category": "99"}, "the class index 99 is out of range"),
        ({"category": "star", "rather": "star"}, "twice; give two different classes"),
        ({"method": "scorecam"}, "scorecam takes about 97 passes through this network, and 20 are allowed here"),
        ({"method": "rise"}, "rise takes about 1,001 passes"),
        ({"method": "nosuch"}, "there is no method"),
        ({"layer": "head.classifier"}, "the layer &#x27;head.classifier&#x27; cannot be looked at"),
        ({"layer": "__class__"}, "cannot be looked at in this network"),
        ({"method": "attentionrollout"}, "attention"),
    ],
)
def test_what_cannot_be_is_a_sentence(answers: Answers, file: str, question: dict[str, str], sentence: str) -> None:
    answer = ask(answers, file, **question)
    assert answer.found is None
    assert answer.overlay is None
    assert sentence in answer.caption
    assert 'role="alert"' in answer.caption


def test_a_dear_method_is_not_begun(desk: Desk, scene: Scene) -> None:
    passes: list[int] = []
    handle = desk.loaded.model.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        with pytest.raises(ValueError, match="choose another method"):
            desk.explain(scene.image, Question("sscam"))
    finally:
        handle.remove()
    assert not passes


def test_files_that_are_no_pictures(answers: Answers, tmp_path: Path) -> None:
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    (folder / "empty.png").write_bytes(b"")
    write_image(folder / "large.png", np.zeros((300, 200, 3), np.uint8))
    said = {name: ask(answers, str(folder / name)).caption for name in ("a.png", "empty.png", "large.png", "gone.png")}
    assert "the picture is not a picture in a known format" in said["a.png"]
    assert "the picture is empty" in said["empty.png"]
    assert "the picture has 200 x 300 pixels, more than the 40000" in said["large.png"]
    assert "no longer here" in said["gone.png"]
    assert not [sentence for sentence in said.values() if "secret-folder" in sentence]


def test_no_picture_and_no_such_network(answers: Answers, file: str) -> None:
    assert ASK_FOR_PICTURE in ask(answers, None).caption
    assert "there is no network &#x27;vgg&#x27; here" in answers.answer(file, "vgg", Question(), 0.5).caption


def test_an_error_that_nobody_foresaw_is_named_and_kept_for_the_owner(
    answers: Answers, file: str, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("<b>bold</b>")

    monkeypatch.setattr(Desk, "explain", broken)
    answer = ask(answers, file)
    assert "KeyError" in answer.caption
    assert "<b>" not in answer.caption
    assert "failed" in str(logged)


def test_names_of_classes_may_hold_anything(desk: Desk, scene: Scene) -> None:
    names = tuple(f"<script>{index}</script>" for index in range(10))
    found = Desk(replace(desk.loaded, categories=names)).explain(scene.image, Question())
    assert "<script>" not in bars(found, shares=True)
    assert "&lt;script&gt;" in bars(found, shares=True)


def test_numbers_that_are_no_shares_are_drawn_by_the_largest(desk: Desk, scene: Scene) -> None:
    found = replace(desk.explain(scene.image, Question()), predicted=((0, 8.0), (1, 2.0), (2, -4.0)))
    drawn = bars(found, shares=False)
    assert [f"width:{width}%" in drawn for width in ("100.0", "25.0", "0.0")] == [True] * 3
    assert "%</span>" not in drawn
    assert "sure of nothing" in bars(replace(found, predicted=()), shares=True)


def test_scores_that_are_no_shares_are_known(scene: Scene) -> None:
    as_numbers = Desk(load_model("shapes"), scores="none")
    as_numbers.explain(scene.image, Question())
    assert not as_numbers.gives_shares


def test_large_pictures_are_made_smaller_in_their_shape() -> None:
    image = np.full((1000, 3 * LONGEST_SIDE, 3), 77, np.uint8)
    small = shrunk(image)
    assert small.shape == (333, LONGEST_SIDE, 3)
    assert (small == 77).all()
    assert shrunk(small) is small
    assert shrunk(np.zeros((1, 9000, 3), np.uint8)).shape == (1, LONGEST_SIDE, 3)


def test_lists() -> None:
    assert {value for _, value in method_list()} == {method.name for method in METHODS.values()}
    assert [typed(value, NO_CLASS) for value in (None, " ring ", NO_CLASS, 3)] == ["", "ring", "", "3"]
