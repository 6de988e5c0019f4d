"""What is to be reached on an H200, and whether it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.cost import TIME_LIMIT
from benchmarks.gpu import perturbation
from benchmarks.gpu.bench import Bench, Result, Row
from benchmarks.gpu.networks import RESNET


@dataclass(frozen=True)
class Aim:
    """A number of a part's rows that is to be at most, or at least, another.

    Attributes:
        what: in words.
        part: the letter of the part.
        column: which number.
        limit: that it is to keep to.
        least: whether the limit is the least it may be, rather than the most.
        of: which rows; the worst of them counts.
    """

    what: str
    part: str
    column: str
    limit: float
    least: bool
    of: Callable[[Row], bool]


AIMS = (
    Aim(
        "GradCAM beside a plain pass, ResNet-50, batch 64",
        "c",
        "ratio",
        TIME_LIMIT,
        False,
        lambda row: (row["network"], row["method"], row["batch"]) == (RESNET.name, "gradcam", 64),
    ),
    Aim(
        "memory of GradCAM beyond the pass's, as a share of that, ResNet-50, batch 64",
        "c",
        "more memory",
        0.05,
        False,
        lambda row: (row["network"], row["method"], row["batch"]) == (RESNET.name, "gradcam", 64),
    ),
    Aim(
        "AblationCAM on layer4[-1] in passes of one picture, float32",
        "d",
        "one passes",
        10,
        False,
        lambda row: (row["method"], row["precision"], row["passes are"]) == (perturbation.ABLATION, "float32", "eager"),
    ),
    Aim(
        "ScoreCAM's throughput, as a share of plain batched passes in the same precision",
        "d",
        "of plain",
        0.9,
        True,
        lambda row: (row["method"], row["passes are"]) == (perturbation.SCORE, "eager"),
    ),
    Aim("a run with the index alone, as a share of the plain loop", "f", "of plain", 0.9, True, lambda row: True),
)


def judged(results: Mapping[str, Result], bench: Bench) -> list[dict[str, Any]]:
    """Return each aim with the worst number that was measured for it, and whether that keeps to it; None: none was.

    What a try measures is of other networks.
    """
    found = []
    for aim in AIMS:
        rows = results[aim.part].rows if aim.part in results and not bench.smoke else []
        numbers = [row[aim.column] for row in rows if aim.of(row) and row[aim.column] is not None]
        worst = (min if aim.least else max)(numbers, default=None)
        met = None if worst is None else (worst >= aim.limit if aim.least else worst <= aim.limit)
        limit = f"at {'least' if aim.least else 'most'} {aim.limit:g}"
        found.append({"what": aim.what, "aim": limit, "measured": worst, "met": met})
    return found
