"""Which pictures of a run are explained, by what the network sees in them: the wrong ones, the uncertain ones ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.targets.class_names import find_class

WRONG, RIGHT, CONFIDENT, UNCERTAIN, CLASS = "wrong", "right", "confident", "uncertain", "class"
_LEAST_CONFIDENT, _MOST_UNCERTAIN = 0.9, 0.5  # of the top class's share


@dataclass(frozen=True)
class Selection:
    """One condition on a picture.

    Attributes:
        kind: "wrong" or "right" (the top class is not, or is, the label), "confident" (its share is ``limit`` or more),
            "uncertain" (it is less), "class" (it is ``name``).
        limit: a share in [0, 1].
        name: a class, its name or index.
    """

    kind: str
    limit: float = 0.0
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read what is typed: ``wrong``, ``confident``, ``uncertain=0.3``, ``class=dog``.

        Raises:
            ValueError: for anything else.
        """
        kind, equals, value = text.partition("=")
        if kind in (WRONG, RIGHT) and not equals:
            return cls(kind)
        if kind == CLASS and value:
            return cls(kind, name=value)
        if kind in (CONFIDENT, UNCERTAIN):
            default = _LEAST_CONFIDENT if kind == CONFIDENT else _MOST_UNCERTAIN
            try:
                limit = float(value) if equals else default
            except ValueError:
                limit = -1.0
            if 0 <= limit <= 1:
                return cls(kind, limit)
        raise ValueError(
            f"{text!r} chooses no pictures; give wrong, right, confident, uncertain (with a share: uncertain=0.3) or "
            "class=NAME"
        )

    def needs_label(self) -> bool:
        """Say whether it asks for what a picture is known to show."""
        return self.kind in (WRONG, RIGHT)

    def takes(
        self, predicted: Sequence[tuple[int, float]], label: int | None, categories: tuple[str, ...] | None
    ) -> bool:
        """Say whether a picture is to be explained.

        Args:
            predicted: classes with their shares, the highest first.
            label: what it shows, as an index; None if nobody knows: then it is neither right nor wrong.
            categories: names of the classes.
        """
        if not predicted:
            return False
        top, share = predicted[0]
        if self.needs_label():
            return label is not None and (top == label) is (self.kind == RIGHT)
        if self.kind == CLASS:
            return top == find_class(self.name, categories)
        return (share >= self.limit) is (self.kind == CONFIDENT)
