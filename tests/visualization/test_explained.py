"""An explanation that knows its pictures draws them, shows itself in a notebook and is short in words."""

from __future__ import annotations

import base64
import re
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.colour_net import Colours, red_and_blue
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.runs.load_explainer import load_explainer
from pytorch_grad_cam.visualization import shown
from pytorch_grad_cam.visualization.overlay import show_cam_on_image


def pictures(count: int = 2) -> list[NDArray[np.uint8]]:
    return [np.roll(red_and_blue(), 7 * index, 1) for index in range(count)]


def inputs(count: int = 2) -> Tensor:
    return torch.stack([torch.from_numpy(picture / 255).float().movedim(2, 0) for picture in pictures(count)])


@pytest.fixture
def cam() -> GradCAM:
    return GradCAM(Colours(), ["colours"])


def embedded(html: str) -> NDArray[np.uint8]:
    """Return the picture inside a card."""
    (data,) = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', html)
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("kind", ["arrays", "PIL", "array", "tensor"])
def test_pictures_of_every_kind(cam: GradCAM, kind: str) -> None:
    listed = pictures()
    forms = {"arrays": listed, "PIL": [Image.fromarray(picture) for picture in listed], "array": np.stack(listed),
             "tensor": inputs()}  # fmt: skip
    found = cam.explain(inputs(), 0, images=forms[kind])
    for index, picture in enumerate(listed):
        expected = show_cam_on_image(picture, found.numpy()[index], use_rgb=True)
        assert np.abs(found.overlay(index).astype(int) - expected).max() <= 1


def test_drawings_name_classes_as_the_method_and_the_network_do() -> None:
    """In the title of a card: names that were given, else those that the network has; a drawing's own come first."""
    network = Colours()
    names = ["red", "dark blue", "nothing"]
    given = GradCAM(network, ["colours"], categories=names).explain(inputs(1), "dark blue", images=pictures(1))
    assert "dark blue, " in str(given._repr_html_())
    several = GradCAM(network, ["colours"], categories=names).explain_each(inputs(1), [0, 1], images=pictures(1))
    assert "red, " in str(several._repr_html_())
    unknown = GradCAM(network, ["colours"]).explain(inputs(1), 1, images=pictures(1))
    assert "class 1, " in str(unknown._repr_html_())
    network.names = {0: "rouge", 1: "bleu", 2: "rien"}  # type: ignore[assignment]
    own = GradCAM(network, ["colours"]).explain(inputs(1), 1, images=pictures(1))
    assert "bleu, " in str(own._repr_html_())
    figures = [own.figure(), own.figure(categories=names), given.figure()]
    assert not np.array_equal(figures[0], figures[1])
    assert np.array_equal(figures[1], figures[2])
    assert own.first_images(1).categories == ("rouge", "bleu", "rien")


def test_a_figure_of_matplotlib(cam: GradCAM, tmp_path: Path) -> None:
    """A panel for each map: the overlay itself, what it explains as it stands, and no window."""
    missing.package("matplotlib")
    found = cam.explain(inputs(), 0, images=pictures())
    figure = found.plot(["a $red$ one", "b", "c"], image_weight=0.3)
    assert len(figure.axes) == 2
    for index, axes in enumerate(figure.axes):
        assert np.array_equal(axes.images[0].get_array(), found.overlay(index, image_weight=0.3))
        assert axes.get_title().startswith(f"image {index}: a $red$ one, ")
        assert "GradCAM at colours" in axes.get_xlabel()
    figure.savefig(tmp_path / "maps.pdf")
    assert (tmp_path / "maps.pdf").read_bytes().startswith(b"%PDF")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    explained = load_explainer("shapes", ["gradcam", "hirescam"], classes=["ring", "star"])(red_and_blue())
    panels = explained.plot(blend="alpha").axes
    assert [axes.get_title() for axes in panels] == [explained.title(index) for index in range(4)]
    assert np.array_equal(panels[3].images[0].get_array(), explained.overlay(3, blend="alpha"))


def test_one_picture_needs_no_list(cam: GradCAM) -> None:
    found = cam.explain(inputs(1), 0, images=Image.fromarray(red_and_blue()))
    assert np.array_equal(found.overlay(), found.grid())
    assert np.array_equal(cam.explain(inputs(1), 0, images=red_and_blue()).overlay(), found.overlay())


