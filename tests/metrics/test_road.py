"""ROAD: its imputation against dense float64 equations, and its scores on a model with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.metrics import grid_solver
from pytorch_grad_cam.metrics.road import (
    NoisyLinearImputer,
    ROADCombined,
    ROADLeastRelevantFirst,
    ROADLeastRelevantFirstAverage,
    ROADMostRelevantFirst,
    ROADMostRelevantFirstAverage,
    neighbors_weights,
)
from pytorch_grad_cam.targets.classification import ClassifierOutputTarget


def dense_solution(
    image: NDArray[np.float64], missing: NDArray[np.bool_], weights: dict[tuple[int, ...], float]
) -> NDArray[np.float64]:
    """Write down sum_j w_j (u_i - u_j) = 0 for every missing pixel, one row each, and solve all of them at once."""
    where = [tuple(place) for place in np.argwhere(missing)]
    rows = {place: row for row, place in enumerate(where)}
    matrix, right = np.zeros((len(where), len(where))), np.zeros((len(where), len(image)))
    for place, row in rows.items():
        for offset, weight in weights.items():
            beside = tuple(a + b for a, b in zip(place, offset, strict=True))
            if any(not 0 <= b < n for b, n in zip(beside, missing.shape, strict=True)):
                continue
            matrix[row, row] += weight
            if beside in rows:
                matrix[row, rows[beside]] -= weight
            else:
                right[row] += weight * image[(slice(None), *beside)]
    solved = image.copy()
    solved[:, missing] = np.linalg.solve(matrix, right).T
    return solved


def holes(shape: tuple[int, ...], kind: str) -> NDArray[np.bool_]:
    numbers = np.random.default_rng(3)
    if kind == "scattered":
        return numbers.random(shape) < 0.5
    if kind == "block":  # touches a border and a corner
        inside = np.zeros(shape, bool)
        inside[tuple(slice(0, int(0.7 * n)) for n in shape)] = True
        return inside
    known = np.zeros(shape, bool)
    known[tuple(numbers.integers(0, n) for n in shape)] = True
    return ~known  # one pixel is known


PAPER = {
    (-1, -1): 1 / 12,
    (-1, 0): 1 / 6,
    (-1, 1): 1 / 12,
    (0, -1): 1 / 6,
    (0, 1): 1 / 6,
    (1, -1): 1 / 12,
    (1, 0): 1 / 6,
    (1, 1): 1 / 12,
}


def test_the_weights_are_those_of_the_paper() -> None:
    assert {tuple(offset): weight for offset, weight in neighbors_weights} == pytest.approx(PAPER)


@pytest.mark.parametrize("kind", ["scattered", "block", "one known"])
@pytest.mark.parametrize("shape", [(1, 9), (13, 16), (31, 5), (24, 24)])
def test_two_dimensions_against_a_dense_solution(shape: tuple[int, ...], kind: str) -> None:
    missing = holes(shape, kind)
    image = np.random.default_rng(0).normal(size=(3, *shape))
    found = NoisyLinearImputer(noise=0)(torch.from_numpy(image), torch.from_numpy(~missing).float())
    np.testing.assert_allclose(found.numpy(), dense_solution(image, missing, PAPER), atol=1e-7)
    assert np.array_equal(found.numpy()[:, ~missing], image[:, ~missing])


@pytest.mark.parametrize("kind", ["scattered", "block", "one known"])
def test_one_and_three_dimensions_against_a_dense_solution(kind: str) -> None:
    cube = {
        offset: 2.0 ** offset.count(0) / 56
        for offset in np.ndindex(3, 3, 3)
        for offset in [tuple(each - 1 for each in offset)]
        if any(offset)
    }
    for shape, weights in (((17,), {(-1,): 0.5, (1,): 0.5}), ((6, 5, 7), cube)):
        missing = holes(shape, kind)
        image = np.random.default_rng(0).normal(size=(2, *shape))
        found = NoisyLinearImputer(noise=0)(torch.from_numpy(image), torch.from_numpy(~missing))
        np.testing.assert_allclose(found.numpy(), dense_solution(image, missing, weights), atol=1e-7)


def test_a_weighting_of_ones_own() -> None:
    cross: dict[tuple[int, ...], float] = {(0, 2): 3.0, (0, -2): 3.0, (-1, 1): 1.0, (1, -1): 1.0, (1, 0): 2, (-1, 0): 2}
    missing = holes((12, 13), "block")
    image = np.random.default_rng(0).normal(size=(2, 12, 13))
    found = NoisyLinearImputer(0, list(cross.items()))(torch.from_numpy(image), torch.from_numpy(~missing))
    np.testing.assert_allclose(found.numpy(), dense_solution(image, missing, cross), atol=1e-7)


def test_what_no_known_pixel_reaches_becomes_their_mean() -> None:
    image = torch.arange(12.0).reshape(1, 3, 4)
    mask = torch.ones(3, 4)
    mask[1] = 0  # neighbours are looked for in the row only, and the row is missing
    found = NoisyLinearImputer(0, [((0, 1), 0.5), ((0, -1), 0.5)])(image, mask)
    torch.testing.assert_close(found[0, 1], torch.full((4,), 5.5))
    assert not NoisyLinearImputer(0)(image, torch.zeros(3, 4)).any()  # nothing is known


def test_constants_and_ramps_are_reproduced() -> None:
    y, x = np.mgrid[:20, :23].astype(np.float64)
    image = torch.from_numpy(np.stack([np.full_like(x, 0.7), 0.1 * x - 0.03 * y + 2]))
    mask = torch.ones(20, 23)
    mask[4:15, 3:19] = 0
    torch.testing.assert_close(NoisyLinearImputer(0)(image, mask), image, rtol=0, atol=1e-6)
    constant = NoisyLinearImputer(0)(image[:1].float(), torch.from_numpy(~holes((20, 23), "one known")))
    torch.testing.assert_close(constant, image[:1].float(), rtol=0, atol=1e-6)


def test_a_large_hole_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The equations hold at the end, and the number of steps does not grow with the hole."""
    steps: list[int] = []
    plain = grid_solver._Cycle.__call__

    def counted(self: Any, right: Tensor, level: int = 0) -> Tensor:
        steps[-1] += level == 0
        return plain(self, right, level)

    monkeypatch.setattr(grid_solver._Cycle, "__call__", counted)
    for side in (32, 128):
        image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, side, side)))
        missing = torch.zeros(side, side, dtype=torch.bool)
        missing[side // 8 : -side // 8, side // 8 : -side // 8] = True
        steps.append(0)
        found = NoisyLinearImputer(0)(image, ~missing)[0].numpy()
        mean = sum(weight * np.roll(found, offset, (0, 1)) for offset, weight in PAPER.items())
        assert np.abs(mean - found)[missing.numpy()].max() < 1e-6
    assert steps[1] <= steps[0] + 10
    assert steps[1] < 30


def test_noise_is_seeded_and_in_the_holes_only() -> None:
    image, mask = torch.zeros(3, 60, 60), torch.ones(60, 60)
    mask[10:50] = 0
    state = torch.get_rng_state()
    found = NoisyLinearImputer()(image, mask)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(found, NoisyLinearImputer()(image, mask))
    assert not torch.equal(found, NoisyLinearImputer(seed=1)(image, mask))
    assert not found[:, mask == 1].any()
    assert float(found[:, mask == 0].std()) == pytest.approx(0.01, rel=0.05)
    assert abs(float(found[:, mask == 0].mean())) < 5e-4


def test_the_picture_and_its_graph_stay_as_they_are() -> None:
    image = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)).half().requires_grad_()
    mask = torch.ones(8, 8)
    kept = image.detach().clone()
    assert NoisyLinearImputer()(image, mask) is not image
    mask[2:4] = 0
    found = NoisyLinearImputer()(image, mask)
    assert found.dtype == torch.float16
    assert not found.requires_grad
    assert torch.equal(kept, image)


