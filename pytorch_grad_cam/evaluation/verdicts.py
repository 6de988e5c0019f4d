"""What follows from a comparison, in one plain sentence for each question.

Said is only what the paired intervals decide. A method is better than another if it is by one measure at least and
worse by none; measures are those of quality (see ``evaluation.families``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pytorch_grad_cam.evaluation.families import quality_metrics
from pytorch_grad_cam.evaluation.sanity_checks import sanity_verdicts

if TYPE_CHECKING:
    from pytorch_grad_cam.evaluation.comparison import Comparison, Row

CHEAP_PASSES = 6.0  # forward and backward together
FEW = 10  # images, below which an interval of resampled images promises more than it can hold
_MOST = 8  # names in a sentence

Better = Mapping[tuple[str, str, str], bool | None]  # of two rows by a metric


def verdicts_on(comparison: Comparison) -> list[tuple[str, str]]:
    """Return questions and answers; none where nothing was measured that they are about."""
    said = sanity_verdicts(comparison)
    names = [
        name
        for name in quality_metrics(dict(comparison.metrics))
        if any(comparison.interval(row.id, name).count for row in comparison.methods)
    ]
    if names and comparison.methods and comparison.references:
        said = [*_Judge(comparison, names).sentences(), *said]
    return said


class _Judge:
    """Compares the rows of one comparison by its measures of quality."""

    def __init__(self, comparison: Comparison, names: Sequence[str]) -> None:
        self.comparison, self.names = comparison, names
        self.methods, self.references = comparison.methods, comparison.references
        self._mean_ranks = self._ranks()

    def sentences(self) -> list[tuple[str, str]]:
        said = [("Which methods beat the reference maps here?", self._beaters())]
        if len(self.methods) > 1:
            said.append(("Which is the best?", self._best(self.methods)))
            cheap = [row for row in self.methods if self._passes(row) <= CHEAP_PASSES]
            if cheap and len(cheap) < len(self.methods):
                said.append((f"Which is the best of at most {CHEAP_PASSES:g} passes?", self._best(cheap)))
        if len({row.layers for row in self.methods}) > 1 and self._layers_differ():
            said.append(("Which layer?", self._layers()))
        return [*said, ("What does the evidence not decide?", self._undecided())]

    def _beaters(self) -> str:
        """Say which methods beat every reference map, by all measures, by some, by none."""
        won = {row.id: [name for name in self.names if self._beats_references(row.id, name)] for row in self.methods}
        every = [id for id, names in won.items() if len(names) == len(self.names)]
        none = [id for id, names in won.items() if not names]
        some = {id: names for id, names in won.items() if id not in every and names}
        by = f"by {_listed(self.names)}"
        parts = [f"{_listed(every) if every else 'No method'} {_verb(every, 'beat')} every reference map {by}"]
        for name in dict.fromkeys(name for names in some.values() for name in names):
            parts.append(f"by {name} only: {_listed([id for id, names in some.items() if names == [name]])}")
        parts = [part for part in parts if not part.endswith(": ")]
        several = [id for id, names in some.items() if len(names) > 1]
        if several:
            parts.append(f"by some of them: {_listed(several)}")
        if none:
            hurdle = self._hurdle()
            parts.append(f"no better than one of them: {_listed(none)}{hurdle}")
        return f"On these {_pictures(len(self.comparison.images))}: {'; '.join(parts)}."

    def _hurdle(self) -> str:
        """Name the reference map that is hardest to beat by the first measure."""
        name = self.names[0]
        higher = self.comparison.metrics[name].higher_is_better
        values = {row.id: self.comparison.interval(row.id, name).value for row in self.references}
        judged = {id: value for id, value in values.items() if not np.isnan(value)}
        if not judged:
            return ""
        best = (max if higher else min)(judged, key=lambda id: judged[id])
        return f" (the hardest by {name} is {best}, {judged[best]:.3f})"

    def _best(self, rows: Sequence[Row]) -> str:
        best = min(rows, key=lambda row: self._mean_ranks[row.id])
        parts = [f"{best.id}, {self._numbers(best.id)}"]
        behind = [row.id for row in rows if row is not best and not self._is_better(best.id, row.id)]
        if not all(self._beats_references(best.id, name) for name in self.names):
            parts.append("which does not beat every reference map")
        if behind:
            parts.append(f"but these pictures do not tell it from {_listed(behind)}")
        elif len(rows) > 1:
            parts.append("better than every other one")
        return f"{', '.join(parts)}."

    def _layers_differ(self) -> bool:
        by_method: dict[str, set[tuple[str, ...]]] = {}
        for row in self.methods:
            by_method.setdefault(row.method, set()).add(row.layers)
        return any(len(layers) > 1 for layers in by_method.values())

    def _layers(self) -> str:
        """Say which layer has the best mean rank over the methods that were measured at all of them."""
        layers: dict[tuple[str, ...], list[str]] = {}
        for row in self.methods:
            layers.setdefault(row.layers, []).append(row.id)
        means = {each: float(np.mean([self._mean_ranks[id] for id in ids])) for each, ids in layers.items()}
        best = min(means, key=lambda each: means[each])
        rows = {row.method: row.id for row in self.methods if row.layers == best}
        open_ones = [
            f"{row.method} at {'+'.join(row.layers)}"
            for row in self.methods
            if row.layers != best and row.method in rows and not self._is_better(rows[row.method], row.id)
        ]
        text = f"{'+'.join(best)} has the best mean rank over the methods ({means[best]:.1f} of {len(self.methods)})"
        return text + (f"; not decided: {_listed(open_ones)}." if open_ones else ", and is better for each of them.")

    def _undecided(self) -> str:
        count = len(self.comparison.images)
        pairs = [(one.id, other.id) for index, one in enumerate(self.methods) for other in self.methods[index + 1 :]]
        unclear = [pair for pair in pairs if not (self._is_better(*pair) or self._is_better(*pair[::-1]))]
        halves = [self._half(name) for name in self.names]
        widths = _listed([f"{half:.3f} by {name}" for half, name in zip(halves, self.names, strict=True)])
        text = f"{len(unclear)} of {len(pairs)} pairs of methods; " if pairs else ""
        text += f"with {_pictures(count)} a difference below about {widths} cannot be told from chance"
        return text + (f"; {count} are few, take {FEW} or more." if count < FEW else ".")

    def _half(self, name: str) -> float:
        """Return half the width of a typical interval of a difference."""
        widths = [
            (interval.high - interval.low) / 2
            for _, _, interval, _ in self.comparison.differences(name)
            if not np.isnan(interval.high)
        ]
        return float(np.median(widths)) if widths else float("nan")

    def _ranks(self) -> dict[str, float]:
        """Return the mean rank of each method over the measures, 1 the best; what was not judged comes last."""
        ranks: dict[str, list[float]] = {row.id: [] for row in self.methods}
        for name in self.names:
            higher = self.comparison.metrics[name].higher_is_better
            values = {row.id: self.comparison.interval(row.id, name).value for row in self.methods}
            badness = {
                id: float("inf") if np.isnan(value) else -value if higher else value for id, value in values.items()
            }
            for id, own in badness.items():
                same = sum(other == own for other in badness.values())
                ranks[id].append(sum(other < own for other in badness.values()) + (same + 1) / 2)
        return {id: float(np.mean(found)) for id, found in ranks.items()}

    def _beats_references(self, id: str, name: str) -> bool:
        judged = [row.id for row in self.references if self.comparison.interval(row.id, name).count]
        return bool(judged) and all(self._better(id, other, name) is True for other in judged)

    def _is_better(self, first: str, second: str) -> bool:
        found = [self._better(first, second, name) for name in self.names]
        return True in found and False not in found

    def _better(self, first: str, second: str, name: str) -> bool | None:
        cache: dict[tuple[str, str, str], bool | None] = self.__dict__.setdefault("_cache", {})
        if (first, second, name) not in cache:
            cache[first, second, name] = self.comparison.better(first, second, name)
        return cache[first, second, name]

    def _numbers(self, id: str) -> str:
        return _listed([f"{name} {self.comparison.interval(id, name).value:.3f}" for name in self.names])

    @staticmethod
    def _passes(row: Row) -> float:
        return (row.forward or 0) + (row.backward or 0)


def _listed(names: Sequence[str]) -> str:
    """Write names as a list in a sentence; of many the first ones and how many more there are."""
    shown = list(names[:_MOST])
    if len(names) > _MOST:
        return f"{', '.join(shown)} and {len(names) - _MOST} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def _verb(names: Sequence[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
