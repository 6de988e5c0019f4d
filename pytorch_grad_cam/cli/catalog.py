"""The verb ``methods``: what there is to choose from. Loads no torch, so that it answers at once."""

from __future__ import annotations

from collections.abc import Sequence

from pytorch_grad_cam.methods import METHODS

LEGEND = """
passes per picture: F, B: forward and backward through the network; Ft, Bt: only through what follows the layer;
                    K: channels of the layer"""


def methods() -> int:
    """Print every method: name, what is highlighted, passes, source."""
    rows = [("method", "highlights", "passes", "source")]
    rows += [(method.name, method.summary, method.passes, method.source) for method in METHODS.values()]
    for line in table(rows):
        print(line)
    print(LEGEND)
    return 0


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the columns of rows of texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
