"""Sanity checks: do maps depend on the class, on the network's weights and on the picture at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.randomisation import (
    ParameterRandomisation,
    PictureRandomisation,
    RandomLogit,
    map_similarity,
    network_of,
    random_network,
)

if TYPE_CHECKING:
    from pytorch_grad_cam.evaluation.comparison import Comparison
    from pytorch_grad_cam.evaluation.rows import Row
    from pytorch_grad_cam.evaluation.statistics import Interval

# Of the correlation of ranks of two maps. Maps of other pictures correlate too, since objects stand in the middle.
SAME = 0.9  # from here on a map counts as the same
ALIKE = 0.7  # from here on as much alike


@dataclass(frozen=True)
class TopDownRandomisation(Metric):
    """How alike the map is when a share of the layers, from the output down, has random weights.

    Spearman's correlation of the absolute values.

    Args:
        share: of the layers with parameters.
    """

    share: float = 0.5

    name, higher_is_better, range, needs = "top_down_randomisation", False, (-1.0, 1.0), ("model", "explain")
    source = "J. Adebayo et al., 2018, arXiv:1810.03292"

    def measure(self, case: Case) -> Tensor:
        model = network_of(case)
        layers = sum(any(True for _ in module.parameters(recurse=False)) for module in model.modules())
        count = min(layers, max(1, math.ceil(self.share * layers)))
        network = random_network(case, case.seed, count)
        return map_similarity(case.explained(("top", count, case.seed), case.inputs, network), case.maps)


CLASS, WEIGHTS, PICTURE = RandomLogit(), ParameterRandomisation(), PictureRandomisation()
SANITY_METRICS: tuple[Metric, ...] = (
    CLASS,
    TopDownRandomisation(0.25),
    TopDownRandomisation(0.5),
    TopDownRandomisation(0.75),
    WEIGHTS,
    PICTURE,
)


def sanity_verdicts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return a question and a sentence for each method; nothing where the checks were not among the metrics."""
    asked = [metric for metric in (CLASS, WEIGHTS, PICTURE) if metric.name in comparison.metrics]
    if len(asked) < 3:
        return []
    return [(f"Does {row.id} pass the sanity checks?", _verdict(comparison, row)) for row in comparison.methods]


def _verdict(comparison: Comparison, row: Row) -> str:
    """Say whether a method passes, how alike its maps are, and what it does not depend on."""
    answers = {}
    numbers = []
    for metric, what in ((CLASS, "class"), (WEIGHTS, "weights"), (PICTURE, "picture")):
        interval = comparison.interval(row.id, metric.name)
        answers[what] = _answer(interval)
        numbers.append(f"{what} {interval.value:.2f}" if interval.judged else f"{what} not judged")
    alike = f"similarity of maps for another {', '.join(numbers)}"
    failed = [what for what, answer in answers.items() if answer == _NO]
    unsure = [what for what, answer in answers.items() if answer in (_LITTLE, _UNKNOWN)]
    if failed:
        return f"No, its map is the same whatever the {' or '.join(failed)} ({alike})."
    if unsure:
        return f"Not clearly: whether its map depends on the {' or '.join(unsure)} is open ({alike})."
    return f"Yes, its map changes with class, weights and picture ({alike})."


_YES, _LITTLE, _NO, _UNKNOWN = "yes", "little", "no", "cannot be judged"


def _answer(similarity: Interval) -> str:
    """Say whether maps change, by how alike they are."""
    if not similarity.judged:
        return _UNKNOWN
    if similarity.value >= SAME:
        return _NO
    high = similarity.value if math.isnan(similarity.high) else similarity.high
    return _YES if high < ALIKE else _LITTLE
