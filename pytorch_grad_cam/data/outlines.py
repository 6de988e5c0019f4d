"""The outlines of the ten shapes and of what is none of them: closed rings of points within the unit circle.

A ring is an array (N, 2) of x, y; a second ring, run backwards, is a hole.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def arc(start: float, stop: float, points: int = 48, radius: float = 1.0) -> np.ndarray:
    """Return points (N, 2) on a circle around 0 between two angles in radians, the last one left out."""
    angle = np.linspace(start, stop, points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, y + 2.5], axis=1) / 16.5


def _crescent() -> np.ndarray:
    tip, depth = np.deg2rad(38), 0.3  # angle of the tips; where the hollow crosses the axis, at -depth
    centre = (1 - depth**2) / (2 * depth + 2 * np.cos(tip))  # of the circle through both tips and that point
    bend = np.arctan2(np.sin(tip), np.cos(tip) - centre)
    hollow = arc(2 * np.pi - bend, bend, 32, centre + depth)
    return np.concatenate([arc(tip, 2 * np.pi - tip), hollow + np.array([centre, 0.0])])


_DISC = arc(0, 2 * np.pi)
_NEAR, _FAR = 0.29, np.sqrt(1 - 0.29**2)  # half the width and half the length of an arm of the cross
_HALF_CROSS = np.array([[_FAR, -_NEAR], [_FAR, _NEAR], [_NEAR, _NEAR], [_NEAR, _FAR], [-_NEAR, _FAR], [-_NEAR, _NEAR]])
_HALF_ARROW = np.array([[1, 0], [0.1, 0.78], [0.1, 0.28], [-0.95, 0.28]])
_HALF_HOURGLASS = np.array([[0.8, 0.6], [0, 0.12], [-0.8, 0.6]])
OUTLINES: dict[str, list[np.ndarray]] = {
    "circle": [_DISC],
    "square": [arc(0, 2 * np.pi, 4)],
    "triangle": [arc(0, 2 * np.pi, 3)],
    "star": [arc(0, 2 * np.pi, 10) * np.tile([1.0, 0.42], 5)[:, None]],
    "cross": [np.concatenate([_HALF_CROSS, -_HALF_CROSS])],
    "ring": [_DISC, 0.55 * _DISC[::-1]],
    "heart": [_heart()],
    "crescent": [_crescent()],
    "arrow": [np.concatenate([_HALF_ARROW, _HALF_ARROW[:0:-1] * [1, -1]])],
    "hourglass": [np.concatenate([_HALF_HOURGLASS, -_HALF_HOURGLASS])],
}
SHAPES: tuple[str, ...] = tuple(OUTLINES)


def distractor(rng: Generator) -> list[np.ndarray]:
    """Draw the outline of a bean, a stroke or a scrap, which is none of the classes."""
    kind = rng.integers(3)
    if kind == 0:  # a bean: far too long for a circle, and bent
        x, y = _DISC.T
        bend = rng.uniform(0, 0.25)
        return [np.stack([0.95 * x, rng.uniform(0.3, 0.45) * y + bend * (x**2 - 0.5)], 1)]
    if kind == 1:  # a stroke: a wavy band
        along = np.linspace(-1, 1, 24)
        sway = rng.uniform(0.08, 0.3) * np.sin(rng.uniform(2.5, 6) * along + rng.uniform(0, 2 * np.pi))
        half = rng.uniform(0.05, 0.12)
        upper, lower = np.stack([along, sway + half], 1), np.stack([along, sway - half], 1)
        return [np.concatenate([upper, lower[::-1]])]
    corners = rng.integers(8, 12)  # a scrap: a torn piece with uneven corners
    angle = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) / corners
    return [rng.uniform(0.35, 1, (corners, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)]


def posed(rng: Generator, rings: list[np.ndarray], centre: np.ndarray, size: float) -> list[np.ndarray]:
    """Rotate, stretch slightly in a random direction, scale to the diameter `size` and move to the centre."""
    stretch = np.diag([rng.uniform(0.88, 1.0), 1.0])
    (c, d), (s, t) = ((np.cos(angle), np.sin(angle)) for angle in rng.uniform(0, 2 * np.pi, 2))
    pose = np.array([[c, d], [-d, c]]) @ stretch @ np.array([[s, t], [-t, s]]) * (size / 2)
    return [ring @ pose + centre for ring in rings]


def area_of(rings: list[np.ndarray]) -> float:
    """Return the area inside closed rings, without their holes."""
    corners = [(ring, np.roll(ring, -1, axis=0)) for ring in rings]
    return float(abs(sum((a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]).sum() for a, b in corners)) / 2)
