"""METRICS: every metric by its name, with its default parameters."""

from __future__ import annotations

from pytorch_grad_cam.metrics import (
    box_overlap,
    complexity,
    correlation,
    curves,
    masking,
    mosaics,
    pointing,
    randomisation,
    robustness,
    thresholds,
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
        randomisation.ParameterRandomisation(),
        randomisation.SmoothParameterRandomisation(),
        randomisation.EfficientParameterRandomisation(),
        randomisation.RandomLogit(),
        randomisation.PictureRandomisation(),
        pointing.PointingGame(),
        pointing.EnergyInside(),
        pointing.EnergyToChance(),
        pointing.MassAccuracy(),
        pointing.RankAccuracy(),
        pointing.TopK(),
        pointing.RocAuc(),
        pointing.AveragePrecision(),
        box_overlap.BoxIoU(),
        box_overlap.LocalisationError(),
        thresholds.MaxBoxAcc(),
        thresholds.MaxBoxAccV2(),
        thresholds.PxAP(),
        mosaics.GridPG(),
        mosaics.Focus(),
    )
}
