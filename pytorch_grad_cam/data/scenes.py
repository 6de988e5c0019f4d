"""Procedural pictures whose contents are known to the pixel.

A scene is a 128 x 128 RGB picture with one to three objects of different classes. The outline alone decides
the class: colour, fill, place, size, rotation, slight stretching and overlap are drawn without looking at it.
Around lie a cluttered background and distractors (beans, strokes, scraps) of no class. All of it follows from
the seed, through a generator of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pytorch_grad_cam.data.outlines import OUTLINES, SHAPES, arc, area_of, distractor, posed

SIZE = 128  # height and width of a scene, in pixels
SIZES = (30.0, 64.0)  # diameter of an object's circumscribed circle, in pixels
DISTRACTOR_SIZES = (18.0, 48.0)  # never so small that its outline could be taken for a class
MIN_VISIBLE = 0.85  # share of an object's full area, cut-off parts included, that stays visible
MIN_CONTRAST = 0.25  # RGB distance (colours in 0..1) to what lies beneath, kept along 80 % of every outline

# Whoever measures the built-in network uses TEST_SEEDS: neither training nor any choice about it saw them.
TEST_SEEDS = range(10_000, 11_000)
VALIDATION_SEEDS = range(100_000, 101_000)
TRAIN_SEEDS = range(1_000_000, 1_040_000)

_FINE = 4  # sub-pixels per pixel and axis, for soft edges
_TRIES = 60  # places tried for one item before the scene is started afresh


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object: its class, and exactly the pixels of it that can be seen."""

    label: str  # one of SHAPES
    index: int  # its position there
    box: tuple[int, int, int, int]  # x1, y1, x2, y2: tight around the mask, x2 and y2 exclusive
    mask: np.ndarray  # bool (128, 128): more than half of the pixel is this object, and nothing lies over it


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture, uint8 RGB (128, 128, 3), and its objects, the lowest first."""

    image: np.ndarray
    objects: tuple[SceneObject, ...]


# --- painting: the picture is a float array (3, 128, 128) in 0..1


def _coverage(rings: list[np.ndarray]) -> np.ndarray:
    """Return the share of every pixel inside the rings, (128, 128), by the even-odd rule on a grid of sub-pixels."""
    cover = np.zeros((SIZE, SIZE))
    points = np.concatenate(rings)
    left, top = np.clip(np.floor(points.min(0)).astype(int), 0, SIZE)
    right, bottom = np.clip(np.ceil(points.max(0)).astype(int), 0, SIZE)
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return cover
    rows = top + (np.arange(height * _FINE) + 0.5) / _FINE
    flips = np.zeros((height * _FINE, width * _FINE + 1), dtype=np.uint8)
    for ring in rings:
        (x, y), (x_next, y_next) = ring.T[:, :, None], np.roll(ring, -1, axis=0).T[:, :, None]
        edge, row = np.nonzero((y <= rows) != (y_next <= rows))  # every edge against every row
        slope = (x_next - x)[edge, 0] / (y_next - y)[edge, 0]
        crossing = x[edge, 0] + slope * (rows[row] - y[edge, 0])
        column = np.clip(np.ceil((crossing - left) * _FINE - 0.5), 0, width * _FINE).astype(int)
        np.add.at(flips, (row, column), 1)
    inside = np.cumsum(flips, axis=1, dtype=np.uint8)[:, :-1] & 1  # odd number of edges to the left
    cover[top:bottom, left:right] = inside.reshape(height, _FINE, width, _FINE).mean((1, 3))
    return cover


def _gaussian_weights(sigma: float, knots: int = SIZE) -> np.ndarray:
    """Return a matrix (128, knots) of Gaussian weights: it blurs along an axis, or spreads a coarse grid over it."""
    distance = np.linspace(0, knots - 1, SIZE)[:, None] - np.arange(knots)
    weight = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(weight / weight.sum(1, keepdims=True))


def _smooth_noise(rng: Generator, knots: int) -> np.ndarray:
    spread = _gaussian_weights(0.5, knots)
    return np.asarray(spread @ rng.normal(size=(knots, knots)) @ spread.T)


def _waves(rng: Generator, shortest: float) -> np.ndarray:
    """Draw stripes of random direction and period, (128, 128) in -1..1."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(shortest, 4 * shortest)
    steps, phase = 2 * np.pi / period * np.arange(SIZE), rng.uniform(0, 2 * np.pi)
    return np.asarray(np.sin(steps * np.cos(angle) + steps[:, None] * np.sin(angle) + phase))


