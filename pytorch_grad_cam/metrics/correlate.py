"""Correlation of the rows of two tables, Pearson's and Spearman's, exact for equal values."""

from __future__ import annotations

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import is_constant


def pearson(first: Tensor, second: Tensor) -> Tensor:
    """Correlate rows ``(B, n)`` with rows ``(B, n)``: ``(B,)`` float64 in [-1, 1]; NaN where one is constant."""
    undefined = is_constant(first.double()) | is_constant(second.double())
    first, second = (rows.double() - rows.double().mean(1, keepdim=True) for rows in (first, second))
    scale = torch.where(undefined, 1, first.norm(dim=1) * second.norm(dim=1))
    return torch.where(undefined, torch.nan, ((first * second).sum(1) / scale).clamp(-1, 1))


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Correlate the ranks of rows ``(B, n)``: ``(B,)`` float64 in [-1, 1]; NaN where one is constant."""
    return pearson(average_ranks(first), average_ranks(second))


def average_ranks(rows: Tensor) -> Tensor:
    """Return the rank of each value in its row ``(B, n)``, from 0; equal values share the mean of their places."""
    ordered, order = rows.sort(dim=1)
    places = torch.arange(rows.shape[1], device=rows.device, dtype=torch.float64)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    group = starts.cumsum(1) - 1  # (B, n): which run of equal values
    sums = torch.zeros(rows.shape, dtype=torch.float64, device=rows.device)
    counts = sums.scatter_add(1, group, torch.ones_like(sums))
    sums = sums.scatter_add(1, group, places.expand_as(sums))
    return torch.empty_like(sums).scatter_(1, order, (sums / counts.clamp_min(1)).gather(1, group))
