"""Means, bootstrap intervals and paired differences of values per image, NaN where an image could not be judged.

All resamples come from one generator: the same images are drawn for every row and every metric, whatever else is
measured, so a row's interval does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Groups = NDArray[np.int_]
Aggregate = Callable[[Values], float]  # from statistics of some images (n, ...) to the measure of all

CONFIDENCE = 0.95
RESAMPLES = 2000
_CELLS = 4_000_000  # numbers at once: what a chunk of resamples may take


class Interval(NamedTuple):
    """A mean, and between which numbers it lies; NaN where there are not enough images."""

    value: float
    low: float
    high: float
    judged: int  # images

    @property
    def above(self) -> bool | None:
        """Whether it is above 0 for certain, below 0 for certain, or (None) neither."""
        return True if self.low > 0 else False if self.high < 0 else None


def intervals(
    values: Values,
    *,
    seed: int,
    groups: Groups | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Return the mean of each column without NaN, and its percentile bootstrap interval.

    Images whose values depend on one another, as those of one mosaic do, stand in a group and are drawn together: drawn
    one by one they would promise more than there is.

    Args:
        values: ``(n, k)``: images x what is measured of them.
        seed: of the resamples.
        confidence: share of the resampled means that lie inside.
        groups: number of the group of each image ``(n,)``, negative for those in none, which are not judged; None: each
            image is drawn by itself.
        resamples: how often as many images, or groups, are drawn as there are, with replacement.

    Returns:
        ``k`` intervals. A mean of one image, or one group, has no interval: its ends are NaN, as all is without any.
    """
    if groups is not None:
        return _of_groups(values, groups, seed=seed, confidence=confidence, resamples=resamples)
    judged = np.isfinite(values)
    known, counts = np.where(judged, values, 0.0), judged.astype(np.float64)
    return _ratios(known, counts, seed=seed, confidence=confidence, resamples=resamples)


def _ratios(sums: Values, counts: Values, *, seed: int, confidence: float, resamples: int) -> list[Interval]:
    """Return the sum of each column by the sum of its counts, rows being drawn together: ``(n, k)`` of both."""
    totals = counts.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(0) / totals
        drawn = [
            _products(weights, sums) / _products(weights, counts)
            for weights in _weights(len(sums), resamples, seed, sums.shape[1])
        ]
    low, high = _ends(np.concatenate(drawn) if drawn else np.full((1, sums.shape[1]), np.nan), confidence)
    enough = (counts > 0).sum(0) > 1
    return [
        Interval(float(mean), float(below) if more else np.nan, float(above) if more else np.nan, int(count))
        for mean, below, above, more, count in zip(means, low, high, enough, totals, strict=True)
    ]


def _of_groups(values: Values, groups: Groups, **how: Any) -> list[Interval]:
    """Draw groups: a mean is the sum of the drawn groups' sums by that of their numbers of images."""
    _, places = np.unique(groups[groups >= 0], return_inverse=True)
    known = values[groups >= 0]
    judged = np.isfinite(known)
    sums, counts = (np.zeros((int(places.max(initial=-1)) + 1, values.shape[1])) for _ in range(2))
    np.add.at(sums, places, np.where(judged, known, 0.0))
    np.add.at(counts, places, judged.astype(np.float64))
    return _ratios(sums, counts, **how)


def interval_of(
    statistics: Values, aggregate: Aggregate, *, seed: int, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Interval:
    """Return the measure of a data set that is no mean, and its percentile bootstrap interval.

    Args:
        statistics: ``(n, ...)`` per image; rows that are all NaN were not judged.
        aggregate: makes the measure of some of them.
        seed, confidence, resamples: as for `intervals`.
    """
    kept = statistics[~np.isnan(statistics.reshape(len(statistics), -1)).all(1)]
    if not len(kept):
        return Interval(np.nan, np.nan, np.nan, 0)
    generator = np.random.default_rng(seed)
    found = [aggregate(kept[generator.integers(len(kept), size=len(kept))]) for _ in range(resamples)]
    low, high = _ends(np.array(found)[:, None], confidence)
    enough = len(kept) > 1
    return Interval(
        aggregate(kept), float(low[0]) if enough else np.nan, float(high[0]) if enough else np.nan, len(kept)
    )


def _weights(count: int, resamples: int, seed: int, columns: int) -> Iterator[Values]:
    """Yield how often each image is drawn, ``(some resamples, n)``, in chunks that fit into memory."""
    generator = np.random.default_rng(seed)
    chunk = max(1, _CELLS // max(count, columns, 1))
    for start in range(0, resamples if count else 0, chunk):
        size = min(chunk, resamples - start)
        yield generator.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)


def _products(weights: Values, columns: Values) -> Values:
    """Multiply column by column: how a product of matrices rounds depends on how many columns there are."""
    return np.stack([weights @ np.ascontiguousarray(column) for column in columns.T], 1)


def _ends(drawn: Values, confidence: float) -> tuple[Values, Values]:
    """Return the quantiles ``(k,)`` that leave half of the rest on each side; NaN for columns without a number."""
    outside = (1 - confidence) / 2
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    for column in np.flatnonzero(np.isfinite(drawn).any(0)):
        numbers = drawn[:, column]
        low[column], high[column] = np.quantile(numbers[np.isfinite(numbers)], [outside, 1 - outside])
    return low, high
