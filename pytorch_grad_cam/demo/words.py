"""What the page of the demo says: prediction bars, notes and errors as HTML, and what its lists offer."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pytorch_grad_cam.engine.executed_layers import LayerReport
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture
from pytorch_grad_cam.targets.class_choices import class_label, class_name

TOP_CLASS, NO_CLASS, AUTOMATIC = "(top class)", "(nothing)", "(automatic choice)"
Choice = tuple[str, str]  # what is read, and what is sent


def typed(value: object, empty: str) -> str:
    """Return what was chosen or typed in a list; empty for nothing, and for the entry that stands for nothing."""
    text = "" if value is None else str(value).strip()
    return "" if text == empty else text


def bars(found: ExplainedPicture, shares: bool) -> str:
    """Return what the network sees as bars.

    Args:
        found: the answer.
        shares: whether its numbers are shares, in [0, 1]; others are drawn relative to the largest.
    """
    if not found.predicted:
        return '<p class="cam-quiet">The network is sure of nothing that it knows.</p>'
    largest = 1.0 if shares else max(max(number for _, number in found.predicted), 1e-12)
    rows = []
    for index, number in found.predicted:
        width = 100 * min(max(number / largest, 0.0), 1.0)
        text = f"{100 * number:.1f} %" if shares else f"{number:.3g}"
        rows.append(
            f'<li><span class="cam-name">{html.escape(_named(index, found))}</span><span class="cam-number">{text}'
            f'</span><span class="cam-bar"><span style="width:{width:.1f}%"></span></span></li>'
        )
    return f'<ol class="cam-bars">{"".join(rows)}</ol>'


def caption(found: ExplainedPicture, seconds: float) -> str:
    """Return what the map is of, how it was made, and what is wrong with it."""
    first = found.maps[0]
    more = len(found.maps) - 1
    others = f" The first of {more + 1} that were found." if more else ""
    signs = " Red speaks for the first class, blue for the second." if first.signed else ""
    method = METHODS[first.method]
    place = f" at {', '.join(first.layers)}" if first.layers else ""
    notes = "".join(f'<p class="cam-note">{html.escape(note)}</p>' for note in first.notes)
    return (
        f"<h3>{html.escape(found.title())}</h3>{notes}"
        f'<p class="cam-quiet">{html.escape(f"{method.class_name}{place}: {method.summary}.{signs}{others}")} '
        f"{html.escape(method.source)}. {seconds:.2f} s.</p>"
    )


def problem(sentence: str) -> str:
    """Return why there is no map."""
    return f'<p class="cam-note" role="alert">{html.escape(sentence)}</p>'


def class_list(found: ExplainedPicture | None, nothing: str) -> list[Choice]:
    """Return the classes that are offered: ``nothing``, and what the network sees."""
    seen = dict.fromkeys(index for index, _ in (() if found is None else found.predicted))
    return [(nothing, nothing), *((_named(index, found), str(index)) for index in seen if found is not None)]


def layer_list(layers: Sequence[LayerReport]) -> list[Choice]:
    """Return the layers that are offered, each with its type and the shape of what it returns."""
    return [(AUTOMATIC, AUTOMATIC), *((_layer(report), report.name) for report in layers)]


def method_list() -> list[Choice]:
    """Return the methods that are offered, by the names of their classes."""
    return [(method.class_name, name) for name, method in METHODS.items() if name == method.name]


def _layer(report: LayerReport) -> str:
    shape = "" if report.shape is None else f", {' x '.join(map(str, report.shape))}"
    return f"{report.name} ({report.kind}{shape})"


def _named(index: int, found: ExplainedPicture) -> str:
    return class_name(index, found.categories) or class_label(index, found.categories)
