"""What a class means where outputs are no scores per class: regions of dense outputs, and detections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.detection import StrongestDetectionTarget
from pytorch_grad_cam.targets.detector_output import are_detections as are_detections
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget, main_class


@dataclass(frozen=True)
class DetectorOutput:
    """Outputs of a detector like torchvision's: a list with one dict per image."""

    outputs: Any

    def top(self) -> list[Target]:
        return [StrongestDetectionTarget() for _ in self.outputs]

    def of_class(self, category: int) -> Target:
        return StrongestDetectionTarget(category)

    def contrast(self, first: int, second: int, batch: int) -> None:
        return None


@dataclass(frozen=True)
class DenseOutput:
    """Outputs of a segmentation network, with scores ``(B, M, *S)`` in them."""

    scores: Tensor

    def top(self) -> list[Target]:
        return [SemanticSegmentationTarget(main_class(scores)) for scores in self.scores]

    def of_class(self, category: int) -> Target:
        if category < 0:
            raise IndexError(f"class {category} does not exist; classes count from 0")
        return SemanticSegmentationTarget(category)

    def contrast(self, first: int, second: int, batch: int) -> list[Target]:
        return [_RegionContrast(SemanticSegmentationTarget(first), second) for _ in range(batch)]


@dataclass(frozen=True)
class _RegionContrast:
    """What makes it the first class rather than the second, where the first is predicted."""

    first: SemanticSegmentationTarget
    other: int

    @property
    def category(self) -> int:
        return self.first.category

    def fixed_on(self, model_output: Any) -> _RegionContrast:
        """Return the same contrast in the region where the first class is predicted now."""
        return _RegionContrast(self.first.fixed_on(model_output), self.other)

    def __call__(self, model_output: Any) -> Tensor:
        second = SemanticSegmentationTarget(self.other, self.first.mask)
        return self.first(model_output) - second(model_output)
