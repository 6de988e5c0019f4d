"""Exception and warning classes of our own, each also the built-in class that its kind of mistake has.

Whoever handles one of them looks at its class or its attributes, never at its words.
"""

from __future__ import annotations


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
