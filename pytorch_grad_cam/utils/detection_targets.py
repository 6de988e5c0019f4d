"""Targets for detectors, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.targets.detection import BoxTarget as BoxTarget
from pytorch_grad_cam.targets.detection import DetectedObject as DetectedObject
from pytorch_grad_cam.targets.detection import Detections as Detections
from pytorch_grad_cam.targets.detection import FasterRCNNBoxScoreTarget as FasterRCNNBoxScoreTarget
from pytorch_grad_cam.targets.detection import Reader as Reader
from pytorch_grad_cam.targets.detection import StrongestDetectionTarget as StrongestDetectionTarget
from pytorch_grad_cam.targets.detection import are_detections as are_detections
from pytorch_grad_cam.targets.detection import as_detections as as_detections
from pytorch_grad_cam.targets.detection import corners_of as corners_of
from pytorch_grad_cam.targets.detection import detected_objects as detected_objects
from pytorch_grad_cam.targets.detection import overlaps as overlaps
