"""IROF: take whole segments of the image away, in the order of the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.engine.maps import per_image
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlation import cells_of
from pytorch_grad_cam.metrics.fills import fill_of
from pytorch_grad_cam.metrics.masking import share
from pytorch_grad_cam.metrics.metric import Metric


def slic_segments(inputs: Tensor, count: int) -> Tensor:
    """Return SLIC's superpixels of each image, numbered from 0: ``(B, *S)`` on the CPU; about ``count`` of them.

    Raises:
        ImportError: if scikit-image is missing.
    """
    slic = need("skimage.segmentation").slic
    found = []
    for image in inputs.detach().cpu().double():
        # SLIC knows planes and volumes; a signal is a plane of one row.
        cells = (image[:, None] if image.ndim == 2 else image).movedim(0, -1).numpy()
        labels = slic(cells, n_segments=count, start_label=0, channel_axis=-1).reshape(image.shape[1:])
        found.append(torch.from_numpy(np.unique(labels, return_inverse=True)[1].reshape(labels.shape)))
    return torch.stack(found)


def grid_segments(inputs: Tensor, count: int) -> Tensor:
    """Return cells of equal size, about ``count`` of them: ``(B, *S)`` on the CPU."""
    axes = inputs.ndim - 2
    cells = cells_of(tuple(inputs.shape[2:]), max(1, round(count ** (1 / axes))))
    return cells.expand(len(inputs), *cells.shape)


SEGMENTS = {"slic": slic_segments, "grid": grid_segments}


@dataclass(frozen=True)
class IROF(Metric):
    """How much of the score is lost on the way, when segments go, those with the largest mean of the map first.

    ``1 / K sum_k (1 - s(x_k) / s(x))``, where ``x_k`` lacks ``k`` of the image's ``K`` segments and has its mean colour
    there.

    Args:
        segments: "slic", superpixels, for which scikit-image is needed (the extra ``metrics``), or "grid", cells.
        count: about how many segments; a picture of one colour has one.
        fill: what stands where segments are missing, see ``metrics.fills``.
    """

    segments: Literal["slic", "grid"] = "slic"
    count: int = 100
    fill: str = "mean"

    name, higher_is_better, range, needs = "irof", True, (-float("inf"), 1.0), ("model",)
    source = "L. Rieger and L. K. Hansen, 2020, arXiv:2003.08747"

    def measure(self, case: Case) -> Tensor:
        places, counts = self._places(case)
        filled = fill_of(self.fill, case.inputs)

        def change(rows: Tensor, versions: Tensor) -> Tensor:
            missing = places[rows] <= per_image(versions, places)
            return torch.where(missing[:, None], filled[rows], case.inputs[rows])

        steps = int(counts.max())
        scores = case.scores_of_versions((self.name, self.segments, self.count, self.fill), range(steps), change)
        lost = 1 - share(scores, case.scores[:, None])  # (B, K)
        own = torch.arange(steps, device=counts.device) < counts[:, None]  # images with fewer segments end earlier
        mean = torch.where(own, lost, 0).sum(1) / counts
        return torch.where(case.constant, torch.nan, mean)

    def _places(self, case: Case) -> tuple[Tensor, Tensor]:
        """Return when each position goes, from 0 ``(B, *S)``, and how many segments each image has ``(B,)``."""
        if self.segments not in SEGMENTS:
            raise ValueError(f"segments={self.segments!r} is unknown; choose 'slic' or 'grid'")
        if self.count < 1:
            raise ValueError(f"count={self.count} must be 1 or more")
        numbers = SEGMENTS[self.segments](case.inputs, self.count).to(case.maps.device).flatten(1)  # (B, N)
        counts = numbers.amax(1) + 1
        places = []
        for row, map, count in zip(numbers, case.maps.flatten(1).double(), counts.tolist(), strict=True):
            sizes = torch.bincount(row, minlength=count)
            means = torch.zeros(count, dtype=map.dtype, device=map.device).index_add_(0, row, map) / sizes
            generator = torch.Generator().manual_seed(case.seed)  # of the order of equal means
            shuffled = torch.randperm(count, generator=generator, device="cpu").to(map.device)
            order = shuffled[means[shuffled].argsort(descending=True, stable=True)]
            places.append(torch.empty_like(order).scatter_(0, order, torch.arange(count, device=map.device))[row])
        return torch.stack(places).reshape(case.maps.shape), counts
