"""Notes: why a map means nothing, in words and as a code that programs can compare."""

from __future__ import annotations

from typing import Self

# What is wrong with a map. The words of a note may change, its code does not.
NONFINITE = "nonfinite"  # NaN or infinity, counted as 0
ZERO_GRADIENT = "zero gradient"
ZERO_ATTRIBUTION = "zero attribution"
CANCELLED = "cancelled"  # the channels cancel, what is left is rounding
ONE_POSITION = "one position"
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
