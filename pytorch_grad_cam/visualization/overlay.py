"""What is drawn over a picture: a map as a heat map, boxes, and the concepts of a factorisation."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.drawing_names import Blend
from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine.arrays import resize_arrays, to_numpy
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.visualization.blending import blended, mixed
from pytorch_grad_cam.visualization.colormaps import (
    DIVERGING,
    JET,
    apply_colormap,
    check_range,
    colormap_number,
    lowest_value,
)
from pytorch_grad_cam.visualization.sheet import GAP, blank_sheet
from pytorch_grad_cam.visualization.text import text_width, write_text

_UNSEEN = 128  # middle gray
_LINE_HEIGHT = 18  # of the legend, in pixels, at most
_SMALLEST_TEXT = 9  # pixels; below it, a line that is too long is shortened rather than made smaller


def show_cam_on_image(
    img: Any,
    mask: Any,
    use_rgb: bool = False,
    colormap: int | str = JET,
    image_weight: float = 0.5,
    *,
    blend: Blend = "classic",
) -> NDArray[np.uint8]:
    """Blend a map, as a heat map, with the picture it belongs to: ``image_weight`` img + (1 - ``image_weight``) heat.

    Args:
        img: ``(H, W, 3)``, ``(H, W, 1)`` or ``(H, W)``: uint8, uint16, or floats in [0, 1]; of more than 4 bands the
            mean is shown in gray (`bands_as_rgb` chooses). Also a PIL image, or a tensor ``(C, H, W)``.
        mask: ``(h, w)`` in [0, 1], or uint8 in 0..255, array or tensor; resized to the picture. Where it is NaN the
            picture shows as it is.
        use_rgb: the picture is RGB, as PIL and matplotlib have it; else BGR, as OpenCV. The result is of the same kind.
        colormap: one of OpenCV's ``COLORMAP_...``, or its name, such as "viridis".
        image_weight: 1 gives the picture alone, 0 the heat map alone.
        blend: "classic" as above; "alpha": the heat map is as opaque as the map is strong there, at most
            1 - ``image_weight``, so that the picture stays as it is where the map is 0; "contour": lines at 0.2, 0.4,
            0.6 and 0.8 on the picture, whatever the weight.

    Returns:
        uint8 ``(H, W, 3)``. Brightness is not stretched, so pictures stay comparable.

    Raises:
        ValueError: if a shape, a range, the weight or a name is not as described.
    """
    return overlay_map(img, mask, use_rgb, colormap, image_weight, blend)


def show_signed_cam_on_image(
    img: Any,
    mask: Any,
    use_rgb: bool = False,
    image_weight: float = 0.5,
    *,
    colormap: int | str = DIVERGING,
    blend: Blend = "classic",
) -> NDArray[np.uint8]:
    """Blend a signed map with its picture: red speaks for the target, blue against it, white says nothing.

    Such maps come of ``relu=False``, or of ``contrast=(a, b)``: red for a, blue for b.

    Args:
        img, use_rgb, image_weight, blend: as for `show_cam_on_image`; contours lie at -0.8 ... -0.2 too.
        mask: ``(h, w)`` in [-1, 1], array or tensor; resized to the picture. Where it is NaN the picture shows as it
            is. Divide a map that is larger by its largest absolute value: 0 has to stay 0.
        colormap: `DIVERGING` or "bluered", or "purpleorange": orange speaks for, purple against.

    Returns:
        uint8 ``(H, W, 3)``.

    Raises:
        ValueError: if a shape, a range, the weight or a name is not as described.
    """
    return overlay_map(img, mask, use_rgb, colormap, image_weight, blend)


def heat_map(mask: Any, colormap: int | str = JET, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Colour a map alone, without a picture.

    Args:
        mask: ``(h, w)`` in [0, 1], or uint8 in 0..255, array or tensor; in [-1, 1] for `DIVERGING`. Where it is NaN
            the result is gray.
        colormap: one of OpenCV's ``COLORMAP_...``, or `DIVERGING`; or a name.
        size: height and width of the result; None keeps the map's.

    Returns:
        uint8 RGB ``(H, W, 3)``.
    """
    colormap = colormap_number(colormap)
    values = fitted_mask(mask, size or to_numpy(mask).shape, colormap)
    colours = apply_colormap(values, colormap)
    colours[np.isnan(values)] = _UNSEEN
    return colours


