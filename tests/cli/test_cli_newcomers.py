"""What people type in the first hour, and the one sentence that says how to go on."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.colour_net import NET, red_and_blue
from helpers.paths import ROOT
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import count_pages, read_image


class Gray(nn.Module):
    """Takes one channel, and warns as libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] == 224, f"Input height ({x.shape[2]}) doesn't match model (224)."
        warnings.warn_explicit("an affair of torch", UserWarning, "x.py", 1, module="torch.nn")
        out: Tensor = self.head(self.conv(x).relu().mean((2, 3)))
        return out


class FiveBands(Gray):
    """Takes five channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(5, 4, 3)


GRAY = ["--model", f"{__name__}:Gray"]


def failing(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command that must fail with one line on stderr and no file; return the line."""
    assert main(list(argv)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert not Path("output").exists()
    return line.removeprefix("error: ")


# --- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb", [["both.png"], ["both.png", "--method", "rise"], ["layers", "both.png"], ["concepts", "both.png"]]
)
def test_a_network_for_gray_pictures(verb: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failing(capsys, *verb, *GRAY)
    assert line.startswith("the network does not take a picture of 224 x 224 in 3 channels (")
    assert line.endswith("; it takes gray pictures: say so with one number each, e.g. --mean 0.5 --std 0.5")


def test_what_it_says_works(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", *GRAY, "--mean", "0.5", "--std", "0.5"]) == 0
    assert not capsys.readouterr().err  # nor what torch warns of


def test_other_inputs_that_a_network_does_not_take(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failing(capsys, "both.png", *GRAY, "--mean", "0.5", "--std", "0.5", "--size", "100")
    assert line == (
        "the network does not take a picture of 100 x 100 in 1 channel (Input height (100) doesn't match model (224).)"
        "; leave out --size 100, or give the size that it was made for"
    )
    line = failing(capsys, "both.png", "--model", f"{__name__}:FiveBands")
    assert "; its first convolution takes 5 channels, and pictures have 3, or 1; explain it from Python" in line
    line = failing(capsys, "both.png", *GRAY, "--mean", "128", "--std", "64")
    assert line == (
        "the mean 128 belongs to values in 0..255; here they are in 0..1: divide it and the standard deviation by 255, "
        "e.g. --mean 0.502"
    )


def test_files_that_are_no_network_of_ours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mynet.py").write_text("raise SystemExit\nclass Net: ...\ndef _hidden(): ...\ndef build(): ...\n")
    for model, message in (
        ("mynet.py", "mynet.py is Python code; it has Net, build; name the function or class that makes the network"),
        ("mynet.py", "without arguments: --model mynet:build"),
        ("nets/other.py", "there is no file nets/other.py; check the path"),
        (
            "net.onnx",
            "net.onnx is an ONNX graph, which has no layers that can be watched and no gradients; give the PyT",
        ),
        (
            "net.h5",
            "net.h5 is of TensorFlow or Keras; only PyTorch networks can be explained; give the PyTorch network",
        ),
        ("net.engine", "a TensorRT engine"),
    ):
        assert message in failing(capsys, "both.png", "--model", model)


def test_pickles_of_a_newer_protocol_are_not_damaged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"colours.0.weight": torch.ones(3, 3, 1, 1), "scale": torch.ones(3)}
    torch.save(state, "new.pth", pickle_protocol=4)
    torch.save(state, "old.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    Path("plain.pkl").write_bytes(pickle.dumps({"a": np.zeros(3)}, protocol=5))
    for name, protocol in (("new.pth", 4), ("old.pth", 4), ("plain.pkl", 5)):
        line = failing(capsys, "both.png", *NET, "--weights", name)
        assert line.startswith(f"{name} was pickled with protocol {protocol}, and only up to 2 can be read without")
        assert "--trust-pickle" in line
    for name in ("new.pth", "old.pth"):
        assert main(["layers", *NET, "--weights", name, "--trust-pickle"]) == 0
    capsys.readouterr()
    line = failing(capsys, "both.png", *NET, "--weights", "plain.pkl", "--trust-pickle")
    assert line.startswith("plain.pkl is a pickle of protocol 5 that torch.load does not read")


@pytest.mark.slow  # transformers is loaded once more
def test_code_that_comes_with_a_network_is_refused_without_a_question(here: Path) -> None:
    pytest.importorskip("transformers")
    Path("custom").mkdir()
    names = {"AutoConfig": "configuration_mine.Mine", "AutoModelForImageClassification": "modeling_mine.Net"}
    Path("custom/config.json").write_text(json.dumps({"model_type": "mine", "auto_map": names}))
    for module in ("configuration_mine", "modeling_mine"):
        Path(f"custom/{module}.py").write_text("open('it_ran', 'w')\n")
    command = [sys.executable, str(ROOT / "cam.py"), "both.png", "--model", "hf/custom"]
    done = subprocess.run(command, input="y\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not done.stdout
    assert done.stderr.startswith("error: 'custom' needs Python code that comes with it, and that is never run here; ")
    assert done.stderr.count("\n") == 1
    assert not Path("it_ran").exists()


# --- pictures ---------------------------------------------------------------------------------------------------------


def save_pages(name: str) -> None:
    pages = [np.full((30, 40, 3), value, np.uint8) for value in (10, 120, 230)]
    first, *rest = (Image.fromarray(page) for page in pages)
    first.save(name, save_all=True, append_images=rest)


@pytest.mark.parametrize("name", ["pages.tif", "pages.gif", "pages.png", "pages.webp"])
def test_pages_of_a_file(name: str, here: Path) -> None:
    save_pages(name)
    assert count_pages(name) == 3
    assert count_pages("both.png") == 1
    for page, value in ((1, 10), (2, 120), (3, 230)):
        assert abs(int(read_image(name, page=page).mean()) - value) <= 2
    for page in (0, 4):
        with pytest.raises(ValueError, match=f"{name} has the pages 1 to 3; there is no page {page}"):
            read_image(name, page=page)
    with pytest.raises(ValueError, match=r"both\.png has one page only; there is no page 2"):
        read_image("both.png", page=2)


def test_the_page_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = Image.fromarray(red_and_blue())
    picture.save("scan.tif", save_all=True, append_images=[Image.fromarray(red_and_blue()[:, ::-1].copy())])
    given = ["scan.tif", *NET, "--target-layers", "colours", "--save", "json", "overlay"]
    assert main(given) == 0
    assert "picture:    scan.tif (page 1 of 2; --page N takes another)\n" in capsys.readouterr().out
    assert main([*given, "--page", "2"]) == 0
    out = capsys.readouterr().out
    assert "picture:    scan.tif (page 2 of 2; --page N takes another)\n" in out
    assert f"of another picture, now in {Path('output/scan')}" in out
    assert json.loads(Path("output/gradcam.json").read_text())["page"] == 2
    assert main([*given, "--page", "1"]) == 0
    assert Path("output/scan_page2/gradcam_cam.jpg").exists()
    assert main(["scan.tif", "both.png", *NET, "--save", "json", "--output-dir", "many"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("scan.tif (page 1 of 2; --page N takes another): 0 red") for line in lines)
    assert any(line.startswith("both.png: 0 red") for line in lines)


def test_pictures_that_are_too_large_are_not_damaged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.new("1", (20_000, 10_000)).save("large.png", compress_level=1)
    line = failing(capsys, "large.png", *NET)
    assert line.startswith("large.png has 200000000 pixels, more than the 64000000 that are read; make it smaller")
    line = failing(capsys, "large.png", *NET, "--max-pixels", "199999999")
    assert line.startswith("large.png has 20000 x 10000 pixels, more than the 199999999 that are read")
    assert before == Image.MAX_IMAGE_PIXELS


def test_addresses_are_no_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = failing(capsys, "https://example.com/dog.jpg", *NET)
    assert line == "https://example.com/dog.jpg is an address; download the picture and give its file"


# --- help -------------------------------------------------------------------------------------------------------------

SCREEN = 60  # lines of 100 characters


@pytest.mark.parametrize(
    "verb", [*COMMANDS, "nnc gradcam", "nnc gradcam-batch", "nnc smoothgrad", "nnc smoothgrad-batch"]
)
def test_help_fits_two_screens_and_shows_examples(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["cam.py"])
    assert main([*verb.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") <= 2 * SCREEN
    assert "examples:\n" in said or verb == "nnc"  # which lists its commands


@pytest.mark.parametrize("verb", ["", *COMMANDS, "nnc gradcam-batch"])
@pytest.mark.parametrize("width", [70, 80])
def test_help_is_as_wide_as_the_terminal(
    verb: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing hangs over but commands, which people copy; and no word is lost."""
    monkeypatch.setattr(sys, "argv", ["cam.py"])
    texts = []
    for columns in (width, 1000):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*verb.split(), "--help"]) == 0
        texts.append(capsys.readouterr().out.partition("\n\n")[2])  # behind the usage
    assert [line for line in texts[0].splitlines() if len(line) > width and not line.startswith("  cam.py ")] == []
    assert texts[0].split() == texts[1].split()
