"""From a picture to the network's input, as torchvision does it, and from a map back onto the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.data.preprocessing import Preprocessing

PLAIN: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 120 * np.sin(2 * np.pi * (3 * x / width + k * y / height)) for k in (1, 2, 3)]
    return np.stack(waves, axis=2).round().astype(np.uint8)


# resnet18: bilinear 256/224; resnet50 V2: 232/224; swin_t: bicubic; efficientnet_b1: crop 240; inception_v3: 342/299
WEIGHTS = ("ResNet18_Weights", "ResNet50_Weights", "Swin_T_Weights", "EfficientNet_B1_Weights", "Inception_V3_Weights")


@pytest.mark.parametrize("size", [(300, 401), (401, 300), (90, 131), (256, 256), (1, 1), (1, 7)])
@pytest.mark.parametrize("name", WEIGHTS)
def test_equals_torchvision(name: str, size: tuple[int, int]) -> None:
    import torchvision

    transforms = getattr(torchvision.models, name).DEFAULT.transforms()
    ours = Preprocessing.from_torchvision(transforms)
    picture = noise(*size)
    found = ours(picture)
    assert found.dtype == torch.float32
    assert torch.equal(found, transforms(Image.fromarray(picture)))
    if max(size) > 7:  # for tensors torchvision does not round to bytes between the axes
        level = 1 / 255 / min(ours.std)
        as_tensor = transforms(torch.from_numpy(smooth(*size)).permute(2, 0, 1))
        assert (ours(smooth(*size)) - as_tensor).abs().max() <= 2.01 * level


def test_other_torchvision_presets() -> None:
    from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights
    from torchvision.models.segmentation import LRASPP_MobileNet_V3_Large_Weights
    from torchvision.models.video import R3D_18_Weights

    picture = noise(40, 60)
    for weights in (LRASPP_MobileNet_V3_Large_Weights, SSDLite320_MobileNet_V3_Large_Weights):
        transforms = weights.DEFAULT.transforms()
        expected = transforms(Image.fromarray(picture))
        assert torch.equal(Preprocessing.from_torchvision(transforms)(picture), expected)
    with pytest.raises(TypeError, match="VideoClassification is not a torchvision preset for single pictures"):
        Preprocessing.from_torchvision(R3D_18_Weights.DEFAULT.transforms())


def test_crop_larger_than_the_picture_pads_as_torchvision_does() -> None:
    from torchvision.transforms.functional import center_crop

    picture = noise(7, 30)
    found = Preprocessing(resize=None, crop=(12, 13), **PLAIN)(picture)
    expected = center_crop(torch.from_numpy(picture).permute(2, 0, 1), [12, 13]) / 255
    assert torch.equal(found, expected)


def test_one_mean_makes_gray() -> None:
    picture = noise(20, 30)
    found = Preprocessing(resize=None, crop=None, mean=(0.0,), std=(1.0,))(picture)
    expected = np.asarray(Image.fromarray(picture).convert("L"))
    assert found.shape == (1, 20, 30)
    assert np.array_equal((255 * found[0]).round().numpy(), expected)


def test_the_picture_is_not_changed_and_may_be_read_only() -> None:
    picture = noise(30, 30)
    before = picture.copy()
    picture.flags.writeable = False
    Preprocessing(resize=None, crop=20)(picture).mul_(0)
    assert np.array_equal(picture, before)


def test_sized_and_squashed() -> None:
    usual = Preprocessing()
    assert (usual.sized(448).resize, usual.sized(448).crop) == (512, 448)
    assert usual.squashed().resize == (224, 224)
    assert usual.squashed().crop is None
    assert usual.squashed().sized(100)(noise(50, 90)).shape == (3, 100, 100)
    assert usual.squashed()(noise(50, 90)).shape == (3, 224, 224)
    assert usual.sized(64)(noise(50, 90)).shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (0.5,)}, "mean has 1 numbers and std 3"),
        ({"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "three of each for RGB, one for gray"),
        ({"std": (0.5, 0.0, 0.5)}, "must be finite, std also positive"),
        ({"interpolation": "cubic"}, "give one of bilinear, bicubic, nearest"),
        ({"crop": 0}, "crop=0 must be at least 1 pixel"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing(**settings)


def test_pictures_of_another_form_are_refused() -> None:
    wrong: Any
    for wrong in (noise(4, 4)[:, :, 0], noise(4, 4).astype(np.float32), noise(4, 4).transpose(2, 0, 1)):
        with pytest.raises(ValueError, match="must be uint8 RGB of shape"):
            Preprocessing()(wrong)
    with pytest.raises(ValueError, match="a picture of 5000 x 2 pixels would become 640000 x 256"):
        Preprocessing()(noise(2, 5000))


# --- a letterbox ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 401), (401, 300), (90, 131), (20, 20), (1, 500), (64, 96)])
@pytest.mark.parametrize("box", [(64, 64), (48, 96), (96, 33)])
def test_the_whole_picture_between_bars(size: tuple[int, int], box: tuple[int, int]) -> None:
    """The picture is as large as fits, in its own shape to half a pixel, between bars of equal width."""
    picture = noise(*size)
    seen = Preprocessing(box, None, **PLAIN).padded(0.5)(picture)
    assert seen.shape == (3, *box)
    share = min(box[0] / size[0], box[1] / size[1])
    height, width = (max(round(length * share), 1) for length in size)
    assert height == box[0] or width == box[1]
    top, left = (box[0] - height) // 2, (box[1] - width) // 2
    resized = picture if size == (height, width) else np.asarray(Image.fromarray(picture).resize((width, height), 2))
    inside = seen[:, top : top + height, left : left + width]
    assert torch.equal(inside, torch.from_numpy(resized.copy()).permute(2, 0, 1).float() / 255)
    bars = torch.ones(box, dtype=torch.bool)
    bars[top : top + height, left : left + width] = False
    assert (seen[:, bars] == 0.5).all()


def test_the_bars_are_as_yolo_places_them() -> None:
    """By hand: 640 x 480 in 640: 80 above and below; 375 x 500 in 640: 480 wide, 80 beside; 101 x 33 in 64: 21 wide,
    21 and 22 pixels beside."""
    for size, rows, columns in [
        ((480, 640), (80, 560), (0, 640)),
        ((500, 375), (0, 640), (80, 560)),
        ((101, 33), (0, 64), (21, 42)),
    ]:
        side = 64 if size[0] == 101 else 640
        seen = Preprocessing(side, None, **PLAIN).padded(114 / 255)(np.zeros((*size, 3), np.uint8))
        expected = torch.full((side, side), 114) / 255
        expected[rows[0] : rows[1], columns[0] : columns[1]] = 0
        assert torch.equal(seen, expected.expand(3, -1, -1))


def test_bars_are_of_the_mean_colour_unless_another_is_given() -> None:
    usual = Preprocessing()
    padded = usual.padded()
    assert padded == Preprocessing((224, 224), None, pad=usual.mean)
    assert (padded(np.full((10, 20, 3), 255, np.uint8))[:, :56] == 0).all()
    assert usual.padded((0.1, 0.2, 0.3)).pad == (0.1, 0.2, 0.3)
    assert usual.padded(0).sized(64) == Preprocessing((64, 64), None, pad=(0, 0, 0))
    assert usual.padded().squashed() == usual.squashed()
    assert Preprocessing(None, None).padded() == Preprocessing(None, None)  # a detector, which resizes on its own
    gray = Preprocessing(8, 8, (0.5,), (0.5,)).padded()(np.zeros((4, 8, 3), np.uint8))
    assert gray.tolist() == [[[0.0] * 8] * 2 + [[-1.0] * 8] * 4 + [[0.0] * 8] * 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pad": (0.0,) * 3}, r"give resize=\(height, width\) and crop=None, not resize=256 and crop=224"),
        ({"pad": (0.0,) * 3, "resize": 8, "crop": None}, "not resize=8 and crop=None"),
        ({"pad": (114.0,) * 3, "resize": (8, 8), "crop": None}, r"no colour of 3 numbers in \[0, 1\].* value / 255"),
        ({"pad": (0.5,), "resize": (8, 8), "crop": None}, "no colour of 3 numbers"),
        ({"pad": (0.5, 0.5, float("nan")), "resize": (8, 8), "crop": None}, "no colour of 3 numbers"),
    ],
)
def test_impossible_bars_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing(**settings)


def test_a_map_of_a_letterbox_loses_its_bars() -> None:
    """Each picture pixel gets what the map has at its place; what it has in the bars appears nowhere."""
    padded = Preprocessing((40, 40), None, **PLAIN).padded()
    map = np.full((40, 40), 9.0)
    map[10:30] = np.arange(40) / 40 + 1 / 80  # under the picture: rises with x
    back = padded.to_picture(map, (50, 100))
    assert back.shape == (50, 100)
    assert not np.isnan(back).any()
    x = (np.arange(100) + 0.5) / 100
    inner = back[2:-2, 2:-2]  # half a cell at the borders is mixed with what lies beside it
    np.testing.assert_allclose(inner, np.broadcast_to(x[2:-2], inner.shape), atol=1e-6)
    assert np.array_equal(padded.to_picture(map, (20, 40)), map[10:30].astype(np.float32))


# --- the way back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 401), (401, 300), (90, 131)])
@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(64, 48, **PLAIN),
        Preprocessing((50, 70), None, **PLAIN),
        Preprocessing(None, (60, 80), **PLAIN),
        Preprocessing((50, 70), None, **PLAIN).padded(0.5),
    ],
)
def test_a_map_comes_back_to_where_it_was_seen(preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    """What the network saw, taken as a map, is the picture again, for a picture that is linear in x and y."""
    y, x = np.mgrid[: size[0], : size[1]]
    ramp = np.stack([255 * y / size[0], 255 * x / size[1], 0 * x], axis=2).round().astype(np.uint8)
    seen = preprocessing(ramp)
    for channel in (0, 1):
        back = preprocessing.to_picture(seen[channel], size)
        assert back.shape == size
        assert back.dtype == np.float32
        inside = ~np.isnan(back)
        # The outermost half cell has nothing to interpolate with; a cell of the map is up to 6.3 pixels here.
        inner = inside & np.roll(inside, 8, 0) & np.roll(inside, -8, 0) & np.roll(inside, 8, 1) & np.roll(inside, -8, 1)
        inner[:8], inner[-8:], inner[:, :8], inner[:, -8:] = False, False, False, False
        assert inner.sum() > 1000
        assert np.abs(255 * back - ramp[:, :, channel])[inner].max() < 2


def test_nan_exactly_where_the_network_never_saw_the_picture() -> None:
    back = Preprocessing(resize=10, crop=4, **PLAIN).to_picture(np.ones((4, 4)), (100, 200))
    seen = np.zeros((100, 200), dtype=bool)
    seen[30:70, 80:120] = True  # resized to 10 x 20, the crop takes rows 3..7 and columns 8..12
    assert np.array_equal(~np.isnan(back), seen)
    assert (back[seen] == 1).all()


def test_without_a_crop_the_whole_picture_is_covered_and_exact() -> None:
    cells = np.random.default_rng(1).random((7, 9)).astype(np.float32)
    whole = Preprocessing(resize=(70, 90), crop=None)
    back = whole.to_picture(cells, (70, 90))
    expected = torch.nn.functional.interpolate(torch.from_numpy(cells)[None, None], size=(70, 90), mode="bilinear")
    np.testing.assert_allclose(back, expected[0, 0].numpy(), atol=1e-5)
    assert np.array_equal(whole.to_picture(cells, (7, 9)), cells)


def test_a_padded_border_is_left_out_of_the_picture() -> None:
    cells = np.zeros((6, 6))
    cells[2:4, 2:4] = [[0.1, 0.2], [0.3, 0.4]]  # a 2 x 2 picture in the middle of a crop of 6
    back = Preprocessing(resize=None, crop=6).to_picture(cells, (2, 2))
    np.testing.assert_allclose(back, [[0.1, 0.2], [0.3, 0.4]], atol=1e-6)


def test_only_one_map_at_a_time() -> None:
    with pytest.raises(ValueError, match=r"a map must have shape \(h, w\), not \(1, 7, 7\)"):
        Preprocessing().to_picture(np.zeros((1, 7, 7)), (10, 10))