def test_what_no_weighting_is() -> None:
    for weighting in ([((0, 1), 1.0)], [((0, 1), 1.0), ((0, -1), 2.0)], [((0, 0), 1.0)], [((1,), -1.0), ((-1,), -1.0)]):
        with pytest.raises(ValueError, match="weights are 0 or more, the same at the opposite offset"):
            NoisyLinearImputer(0.01, weighting)
    image = torch.zeros(1, 4, 4)
    with pytest.raises(ValueError, match=r"the offset .* has 1 axes, the image 2"):
        NoisyLinearImputer(0, [((1,), 1.0), ((-1,), 1.0)])(image, torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"the mask \(4, 5\) is not of the size"):
        NoisyLinearImputer()(image, torch.zeros(4, 5))
    with pytest.raises(ValueError, match="noise is a standard deviation"):
        NoisyLinearImputer(noise=-1)


class Inside(nn.Module):
    """Class 0: the mean of what lies in the square; class 1: nothing."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x[:, 0, 4:8, 4:8].mean((1, 2))
        return torch.stack([mean, torch.zeros_like(mean)], 1)


@pytest.fixture
def square() -> tuple[Tensor, NDArray[np.float32]]:
    """A square of 1 in 0, and two maps: the square itself, and its opposite."""
    images, maps = torch.zeros(2, 1, 16, 16), np.zeros((2, 16, 16), np.float32)
    images[:, 0, 4:8, 4:8] = 1
    maps[0, 4:8, 4:8], maps[1] = 1, 1
    maps[1, 4:8, 4:8] = 0
    return images, maps


@pytest.mark.parametrize("share", ["auto", 93.75])
def test_scores_of_the_right_and_the_wrong_map(square: tuple[Tensor, NDArray[np.float32]], share: Any) -> None:
    images, maps = square
    targets = [ClassifierOutputTarget(0)] * 2
    most = ROADMostRelevantFirst(share)(images, maps, targets, Inside())
    assert most[0] == pytest.approx(-1, abs=0.01)  # the square is filled with what lies around it: 0
    assert most[1] == pytest.approx(0, abs=0.01)
    rest = share if share == "auto" else 6.25
    least = ROADLeastRelevantFirst(rest)(images, maps, targets, Inside())
    assert least[0] == 0  # nothing of it was removed
    if share == "auto":
        assert least[1] == pytest.approx(-1, abs=0.01)


def test_the_combination_is_half_of_the_difference(square: tuple[Tensor, NDArray[np.float32]]) -> None:
    images, maps = square
    given = (images, maps + np.random.default_rng(0).random(maps.shape) * 0.1, [ClassifierOutputTarget(0)] * 2)
    percentiles = [30, 94]
    singles = {
        kind: np.mean([kind(each)(*given, Inside()) for each in percentiles], axis=0)
        for kind in (ROADMostRelevantFirst, ROADLeastRelevantFirst)
    }
    most = ROADMostRelevantFirstAverage(percentiles)(*given, Inside())
    least = ROADLeastRelevantFirstAverage(percentiles)(*given, Inside())
    np.testing.assert_allclose(most, singles[ROADMostRelevantFirst], atol=1e-6)
    np.testing.assert_allclose(least, singles[ROADLeastRelevantFirst], atol=1e-6)
    found = ROADCombined(percentiles)(*given, Inside())
    np.testing.assert_allclose(found, (least - most) / 2, atol=1e-6)
    assert found[0] > 0.3
    assert found[0] > found[1]