def test_a_card_in_a_notebook_has_picture_class_score_and_notes(cam: GradCAM) -> None:
    found = cam.explain(inputs(), 0, images=pictures())
    html = found._repr_html_()
    assert html is not None
    assert "class 0, 96.3 %" in html
    assert "GradCAM at colours" in html
    assert embedded(html).shape == found.grid().shape
    with pytest.warns(UserWarning, match="not every map means something"):
        blank = cam.explain(inputs(), 2, images=pictures())
    assert "image 0: " in str(blank._repr_html_())


@pytest.mark.parametrize(("side", "width"), [(32, 320), (128, 256), (161, 161), (500, 500)])
def test_a_small_picture_is_enlarged_in_a_card_and_stays_as_it_is(side: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    html = shown.card(pixels, "small")
    assert f'width="{width}"' in html
    assert embedded(html).shape == pixels.shape
    assert np.array_equal(embedded(html), pixels) == (width > side)  # no blocks of a JPEG where they would be seen


def test_texts_in_a_card_are_texts() -> None:
    html = shown.card(red_and_blue(), '<script>"', ["</figure>", "a & b"])
    assert "<script>" not in html
    assert "&lt;script&gt;&quot;" in html
    assert html.count("</figure>") == 1


def test_what_is_written_is_what_is_shown(cam: GradCAM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cam.explain(inputs(), 0, images=pictures())
    found.save(tmp_path / "found.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "found.png")), found.grid())
    seen: list[Image.Image] = []
    monkeypatch.setattr(Image.Image, "show", lambda self: seen.append(self))
    found.show()
    assert np.array_equal(np.asarray(seen[0]), found.grid())
    with pytest.raises(ValueError, match=r"found\.gif"):
        found.save(tmp_path / "found.gif")


def test_several_targets(cam: GradCAM) -> None:
    found = cam.explain_each(inputs(), [0, 1], images=pictures())
    assert not np.array_equal(found.overlay(0, target=0), found.overlay(0, target=1))
    with pytest.raises(ValueError, match="say which target's"):
        found.overlay(0)
    assert "class 1" in str(found._repr_html_())


def test_what_is_not_known(cam: GradCAM) -> None:
    found = cam.explain(inputs(), 0)
    assert found._repr_html_() is None
    with pytest.raises(ValueError, match="the pictures are not known"):
        found.overlay()
    assert found.overlay(1, picture=pictures()[1]).shape == (60, 90, 3)
    with pytest.raises(ValueError, match="images holds 1 pictures for 2 images"):
        cam.explain(inputs(), 0, images=pictures(1))
    with pytest.raises(ValueError, match="keeps no pictures"):
        cam(inputs(), 0, images=pictures())


def test_volumes_have_no_card() -> None:
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten())
    found = GradCAM(network, ["0"]).explain(torch.rand(1, 1, 8, 8, 8), 0, images=[red_and_blue()])
    assert found._repr_html_() is None
    with pytest.raises(ValueError, match="none of a picture"):
        found.overlay()


def test_words_are_few(cam: GradCAM) -> None:
    found = cam.explain(torch.rand(300, 3, 8, 8))
    assert isinstance(found, Explanation)
    assert len(repr(found)) <= 800
    assert "GradCAM" in repr(found)
    assert "(300, 8, 8)" in repr(found)


def test_an_explained_picture_shows_itself(tmp_path: Path) -> None:
    explainer = load_explainer(Colours(), ["gradcam", "layercam"], classes=[0, 1], categories=["red", "blue", "none"])
    found = explainer(red_and_blue())
    assert len(repr(found)) <= 800
    assert "0 red" in found._repr_html_()
    found.save(tmp_path / "grid.png")
    assert np.asarray(Image.open(BytesIO(found._repr_png_()))).shape == found.grid().shape
    assert found.overlay(1).shape == found.heatmap(1).shape == found.image.shape
    assert found.figure(0).ndim == 3


def test_a_map_that_means_nothing_is_not_drawn() -> None:
    found = load_explainer(Colours(), classes=2, categories=["red", "blue", "nothing"])(red_and_blue())
    assert found.maps[0].map is None
    assert np.array_equal(np.asarray(Image.open(BytesIO(found._repr_png_()))), found.image)
    with pytest.raises(ValueError, match="gradcam has no map here: "):
        found.overlay()


def test_without_ipywidgets_a_widget_says_what_to_install(cam: GradCAM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    explainer = load_explainer(Colours())
    for wanted in (
        cam.explain(inputs(), 0, images=pictures()).widget,
        explainer(red_and_blue()).widget,
        lambda: explainer.widget(red_and_blue()),
    ):
        with pytest.raises(ImportError, match="needs the package ipywidgets, which is missing: pip install ipywidgets"):
            wanted()
