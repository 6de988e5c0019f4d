"""Trained networks on a volume, a signal, sound and tokens: what decides lights up.

Numbers beside the bounds are what was measured; the networks and data are described in ``../shared/data/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import networks
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.visualization.signals import show_cam_on_signal
from pytorch_grad_cam.visualization.volumes import show_cam_on_volume

IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]


def cost(model: nn.Module, inputs: Tensor, without: Tensor, classes: Tensor) -> float:
    """How much the log probability of the classes falls, on average, when something is taken away."""
    with torch.no_grad():
        pair = [model(each).log_softmax(1).gather(1, classes[:, None]) for each in (inputs, without)]
    return float((pair[0] - pair[1]).mean())


def strongest(profiles: Tensor, length: int) -> list[int]:
    """Where the window of a length with the largest sum begins in each profile ``(B, T)``."""
    sums: list[int] = nn.functional.avg_pool1d(profiles[:, None], length, 1)[:, 0].argmax(1).tolist()
    return sums


# --- a volume: MeshNet, tissue in a head ----------------------------------------------------------------------------

CORE = slice(24, 40)  # of 64 voxels each way: all that the network sees of these 16 is real


@pytest.fixture(scope="module")
def brain(shared: Path) -> tuple[nn.Module, Tensor, np.ndarray]:
    """The network, a crop ``(1, 1, 64, 64, 64)`` of a head, and the tissue that the network finds in its core."""
    file = np.load(shared / "data" / "brain_t1_96.npz")
    cut = (slice(16, 80),) * 3
    model, volume = networks.build("meshnet"), torch.from_numpy(file["volume"][cut]).float()[None, None] / 255
    with torch.no_grad():
        found = model(volume)[0].argmax(0).numpy()[CORE, CORE, CORE]
    assert (found == file["tissue"][cut][CORE, CORE, CORE]).mean() > 0.99  # of the whole head's result: 1.0
    return model, volume, found


def margin(tissue: int, found: np.ndarray) -> Callable[[Tensor], Tensor]:
    """What makes the core's voxels this tissue rather than the next likely one."""
    where = torch.from_numpy(found == tissue)
    others = [other for other in range(3) if other != tissue]

    def target(output: Tensor) -> Tensor:
        core = output[:, CORE, CORE, CORE]
        return ((core[tissue] - core[others].amax(0)) * where).sum()

    return target


# Share of the map's energy in the core that lies in the tissue; the tissue's share of the core is 0.77 and 0.08.
MEASURED = [
    ("gradcam", "15", 0.995, 0.866),
    ("gradcam", "13", 0.987, 0.388),
    ("hirescam", "13", 0.988, 0.906),
    ("layercam", "13", 0.980, 0.787),
]


@pytest.mark.parametrize(("method", "layer", "white", "gray"), MEASURED)
def test_the_tissue_that_is_asked_for_lights_up(
    brain: tuple[nn.Module, Tensor, np.ndarray], method: str, layer: str, white: float, gray: float
) -> None:
    model, volume, found = brain
    explanation = METHODS[method].load()(model, layer).explain_each(volume, [margin(1, found), margin(2, found)])
    assert explanation.maps.shape == (1, 2, 64, 64, 64)
    for index, (tissue, expected) in enumerate(((1, white), (2, gray))):
        core = explanation.maps[0, index, CORE, CORE, CORE].numpy()
        inside = found == tissue
        assert core[inside].sum() / core.sum() == pytest.approx(expected, abs=0.03)
        assert core[inside].sum() / core.sum() > 1.2 * inside.mean()
        assert inside[np.unravel_index(core.argmax(), core.shape)]


def test_the_slices_with_most_evidence_are_shown(brain: tuple[nn.Module, Tensor, np.ndarray]) -> None:
    model, volume, found = brain
    heat = GradCAM(model).explain(volume, margin(2, found)).numpy()[0]
    sheet = show_cam_on_volume(volume, heat, axis=2, slices=4, choose="evidence", orientation="LIA")
    assert sheet.dtype == np.uint8
    assert (np.ptp(sheet.astype(int), axis=2) > 120).any()  # colours, not gray


# --- a signal: GunPoint, the height of a hand -----------------------------------------------------------------------

WINDOW = 15  # of 150 samples


