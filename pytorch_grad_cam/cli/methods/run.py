"""The verb ``methods``: what there is to choose from. Loads no torch, so that it answers at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytorch_grad_cam.methods import METHODS

LEGEND = """
passes per picture: F, B: forward and backward through the network; Ft, Bt: only through what follows the layer;
                    K: channels of the layer, n: its positions, N: changed pictures

for networks with what is in brackets only: {special}"""


def methods() -> int:
    """Print every method: name, what is highlighted, passes, source."""
    rows = [("method", "highlights", "passes", "source")]
    rows += [(method.name, method.summary, method.passes, method.source) for method in METHODS.values()]
    for line in table(rows):
        print(line)
    print(LEGEND.format(special=special_methods()))
    return 0


def special_methods(but: Collection[str] = ()) -> str:
    """Name the methods, but for those named, that do not go with every network, and what they need."""
    names: dict[str, list[str]] = {}
    for method in METHODS.values():
        if method.needs and method.name not in but:
            names.setdefault(method.needs, []).append(method.name)
    return "; ".join(f"{', '.join(each)} ({need})" for need, each in names.items())


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the columns of rows of texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
