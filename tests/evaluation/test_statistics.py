"""Means, intervals and paired differences against NumPy text of their own."""

from __future__ import annotations

import numpy as np
import pytest

from pytorch_grad_cam.evaluation.statistics import interval_of, intervals


def test_means_without_what_was_not_judged() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan], [6.0, 5.0]])
    first, second = intervals(values, seed=0)
    assert (first.value, first.judged) == (3.0, 3)
    assert (second.value, second.judged) == (5.0, 1)
    assert np.isnan([second.low, second.high]).all()  # one image has no interval
    assert 1.0 <= first.low < 3.0 < first.high <= 6.0
    (nothing,) = intervals(np.full((4, 1), np.nan), seed=0)
    assert nothing.judged == 0
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_the_interval_is_that_of_resampled_images() -> None:
    """Against a loop that draws images one by one; both are random, so they agree to what many resamples give."""
    values = np.random.default_rng(1).exponential(size=40)
    (found,) = intervals(values[:, None], seed=3, resamples=20_000)
    generator = np.random.default_rng(7)
    means = [values[generator.integers(40, size=40)].mean() for _ in range(20_000)]
    assert np.abs(np.quantile(means, [0.025, 0.975]) - [found.low, found.high]).max() < 0.02


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Of 300 samples of 60 normal numbers about 95 % have the true mean inside; a little less, as is known of it."""
    draws = np.random.default_rng(5).normal(size=(60, 300))
    inside = [found.low <= 0 <= found.high for found in intervals(draws, seed=0, resamples=1000)]
    assert 0.90 <= np.mean(inside) <= 0.98


def test_neighbours_change_nothing() -> None:
    values = np.random.default_rng(2).normal(size=(9, 3))
    assert intervals(values, seed=4)[1] == intervals(values[:, 1:2], seed=4)[0]
    assert intervals(values, seed=4)[1] != intervals(values, seed=5)[1]


def test_chunks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(size=(9, 2))
    whole = intervals(values, seed=4, resamples=50)
    monkeypatch.setattr("pytorch_grad_cam.evaluation.statistics._CELLS", 30)
    assert np.allclose(np.array(whole), np.array(intervals(values, seed=4, resamples=50)))


def test_a_measure_that_is_no_mean() -> None:
    statistics = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [1.0, 1.0]])
    found = interval_of(statistics, lambda rows: float(rows.mean(0).max()), seed=0, resamples=200)
    assert found.value == pytest.approx(2 / 3)
    assert found.judged == 3
    assert found.low <= found.value <= found.high <= 1


def test_images_of_one_group_are_drawn_together() -> None:
    """Against a float64 text of its own: whole groups are drawn, and a mean is that of all images in them."""
    groups = np.array([2, 0, 2, 0, -1, 5, 5, 5])
    values = np.array([1.0, 4.0, 3.0, np.nan, 99.0, 7.0, 8.0, 9.0])
    (found,) = intervals(values[:, None], seed=1, groups=groups, resamples=4000)
    assert found.value == np.mean([1, 4, 3, 7, 8, 9])
    assert found.judged == 6
    parts = [np.array([4.0]), np.array([1.0, 3.0]), np.array([7.0, 8.0, 9.0])]
    draws = np.random.default_rng(7).integers(3, size=(20_000, 3))
    means = [np.concatenate([parts[place] for place in row]).mean() for row in draws]
    assert np.allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.05)
    (alone,) = intervals(values[:, None], seed=1, groups=np.zeros(8, dtype=np.int_))
    assert np.isnan(alone.low)  # one group has no interval
    each = np.arange(8)
    assert intervals(values[:, None], seed=1, groups=each) == intervals(values[:, None], seed=1)


def test_values_that_sum_to_one_in_each_group_have_no_spread() -> None:
    """As those of a map that ignores the class in mosaics: image by image they would seem uncertain."""
    shares = np.random.default_rng(0).dirichlet(np.ones(4), size=10).ravel()
    groups = np.repeat(np.arange(10), 4)
    (found,) = intervals(shares[:, None], seed=0, groups=groups)
    assert np.allclose([found.value, found.low, found.high], 0.25)
    (apart,) = intervals(shares[:, None], seed=0)
    assert apart.high - apart.low > 0.05