def overlay_map(
    img: Any,
    mask: Any,
    use_rgb: bool,
    colormap: int | str,
    image_weight: float,
    blend: Blend = "classic",
) -> NDArray[np.uint8]:
    """Blend a map in any colours with its picture; see `show_cam_on_image`, or `DIVERGING` for signed maps."""
    check_image_weight(image_weight)
    image, colormap = unit_picture(img), colormap_number(colormap)
    if not use_rgb:
        image = image[:, :, ::-1]
    result = blended(image, fitted_mask(mask, image.shape[:2], colormap), colormap, image_weight, blend)
    return result if use_rgb else np.ascontiguousarray(result[:, :, ::-1])


def check_image_weight(image_weight: float) -> None:
    """Raise a ValueError if the weight of the picture in a blend lies outside of [0, 1]."""
    if not 0 <= image_weight <= 1:
        raise ValueError(f"image_weight must be in the range [0, 1], not {image_weight}")


def fitted_mask(mask: Any, size: tuple[int, ...], colormap: int) -> NDArray[np.float32]:
    """Return the mask as float32 in the colour map's range, NaN kept, resized to the picture ``(H, W)``."""
    array = to_numpy(mask)
    if array.ndim != 2:
        raise ValueError(f"mask must have shape (h, w), not {array.shape}; give one map, e.g. maps[0]")
    values = array.astype(np.float32)
    low = lowest_value(colormap)
    if array.dtype == np.uint8 and low == 0 and array.max(initial=0) > 1:  # else 0 and 1, such as a mask of boxes
        values /= 255
    advice = "divide it by its largest absolute value" if low else "see scale_cam_image, or show_signed_cam_on_image"
    check_range(values, colormap, "mask", f"; {advice}")
    resized: NDArray[np.float32] = resize_arrays(values[None], size)[0]
    return np.clip(resized, low, 1)


