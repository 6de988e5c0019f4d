"""METRICS: every metric by its name, with its default parameters."""

from __future__ import annotations

from pytorch_grad_cam.metrics import curves, masking
from pytorch_grad_cam.metrics.metric import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        masking.AverageDrop(),
        masking.AverageIncrease(),
        masking.AverageGain(),
        masking.AverageDropInDeletion(),
        masking.ConfidenceChange(),
        curves.Insertion(),
        curves.Deletion(),
        curves.InsertionMinusDeletion(),
        curves.PixelFlippingMoRF(),
        curves.PixelFlippingLeRF(),
        curves.SymmetricRelevanceGain(),
        curves.AOPC(),
    )
}
