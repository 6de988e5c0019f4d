"""What is said, as something a program can compare: classes of exceptions and warnings, codes of notes.

Whoever handles one of them looks at its class, its attributes or its code, never at its words.
"""

from __future__ import annotations

import sys
from typing import Self

_PACKAGE = __name__.partition(".")[0]

# What is wrong with a map. The words of a note may change, its code does not.
NONFINITE = "nonfinite"  # NaN or infinity, counted as 0
ZERO_GRADIENT = "zero gradient"
ZERO_ATTRIBUTION = "zero attribution"
SURE = "sure"  # a probability so near 1 that its gradient is lost in rounding
EQUAL_WEIGHTS = "equal weights"  # all channels count about the same, so the class does not matter
CANCELLED = "cancelled"  # the channels cancel, what is left is rounding
ONE_POSITION = "one position"
OWN_TARGET = "own target"  # the layer is read by the target itself
NEGATIVE = "negative"  # all evidence is negative
CONSTANT = "constant"
INCOMPLETE = "incomplete"  # the parts do not sum to the score
NO_RELU = "no relu"
OTHER = "other"


class Note(str):
    """A sentence about one map.

    Attributes:
        code: one of the constants of this module.
        problem: the sentence without the advice for people who write Python, which stands in brackets behind it.
    """

    code: str
    problem: str

    def __new__(cls, code: str, problem: str, advice: str = "") -> Self:
        note = super().__new__(cls, f"{problem} ({advice})" if advice else problem)
        note.code, note.problem = code, problem
        return note

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]
        return self.code, self.problem, self[len(self.problem) + 2 : -1] if len(self) > len(self.problem) else ""

    def about(self, what: str) -> Note:
        """Return the same note with what it is about in front, such as one target of several."""
        code, problem, advice = self.__getnewargs__()
        return Note(code, f"{what}: {problem}", advice)


class AdvisedError(ValueError):
    """A mistake whose way out depends on where one stands: in Python it is another than on the command line.

    Args:
        problem: what is wrong and what was given.
        advice: what to do about it in Python.
    """

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}; {advice}")
        self.problem, self.advice = problem, advice


class NoScoresError(AdvisedError):
    """The model's outputs are not what the target, or the task, asks of them."""


class UnreadableOutputError(ValueError):
    """A layer's output cannot be read as channels with positions.

    Args:
        returned: what it is, why it cannot be read and what to do.
    """

    def __init__(self, returned: str) -> None:
        super().__init__(f"the layer returns {returned}")
        self.returned = returned


class NoReLUError(AdvisedError):
    """A rule for ReLUs was asked for, and the graph has none."""


class MeaninglessMapWarning(UserWarning):
    """Some maps of a call mean nothing; ``Explanation.notes`` says which and why."""


class ContainerLayerWarning(UserWarning):
    """A container of layers was given as ``target_layers`` by itself, which other packages take as a list of layers."""


def frames_of_ours() -> int:
    """Return how many callers, one after the other, belong to this package: a warning names the line behind them."""
    frame, count = sys._getframe(1), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]
    return count
