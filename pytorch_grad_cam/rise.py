"""RISE."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytorch_grad_cam.bases.input_cam import InputCAM, at_least
from pytorch_grad_cam.bases.input_gradients import Attributions
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine.chunks import chunks_of
from pytorch_grad_cam.engine.maps import LINEAR, working_precision
from pytorch_grad_cam.engine.precision import PassDtype, pass_dtype
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, scores_of_variants
from pytorch_grad_cam.engine.trees import detached


class RISE(InputCAM):
    """Highlights the places that raise the score when they are visible in randomly masked images. No gradient.

    ``L(p) = relu(1 / (N E[M(p)]) sum_i (s_i - mean s) M_i(p))``, ``s_i`` the score of ``x * M_i``. A mask ``M_i`` is a
    coarse grid of zeros and ones, each one with probability ``p``, enlarged linearly and shifted at random by less than
    a cell, so ``E[M] = p`` everywhere.

    Args:
        model, target_layers, reshape_transform: as for ``InputCAM``.
        num_samples: ``N``, the masks per image. The error falls as ``1 / sqrt(N)``; the paper takes 4000 and 8000.
        cells: grid cells along each spatial axis, fewer where the axis is shorter.
        probability: ``p``, the share of the image that is visible.
        centred: subtract the mean score, as above. False is the paper's sum, in which a constant in all scores lifts
            every place, and lifts places unevenly by the chance of the masks: for scores that are 0 where nothing is.
        batch_size: masked images per forward pass, at most, as for ``ScoreCAM``; memory does not grow with ``N``.
        seed: of the masks, the same for every image; the global random state is left alone.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        dtype: of the passes over masked images, as for ``ScoreCAM``.
        **kwargs: as for ``BaseCAM``.

    Raises:
        ValueError: for a probability outside (0, 1), or fewer than two masks, one cell, one image per pass.

    Source: V. Petsiuk, A. Das and K. Saenko, 2018, "RISE: Randomized Input Sampling for Explanation of Black-box
    Models", arXiv:1806.07421.
    Note: ``s`` is what the target returns, so the logit for a class index and a network that returns logits; the paper
    weighs by probabilities: ``targets=ClassifierOutputSoftmaxTarget(category)``. What is masked is 0, the mean colour
    if inputs are normalised. ``relu=False, normalize="minmax"`` scales as the paper does. ``attributions`` is
    ``(B, 1, *S)``.
    """

    uses_gradients = False
    fine_grained = False  # its masks are coarse
    why_zero = "the score does not react to what the masks hide"

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        num_samples: int = 1000,
        cells: int = 7,
        probability: float = 0.5,
        centred: bool = True,
        batch_size: int | None = None,
        seed: int = 0,
        progress: Progress = False,
        dtype: PassDtype = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        at_least(num_samples=(num_samples, 2), cells=(cells, 1))
        if not 0 < probability < 1:
            raise ValueError(f"probability={probability} leaves nothing to chance; give a number between 0 and 1")
        self.num_samples, self.cells, self.probability, self.centred = num_samples, cells, probability, centred
        self.batch_size, self.seed, self.progress, self.dtype = batch_size, seed, progress, pass_dtype(dtype)

    def attribute(self, call: Call) -> Attributions:
        inputs = call.inputs
        outputs = call.run(inputs)
        targets, scores = score_targets(outputs, call.spec, len(inputs))
        masks = Masks.drawn(self.num_samples, tuple(inputs.shape[2:]), self.cells, self.probability, self.seed)
        chunks = chunks_of(self.batch_size, inputs[0])
        with progress_bar(len(inputs) * self.num_samples, "RISE", self.progress) as advance:
            by_image = [
                scores_of_variants(
                    self.num_samples,
                    partial(_masked, inputs[row], masks),
                    call.run.of_row(row),
                    target,
                    chunks,
                    advance,
                    self.dtype,
                )
                for row, target in enumerate(targets)
            ]
        weights = working_precision(torch.stack(by_image).to(inputs.device))  # (B, N)
        weights = weights - weights.mean(1, keepdim=True) if self.centred else weights
        values = _weighed(masks, weights, chunks.size) / (self.num_samples * self.probability)
        return Attributions(values[:, None], detached(outputs), targets, scores.detach())


@dataclass(frozen=True)
class Masks:
    """``N`` random masks ``(*S)``, kept as what they are made of and made when they are needed.

    Attributes:
        grids: ``(N, *cells)``, 0 or 1.
        shifts: ``(N, axes)``, where in the enlarged grid the mask begins.
        enlarged: the size of the enlarged grids.
        size: ``S``.
    """

    grids: Tensor
    shifts: list[list[int]]
    enlarged: tuple[int, ...]
    size: tuple[int, ...]

    @classmethod
    def drawn(cls, count: int, size: tuple[int, ...], cells: int, probability: float, seed: int) -> Self:
        """Draw masks, on the CPU so that every device gets the same."""
        generator = torch.Generator().manual_seed(seed)
        grid = [min(cells, length) for length in size]
        cell = [-(-length // number) for length, number in zip(size, grid, strict=True)]  # rounded up
        drawn: dict[str, Any] = {"generator": generator, "device": "cpu"}
        ones = torch.rand((count, *grid), **drawn) < probability
        shifts = torch.stack([torch.randint(0, length, (count,), **drawn) for length in cell], 1)
        enlarged = tuple((number + 1) * length for number, length in zip(grid, cell, strict=True))
        return cls(ones, shifts.tolist(), enlarged, size)

    def made(self, chunk: slice, like: Tensor) -> Tensor:
        """Return some of the masks, ``(n, *S)`` in [0, 1], on the device and at least at float32 of ``like``."""
        grids = working_precision(self.grids[chunk].to(like))[:, None]
        grown = functional.interpolate(grids, size=self.enlarged, mode=LINEAR[len(self.size)], align_corners=False)
        return torch.stack(
            [
                mask[tuple(slice(start, start + length) for start, length in zip(shift, self.size, strict=True))]
                for mask, shift in zip(grown[:, 0], self.shifts[chunk], strict=True)
            ]
        )


def _masked(image: Tensor, masks: Masks, chunk: slice) -> Tensor:
    """Multiply an image ``(C, *S)`` by some of the masks: ``(n, C, *S)``."""
    return image * masks.made(chunk, image)[:, None].to(image.dtype)


def _weighed(masks: Masks, weights: Tensor, size: int) -> Tensor:
    """Sum the masks weighted by ``(B, N)``: ``(B, *S)``."""
    total = weights.new_zeros(len(weights), prod(masks.size))
    with torch.autocast(weights.device.type, enabled=False):  # the network's half precision is not for this
        for start in range(0, weights.shape[1], size):
            chunk = slice(start, start + size)
            total += weights[:, chunk] @ masks.made(chunk, weights).flatten(1)
    return total.reshape(-1, *masks.size)
