"""One class against another, as a question about a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.classes import find_class, named


@dataclass(frozen=True)
class Contrast:
    """What makes it the first class rather than the second: indices of two classes."""

    first: int
    second: int

    def name(self, categories: tuple[str, ...] | None) -> str:
        """Write it for people."""
        return f"{named(self.first, categories)} rather than {named(self.second, categories)}"


def contrast_of(texts: Sequence[str] | None, categories: tuple[str, ...] | None, task: str) -> Contrast | None:
    """Turn what was typed after --contrast, if anything, into two classes.

    Raises:
        ValueError: if there is no such class (see `find_class`), if both are the same, or if the network does not
            classify.
    """
    if texts is None:
        return None
    if task != "classification":
        raise ValueError(f"--contrast compares two classes of a picture; it does not go with {task}; take --target")
    first, second = (find_class(text, categories) for text in texts)
    if first == second:
        raise ValueError(f"--contrast names {named(first, categories)} twice; give two different classes")
    return Contrast(first, second)
