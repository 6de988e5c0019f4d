"""The widgets of a notebook, with ipywidgets itself: what their controls are set to is what the picture shows."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.colour_net import Colours, described, red_and_blue
from helpers.paths import ROOT
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pytorch_grad_cam import GradCAM, load_explainer
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.visualization.overlay import show_cam_on_image

pytestmark = pytest.mark.slow  # as the notebooks: the default tests do without ipywidgets


@pytest.fixture
def widgets() -> Any:
    return missing.package("ipywidgets")


def parts(box: Any) -> dict[str, Any]:
    """Return picture, text and controls of a widget by what stands before them."""
    picture, text, row = box.children
    return {"picture": picture, "text": text} | {each.description: each for each in row.children}


def pixels(box: Any) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(parts(box)["picture"].value)))


def two_methods() -> ExplainedPicture:
    found: ExplainedPicture = load_explainer(described(), ["gradcam", "layercam"], classes=[0, 1])(red_and_blue())
    return found


def test_the_slider_is_the_opacity(widgets: Any) -> None:
    found = two_methods()
    box = found.widget()
    assert isinstance(parts(box)["opacity"], widgets.FloatSlider)
    for opacity in (0.5, 0.0, 0.3, 1.0):
        parts(box)["opacity"].value = opacity
        by_hand = show_cam_on_image(red_and_blue(), found.on_picture(), use_rgb=True, image_weight=1 - opacity)
        assert np.array_equal(pixels(box), by_hand)
    parts(box)["opacity"].value = 0
    assert np.array_equal(pixels(box), red_and_blue())


def test_the_list_of_maps_chooses_one_and_keeps_the_opacity(widgets: Any) -> None:
    found = two_methods()
    box = found.widget(colormap="viridis", blend="alpha")
    listed = parts(box)["map"]
    assert isinstance(listed, widgets.Dropdown)
    assert [label for label, _ in listed.options] == [found.title(index) for index in range(4)]
    parts(box)["opacity"].value = 0.8
    for index in (3, 1, 0):
        listed.value = index
        by_hand = show_cam_on_image(red_and_blue(), found.on_picture(index), True, "viridis", 1 - 0.8, blend="alpha")
        assert np.array_equal(pixels(box), by_hand)
        assert found.title(index) in parts(box)["text"].value


def test_one_map_needs_no_list(widgets: Any) -> None:
    box = load_explainer(described())(red_and_blue()).widget()
    assert parts(box)["map"].layout.display == "none"
    assert parts(two_methods().widget())["map"].layout.display is None


def test_an_explanation_with_its_pictures(widgets: Any) -> None:
    pictures = [red_and_blue(), np.ascontiguousarray(red_and_blue()[:, ::-1])]
    x = torch.stack([torch.from_numpy(picture / 255).float().movedim(2, 0) for picture in pictures])
    found = GradCAM(Colours(), ["colours"]).explain_each(x, [0, 1], images=pictures)
    box = found.widget(categories=["red", "blue", "none"])
    labels = [label for label, _ in parts(box)["map"].options]
    assert [label.partition(",")[0] for label in labels] == [
        f"image {i}: {name}" for i in (0, 1) for name in ("red", "blue")
    ]
    parts(box)["map"].value = 2
    parts(box)["opacity"].value = 0.25
    assert np.array_equal(pixels(box), show_cam_on_image(pictures[1], found.numpy()[1, 0], True, image_weight=0.75))
    with pytest.raises(ValueError, match="the pictures are not known"):
        GradCAM(Colours(), ["colours"]).explain(x, 0).widget()


def test_another_class_is_explained_when_it_is_chosen(widgets: Any) -> None:
    explainer = load_explainer(described())
    box = explainer.widget(red_and_blue())
    classes = parts(box)["class"]
    assert classes.options == ("as asked", "0 red", "1 dark blue", "2 nothing")  # what is seen stands first
    assert np.array_equal(pixels(box), explainer(red_and_blue()).overlay())
    parts(box)["opacity"].value = 0.7
    for place, category in ((2, 1), (1, 0)):
        classes.index = place
        (alone,) = load_explainer(described(), classes=category)(red_and_blue()).maps
        found = explainer(explainer.prepare(red_and_blue(), category))
        assert np.array_equal(found.maps[0].map, alone.map)
        by_hand = show_cam_on_image(red_and_blue(), found.on_picture(), True, image_weight=1 - 0.7)
        assert np.array_equal(pixels(box), by_hand)
        assert alone.label in parts(box)["text"].value
    classes.value = "as asked"
    assert "0 red" in parts(box)["text"].value


def test_a_map_that_means_nothing_shows_the_picture_and_says_why(widgets: Any) -> None:
    box = load_explainer(described()).widget(red_and_blue())
    parts(box)["class"].value = "2 nothing"
    assert np.array_equal(pixels(box), red_and_blue())
    assert "gradcam at " in parts(box)["text"].value
    (found,) = load_explainer(described(), classes=2)(red_and_blue()).maps
    assert found.notes
    assert found.notes[0] in parts(box)["text"].value.replace("&#x27;", "'")


def test_two_classes_that_are_compared_leave_no_class_to_choose(widgets: Any) -> None:
    box = load_explainer(described(), contrast=(0, 1)).widget(red_and_blue())
    assert set(parts(box)) == {"picture", "text", "map", "opacity"}


def test_regions_offer_what_is_seen_only(widgets: Any) -> None:
    network = nn.Conv2d(3, 4, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1, -1, -1], [-1, -1, 1], [0.1, 0.1, 0.1], [-9, -9, -9]])[:, :, None, None])
    seen = described().preprocessing
    loaded = LoadedModel(nn.Sequential(network), seen, ("red", "blue", "gray", "never"), task="segmentation")
    box = Explainer(loaded, ExplainerOptions(layers=("0",))).widget(red_and_blue())
    assert set(parts(box)["class"].options) == {"as asked", "0 red", "1 blue", "2 gray"}
    parts(box)["class"].value = "1 blue"
    assert "1 blue" in parts(box)["text"].value


class FailsLater(Colours):
    """Explains once, and not again."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls > 4:
            raise RuntimeError("no <more>")
        return super().forward(x)


def test_what_goes_wrong_is_written_where_the_title_was(widgets: Any) -> None:
    network = FailsLater()
    box = load_explainer(network, layers="colours").widget(red_and_blue())
    network.calls = 4
    with pytest.raises(RuntimeError, match="no <more>"):
        parts(box)["class"].index = 1
    assert parts(box)["text"].value == "RuntimeError: no &lt;more&gt;"


def test_texts_are_texts(widgets: Any) -> None:
    loaded = LoadedModel(Colours(), described().preprocessing, ("<script>", "b", "c"), source="net")
    box = load_explainer(loaded).widget(red_and_blue())
    assert "<script>" not in parts(box)["text"].value
    assert "&lt;script&gt;" in parts(box)["text"].value


def test_the_lines_of_the_page(widgets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    assert "opacity" in parts(names["found"].widget())
