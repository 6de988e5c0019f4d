"""METRICS: every metric by its name, with its default parameters."""

from __future__ import annotations

from pytorch_grad_cam.metrics import (
    complexity,
    composed,
    correlation,
    curves,
    imputation,
    masking,
    randomisation,
    robustness,
    superpixels,
)
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
        superpixels.IROF(),
        imputation.RoadMoRF(),
        imputation.RoadLeRF(),
        imputation.RoadCombined(),
        correlation.FaithfulnessCorrelation(),
        correlation.MuFidelity(),
        correlation.SensitivityN(),
        correlation.Infidelity(),
        correlation.ScaleFreeInfidelity(),
        robustness.MaxSensitivity(),
        robustness.AverageSensitivity(),
        robustness.LocalLipschitz(),
        complexity.MeanMass(),
        complexity.Entropy(),
        complexity.Gini(),
        complexity.EffectiveComplexity(),
        composed.Coherency(),
        composed.ADCC(),
        composed.ARCC(),
        randomisation.ParameterRandomisation(),
        randomisation.SmoothParameterRandomisation(),
        randomisation.EfficientParameterRandomisation(),
        randomisation.RandomLogit(),
    )
}
