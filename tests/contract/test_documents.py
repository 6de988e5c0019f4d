"""The Python of README.md and docs/ runs: each page's blocks, in order, on a small network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.paths import ROOT
from helpers.tiny_nets import CHANNELS, build, inputs
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import pytorch_grad_cam
from tools import draw_figures

PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CLASSES = 300  # the pages name some of ImageNet's


class Residual(nn.Sequential):
    """A small network with the layers that the pages name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer3 = nn.Sequential(nn.Conv2d(CHANNELS, 4, 3, padding=1), nn.ReLU())
        self.layer4 = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.layer5 = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, CLASSES)


class TwoInputs(nn.Module):
    """The same with a second input."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Residual()

    def forward(self, x: Tensor, scale: Tensor | float) -> Tensor:
        scores: Tensor = self.net(x) * scale
        return scores


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize(("page", "count"), [("README.md", 5), ("docs/python.md", 8), ("docs/tools.md", 2)])
def test_pages_that_go_on_from_block_to_block(
    page: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"model": build(Residual), "two_inputs": build(TwoInputs), "torch": torch, "input_tensor": inputs()}
    names["GradCAM"] = pytorch_grad_cam.GradCAM
    names["labels"] = torch.eye(CLASSES)[[0, 2]]
    found = blocks(page)
    assert len(found) == count
    for block in found:
        exec(block, names)


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_coming_from() -> None:
    names = {name: getattr(pytorch_grad_cam, name) for name in pytorch_grad_cam.__all__}
    labels = torch.eye(CLASSES)[[0, 2]]
    found = blocks("docs/coming_from.md")
    assert len(found) == 4
    for block in found:
        exec(block, {**names, "model": build(Residual), "layer": "layer4", "x": inputs(), "labels": labels})


def test_links_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in (*PAGES, *ROOT.glob("*.md"))
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 20
    for page, link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"


FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def places(page: Path) -> set[str]:
    """Return what a link may name behind # on GitHub: its headings, in its spelling, and anchors."""
    text, seen, found = page.read_text(encoding="utf-8"), dict[str, int](), set[str]()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE):
        shown = re.sub(r"!?\[(.*?)\]\(.*?\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
    return found | set(re.findall(r'<a id="([^"]+)"></a>', text))


def test_links_into_pages_lead_to_a_place_on_github(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text('# A `b`: c?\n```bash\n# no\n```\n## Two\n## Two\n<a id="x.y"></a>\n', "utf-8")
    assert places(tmp_path / "page.md") == {"a-b-c", "two", "two-1", "x.y"}
    links = [
        (page, *link.partition("#")[::2])
        for page in (*PAGES, *ROOT.glob("*.md"))
        for link in re.findall(r"\]\((?!https?:)([^)\s]*#[^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8")))
    ]
    there = {
        page: places(page) for page in {(page.parent / path if path else page).resolve() for page, path, _ in links}
    }
    dead = [
        f"{page.relative_to(ROOT)}: {path}#{place}"
        for page, path, place in links
        if place not in there[(page.parent / path if path else page).resolve()]
    ]
    assert len(links) > 200
    assert dead == []


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[.+?\]\((\w+(?:/README)?\.md)\): .+$", index, re.MULTILINE)
    folders = [f"{page.parent.name}/README.md" for page in PAGES if page.name == "README.md"]
    pages = [page.name for page in PAGES if page.parent == ROOT / "docs"]
    assert sorted(listed) == sorted({*pages, *folders} - {"README.md", "docs/README.md"})


@pytest.mark.filterwarnings("ignore:.*not every map means something")
def test_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = blocks("docs/figures.md")
    assert len(found) == 3
    for block in found:
        exec(block, names)
    assert (tmp_path / "figure.png").exists()


def training_names(tmp_path: Path, *, lightning: bool) -> dict[str, Any]:
    """Run the page about training in a folder, with the block about Lightning or without."""
    names: dict[str, Any] = {}
    found = blocks("docs/training.md")
    assert ["import lightning" in block for block in found] == [False, False, True, False]
    for block in found:
        if lightning or "import lightning" not in block:
            exec(block, names)
    with Image.open(tmp_path / "maps.gif") as animation:
        assert animation.n_frames == 3
    assert (tmp_path / "sheets" / "maps_003.png").exists()
    return names


def test_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = training_names(tmp_path, lightning=False)
    cam, inputs, wanted, masks = (names[name] for name in ("cam", "inputs", "wanted", "masks"))
    maps = cam.explain(inputs, wanted, normalize="none").maps
    shares = (maps * (1 - masks)).sum((1, 2)) / maps.sum((1, 2)).clamp_min(1e-12)
    assert float(shares.mean()) < float(names["outside"].detach().mean())  # of the last step


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_with_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing.package("lightning")
    monkeypatch.chdir(tmp_path)
    training_names(tmp_path, lightning=True)
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == {f"maps_{epoch:03}.png" for epoch in (0, 1, 3)}


def on_white(image: Image.Image, size: tuple[int, int]) -> NDArray[np.int64]:
    sheet = Image.new("RGB", size, "white")
    sheet.paste(image, (0, 0))
    return np.asarray(sheet).astype(int)


def test_the_pictures_of_figures_are_those_that_are_drawn() -> None:
    pages = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("figures.md", "training.md"))
    shown = re.findall(r"!\[.+?\]\(images/(\w+)\.jpg\)", pages)
    stored = [path.stem for path in draw_figures.IMAGES.glob("*.jpg")]
    assert sorted(shown) == sorted(draw_figures.FIGURES) == sorted(stored)
    for name, draw in draw_figures.FIGURES.items():
        with Image.open(draw_figures.IMAGES / f"{name}.jpg") as image:
            assert max(image.width, image.height) < 1200
            drawn = draw()
            # Fonts differ from computer to computer, pictures do not.
            assert abs(drawn.shape[0] - image.height) + abs(drawn.shape[1] - image.width) <= 40, name
            size = (max(drawn.shape[1], image.width), max(drawn.shape[0], image.height))
            assert np.abs(on_white(Image.fromarray(drawn), size) - on_white(image, size)).mean() < 12, name
