"""Targets for dense outputs, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.targets.segmentation import SegmentationPointTarget as SegmentationPointTarget
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget as SemanticSegmentationTarget
from pytorch_grad_cam.targets.segmentation import dense_scores as dense_scores
from pytorch_grad_cam.targets.segmentation import main_class as main_class
from pytorch_grad_cam.targets.segmentation import predicted_classes as predicted_classes
