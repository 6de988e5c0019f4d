"""Metric: what all metrics of maps have in common, and those whose number is one of a whole data set.

Most metrics say a number of each map, and of a data set their mean. For some this is not so: one threshold for all
images is chosen, or the positions of all are pooled (`DataSetMetric`). Whoever measures many images therefore keeps
``statistics(case)`` of each batch, ``(B, ...)``, whose rows depend on one image each, and makes everything of them::

    rows = torch.cat([metric.statistics(case) for case in cases])  # (n, ...)
    metric.of_statistics(rows)                                     # (n,): the numbers of the images
    metric.aggregate(rows)                                         # the number of the data set
    metric.aggregate(rows[drawn])                                  # that of a bootstrap sample

For a metric of the first kind the statistics are the numbers, so this is right for both. Metrics with ``joint`` put
images together: these must be in one case, see ``metrics.mosaics``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import per_image
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
        joint: whether the number of an image depends on the other images of its case, of which there must be several.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool | None]
    range: ClassVar[tuple[float, float]]
    needs: ClassVar[tuple[str, ...]]
    source: ClassVar[str]
    joint: ClassVar[bool] = False

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

    def statistics(self, case: Case) -> Tensor:
        """Return what the data set's number is made of, a row for each image ``(B, ...)``; NaN where none can be."""
        return self.of(case)

    def of_statistics(self, statistics: Tensor) -> Tensor:
        """Return the numbers of images ``(n,)`` from their statistics ``(n, ...)``."""
        return statistics

    def aggregate(self, statistics: Tensor) -> float:
        """Return the number of a data set from the statistics of its images ``(n, ...)``: the mean, without NaN."""
        return float(statistics.double().nanmean())


class DataSetMetric(Metric):
    """A metric whose number of a data set is not the mean of those of its images.

    Subclasses override ``table``, ``of_statistics`` and ``aggregate_known``.
    """

    def table(self, case: Case) -> Tensor:
        """Return the statistics ``(B, ...)``, NaN in rows that cannot be judged."""
        raise NotImplementedError(f"{type(self).__name__} must override table")

    def statistics(self, case: Case) -> Tensor:
        table = self.table(case)
        return torch.where(per_image(case.unusable, table), torch.nan, table)

    def measure(self, case: Case) -> Tensor:
        return self.of_statistics(self.statistics(case))

    def aggregate(self, statistics: Tensor) -> float:
        known = statistics[~statistics.flatten(1).isnan().any(1)].double()
        return float(self.aggregate_known(known)) if len(known) else float("nan")

    def aggregate_known(self, statistics: Tensor) -> Tensor:
        """Return the number of a data set ``()`` from statistics without NaN, of one image or more."""
        raise NotImplementedError(f"{type(self).__name__} must override aggregate_known")