def _fill(rng: Generator, colour: np.ndarray) -> np.ndarray:
    """Fill a picture (3, 128, 128) with a colour, plain or mixed with a second one in a gradient, stripes or spots."""
    pattern = (
        lambda: np.zeros((SIZE, SIZE)),
        lambda: _waves(rng, 80.0),
        lambda: np.tanh(3 * _waves(rng, 4.0)),
        lambda: np.tanh(3 * _smooth_noise(rng, 32)),
    )[rng.integers(4)]()
    return np.asarray(np.clip(colour[:, None, None] + rng.uniform(-0.12, 0.12, (3, 1, 1)) * pattern, 0, 1))


def _background(rng: Generator, difficulty: float) -> np.ndarray:
    """Draw a background: a base colour under a gradient, cloudy or wavy texture, and thin clutter."""
    image = np.tile(rng.uniform(0, 1, (3, 1, 1)), (1, SIZE, SIZE))
    patterns = _waves(rng, 150.0), _smooth_noise(rng, 5), _smooth_noise(rng, 24), _waves(rng, 5.0)
    for pattern in patterns:
        if rng.random() < 0.5:
            image = image + difficulty * rng.uniform(-0.08, 0.08, (3, 1, 1)) * pattern
    image = np.clip(image, 0, 1)
    for _ in range(rng.integers(0, 1 + round(6 * difficulty))):
        rings = posed(rng, distractor(rng), rng.uniform(0, SIZE, 2), rng.uniform(3, 40))
        if rng.random() < 0.5:  # only its contour
            rings = [*rings, *(ring.mean(0) + 0.85 * (ring - ring.mean(0)) for ring in rings)]
        cover = rng.uniform(0.1, 0.35) * _coverage(rings)
        image = image * (1 - cover) + rng.uniform(0, 1, (3, 1, 1)) * cover
    return image


@dataclass
class _PlacedItem:
    """An object on the picture so far: its class, full area and visible pixels."""

    label: str
    area: float
    centre: np.ndarray
    size: float
    mask: np.ndarray


def _centre(rng: Generator, size: float, placed: list[_PlacedItem]) -> np.ndarray:
    """Draw the centre of an item: anywhere, cut by the border a little at most, now and then where it meets another."""
    if placed and rng.random() < 0.35:
        other = placed[rng.integers(len(placed))]
        reach = (size + other.size) / 2 * rng.uniform(0.6, 0.95)
        return np.asarray(np.clip(other.centre + reach * arc(rng.uniform(0, 2 * np.pi), 9, 1)[0], 0, SIZE))
    return rng.uniform(0.38 * size, SIZE - 0.38 * size, 2)


