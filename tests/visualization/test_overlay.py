"""The overlay, and the old ways of a picture into a network and out of it."""

from __future__ import annotations

import inspect
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_grad_cam.data.pixels import bands_as_rgb, deprocess_image, preprocess_image
from pytorch_grad_cam.engine.arrays import scale_accross_batch_and_channels, scale_cam_image
from pytorch_grad_cam.visualization.overlay import heat_map, show_cam_on_image, show_signed_cam_on_image


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


# --- the overlay ----------------------------------------------------------------------------------------------------


def test_the_overlay_is_a_true_blend(picture: NDArray[np.uint8]) -> None:
    mask = np.random.default_rng(1).random(picture.shape[:2]).astype(np.float32)
    heat = cv2.applyColorMap((255 * mask).astype(np.uint8), cv2.COLORMAP_JET)
    for weight in (0.0, 0.3, 0.5, 1.0):
        found = show_cam_on_image(picture, mask, image_weight=weight)
        assert found.dtype == np.uint8
        assert np.abs(found - (weight * picture.astype(float) + (1 - weight) * heat)).max() <= 0.51
    rgb = show_cam_on_image(picture[:, :, ::-1], mask, use_rgb=True)
    assert np.array_equal(rgb[:, :, ::-1], show_cam_on_image(picture, mask))


def test_weight_one_returns_the_picture_bit_for_bit() -> None:
    every_level = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for image in (every_level, np.float32(every_level) / 255, every_level / 255, every_level[:, :, None]):
        found = show_cam_on_image(image, np.zeros((16, 16)), image_weight=1.0)
        assert np.array_equal(found, np.repeat(every_level[:, :, None], 3, axis=2))


def test_brightness_does_not_depend_on_the_picture() -> None:
    black, gray = np.zeros((4, 4, 3), np.float32), np.full((4, 4, 3), 0.4, np.float32)
    cold = np.zeros((4, 4))
    assert show_cam_on_image(black, cold).max() == 64  # half of the coldest colour, dark blue
    assert show_cam_on_image(gray, cold, image_weight=1.0).max() == 102
    assert (show_cam_on_image(gray, cold)[:, :, 1] == 51).all()


def test_a_map_of_another_size_covers_the_picture(picture: NDArray[np.uint8]) -> None:
    small = np.array([[0.0, 1.0]])
    resized = cv2.resize(small.astype(np.float32), (9, 6), interpolation=cv2.INTER_LINEAR)
    difference = show_cam_on_image(picture, small).astype(int) - show_cam_on_image(picture, resized)
    assert np.abs(difference).max() <= 2  # at most one step of the colour map


def test_a_mask_of_bytes_is_one_of_0_to_255(picture: NDArray[np.uint8]) -> None:
    levels = np.random.default_rng(1).integers(0, 256, picture.shape[:2], dtype=np.uint8)
    expected = show_cam_on_image(picture, levels.astype(np.float32) / 255)
    for mask in (levels, torch.from_numpy(levels)):
        assert np.array_equal(show_cam_on_image(picture, mask), expected)
    assert np.array_equal(heat_map(levels), heat_map(levels / 255))
    boxes = (levels > 100).astype(np.uint8)  # 0 and 1, with grad-cam too
    assert np.array_equal(show_cam_on_image(picture, boxes), show_cam_on_image(picture, boxes.astype(float)))
    assert np.array_equal(show_cam_on_image(picture, boxes > 0), show_cam_on_image(picture, boxes.astype(float)))
    with pytest.raises(ValueError, match=r"mask must be in the range \[-1, 1\]"):
        show_signed_cam_on_image(picture, levels)
    with pytest.raises(ValueError, match=r"mask must be in the range \[0, 1\]"):
        show_cam_on_image(picture, levels.astype(np.int64))


def test_where_the_map_is_nan_the_picture_shows(picture: NDArray[np.uint8]) -> None:
    mask = np.full(picture.shape[:2], 0.7, dtype=np.float32)
    mask[2:4] = np.nan
    found = show_cam_on_image(picture, mask)
    assert np.array_equal(found[2:4], picture[2:4])
    assert not np.array_equal(found[:2], picture[:2])
    assert np.array_equal(show_cam_on_image(picture, np.full_like(mask, np.nan)), picture)


