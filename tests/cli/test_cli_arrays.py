"""The commands for volumes, signals and video, on networks whose maps are known."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import missing
from helpers.colour_net import NET, red_and_blue
from helpers.paths import ROOT
from PIL import Image

from pytorch_grad_cam.cli.arguments import CommandParser
from pytorch_grad_cam.cli.commands import COMMANDS, DEFAULT
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.videos import read_video
from pytorch_grad_cam.visualization.volumes import show_cam_on_volume

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
# Class 0 is the mean of what is positive, class 1 of what is negative: its map is that part of the input itself.
OWN = """
import torch
from torch import nn
class Signs(nn.Module):
    def __init__(self, axes):
        super().__init__()
        kind = {1: nn.Conv1d, 3: nn.Conv3d}[axes]
        conv = kind(1, 2, 1, bias=False)
        with torch.no_grad():
            conv.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, *(1,) * (axes + 1)))
        self.signs = nn.Sequential(conv, nn.ReLU())
    def forward(self, x):
        return 9 * self.signs(x).flatten(2).mean(2)
def volume_net():
    return Signs(3).eval()
def signal_net():
    return Signs(1).eval()
"""
VOLUME = ["volume", "--model", "own_signs:volume_net", "--target-layers", "signs", "--image-path"]
SIGNAL = ["signal", "--model", "own_signs:signal_net", "--target-layers", "signs", "--image-path"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with networks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the working folder is added to it
    monkeypatch.delitem(sys.modules, "own_signs", raising=False)
    Path("own_signs.py").write_text(OWN)
    return tmp_path


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_a_volume_and_its_map(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = values(6, 7, 8)
    np.save("scan.npy", given)
    assert main([*VOLUME, "scan.npy", "--target", "1", "--slices", "4"]) == 0
    found = np.load("output/scan_gradcam_map.npy")
    want = np.maximum(-given, 0)
    assert np.allclose(found, want / want.max(), atol=1e-5)
    assert read_image("output/scan_gradcam_montage.png").shape[0] > 2 * 192
    said = capsys.readouterr().out
    assert f"scan.npy, 6 x 7 x 8 voxels, values {given.min():g} to {given.max():g}" in said
    assert "sees the numbers as they are" in said


def test_nifti_in_and_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nibabel = missing.package("nibabel")
    affine = np.diag([-2.0, 2, 3, 1])
    nibabel.save(nibabel.Nifti1Image(255 * values(6, 7, 8), affine), "head.nii.gz")
    more = ["--mean", "0", "--std", "255", "--contrast", "0", "1", "--choose", "evidence", "--method", "hirescam"]
    assert main([*VOLUME, "head.nii.gz", *more]) == 0
    (path,) = Path("output").glob("head_hirescam_*_map.nii.gz")
    written = nibabel.load(path)
    assert np.array_equal(written.affine, affine)
    want = values(6, 7, 8)  # what speaks for 0 rather than 1 is the input itself
    assert np.allclose(written.get_fdata(), want / np.abs(want).max(), atol=1e-4)
    said = capsys.readouterr().out
    assert "axes LAS, 2 x 2 x 3 mm each" in said
    assert "sees the numbers as they are, mean 0.0, std 255.0" in said


@pytest.mark.again
def test_one_body_looks_the_same_however_its_file_is_stored(here: Path) -> None:
    """One head, stored in other orders and directions of the axes: the same montage, letters and all, and map.

    Slices are numbered as in the file, so those of a head that is stored from the top down come in the other order.
    """
    nibabel = missing.package("nibabel")
    head = nibabel.Nifti1Image(values(6, 7, 8), np.diag([2.0, 2, 3, 1]))  # RAS
    montages, maps = [], []
    for letters in ("RAS", "LAS", "SPL", "PSR", "PIR"):
        turn = nibabel.orientations.axcodes2ornt(letters)
        stored = head.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(head.affine), turn))
        assert "".join(nibabel.aff2axcodes(stored.affine)) == letters
        nibabel.save(stored, f"{letters}.nii.gz")
        assert main([*VOLUME, f"{letters}.nii.gz", "--target", "0", "--slices", "8"]) == 0
        montages.append(read_image(f"output/{letters}_gradcam_montage.png").astype(int))
        written = nibabel.load(f"output/{letters}_gradcam_map.nii.gz")
        assert np.array_equal(written.affine, stored.affine)
        maps.append(nibabel.as_closest_canonical(written).get_fdata())
    assert all(np.allclose(map, maps[0], atol=1e-5) for map in maps)
    assert [np.abs(montage - montages[0]).max() <= 2 for montage in montages] == [True, True, True, True, False]


def test_letters_stand_at_the_borders() -> None:
    """Of a black volume without a map, all that is white inside a slice are letters, one in the middle of each side."""
    black, nothing = np.zeros((9, 9, 9), np.float32), np.zeros((9, 9, 9), np.float32)
    plain, lettered = (
        show_cam_on_volume(black, nothing, slices=1, image_weight=1.0, side=150, orientation=orientation)
        for orientation in (None, "SPL")
    )
    inside = (slice(6, 156), slice(6, 156))
    assert plain[inside].max() == 0
    rows, columns = np.nonzero(lettered[inside].max(2) > 200)
    third = np.stack([rows // 50, columns // 50])
    assert {tuple(each) for each in third.T.tolist()} == {(0, 1), (2, 1), (1, 0), (1, 2)}


def test_a_signal_and_its_map(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = values(5, 40)
    np.savez("many.npz", x=given, y=given)
    assert main([*SIGNAL, "many.npz", "--key", "x", "--index", "2", "--target", "0"]) == 0
    want = np.maximum(given[2], 0)
    assert np.allclose(np.load("output/many_gradcam_map.npy"), want / want.max(), atol=1e-5)
    lines = [f"{0.1 * index:.1f},{value}" for index, value in enumerate(given[2])]
    Path("one.csv").write_text("\n".join(["time,lead", *lines]))
    assert main([*SIGNAL, "one.csv", "--target", "0"]) == 0
    assert np.allclose(np.load("output/one_gradcam_map.npy"), want / want.max(), atol=1e-4)
    assert "40 samples, 10 per second" in capsys.readouterr().out
    assert read_image("output/one_gradcam_curves.png").shape[1] > 900


def test_a_video_holds_its_class_and_scale(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red fades: its map is brightest in the first frame, and is gone in the last."""
    picture = red_and_blue()
    frames = []
    for share in (1.0, 0.5, 0.0):
        frame = picture.copy()
        frame[20:40, 24:40] = 128 + share * (np.array([255, 0, 0]) - 128)
        frames.append(Image.fromarray(frame))
    frames[0].save("fading.gif", save_all=True, append_images=frames[1:], duration=500)
    more = ["--target-layers", "colours", "--target", "red", "--image-weight", "0", "--colormap", "bone"]
    assert main(["video", "--image-path", "fading.gif", *NET, *more]) == 0
    drawn = read_video("output/fading_gradcam.gif", 9, 10**6)
    assert drawn.rate == 2.0
    heat = drawn.frames[:, 24:36, 28:36].astype(float).mean((1, 2, 3))
    assert heat[0] > 200
    assert 20 < heat[1] < heat[0] - 50
    assert heat[2] < 20
    assert "explained:  0 red in every frame" in capsys.readouterr().out
    assert main(["video", "--image-path", "fading.gif", *NET, "--format", "mp4"]) == 0
    assert len(read_video("output/fading_gradcam.mp4", 9, 10**6).frames) == 3
    # By the mean over all frames: blue is as strong in each, red only in the first.
    assert "explained:  1 dark blue in every frame" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([*VOLUME, "nowhere.npy"], 1, "there is no file or folder nowhere.npy"),
        ([*VOLUME, "two.npy"], 1, "the network takes 1 channels, and this has 2"),
        ([*VOLUME, "two.npy", "--save", "npy"], 2, "--save is for pictures, not for a volume"),
        ([*VOLUME, "two.npy", "--size", "9"], 2, "--size is for pictures, not for a volume"),
        ([*VOLUME, "two.npy", "--index", "0", "--std", "1", "2"], 1, "--std has 2 numbers for 1 channels"),
        ([*VOLUME, "two.npy", "--orientation", "XYZ"], 2, "must have one letter per axis"),
        (["volume", "--image-path", "two.npy"], 2, "required: --model"),
        ([*SIGNAL, "two.npy"], 1, "which is no signal"),
        ([*SIGNAL, "own_signs.py"], 1, "is no signal that can be read; give .npy, .npz or .csv"),
        (["video", "--image-path", "two.npy", *NET], 1, "is no video that can be read"),
        (["video", "--image-path", "two.npy", *NET, "--task", "detection"], 2, "--task is for pictures"),
    ],
)
def test_refused_in_words(
    arguments: list[str], code: int, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("two.npy", values(2, 4, 5, 6))
    assert main(arguments) == code
    assert message in capsys.readouterr().err
    assert not Path("output").exists()


@pytest.mark.parametrize(("name", "command"), [("a.nii.gz", "volume"), ("a.CSV", "signal"), ("a.mp4", "video")])
def test_the_command_is_named(name: str, command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image-path", name, *NET]) == 1
    assert f"{name} is no picture; give it to the command {command}: cam {command} --help" in capsys.readouterr().err


def test_one_of_several_that_fails_stops_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("good.npy", values(4, 5, 6))
    np.save("flat.npy", values(4, 5))
    assert main([*VOLUME, "good.npy", "flat.npy", "good.npy", "--target", "0"]) == 1
    captured = capsys.readouterr()
    assert "1 of 3 files failed" in captured.err
    assert captured.out.count("written:") == 2


@pytest.mark.parametrize("command", ["volume", "signal", "video"])
def test_help_hides_what_is_for_pictures(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "examples:" in said
    assert "--layer-sweep" not in said
    assert "--box-threshold" not in said


@pytest.mark.parametrize("page", ["docs/volumes_signals_video.md", "docs/tasks.md", "README.md"])
def test_options_on_the_pages_exist(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option of a command that a page shows is one that the command has."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^(?:cam|cam\.py) (.+?)(?:  +#.*)?$", text, re.MULTILINE)
    assert lines or page == "README.md"
    known: dict[str, set[str]] = {}

    def keep(parser: CommandParser, arguments: list[str]) -> None:
        raise LookupError(set(parser._option_string_actions))

    monkeypatch.setattr(CommandParser, "parse_args", keep)
    for name in ("explain", "volume", "signal", "video"):
        with pytest.raises(LookupError) as found:
            COMMANDS[name].parse("cam", [])
        known[name] = found.value.args[0]
    for line in lines:
        words = shlex.split(line)
        name = words[0] if words[0] in COMMANDS else DEFAULT
        if name in known:
            assert {word for word in words if word.startswith("--")} <= known[name] | {"--help"}, line