def _add_item(
    rng: Generator, image: np.ndarray, label: str, placed: list[_PlacedItem], difficulty: float, smallest: float
) -> np.ndarray | None:
    """Return the picture with one more item ("" is a distractor), or None if no place tried is good enough."""
    for _ in range(_TRIES):
        size = rng.uniform(smallest, SIZES[1]) if label else rng.uniform(*DISTRACTOR_SIZES)
        centre = _centre(rng, size, placed)
        rings = posed(rng, OUTLINES[label] if label else distractor(rng), centre, size)
        cover, area = _coverage(rings), area_of(rings)
        mask, edge = cover > 0.5, (cover > 0) & (cover < 1)
        if not edge.any() or (label and mask.sum() < MIN_VISIBLE * area):
            continue
        if any((other.mask & ~mask).sum() < MIN_VISIBLE * other.area for other in placed):
            continue
        if rng.random() < 0.2 * difficulty:  # low contrast: near the mean of what lies beneath
            away = rng.normal(size=3)
            fill = _fill(rng, image[:, edge].mean(1) + rng.uniform(0.25, 0.45) * away / np.linalg.norm(away))
        else:
            fill = _fill(rng, rng.uniform(0, 1, 3))
        contrast = np.linalg.norm(fill[:, edge] - image[:, edge], axis=0)
        if np.quantile(contrast, 0.2) < MIN_CONTRAST:
            continue
        if rng.random() < 0.3:  # a soft shadow
            blur, offset = _gaussian_weights(rng.uniform(1, 3)), tuple(rng.integers(-3, 4, 2))
            image = image * (1 - 0.5 * blur @ np.roll(cover, offset, (0, 1)) @ blur.T)
        for other in placed:
            other.mask &= ~mask
        if label:
            placed.append(_PlacedItem(label, area, centre, size, mask))
        return np.asarray(image * (1 - cover) + fill * cover)
    return None


def _finish(rng: Generator, image: np.ndarray, difficulty: float) -> np.ndarray:
    """Lay light, blur and sensor noise over a picture, and return it as uint8 (128, 128, 3)."""
    image = image * (1 + difficulty * rng.uniform(0, 0.25) * _waves(rng, 200.0))
    blur = _gaussian_weights(rng.uniform(0.2, 0.2 + 0.4 * difficulty))
    image = blur @ image @ blur.T
    image += difficulty * rng.uniform(0, 0.025) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8).transpose(1, 2, 0))


def _try_scene(rng: Generator, labels: Sequence[str] | None, difficulty: float, smallest: float) -> Scene | None:
    if labels is None:
        labels = [SHAPES[index] for index in rng.permutation(len(SHAPES))[: rng.integers(1, 4)]]
    items = [*labels, *[""] * rng.integers(0, 1 + round(2 * difficulty))]
    image = _background(rng, difficulty)
    placed: list[_PlacedItem] = []
    for index in rng.permutation(len(items)):
        painted = _add_item(rng, image, items[index], placed, difficulty, smallest)
        if painted is None:
            return None
        image = painted
    objects = []
    for item in placed:
        rows, columns = np.flatnonzero(item.mask.any(1)), np.flatnonzero(item.mask.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        objects.append(SceneObject(item.label, SHAPES.index(item.label), box, item.mask))
    return Scene(_finish(rng, image, difficulty), tuple(objects))


def render_scene(
    seed: int, labels: Sequence[str] | None = None, difficulty: float = 1.0, smallest: float = SIZES[0]
) -> Scene:
    """Render the scene of a seed: the same seed and arguments give the same pixels, always.

    Args:
        seed: a non-negative integer.
        labels: one to three different names from `SHAPES`; None draws them.
        difficulty: 0 (clean) to 1 (what the built-in network is measured on): scales clutter, distractors,
            texture, low contrast, blur and noise.
        smallest: diameter of the smallest objects in pixels. The network is trained on smaller ones than it is
            measured on.

    Returns:
        The scene; at least `MIN_VISIBLE` of every object can be seen.

    Raises:
        ValueError: a name is unknown or repeated, not one to three are given, or difficulty is outside 0..1.
    """
    known = labels is None or set(labels) <= set(SHAPES)
    if not known or (labels is not None and not 1 <= len(set(labels)) == len(labels) <= 3):
        raise ValueError(f"labels {labels} cannot be drawn; give one to three different names of {SHAPES}")
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty {difficulty} is outside 0..1; give 0 for clean, 1 for the full test")
    # a scene into which an object does not fit is started afresh: rare
    attempts = (_try_scene(np.random.default_rng((seed, n)), labels, difficulty, smallest) for n in itertools.count())
    return next(scene for scene in attempts if scene is not None)
