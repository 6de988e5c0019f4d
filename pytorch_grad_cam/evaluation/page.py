"""The page of a comparison: one HTML file that needs nothing else, and asks nobody for anything.

Table, plots, sentences and parameters are written here and are there without a script; `assets/page.js` sorts, filters
and draws the pictures, a few at a time, from one block of JSON. All that users named themselves is escaped, and the
page's policy lets no other script run and no request leave.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pytorch_grad_cam.common.web_page import content_policy, fill, json_for_script, read_assets
from pytorch_grad_cam.evaluation.scatter import Axis, Interval, Point, scatter

_ASSETS = "evaluation/assets"


def page(data: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Write a comparison as a page.

    Args:
        data: what ``Comparison.as_dict(times=True)`` returns; without times the plots of cost count passes.
        pictures: per picture ``{"id": ..., "image": DATA_URL, "maps": {ROW_ID: DATA_URL}}``, see
            ``evaluation.comparison``; None: those in ``data``, if any. Those that are missing are left out.

    Returns:
        HTML, to be written as UTF-8.

    Raises:
        ValueError: for an image that is no data URL: the page would have to fetch it.
    """
    shown = list(data.get("pictures", []) if pictures is None else pictures)
    _check_pictures(shown)
    script = read_assets("common/assets/elements.js", f"{_ASSETS}/page.js")
    style = read_assets("common/assets/page.css", f"{_ASSETS}/page.css")
    parts = {
        "POLICY": content_policy(script, style),
        "TITLE": escape(f"Which map is any good? {data['model']}"),
        "STYLE": style,
        "LEAD": escape(_lead(data)),
        "VERDICTS": "".join(_verdicts(data["verdicts"])),
        "FAMILIES": "".join(
            f"<option>{escape(family)}</option>"
            for family in dict.fromkeys(metric["family"] for metric in data["metrics"])
        ),
        "TABLE": "".join(_table(data)),
        "PLOTS": _plots(data),
        "PAIRS": "".join(_pairs(data)),
        "PARAMETERS": "".join(_parameters(data)),
        "DATA": json_for_script(_for_script(data, shown)),
        "SCRIPT": script,
    }
    return fill(read_assets(f"{_ASSETS}/page.html"), parts)


