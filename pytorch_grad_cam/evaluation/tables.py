"""A comparison as a table for people, as CSV, as HTML and as data."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytorch_grad_cam.evaluation.families import family_of, parameters_of
from pytorch_grad_cam.evaluation.statistics import Interval

if TYPE_CHECKING:
    from pytorch_grad_cam.evaluation.comparison import Comparison
    from pytorch_grad_cam.evaluation.rows import Row

FORMAT = 1
_TITLE = 14  # characters of a line of a title
_ARROWS = {True: "↑", False: "↓", None: ""}


def text_table(comparison: Comparison) -> str:
    """Align means with half the width of their intervals, a line for each row; rows without maps stand below."""
    made = [row for row in comparison.rows if row.maps]
    titles = [f"{name} {_ARROWS[metric.higher_is_better]}".strip() for name, metric in comparison.metrics.items()]
    lines = _headings(["", *titles, "passes", "ms/map"])
    lines += [[row.id, *_cells(comparison, row), _passes(row), _milliseconds(row)] for row in made]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        (first, width), *rest = zip(line, widths, strict=True)
        text.append("  ".join([first.ljust(width), *(cell.rjust(room) for cell, room in rest)]).rstrip())
    text += [f"{row.id}: {row.reason}" for row in comparison.rows if row.reason]
    return "\n".join([*text, *_failures(made)])


def _failures(rows: Sequence[Row]) -> list[str]:
    """Say why metrics could not be measured; once, where it is the same for all."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for metric, why in row.reasons.items():
            found.setdefault((metric, why), []).append(row.id)
    lines = []
    for (metric, why), ids in found.items():
        of = "" if len(ids) == len(rows) else f" of {', '.join(ids)}"
        lines.append(f"{metric}{of}: {why}")
    return lines


def _headings(titles: Sequence[str]) -> list[list[str]]:
    """Break long titles behind their underscores, so that columns stay narrow; all end in the last line."""
    broken = []
    for title in titles:
        parts: list[str] = []
        for word in re.split(r"(?<=_)|(?<= )(?=\()", title):
            if parts and len(parts[-1] + word) <= _TITLE:
                parts[-1] += word
            else:
                parts.append(word)
        broken.append(parts)
    height = max(map(len, broken))
    return [list(line) for line in zip(*([""] * (height - len(parts)) + parts for parts in broken), strict=True)]


def html_table(comparison: Comparison) -> str:
    """Return the same as HTML, with the sentences below, for notebooks."""
    head = [f"{name} {_ARROWS[metric.higher_is_better]}" for name, metric in comparison.metrics.items()]
    rows = [
        [row.id, *_cells(comparison, row), _passes(row), _milliseconds(row)]
        if row.maps
        else [row.id, html.escape(row.reason or "")]
        for row in comparison.rows
    ]
    body = "".join(f"<tr>{_row_html(cells, len(head) + 2)}</tr>" for cells in rows)
    titles = "".join(f"<th>{html.escape(title)}</th>" for title in ["", *head, "passes", "ms/map"])
    said = "".join(
        f"<li><b>{html.escape(question)}</b> {html.escape(answer)}</li>" for question, answer in comparison.verdicts()
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table><ul>{said}</ul>"


def csv_text(comparison: Comparison) -> str:
    """Return a line for each image and row."""
    names = list(comparison.metrics)
    scalar = [name for name in names if all(row.values[name].ndim == 1 for row in comparison.rows)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "class", "label", "method", "layers", "kind", *scalar])
    for index, image in enumerate(comparison.images):
        for row in comparison.rows:
            about = [image.id, _or_empty(image.category), _or_empty(image.label)]
            values = [_or_empty(_number(row.values[name][index])) for name in scalar]
            writer.writerow([*about, row.method, "+".join(row.layers), row.kind, *values])
    return out.getvalue()


def as_data(comparison: Comparison, times: bool) -> dict[str, Any]:
    """Return what `evaluation.comparison` describes."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "model": comparison.model,
        "settings": dict(comparison.settings),
        "images": [
            {"id": image.id, "class": image.category, "label": image.label, "score": _number(image.score)}
            for image in comparison.images
        ],
        "metrics": [
            {
                "name": name,
                "family": family_of(metric),
                "higher_is_better": metric.higher_is_better,
                "range": [_number(end) for end in metric.range],
                "summary": (type(metric).__doc__ or "").strip().partition("\n")[0],
                "parameters": parameters_of(metric),
                "source": metric.source,
            }
            for name, metric in comparison.metrics.items()
        ],
        "rows": [_row_data(comparison, row) for row in comparison.rows],
        "differences": [
            {"metric": name, "first": first, "second": second} | _pair_data(interval) | {"better": better}
            for name in comparison.metrics
            for first, second, interval, better in comparison.differences(name)
        ],
        "verdicts": [{"question": question, "answer": answer} for question, answer in comparison.verdicts()],
    }
    if times:
        data["times"] = {row.id: row.milliseconds for row in comparison.rows if row.milliseconds is not None}
    return data


def _row_data(comparison: Comparison, row: Row) -> dict[str, Any]:
    scores = {}
    for name in comparison.metrics:
        interval = comparison.interval(row.id, name)
        scores[name] = {
            "value": _number(interval.value),
            "low": _number(interval.low),
            "high": _number(interval.high),
            "judged": interval.judged,
            "not_judged": len(comparison.images) - interval.judged,
            "reason": row.reasons.get(name),
            "values": _numbers(row.values[name].tolist()),
        }
    about = ("id", "method", "layers", "kind", "reason", "maps", "forward", "backward")
    data = {name: getattr(row, name) for name in about}
    return data | {"layers": list(row.layers), "scores": scores}


def _pair_data(interval: Interval) -> dict[str, Any]:
    ends = {"value": _number(interval.value), "low": _number(interval.low), "high": _number(interval.high)}
    return ends | {"pictures": interval.judged}


def _cells(comparison: Comparison, row: Row) -> list[str]:
    """Write each mean with its interval's larger half, and of how many images it is where not all were judged."""
    cells = []
    for name in comparison.metrics:
        interval = comparison.interval(row.id, name)
        missing = len(comparison.images) - interval.judged
        half = max(interval.high - interval.value, interval.value - interval.low)
        text = "-" if math.isnan(interval.value) else f"{_short(interval.value)}"
        text += "" if math.isnan(half) else f" ±{_short(half)}"
        cells.append(text + (f" n={interval.judged}" if missing and interval.judged else ""))
    return cells


def _short(value: float) -> str:
    """Write a number with as many digits as a table has room for."""
    if value == 0 or 0.001 <= abs(value) < 100:
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.1e}"


def _passes(row: Row) -> str:
    if not row.maps or row.forward is None or row.backward is None or not (row.forward or row.backward):
        return "-"
    parts = [
        f"{count:g} {letter}"
        for count, letter in ((round(row.forward, 1), "F"), (round(row.backward, 1), "B"))
        if count
    ]
    return " + ".join(parts)


def _milliseconds(row: Row) -> str:
    return "-" if row.milliseconds is None else f"{row.milliseconds:.1f}"


def _row_html(cells: Sequence[str], width: int) -> str:
    if len(cells) == 2:  # a row without maps
        return f"<td>{html.escape(cells[0])}</td><td colspan={width}>{cells[1]}</td>"
    return "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)


def _number(value: Any) -> Any:
    """Return a number as JSON can write it: None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def _numbers(values: Any) -> Any:
    return [_numbers(value) for value in values] if isinstance(values, list) else _number(values)


def _or_empty(value: Any) -> Any:
    return "" if value is None else value
