"""Overlays of a factorisation: which concept each pixel belongs to, and what the concepts stand for."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.visualization.overlay import blend, check_image_weight
from pytorch_grad_cam.visualization.sheet import blank_sheet, text_width, write_text

_LINE_HEIGHT = 18  # of the legend, in pixels, at most


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
        concept_labels: ``K`` texts, of one line or more: a legend is drawn on the right.

    Returns:
        uint8 RGB ``(H, W, 3)``, wider with a legend.

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
    strengths = maps.resize(torch.from_numpy(strengths), image.shape[:2]).clamp(0, 1).numpy()
    unseen = np.asarray(np.isnan(strengths).any(axis=0))
    strengths[:, unseen] = 0
    strongest = strengths.argmax(0)  # (H, W)
    coloured = palette[strongest] * strengths.max(0)[:, :, None]
    blended = blend(image, coloured, unseen, image_weight)
    if concept_labels is None:
        return blended
    return np.hstack([blended, _legend(len(blended), palette, concept_labels)])


def concept_colours(count: int) -> list[tuple[float, float, float]]:
    """Return hues at equal distances, each (red, green, blue) in [0, 1]."""
    return [colorsys.hsv_to_rgb(index / count, 1, 1) for index in range(count)]


def _legend(height: int, palette: NDArray[np.float32], labels: Sequence[str]) -> NDArray[np.uint8]:
    """Draw a swatch and the text of each concept, below each other, into ``(height, W, 3)``."""
    lines = [label.split("\n") for label in labels]
    # All of it is to be seen.
    size = max(6, min(_LINE_HEIGHT - 4, round(height / max(1, sum(map(len, lines)) + 1) - 3)))
    width = 2 * size + 12 + max(text_width(line, size) for label_lines in lines for line in label_lines)
    sheet = blank_sheet(width, height)
    y = 4
    for colour, label_lines in zip(palette, lines, strict=True):
        red, green, blue = (int(255 * part) for part in colour)
        sheet.paste((red, green, blue), (6, y + 1, 6 + size + 1, y + 1 + size + 1))
        for line in label_lines:
            write_text(sheet, 2 * size + 4, y, line, height=size)
            y += size + 3
    return np.array(sheet)
