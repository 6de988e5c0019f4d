"""Metric: what all metrics of maps have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case, Explain
from pytorch_grad_cam.metrics.scores import Model
from pytorch_grad_cam.targets.classification import Targets


class Metric:
    """A number for each map. Subclasses override ``measure``.

    What cannot be judged is NaN: a map with NaN or infinity, one that is 0 everywhere, and whatever a metric says of
    itself. A measure of several images is that of each alone, in any order and batch.

    Attributes:
        name: under which it is in ``METRICS``; the field's.
        higher_is_better: whether larger is better; None where a metric says something else than good or bad.
        range: the smallest and the largest value that there can be.
        needs: what must be given beside images and maps: "model", "masks" (or boxes), "boxes", "explain", "labels".
        source: paper, year, arXiv id.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool | None]
    range: ClassVar[tuple[float, float]]
    needs: ClassVar[tuple[str, ...]]
    source: ClassVar[str]

    def __call__(
        self,
        inputs: Tensor,
        maps: Any,
        targets: Targets = None,
        model: Model | None = None,
        *,
        masks: Any = None,
        boxes: Sequence[Any] | None = None,
        explain: Explain | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> Tensor:
        """Measure a batch; the arguments are those of `Case`.

        Returns:
            float32 ``(B,)``, on the device of the images.

        Raises:
            ValueError: for arguments that do not go together, and where something is missing that the metric needs.
        """
        return self.of(
            Case(
                inputs,
                maps,
                targets,
                model,
                masks=masks,
                boxes=boxes,
                explain=explain,
                batch_size=batch_size,
                seed=seed,
            )
        )

    def of(self, case: Case) -> Tensor:
        """Measure a case, which other metrics may have measured before: ``(B,)``."""
        return torch.where(case.unusable, torch.nan, self.measure(case)).float()

    def measure(self, case: Case) -> Tensor:
        """Return a number for each map ``(B,)``: the one thing a metric has to say."""
        raise NotImplementedError(f"{type(self).__name__} must override measure")

    def aggregate(self, values: Tensor) -> float:
        """Return the measure of a data set, from those of its images ``(n,)``: their mean, without NaN."""
        return float(values.double().nanmean())
