"""Video: overlays, animated pictures, networks that fold frames into the batch, and recurrent ones."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import now
from helpers.methods_for_any_network import ANY_NETWORK, ONE_OF_A_KIND, few_steps  # noqa: F401 - the fixture
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM, LayerCAM
from pytorch_grad_cam.engine.layout import frames_reshape_transform
from pytorch_grad_cam.engine.restore import differentiable_rnns
from pytorch_grad_cam.engine.switches import without_cudnn
from pytorch_grad_cam.visualization.overlay import show_cam_on_image, show_signed_cam_on_image
from pytorch_grad_cam.visualization.video import save_gif, show_cam_on_video

FRAMES = 5

# --- overlays -------------------------------------------------------------------------------------------------------


def test_every_frame_gets_its_map() -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (4, 6, 9, 3), dtype=np.uint8)
    maps = generator.random((4, 6, 9)).astype(np.float32)
    found = show_cam_on_video(frames, maps)
    for index in range(4):
        assert np.array_equal(found[index], show_cam_on_image(frames[index], maps[index], use_rgb=True))
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)  # (C, T, H, W)
    for same in (clip.movedim(0, 1), [Image.fromarray(frame) for frame in frames], frames / 255):
        assert np.array_equal(show_cam_on_video(same, torch.from_numpy(maps)), found)
    signed = show_cam_on_video(frames, 1 - 2 * maps, signed=True, image_weight=0.3)
    assert np.array_equal(signed[2], show_signed_cam_on_image(frames[2], 1 - 2 * maps[2], True, 0.3))
    assert show_cam_on_video(frames[..., 0], maps).shape == (4, 6, 9, 3)


def test_maps_of_fewer_and_smaller_frames_are_stretched() -> None:
    maps = np.zeros((2, 1, 1), np.float32)
    maps[1] = 1
    found = show_cam_on_video(np.zeros((4, 3, 3), np.uint8), maps, signed=True, image_weight=0)
    assert found[:, 1, 1, 1].tolist() == [255, 191, 64, 0]  # 0, 1/4, 3/4, 1


@pytest.mark.parametrize(
    ("frames", "maps", "message"),
    [
        (np.zeros((2, 4, 4)), np.zeros((4, 4)), r"maps must have shape \(t, h, w\), not \(4, 4\)"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], np.zeros((2, 4, 4)), "all of one size"),
        ([], np.zeros((2, 4, 4)), "at least one frame"),
        (np.zeros((2, 4, 4)), np.full((2, 4, 4), -1.0), r"range \[0, 1\]"),
    ],
)
def test_what_cannot_be_blended(frames: Any, maps: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show_cam_on_video(frames, maps)


# --- animated pictures ----------------------------------------------------------------------------------------------


def read_gif(path: Path) -> tuple[list[np.ndarray], list[int], int | None]:
    with Image.open(path) as image:
        frames, times = [], []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
            times.append(image.info["duration"])
        return frames, times, image.info.get("loop")


def test_a_gif_has_the_frames_and_their_times(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (30, 3), dtype=np.uint8)  # few enough to be kept exactly
    frames = colours[np.random.default_rng(1).integers(0, 30, (7, 24, 32))]
    path = tmp_path / "new" / "map.gif"
    save_gif(path, frames, fps=8)
    found, times, loop = read_gif(path)
    assert len(found) == 7
    assert np.abs(np.stack(found).astype(int) - frames).max() <= 8
    assert times == [120, 130, 130, 120, 120, 130, 130]  # 125 ms each, in hundredths of a second
    assert loop == 0
    assert [each.name for each in path.parent.iterdir()] == ["map.gif"]
    save_gif(path, frames, fps=1000, loop=False)
    found, times, loop = read_gif(path)
    assert times == [20] * 7
    assert loop is None


def test_overlays_keep_their_colours_in_a_gif(tmp_path: Path) -> None:
    across = np.linspace(0, 1, 64, dtype=np.float32)
    frames = np.stack([np.tile(np.uint8(255 * np.roll(across, 5 * index)), (48, 1)) for index in range(6)])
    maps = np.stack([np.tile(np.roll(across, 9 * index)[:48, None], (1, 64)) for index in range(6)])
    shown = show_cam_on_video(frames, maps)
    save_gif(tmp_path / "a.gif", shown)
    found = np.stack(read_gif(tmp_path / "a.gif")[0]).astype(int)
    assert np.abs(found - shown).mean() < 8
    still = np.repeat(shown[:1], 4, axis=0)
    save_gif(tmp_path / "b.gif", still, fps=10)
    assert sum(read_gif(tmp_path / "b.gif")[1]) == 400


@pytest.mark.parametrize(
    ("name", "frames", "fps", "message"),
    [
        ("a.mp4", np.zeros((2, 4, 4, 3), np.uint8), 8, "a.mp4 does not end in .gif"),
        ("a.gif", np.zeros((2, 4, 4, 3)), 8, "frames must be uint8"),
        ("a.gif", np.zeros((2, 4, 4), np.uint8), 8, "frames must be uint8"),
        ("a.gif", np.zeros((2, 4, 4, 3), np.uint8), 0, "fps must be a positive"),
    ],
)
def test_what_is_no_animation(tmp_path: Path, name: str, frames: Any, fps: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        save_gif(tmp_path / name, frames, fps)
    assert not list(tmp_path.iterdir())


# --- networks that fold frames into the batch -----------------------------------------------------------------------


class Folding(nn.Module):
    """(B, 3, T, H, W) -> (B, 4): a 2-D network on each frame, then what it sees on average or an LSTM."""

    def __init__(self, recurrent: bool) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.rnn = nn.LSTM(6, 8, batch_first=True) if recurrent else None
        self.fc = nn.Linear(8 if recurrent else 6, 4)

    def forward(self, x: Tensor) -> Tensor:
        batch = len(x)
        seen = self.cnn(x.transpose(1, 2).flatten(0, 1)).mean((2, 3)).unflatten(0, (batch, -1))  # (B, T, 6)
        return self.fc(seen.mean(1) if self.rnn is None else self.rnn(seen)[0][:, -1])


class AsVolume(nn.Module):
    """The same network with 3-D layers that look at one frame at a time: no folding."""

    def __init__(self, folding: Folding) -> None:
        super().__init__()
        conv = nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1))
        conv.load_state_dict({"weight": folding.cnn[0].weight[:, :, None], "bias": folding.cnn[0].bias})
        self.cnn = nn.Sequential(conv, nn.ReLU(), nn.MaxPool3d((1, 2, 2)))
        self.fc = folding.fc

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.cnn(x).mean((2, 3, 4)))


@pytest.fixture
def video() -> Tensor:
    return torch.randn(2, 3, FRAMES, 8, 10, generator=torch.Generator().manual_seed(3))


def network(recurrent: bool) -> Folding:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Folding(recurrent).eval()


UNFOLDED = partial(frames_reshape_transform, frames=FRAMES)


@pytest.mark.parametrize("kind", [GradCAM, LayerCAM, AblationCAM])
def test_folded_frames_give_the_maps_of_the_same_network_unfolded(kind: Any, video: Tensor) -> None:
    folding = network(recurrent=False)
    found = kind(folding, "cnn", UNFOLDED)(video, 2)
    whole = AsVolume(folding).eval()
    np.testing.assert_allclose(found, kind(whole, "cnn")(video, 2), atol=1e-5)
    assert found.shape == (2, FRAMES, 8, 10)


NO_FOLDING = {"cam"}  # needs a linear layer right after the pooling


@pytest.mark.filterwarnings("ignore:.*not every map means something")
@pytest.mark.parametrize(
    "name", now([name for name in ANY_NETWORK if name not in NO_FOLDING], lambda name: name in ONE_OF_A_KIND)
)
def test_every_method_explains_folded_frames_before_an_lstm(name: str, video: Tensor) -> None:
    model = network(recurrent=True)
    cam = ANY_NETWORK[name].load()(model, "cnn", UNFOLDED)
    for attribute in ("num_samples", "num_masks"):
        if hasattr(cam, attribute):
            setattr(cam, attribute, 2)
    both = cam(video, 1)
    assert both.shape == (2, FRAMES, 8, 10)
    np.testing.assert_allclose(both[1:], cam(video[1:], 1), atol=1e-4)


def test_unfolding_is_checked() -> None:
    maps = torch.arange(12.0).reshape(6, 2, 1, 1)
    found = frames_reshape_transform(maps, 3)
    assert found.shape == (2, 2, 3, 1, 1)
    assert found[1, 0].flatten().tolist() == [6, 8, 10]  # channel 0 of rows 3, 4, 5
    tokens = torch.zeros(6, 4, 7)
    assert frames_reshape_transform(tokens, 3, lambda x: x.transpose(1, 2).unflatten(2, (2, 2))).shape == (
        2,
        7,
        3,
        2,
        2,
    )
    for wrong, form in ((maps[:5], r"\(5, 2, 1, 1\)"), (tokens, r"\(6, 4, 7\)"), ((maps,), "tuple")):
        with pytest.raises(ValueError, match=rf"the layer returns {form}, not \(B \* 3, C, h, w\)"):
            frames_reshape_transform(wrong, 3)


# --- recurrent networks ---------------------------------------------------------------------------------------------


@pytest.fixture
def flag(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bool]]]:
    """What the flag of cuDNN was whenever a module ran; it is on outside, whatever this machine has."""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = True
    seen: list[tuple[str, bool]] = []
    for kind in (nn.LSTM, nn.Conv2d, nn.Linear):
        original = kind.forward

        def noted(self: nn.Module, *args: Any, _original: Any = original, _name: str = kind.__name__) -> Any:
            seen.append((_name, torch.backends.cudnn.enabled))
            return _original(self, *args)

        monkeypatch.setattr(kind, "forward", noted)
    yield seen
    torch.backends.cudnn.enabled = before


def test_only_recurrent_modules_run_without_cudnn_and_only_in_a_call(
    flag: list[tuple[str, bool]], video: Tensor
) -> None:
    model = network(recurrent=True)
    cam = GradCAM(model, "cnn", UNFOLDED)
    cam(video, 0)
    assert set(flag) == {("Conv2d", True), ("LSTM", False), ("Linear", True)}
    assert torch.backends.cudnn.enabled
    assert "forward" not in vars(model.rnn or nn.Identity())
    flag.clear()
    model(video)
    assert set(flag) == {("Conv2d", True), ("LSTM", True), ("Linear", True)}
    copy.deepcopy(model)

    def failing(output: Tensor) -> Tensor:
        raise RuntimeError("no target")

    with pytest.raises(RuntimeError, match="no target"):
        cam(video, failing)
    assert torch.backends.cudnn.enabled
    plain = network(recurrent=False)
    flag.clear()
    GradCAM(plain, "cnn", UNFOLDED)(video, 0)
    assert {on for _, on in flag} == {True}


def test_a_flag_that_was_off_stays_off(flag: list[tuple[str, bool]], video: Tensor) -> None:
    torch.backends.cudnn.enabled = False
    model = network(recurrent=True)
    GradCAM(model, "cnn", UNFOLDED)(video, 0)
    assert not torch.backends.cudnn.enabled


def test_the_flag_comes_back_when_threads_overlap(flag: list[tuple[str, bool]]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with without_cudnn():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with without_cudnn():
        thread.start()
        assert inside.wait(10)
    assert not torch.backends.cudnn.enabled  # the other thread is still inside
    leave.set()
    thread.join()
    assert torch.backends.cudnn.enabled


def test_other_threads_use_cudnn_while_a_model_is_explained(flag: list[tuple[str, bool]], video: Tensor) -> None:
    model = network(recurrent=True)
    with differentiable_rnns(model.modules()):
        thread = threading.Thread(target=model, args=(video,))
        thread.start()
        thread.join()
        assert flag.count(("LSTM", True)) == 1
        model(video)
        assert flag.count(("LSTM", False)) == 1


@pytest.mark.gpu
def test_an_lstm_in_evaluation_mode_is_explained_on_a_gpu(video: Tensor) -> None:
    model = network(recurrent=True)
    on_cpu = GradCAM(model, "cnn", UNFOLDED)(video, 0)
    on_gpu = GradCAM(model.cuda(), "cnn", UNFOLDED)(video, 0)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-3)