def disagreements(data: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Say how far methods are apart about each picture, reference maps left out.

    Of a metric: the largest minus the smallest value. Of all together, under "": the mean over the metrics, each
    divided by its own mean over the pictures. None where fewer than two methods were judged.
    """
    methods = [row for row in data["rows"] if row["kind"] == "method"]
    apart: dict[str, list[float | None]] = {}
    shares = []
    for metric in data["metrics"]:
        lists = [_per_picture(row["scores"][metric["name"]]) for row in methods if metric["name"] in row["scores"]]
        spread = np.array([_spread(values) for values in zip(*lists, strict=True)], dtype=np.float64)
        apart[metric["name"]] = _list(spread) if len(spread) else [None] * len(data["images"])
        if np.nansum(spread) > 0:
            shares.append(spread / np.nanmean(spread))
    together = np.array(shares).reshape(-1, len(data["images"]))
    judged = np.isfinite(together)
    means = np.where(judged, together, 0).sum(0) / np.where(judged.any(0), judged.sum(0), np.nan)
    return {"": _list(means), **apart}


def _per_picture(score: Mapping[str, Any]) -> list[float | None]:
    """Return the numbers of the pictures. Of a measure of whole data sets a picture has statistics, and no number."""
    return [None if isinstance(value, list) else value for value in score["values"]]


def _spread(values: Sequence[float | None]) -> float:
    judged = [value for value in values if value is not None]
    return max(judged) - min(judged) if len(judged) > 1 else float("nan")


def _list(numbers: Any) -> list[float | None]:
    return [float(number) if np.isfinite(number) else None for number in numbers]


def _check_pictures(pictures: Sequence[Mapping[str, Any]]) -> None:
    for picture in pictures:
        for url in (picture["image"], *picture["maps"].values()):
            if not url.startswith("data:image/"):
                raise ValueError(f"the picture {picture['id']!r} is {url[:60]!r}; give a data URL (data:image/...)")


def _for_script(data: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_id = {picture["id"]: picture for picture in pictures}
    return {
        "images": data["images"],
        "pictures": [by_id.get(image["id"]) for image in data["images"]],
        "metrics": [
            {name: metric[name] for name in ("name", "family", "higher_is_better")} for metric in data["metrics"]
        ],
        "rows": [
            {
                "id": row["id"],
                "kind": row["kind"],
                "values": {name: _per_picture(score) for name, score in row["scores"].items()},
            }
            for row in data["rows"]
        ],
        "apart": disagreements(data),
    }


def _lead(data: Mapping[str, Any]) -> str:
    methods = sum(row["kind"] == "method" for row in data["rows"])
    confidence = data["settings"].get("confidence")
    interval = f", with intervals of {confidence:.0%}" if confidence else ""
    return (
        f"{data['model']}: {_count(methods, 'method')}, {_count(len(data['images']), 'picture')}, "
        f"{_count(len(data['metrics']), 'metric')}{interval}."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _verdicts(verdicts: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for verdict in verdicts:
        yield f"<dt>{escape(verdict['question'])}</dt><dd>{escape(verdict['answer'])}</dd>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


# --- the table


def _table(data: Mapping[str, Any]) -> Iterator[str]:
    metrics, times = data["metrics"], data.get("times")
    yield '<thead><tr><th scope="col"><button type="button" data-key="name">method and layer</button></th>'
    for metric in metrics:
        sign = {True: "↑", False: "↓", None: ""}[metric["higher_is_better"]]
        says = {True: "more is better", False: "less is better", None: "says neither good nor bad"}
        hint = f"{metric['summary']} ({says[metric['higher_is_better']]})"
        yield f'<th scope="col" data-family="{escape(metric["family"])}" title="{escape(hint)}">'
        yield f'<button type="button" data-first="{"up" if metric["higher_is_better"] is False else "down"}">'
        yield f'{escape(metric["name"])} <span aria-hidden="true">{sign}</span></button></th>'
    for name in ("passes", *(["ms per map"] if times else [])):
        yield f'<th scope="col"><button type="button" data-first="up">{name}</button></th>'
    yield "</tr></thead><tbody>"
    ranges = {metric["name"]: _range(data, metric["name"]) for metric in metrics}
    floors = _floors(data)
    for row in data["rows"]:
        yield from _table_row(row, metrics, ranges, floors, times)
    yield "</tbody>"


def _table_row(
    row: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    ranges: Mapping[str, tuple[float, float]],
    floors: Mapping[tuple[str, str], list[str]],
    times: Mapping[str, float] | None,
) -> Iterator[str]:
    yield f'<tr data-kind="{escape(row["kind"])}" data-row="{escape(row["id"])}"><th scope="row">{escape(row["id"])}'
    if row["kind"] == "reference":
        yield " <small>reference map</small>"
    if row["reason"]:
        yield f" <small>{escape(row['reason'])}</small>"
    yield "</th>"
    for metric in metrics:
        score = row["scores"].get(metric["name"])
        yield _score_cell(score, metric, ranges[metric["name"]], floors.get((row["id"], metric["name"]), []))
    passes = None if row["forward"] is None else row["forward"] + (row["backward"] or 0)
    parts = f"<small>{_number(row['forward'])} F + {_number(row['backward'])} B</small>" if passes is not None else ""
    yield f"<td{_value(passes)}>{_number(passes)} {parts}</td>"
    if times:
        yield f"<td{_value(times.get(row['id']))}>{_number(times.get(row['id']))}</td>"
    yield "</tr>"


def _score_cell(
    score: Mapping[str, Any] | None, metric: Mapping[str, Any], whole: tuple[float, float], floors: Sequence[str]
) -> str:
    family = f' data-family="{escape(metric["family"])}"'
    if score is None or score["value"] is None:
        reason = "not measured" if score is None else score.get("reason") or "no picture could be judged"
        return f'<td{family} class="none">-<small>{escape(reason)}</small></td>'
    notes = f"of {score['judged']}"
    if score["not_judged"]:
        notes += f", {score['not_judged']} not judged"
    interval = f"{_number(score['low'])} to {_number(score['high'])}" if score["low"] is not None else "no interval"
    floor = f'<small class="floor">not shown better than {escape(", ".join(floors))}</small>' if floors else ""
    return (
        f"<td{family}{_value(score['value'])}><b>{_number(score['value'])}</b> {_strip(score, whole)}"
        f"<small>{interval}; {notes}</small>{floor}</td>"
    )


def _value(value: float | None) -> str:
    return "" if value is None else f' data-value="{value!r}"'


def _range(data: Mapping[str, Any], metric: str) -> tuple[float, float]:
    scores = [row["scores"][metric] for row in data["rows"] if metric in row["scores"]]
    ends = [score[name] for score in scores for name in ("value", "low", "high") if score[name] is not None]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _strip(score: Mapping[str, Any], whole: tuple[float, float]) -> str:
    """Draw the interval inside those of the whole column."""
    length = whole[1] - whole[0] or 1.0
    value, low, high = (
        2 + 66 * ((score["value"] if score[name] is None else score[name]) - whole[0]) / length
        for name in ("value", "low", "high")
    )
    return (
        f'<svg class="strip" viewBox="0 0 70 8" aria-hidden="true"><path d="M{low:.1f} 4H{high:.1f}"/>'
        f'<circle cx="{value:.1f}" cy="4" r="2.2"/></svg>'
    )


def _floors(data: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return, for each method and metric, the reference maps that it was not shown to be better than."""
    kinds = {row["id"]: row["kind"] for row in data["rows"]}
    found: dict[tuple[str, str], list[str]] = {}
    for pair in data["differences"]:
        against_reference = kinds.get(pair["first"]) == "method" and kinds.get(pair["second"]) == "reference"
        if against_reference and pair["better"] is not True:
            found.setdefault((pair["first"], pair["metric"]), []).append(pair["second"])
    return found


# --- the plots


def _plots(data: Mapping[str, Any]) -> str:
    """Draw faithfulness against localisation and cost: all pairs of metrics; the script shows the chosen ones."""
    by_family: dict[str, list[Mapping[str, Any]]] = {}
    for metric in data["metrics"]:
        by_family.setdefault(metric["family"], []).append(metric)
    upward = by_family.get("faithfulness") or data["metrics"]
    across = [metric for metric in by_family.get("localisation", []) if metric not in upward]
    figures = [
        figure
        for metric in upward
        for figure in (
            *(_figure(data, metric, Axis(other["name"], other["higher_is_better"]), "metric") for other in across),
            _figure(data, metric, Axis("ms per map" if data.get("times") else "passes per map", cost=True), "cost"),
        )
        if figure
    ]
    return "".join(figures) or "<p>There is nothing to plot: no method has two numbers that could be compared.</p>"


def _figure(data: Mapping[str, Any], upward: Mapping[str, Any], across: Axis, kind: str) -> str:
    points = []
    for row in data["rows"]:
        y = _interval(row["scores"].get(upward["name"]))
        x = _cost(data, row) if across.cost else _interval(row["scores"].get(across.name))
        if x is not None and y is not None:
            points.append(Point(row["id"], x, y, row["kind"] == "reference"))
    if not points:
        return ""
    drawn = scatter(points, across, Axis(upward["name"], upward["higher_is_better"]))
    names = f'data-up="{escape(upward["name"])}" data-across="{escape(across.name)}" data-kind="{kind}"'
    best = "top left" if across.cost else "top right"
    return f"<figure {names}>{drawn}<figcaption>Best is {best}. Lines are intervals.</figcaption></figure>"


def _interval(score: Mapping[str, Any] | None) -> Interval | None:
    if score is None or score["value"] is None:
        return None
    value = score["value"]
    return Interval(value, *(value if score[name] is None else score[name] for name in ("low", "high")))


def _cost(data: Mapping[str, Any], row: Mapping[str, Any]) -> Interval | None:
    if data.get("times"):
        cost = data["times"].get(row["id"])
    else:
        cost = None if row["forward"] is None else row["forward"] + (row["backward"] or 0)
    return Interval(cost, cost, cost) if cost else None  # a reference map costs nothing, which no such axis has


# --- pairs and parameters


def _pairs(data: Mapping[str, Any]) -> Iterator[str]:
    words = {True: "yes", False: "no, worse", None: "not decided"}
    for pair in data["differences"]:
        cells = (pair["metric"], pair["first"], pair["second"])
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        yield f"<td>{_number(pair['value'])}</td><td>{_number(pair['low'])} to {_number(pair['high'])}</td>"
        yield f"<td>{pair['pictures']}</td><td>{words[pair['better']]}</td></tr>"


def _parameters(data: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>Of the comparison</h3><dl>"
    for name, value in data["settings"].items():
        yield f"<dt>{escape(str(name))}</dt><dd>{escape(_plain(value))}</dd>"
    yield "</dl><h3>Of the metrics</h3>"
    for metric in data["metrics"]:
        direction = {True: "more is better", False: "less is better", None: "neither good nor bad"}
        low, high = (_number(end) if end is not None else "no limit" for end in metric["range"])
        yield f"<h4>{escape(metric['name'])}</h4><p>{escape(metric['summary'])}</p><dl>"
        for name, value in metric["parameters"].items():
            yield f"<dt>{escape(str(name))}</dt><dd>{escape(_plain(value))}</dd>"
        yield f"<dt>family</dt><dd>{escape(metric['family'])}; {direction[metric['higher_is_better']]}; "
        yield f"from {low} to {high}</dd><dt>source</dt><dd>{escape(metric['source'])}</dd></dl>"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