@pytest.mark.parametrize(
    ("image", "mask", "options", "message"),
    [
        (np.full((4, 4, 3), 200.0), np.zeros((4, 4)), {}, "floats in the range .* not float64 200..200; divide"),
        (np.full((4, 4, 3), -0.2), np.zeros((4, 4)), {}, "img must be uint8"),
        (np.full((4, 4, 3), np.nan), np.zeros((4, 4)), {}, "img must be uint8"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4)), {}, r"img must have shape .* not \(4, 4, 4\)"),
        (
            np.zeros((4, 4, 3)),
            np.full((4, 4), 1.2),
            {},
            r"mask must be in the range \[0, 1\], not 1.2..1.2; see scale_cam_image",
        ),
        (np.zeros((4, 4, 3)), np.full((4, 4), -0.5), {}, "mask must be in the range"),
        (np.zeros((4, 4, 3)), np.zeros((1, 4, 4)), {}, r"not \(1, 4, 4\); give one map, e.g. maps\[0\]"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4)), {"image_weight": 1.1}, "image_weight must be in the range"),
    ],
)
def test_what_cannot_be_blended(
    image: NDArray[np.float64], mask: NDArray[np.float64], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        show_cam_on_image(image, mask, **options)


def test_pictures_of_every_kind_give_the_same_overlay(picture: NDArray[np.uint8]) -> None:
    mask = np.random.default_rng(1).random(picture.shape[:2]).astype(np.float32)
    expected = show_cam_on_image(picture, mask, use_rgb=True)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    with_graph = (tensor.float() / 255).requires_grad_()
    same = (Image.fromarray(picture), tensor, tensor[None], with_graph, torch.from_numpy(picture))
    for image in (*same, picture.astype(np.uint16) * 257):
        assert np.array_equal(show_cam_on_image(image, torch.from_numpy(mask), use_rgb=True), expected)
    gray = picture[:, :, 0]
    for image in (gray, gray[:, :, None], Image.fromarray(gray), torch.from_numpy(gray)[None]):
        assert np.array_equal(
            show_cam_on_image(image, mask), show_cam_on_image(np.repeat(gray[:, :, None], 3, axis=2), mask)
        )


def test_of_many_bands_the_mean_is_shown() -> None:
    bands = np.random.default_rng(4).random((6, 9, 7)).astype(np.float32)
    found = show_cam_on_image(bands, np.zeros((6, 9)), image_weight=1.0)
    assert np.abs(found / 255 - bands.mean(2)[:, :, None]).max() < 0.003
    assert np.array_equal(
        found, show_cam_on_image(torch.from_numpy(bands).permute(2, 0, 1), np.zeros((6, 9)), image_weight=1.0)
    )


def test_three_of_many_bands_are_stretched_each() -> None:
    bands = np.random.default_rng(5).normal(size=(30, 40, 6)) * [1, 10, 100, 1e3, 1e4, 0]
    found = bands_as_rgb(bands, (3, 0, 5))
    assert found.dtype == np.uint8
    assert found.shape == (30, 40, 3)
    for band in (0, 1):
        assert 0.01 < (found[:, :, band] == 0).mean() < 0.03
        assert 0.01 < (found[:, :, band] == 255).mean() < 0.03
    assert not found[:, :, 2].any()
    order = bands[:, :, 3].ravel().argsort()
    assert (np.diff(found[:, :, 0].ravel()[order].astype(int)) >= 0).all()
    bands[0, 0] = np.nan
    assert not bands_as_rgb(bands)[0, 0].any()
    with pytest.raises(ValueError, match=r"has no three bands \(0, 1, 6\)"):
        bands_as_rgb(bands, (0, 1, 6))


def test_a_heat_map_alone() -> None:
    mask = np.array([[0.0, 1.0, np.nan]])
    found = heat_map(mask)
    assert found[0].tolist() == [[0, 0, 128], [128, 0, 0], [128, 128, 128]]
    assert heat_map(mask[:, :2], cv2.COLORMAP_VIRIDIS, size=(4, 8)).shape == (4, 8, 3)


def test_signatures_of_the_contract() -> None:
    def defaults(function: object) -> dict[str, object]:
        arguments = inspect.signature(function).parameters.items()  # type: ignore[arg-type]
        return {name: each.default for name, each in arguments if each.kind is not each.KEYWORD_ONLY}  # those are ours

    empty = inspect.Parameter.empty
    assert defaults(show_cam_on_image) == {
        "img": empty,
        "mask": empty,
        "use_rgb": False,
        "colormap": cv2.COLORMAP_JET,
        "image_weight": 0.5,
    }
    assert defaults(preprocess_image) == {"img": empty, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    assert defaults(deprocess_image) == {"img": empty}
    assert defaults(scale_cam_image) == {"cam": empty, "target_size": None}
    assert defaults(scale_accross_batch_and_channels) == {"tensor": empty, "target_size": empty}


# --- old ways in and out --------------------------------------------------------------------------------------------


def test_preprocess_image_equals_torchvision(picture: NDArray[np.uint8]) -> None:
    from torchvision.transforms import Compose, Normalize, ToTensor

    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    for image in (picture, np.float32(picture) / 255):
        expected = Compose([ToTensor(), Normalize(mean, std)])(image)[None]
        torch.testing.assert_close(preprocess_image(image, mean=mean, std=std), expected)
    assert preprocess_image(picture).shape == (1, 3, 6, 9)
    assert preprocess_image(picture / 255).dtype == torch.float32
    assert preprocess_image(picture[:, :, 0], [0.5], [0.5]).shape == (1, 1, 6, 9)
    for image in (
        Image.fromarray(picture),
        torch.from_numpy(picture).permute(2, 0, 1),
        picture.astype(np.uint16) * 257,
    ):
        torch.testing.assert_close(preprocess_image(image), preprocess_image(picture))
    assert preprocess_image(Image.fromarray(picture[:, :, 0]), [0.5], [0.5]).shape == (1, 1, 6, 9)
    assert preprocess_image(np.zeros((6, 9, 5), np.uint8), [0.5] * 5, [0.5] * 5).shape == (1, 5, 6, 9)
    with pytest.raises(ValueError, match=r"shape \(6, 9, 1\) does not go with 3 means and 3 stds"):
        preprocess_image(picture[:, :, 0])


def test_deprocess_image_by_hand() -> None:
    values = np.array([-1.0, 1.0, 1.0, -1.0])  # mean 0, standard deviation 1
    assert deprocess_image(values).tolist() == [102, 153, 153, 102]  # 255 * (0.5 -+ 0.1), cut to whole numbers
    assert np.array_equal(deprocess_image(1e-12 * values), deprocess_image(values))  # no epsilon
    assert deprocess_image(np.full(3, 7.0)).tolist() == [127] * 3
    assert deprocess_image(np.array([0.0] * 99 + [1.0])).max() == 255


def test_scale_cam_image_stretches_then_resizes() -> None:
    rng = np.random.default_rng(2)
    batch = rng.normal(size=(2, 5, 7))
    found = scale_cam_image(batch)
    assert found.dtype == np.float32
    low, high = batch.min((1, 2), keepdims=True), batch.max((1, 2), keepdims=True)
    np.testing.assert_allclose(found, (batch - low) / (high - low), atol=1e-6)
    resized = scale_cam_image(batch, (21, 10))  # (width, height)
    assert resized.shape == (2, 10, 21)
    for one, other in zip(resized, found, strict=True):
        np.testing.assert_allclose(one, cv2.resize(other, (21, 10)), atol=1e-5)
    assert scale_cam_image(rng.random((1, 3, 4, 5)), (10, 8, 6)).shape == (1, 6, 8, 10)
    assert scale_cam_image(rng.random((1, 3)), (9,)).shape == (1, 9)


def test_scale_cam_image_has_no_epsilon() -> None:
    batch = np.random.default_rng(3).random((1, 4, 4))
    np.testing.assert_allclose(scale_cam_image(1e-20 * batch), scale_cam_image(batch), atol=1e-6)
    assert scale_cam_image(1e-20 * batch).max() == 1
    assert not scale_cam_image(np.full((1, 4, 4), 3.0)).any()


def test_scale_accross_batch_and_channels() -> None:
    tensor = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = scale_accross_batch_and_channels(tensor, (10, 8))
    assert found.shape == (2, 3, 8, 10)
    np.testing.assert_array_equal(found[1], scale_cam_image(tensor[1].numpy(), (10, 8)))


def test_a_path_and_channels_first_are_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"img is a path, 'dog.png'; give the picture: .*read_image"):
        show_cam_on_image("dog.png", np.ones((2, 2)))
    for bands in (1, 3):
        with pytest.raises(ValueError, match=r"channels first; give img.transpose\(1, 2, 0\)"):
            show_cam_on_image(np.zeros((bands, 8, 9)), np.ones((2, 2)))