def draw_boxes(
    img: Any, boxes: Iterable[Box], colour: tuple[int, int, int] = (255, 40, 40), width: int | None = None
) -> NDArray[np.uint8]:
    """Draw the outlines of boxes on a picture of any kind that `show_cam_on_image` takes; colour and result are RGB.

    The lines have a dark edge on both sides, so they show on a picture of their own colour too.

    Args:
        width: of the lines, in pixels; None fits it to the picture.
    """
    image: NDArray[np.uint8] = np.round(255 * unit_picture(img)).astype(np.uint8)
    line = max(1, round(max(image.shape[:2]) / 200)) if width is None else width
    edge = max(1, line // 2)
    dark = np.dot(colour, (0.299, 0.587, 0.114)) >= 64  # ITU-R BT.601 luma; around a dark line the edge is light
    outlines = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    for left, top, right, bottom in outlines:  # all edges first, so that none covers a line
        _draw_outline(image, left - edge, top - edge, right + edge, bottom + edge, line + 2 * edge, 0 if dark else 255)
    for outline in outlines:
        _draw_outline(image, *outline, line, colour)
    return image


def _draw_outline(
    image: NDArray[np.uint8], left: int, top: int, right: int, bottom: int, line: int, colour: Any
) -> None:
    """Draw, into the image, the part of a rectangle's margin that lies in it."""
    height, width = image.shape[:2]
    down, across = np.arange(height), np.arange(width)
    rows, columns = (top <= down) & (down < bottom), (left <= across) & (across < right)
    middle_rows = (top + line <= down) & (down < bottom - line)
    middle_columns = (left + line <= across) & (across < right - line)
    image[np.outer(rows, columns) & ~np.outer(middle_rows, middle_columns)] = colour


def create_labels_legend(concept_scores: Any, labels: Mapping[int, str] | Sequence[str], top_k: int = 2) -> list[str]:
    """Name each concept by the classes that it speaks for most.

    Args:
        concept_scores: ``(K, classes)``: how much each of ``K`` concepts speaks for each class.
        labels: class names, by index; of a name with commas the first three parts are used.
        top_k: classes per concept.

    Returns:
        ``K`` texts, one line "name:score" per class, the best first.

    Raises:
        ValueError: if the scores have another shape.
    """
    scores = to_numpy(concept_scores)
    if scores.ndim != 2:
        raise ValueError(f"concept_scores must have shape (K, classes), not {scores.shape}")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return [
        "\n".join(f"{','.join(labels[int(index)].split(',')[:3])}:{row[index]:.2f}" for index in indices)
        for row, indices in zip(scores, best, strict=True)
    ]


def show_factorization_on_image(
    img: Any,
    explanations: Any,
    colors: Sequence[Sequence[float]] | None = None,
    image_weight: float = 0.5,
    concept_labels: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Colour each pixel by its strongest concept, as bright as that is strong, and blend that with the picture.

    Args:
        img: the picture, RGB ``(H, W, 3)``, of any kind that `show_cam_on_image` takes.
        explanations: ``(K, h, w)`` in [0, 1], one map per concept; resized to the picture, never changed. Where one is
            NaN the picture shows as it is.
        colors: ``K`` colours (red, green, blue, ...) in [0, 1]; None takes those of `concept_colours`.
        image_weight: 1 gives the picture alone, 0 the concepts alone.
        concept_labels: ``K`` texts, of one line or more: a legend of the picture's size is drawn on its right, in
            the order of the concepts. Lines that do not fit are shortened.

    Returns:
        uint8 RGB ``(H, W, 3)``, with a legend ``(H, 2 W, 3)``.

    Raises:
        ValueError: if a shape, a range or a number of colours or labels is not as described.
    """
    image = unit_picture(img)
    strengths = to_numpy(explanations).astype(np.float32)
    if strengths.ndim != 3 or not (
        np.nanmin(strengths, initial=1) >= 0 and np.nanmax(strengths, initial=0) <= 1 + 1e-5
    ):
        raise ValueError("explanations must have shape (K, h, w) and lie in the range [0, 1]; see scale_cam_image")
    check_image_weight(image_weight)
    count = len(strengths)
    palette = np.array(
        [colour[:3] for colour in colors] if colors is not None else concept_colours(count), dtype=np.float32
    )
    if len(palette) != count or (concept_labels is not None and len(concept_labels) != count):
        raise ValueError(f"{count} concepts need {count} colors and concept_labels, one each")
    strengths = resize_arrays(strengths, image.shape[:2]).clip(0, 1)
    unseen = np.asarray(np.isnan(strengths).any(axis=0))
    strengths[:, unseen] = 0
    strongest = strengths.argmax(0)  # (H, W)
    coloured = palette[strongest] * strengths.max(0)[:, :, None]
    overlay = mixed(image, coloured, unseen, image_weight)
    if concept_labels is None:
        return overlay
    return np.hstack([overlay, _legend(overlay.shape[0], overlay.shape[1], palette, concept_labels)])


def concept_colours(count: int) -> list[tuple[float, float, float]]:
    """Return hues at equal distances, each (red, green, blue) in [0, 1]."""
    return [colorsys.hsv_to_rgb(index / count, 1, 1) for index in range(count)]


def _legend(height: int, width: int, palette: NDArray[np.float32], labels: Sequence[str]) -> NDArray[np.uint8]:
    """Draw a swatch and the text of each concept, below each other, into ``(height, width, 3)``."""
    lines = [label.split("\n") for label in labels]
    # All of it is to be seen.
    size = max(6, min(_LINE_HEIGHT - 4, round(height / max(1, sum(map(len, lines)) + 1) - 3)))
    within = width - GAP
    while size > _SMALLEST_TEXT and _text_start(size) + max(text_width(line, size) for line in chain(*lines)) > within:
        size -= 1
    sheet = blank_sheet(width, height)
    y = 4
    for colour, label_lines in zip(palette, lines, strict=True):
        red, green, blue = (int(255 * part) for part in colour)
        sheet.paste((red, green, blue), (6, y + 1, 6 + size + 1, y + 1 + size + 1))
        for line in label_lines:
            write_text(sheet, _text_start(size), y, line, within - _text_start(size), size)
            y += size + 3
    return np.array(sheet)


def _text_start(size: int) -> int:
    """Return where a line of the legend begins, behind its swatch."""
    return 2 * size + 4