@pytest.fixture(scope="module")
def hands(shared: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, 150 series ``(150, 1, 150)`` and their classes: 0 draws a gun, 1 points a finger."""
    file = np.load(shared / "data" / "gunpoint.npz")
    model, series = networks.build("fcn1d"), torch.from_numpy(file["test_x"])[:, None]
    classes = torch.from_numpy(file["test_y"]).long()
    with torch.no_grad():
        assert (model(series).argmax(1) == classes).float().mean() == pytest.approx(0.993, abs=0.001)
    return model, series, classes


def flattened(series: Tensor, starts: list[int]) -> Tensor:
    """The series with a window replaced by the straight line between its ends."""
    result = series.clone()
    for row, start in enumerate(starts):
        ends = series[row, 0, [start, start + WINDOW - 1]].tolist()
        result[row, 0, start : start + WINDOW] = torch.linspace(*ends, WINDOW)
    return result


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam", "ablationcam", "scorecam"])
def test_flattening_what_lights_up_costs_most(hands: tuple[nn.Module, Tensor, Tensor], method: str) -> None:
    model, series, classes = hands[0], hands[1][:50], hands[2][:50]
    elsewhere = [
        cost(model, series, flattened(series, [start] * len(series)), classes) for start in range(0, 136, WINDOW)
    ]
    heat = torch.from_numpy(METHODS[method].load()(model)(series, classes))
    found = cost(model, series, flattened(series, strongest(heat, WINDOW)), classes)
    assert found > 2 * np.mean(elsewhere), (found, elsewhere)


def test_the_hand_going_up_and_down_decides_not_the_hand_at_rest(hands: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, series, classes = hands
    explanation = GradCAM(model).explain(series, classes)
    assert explanation.layers == ("8",)
    assert not any(explanation.notes)
    for category in (0, 1):
        mean = explanation.maps[classes == category].mean(0).reshape(15, 10).mean(1)  # per 10 samples
        up, held, down = mean[2:6].max(), mean[6:8].max(), mean[8:12].max()
        assert min(up, down) > 3 * held  # 0.35, 0.01, 0.43 for a gun; 0.34, 0.07, 0.27 for a finger
    picture = show_cam_on_signal(series[0], explanation.numpy()[0], rate=30)
    assert (np.ptp(picture.astype(int), axis=2) > 120).any()


# --- sound: keywords, MFCC over time --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words(shared: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, 100 words ``(100, 1, 49, 10)`` that it recognises, and which."""
    file = np.load(shared / "data" / "keywords_mfcc_500.npz")
    values = (file["mfcc_int8"].astype(np.float32) - float(file["zero_point"])) * float(file["scale"])
    model, sounds = networks.build("keywords"), torch.from_numpy(values.astype(np.float32))[:, None]
    classes = torch.from_numpy(file["labels"]).long()
    with torch.no_grad():
        right = model(sounds).argmax(1) == classes
    assert right.float().mean() == pytest.approx(0.906, abs=0.003)
    chosen = right & (classes < 10)  # neither silence nor unknown
    return model, sounds[chosen][:100], classes[chosen][:100]


def silenced(sounds: Tensor, starts: list[int]) -> Tensor:
    """The sounds with ten frames replaced by the mean of their own first three."""
    result = sounds.clone()
    for row, start in enumerate(starts):
        result[row, :, start : start + 10] = sounds[row, :, :3].mean(1, keepdim=True)
    return result


@pytest.mark.parametrize("method", ["gradcam", "layercam", "eigencam"])
def test_the_word_lights_up_not_the_silence(words: tuple[nn.Module, Tensor, Tensor], method: str) -> None:
    model, sounds, classes = words
    heat = torch.from_numpy(METHODS[method].load()(model)(sounds, classes))  # (B, 49, 10)
    found = cost(model, sounds, silenced(sounds, strongest(heat.mean(2), 10)), classes)
    anywhere = [cost(model, sounds, silenced(sounds, [start] * len(sounds)), classes) for start in range(0, 40, 5)]
    assert found > 2.5, found  # 3.3 to 3.5; the loudest ten frames cost 3.1, RandomCAM's 1.1
    assert found > 1.5 * np.mean(anywhere)


# --- tokens: a small ViT on CIFAR-10 --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(shared: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, 60 pictures ``(60, 3, 32, 32)`` that it recognises, and their classes."""
    file = np.load(shared / "data" / "cifar10_test_500.npz")
    chosen = torch.from_numpy(file["images"][:120]).permute(0, 3, 1, 2) / 255
    model, inputs = networks.build("vit_cifar10"), (chosen - IMAGENET[0]) / IMAGENET[1]
    classes = torch.from_numpy(file["labels"][:120]).long()
    with torch.no_grad():
        right = model(inputs).argmax(1) == classes
    assert right.float().mean() > 0.7  # 0.758 of all 500
    return model, inputs[right][:60], classes[right][:60]


def without_patches(inputs: Tensor, heat: Tensor, largest: bool) -> Tensor:
    """The pictures with the 16 of 64 patches on which the maps are largest, or smallest, made gray."""
    patches = nn.functional.avg_pool2d(heat[:, None], 4).flatten(1)  # (B, 64)
    gone = torch.zeros_like(patches).scatter(1, patches.topk(16, largest=largest).indices, 1)
    return inputs * (1 - gone.reshape(-1, 1, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3))


@pytest.mark.parametrize("method", ["gradcam", "eigencam"])
def test_patches_that_light_up_matter_more(pictures: tuple[nn.Module, Tensor, Tensor], method: str) -> None:
    model, inputs, classes = pictures
    cam: Any = METHODS[method].load()(model)
    explanation = cam.explain(inputs)
    assert explanation.layers == ("encoder.layers.encoder_layer_5.ln_1",)  # the last whose patches have a gradient
    assert explanation.raw[0].shape == (60, 8, 8)
    if cam.uses_targets:
        assert explanation.classes == tuple(classes.tolist())
    assert not any(explanation.notes)
    assert (explanation.raw[0].abs().amax((1, 2)) > 0).all()
    best, least = (
        cost(model, inputs, without_patches(inputs, explanation.maps, top), classes) for top in (True, False)
    )
    assert best > 1.8 * least, (best, least)  # 0.88 and 0.37, 0.98 and 0.15, 0.89 and 0.19, 1.06 and 0.22
