"""Comparison: what was measured, in numbers, tables and sentences.

``Comparison.as_dict(times=True)`` is what ``scores.json`` and the page are made of; NaN and infinity are ``None``::

    {
      "format": 1,
      "model": "SqueezeNet",                        what the network is, for people
      "settings": {"seed": 0, "batch_size": 16, "confidence": 0.95, "resamples": 2000, ...},
      "images": [                                   in the order of all lists of values below
        {"id": "both", "class": 281, "label": "tabby", "score": 0.93}, ...      class, label, score: or null
      ],
      "metrics": [
        {"name": "insertion", "family": "faithfulness", "higher_is_better": true, "range": [0, 1],
         "summary": "The area under ...", "parameters": {"steps": 28, "fill": "blur"}, "source": "V. Petsiuk ..."}, ...
      ],                                            families: see ``evaluation.families``
      "rows": [                                     methods x layers, then the reference maps
        {"id": "gradcam features.12",               unique; as people read it
         "method": "gradcam", "layers": ["features.12"], "kind": "method" or "reference",
         "reason": null,                            why there are no maps, or not of all pictures; else null
         "maps": 20,                                that were made
         "forward": 1.0, "backward": 1.0,           passes per map, also those that begin behind the layer; or null
         "scores": {
           "insertion": {"value": 0.41, "low": 0.35, "high": 0.47,    the mean and its interval
                         "judged": 19, "not_judged": 1, "reason": null, "values": [0.44, null, ...]}, ...
         }}, ...
      ],
      "differences": [                              paired: of the same pictures; each method with each reference map,
        {"metric": "insertion", "first": "gradcam features.12", "second": "random",  and with the best method
         "value": 0.2, "low": 0.15, "high": 0.26, "pictures": 19, "better": true}, ...  first better: true, false;
      ],                                            null: not decided
      "verdicts": [{"question": "Which methods beat the reference maps?", "answer": "On these 20 pictures ..."}, ...],
      "times": {"gradcam features.12": 12.3, ...}   milliseconds per map; only with times=True
    }

For the page the command line adds ``"pictures": [{"id": "both", "image": DATA_URL, "maps": {ROW_ID: DATA_URL}}]``: the
picture as the network saw it, a JPEG; and each map, a gray PNG of few pixels, 0 to 255 for 0 to 1, to be stretched over
it. A row that has no map of a picture has no entry there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pytorch_grad_cam.evaluation.candidates import METHOD, Candidate
from pytorch_grad_cam.evaluation.records import Records
from pytorch_grad_cam.evaluation.rows import EvaluatedImage, Row, images_of, is_mean, named_apart, row_of
from pytorch_grad_cam.evaluation.statistics import (
    CONFIDENCE,
    RESAMPLES,
    Groups,
    Interval,
    Values,
    interval_of,
    intervals,
)
from pytorch_grad_cam.metrics.metric import Metric


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was measured of methods, layers and reference maps on the same images.

    Attributes:
        model: what the network is called.
        metrics: by the name under which they are reported.
        images: in the order of all values.
        rows: methods x layers, then the reference maps.
        settings: of the call.
    """

    model: str
    metrics: Mapping[str, Metric]
    images: Sequence[EvaluatedImage]
    rows: Sequence[Row]
    settings: Mapping[str, Any]

    @classmethod
    def of_records(
        cls,
        records: Records,
        candidates: Sequence[Candidate],
        metrics: Mapping[str, Metric],
        settings: Mapping[str, Any],
        *,
        model: str,
        categories: Sequence[str] | None = None,
    ) -> Comparison:
        """Put together what was measured."""
        about = list(records.of_row(0))
        images = [image for record in about for image in images_of(record, categories)]
        rows = [
            row_of(candidate, list(records.of_row(place)), about, metrics)
            for place, candidate in enumerate(candidates, 1)
        ]
        found = {"confidence": CONFIDENCE, "resamples": RESAMPLES, **settings}
        return cls(model, dict(metrics), images, named_apart(rows), found)

    @property
    def methods(self) -> list[Row]:
        """The rows that are methods and made maps."""
        return [row for row in self.rows if row.kind == METHOD and row.maps]

    @property
    def references(self) -> list[Row]:
        """The rows that know no network."""
        return [row for row in self.rows if row.kind != METHOD and row.maps]

    def row(self, id: str) -> Row:
        """Return a row by what it is called, or by the method's name where it has one row only.

        Raises:
            KeyError: if there is none, or several.
        """
        found = [row for row in self.rows if row.id == id] or [row for row in self.rows if row.method == id]
        if len(found) != 1:
            what = "no row is" if not found else f"{len(found)} rows are"
            raise KeyError(f"{what} called {id!r}; there are {', '.join(row.id for row in self.rows)}")
        return found[0]

    def interval(self, id: str, metric: str) -> Interval:
        """Return the mean of a row by a metric over the images that could be judged, and its bootstrap interval."""
        return self._intervals(metric)[self.row(id).id]

    def difference(self, first: str, second: str, metric: str) -> Interval:
        """Return how much larger a metric is of one row than of another, on the images that were judged of both."""
        return self._differences(metric, [(self.row(first).id, self.row(second).id)])[0]

    def better(self, first: str, second: str, metric: str) -> bool | None:
        """Return whether one row is better than another: None where the interval of the difference holds 0."""
        return self._better(metric, self.difference(first, second, metric))

    def differences(self, metric: str) -> list[tuple[str, str, Interval, bool | None]]:
        """Return each method's paired difference from each reference map and from the best method, and if it is better.

        Returns:
            First, second, first minus second, and whether the first is better; None where that is not decided. Pairs
            of which no image was judged of both are left out.
        """
        best = self.best(metric)
        others = [row.id for row in self.references]
        pairs = [
            (row.id, other) for row in self.methods for other in [*others, *([best] if best and best != row.id else [])]
        ]
        found = zip(pairs, self._differences(metric, pairs), strict=True)
        return [
            (first, second, interval, self._better(metric, interval))
            for (first, second), interval in found
            if interval.judged
        ]

    def best(self, metric: str) -> str | None:
        """Return the method with the best mean; None where none was judged."""
        values = {row.id: self._intervals(metric)[row.id].value for row in self.methods}
        judged = {id: value for id, value in values.items() if not math.isnan(value)}
        higher = self.metrics[metric].higher_is_better
        return None if not judged or higher is None else (max if higher else min)(judged, key=lambda id: judged[id])

    def verdicts(self) -> list[tuple[str, str]]:
        """Return what follows from the numbers: a question and a plain sentence for each."""
        from pytorch_grad_cam.evaluation.verdicts import verdicts_on

        return verdicts_on(self)

    def table(self) -> str:
        """Return the means with their intervals, aligned, a line for each row."""
        from pytorch_grad_cam.evaluation.tables import text_table

        return text_table(self)

    def to_csv(self) -> str:
        """Return all values, a line for each image and row: empty where it could not be judged."""
        from pytorch_grad_cam.evaluation.tables import csv_text

        return csv_text(self)

    def to_json(self, times: bool = False) -> str:
        """Return everything as JSON; the same for the same seed, so without times unless they are asked for."""
        return json.dumps(self.as_dict(times), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def as_dict(self, times: bool = False) -> dict[str, Any]:
        """Return everything in the form above."""
        from pytorch_grad_cam.evaluation.tables import as_data

        return as_data(self, times)

    def plot(self, metric: str | None = None) -> Any:
        """Draw means with their intervals, a panel for each metric, and return the figure; needs matplotlib.

        Args:
            metric: one of them; None: all.

        Raises:
            ImportError: if matplotlib is missing.
        """
        from pytorch_grad_cam.evaluation.plots import plot

        return plot(self, list(self.metrics) if metric is None else [metric])

    def _repr_html_(self) -> str:
        from pytorch_grad_cam.evaluation.tables import html_table

        return html_table(self)

    def __str__(self) -> str:
        sentences = "\n".join(f"{question} {answer}" for question, answer in self.verdicts())
        return f"{self.table()}\n\n{sentences}"

    # Everything below is computed once for each metric: a resample costs little, hundreds of pairs do not.

    def _intervals(self, metric: str) -> dict[str, Interval]:
        cache: dict[str, dict[str, Interval]] = self.__dict__.setdefault("_interval_cache", {})
        if metric not in cache:
            found = self._measured(metric, [self._of_row(row, metric) for row in self.rows])
            cache[metric] = dict(zip([row.id for row in self.rows], found, strict=True))
        return cache[metric]

    def _of_row(self, row: Row, metric: str) -> Values:
        return row.values[metric] if is_mean(self.metrics[metric]) else row.statistics[metric]

    def _groups(self, metric: str) -> Groups | None:
        """Return which images stand together for a metric, and so are drawn together; None where each is alone."""
        found = [row.groups[metric] for row in self.rows if metric in row.groups]
        return np.max(found, axis=0) if found else None

    def _measured(self, metric: str, values: Sequence[Values]) -> list[Interval]:
        if is_mean(self.metrics[metric]):
            groups = self._groups(metric)
            return intervals(np.stack(values, 1), groups=groups, resamples=self.settings["resamples"], **self._how)
        aggregate = self.metrics[metric].aggregate
        return [
            interval_of(
                each, lambda drawn: aggregate(torch.from_numpy(drawn)), resamples=self._few_resamples, **self._how
            )
            for each in values
        ]

    def _differences(self, metric: str, pairs: Sequence[tuple[str, str]]) -> list[Interval]:
        by_id = {row.id: self._of_row(row, metric) for row in self.rows}
        if not pairs:
            return []
        if is_mean(self.metrics[metric]):
            return self._measured(metric, [by_id[first] - by_id[second] for first, second in pairs])
        aggregate = self.metrics[metric].aggregate

        def gap(drawn: Values) -> float:
            return aggregate(torch.from_numpy(drawn[:, 0])) - aggregate(torch.from_numpy(drawn[:, 1]))

        found = []
        for first, second in pairs:
            one, other = by_id[first], by_id[second]
            if one.shape != other.shape:  # of a row without maps
                found.append(Interval(math.nan, math.nan, math.nan, 0))
                continue
            both = np.stack([one, other], 1)  # (n, 2, ...)
            unknown = np.isnan(both).reshape(len(both), -1).any(axis=1)
            both[unknown] = np.nan
            found.append(interval_of(both, gap, resamples=self._few_resamples, **self._how))
        return found

    @property
    def _how(self) -> dict[str, Any]:
        return {"seed": self.settings["seed"], "confidence": self.settings["confidence"]}

    @property
    def _few_resamples(self) -> int:
        """How many for metrics of which each resample costs as much as the metric."""
        return max(1, int(self.settings["resamples"]) // 10)

    def _better(self, metric: str, difference: Interval) -> bool | None:
        higher = self.metrics[metric].higher_is_better
        if higher is None or difference.above is None:
            return None
        return difference.above == higher
