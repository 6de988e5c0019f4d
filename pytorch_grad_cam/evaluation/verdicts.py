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
    from pytorch_grad_cam.evaluation.comparison import Comparison
    from pytorch_grad_cam.evaluation.rows import Row

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
        if any(comparison.interval(row.id, name).judged for row in comparison.methods)
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
        layered = self._at_several_layers()
        if layered:
            said.append(("Which layer?", self._layers(layered)))
        return [*said, ("What does the evidence not decide?", self._undecided())]

    def _beaters(self) -> str:
        """Say which methods beat every reference map, by all measures, by some, by none."""
        won = {row.id: [name for name in self.names if self._beats_references(row.id, name)] for row in self.methods}
        every = [id for id, names in won.items() if len(names) == len(self.names)]
        none = [id for id, names in won.items() if not names]
        some: dict[str, list[str]] = {}  # by what they won by
        for id, names in won.items():
            if id not in every and names:
                some.setdefault(_listed(names), []).append(id)
        by = _listed(self.names)
        parts = [f"by {by} {_listed(every) or 'no method'} {_verb(every, 'beat')} every one of them"]
        parts += [f"{_listed(ids)} {_verb(ids, 'do')} so by {names} only" for names, ids in some.items()]
        if none and (every or some):
            parts.append(f"{_listed(none)} {_verb(none, 'be')} no better than at least one of them{self._hurdle()}")
        elif none:
            parts[0] += self._hurdle()
        return f"On these {_pictures(len(self.comparison.images))}, {'; '.join(parts)}."

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
        parts = [f"{best.id} ({self._numbers(best.id)})"]
        behind = [row.id for row in rows if row is not best and not self._is_better(best.id, row.id)]
        if not all(self._beats_references(best.id, name) for name in self.names):
            parts.append("though it does not beat every reference map")
        if behind:
            parts.append(f"but the evidence does not tell it from {_listed(behind)}")
        elif len(rows) > 1:
            parts.append("which is better than every other one")
        return f"{', '.join(parts)}."

    def _at_several_layers(self) -> list[Row]:
        """Return the rows of the methods that were measured at more than one choice of layers."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for row in self.methods:
            found.setdefault(row.method, set()).add(row.layers)
        return [row for row in self.methods if len(found[row.method]) > 1]

    def _layers(self, rows: Sequence[Row]) -> str:
        """Say at which layers the methods have the best mean rank, and for which of them that is not decided."""
        ranks: dict[tuple[str, ...], list[float]] = {}
        for row in rows:
            ranks.setdefault(row.layers, []).append(self._mean_ranks[row.id])
        means = {layers: float(np.mean(found)) for layers, found in ranks.items()}
        best = min(means, key=lambda layers: means[layers])
        own = {row.method: row.id for row in rows if row.layers == best}
        unclear = [
            row.id
            for row in rows
            if row.layers != best and row.method in own and not self._is_better(own[row.method], row.id)
        ]
        text = f"{'+'.join(best)} has the best mean rank ({means[best]:.1f} of {len(self.methods)})"
        if unclear:
            return f"{text}, but the evidence does not tell it from {_listed(unclear)}."
        return f"{text}, and is better for {'each of the methods' if len(own) > 1 else _listed(list(own))}."

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
        judged = [row.id for row in self.references if self.comparison.interval(row.id, name).judged]
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
    one = {"beat": "beats", "do": "does", "be": "is"}
    return {"be": "are"}.get(verb, verb) if len(names) > 1 else one[verb]


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
