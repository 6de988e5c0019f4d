"""A trade-off plot as SVG: two numbers of each method with their intervals, without any plotting package.

Better is always up and, of a metric on the horizontal axis, to the right: the axis of a metric of which less is better
is turned. A cost grows to the right, on a logarithmic axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from typing import NamedTuple

WIDTH, HEIGHT = 640, 440
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 48
Box = tuple[float, float, float, float]  # left, top, right, bottom
LONGEST = 30  # letters of a label; the title has them all
LETTER, LINE = 5.9, 13.0  # of a label: width and height in units of the picture

STYLE = """<style>
.axis,.grid,.bar,.leader{stroke:#6b7280;stroke-width:1;fill:none}.grid{stroke:#6b72802e}.leader{stroke-width:.6}
.point{fill:#2563eb}.point.reference{fill:none;stroke:#b45309;stroke-width:1.6}.bar{opacity:.45}
text{font:11px system-ui,sans-serif;fill:#1f2937}.name.reference{fill:#b45309}.back{fill:#fff}
@media (prefers-color-scheme:dark){.back{fill:#0f1420}text{fill:#e5e7eb}.point{fill:#7cb2ff}
.point.reference{stroke:#f0b35c}.name.reference{fill:#f0b35c}.axis,.bar,.leader{stroke:#9ca3af}}
</style>"""


class Interval(NamedTuple):
    """A number and the interval around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        name: in words.
        higher_is_better: False turns a metric's axis.
        cost: on a logarithmic axis that is not turned.
    """

    name: str
    higher_is_better: bool | None = True
    cost: bool = False

    @property
    def turned(self) -> bool:
        return self.higher_is_better is False and not self.cost

    @property
    def words(self) -> str:
        if self.cost:
            return f"{self.name} (less is better)"
        return (
            self.name
            + {True: " (more is better)", False: " (less is better; axis turned)", None: ""}[self.higher_is_better]
        )


@dataclass(frozen=True)
class Point:
    """A method or a reference map: its name and two intervals."""

    name: str
    x: Interval
    y: Interval
    reference: bool = False


def scatter(points: Sequence[Point], x: Axis, y: Axis, *, standalone: bool = False) -> str:
    """Draw a trade-off plot.

    Args:
        points: at least one; of a cost above 0.
        x: the horizontal axis.
        y: the vertical axis.
        standalone: a file of its own, with its colours, light and dark; else they are the page's.

    Returns:
        SVG. What is written there is escaped.

    Raises:
        ValueError: if there is no point.
    """
    if not points:
        raise ValueError("a plot needs one point or more; there is no method with both numbers")
    across = _Scale(x, [point.x for point in points], LEFT, WIDTH - RIGHT)
    along = _Scale(y, [point.y for point in points], HEIGHT - BOTTOM, TOP)
    title = escape(f"{y.words} against {x.words}")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="scatter" '
        f'aria-label="{title}">'
    )
    back = f'{STYLE}<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>' if standalone else ""
    return head + back + "".join(_frame(across, along, x, y)) + "".join(_marks(points, across, along)) + "</svg>"


class _Scale:
    """From numbers to places along an axis."""

    def __init__(self, axis: Axis, intervals: Sequence[Interval], start: float, end: float) -> None:
        self.axis, (self.start, self.end) = axis, (end, start) if axis.turned else (start, end)
        numbers = [number for interval in intervals for number in interval]
        low, high = min(numbers), max(numbers)
        if axis.cost:
            self.low, self.high = math.log10(low / 1.3), math.log10(high * 1.3)
            first, last = math.floor(self.low), math.ceil(self.high)
            steps = (1, 2, 5) if last - first <= 3 else (1,)
            ticks = [factor * 10.0**power for power, factor in product(range(first, last + 1), steps)]
        else:
            spare = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
            self.low, self.high = low - spare, high + spare
            step = _step(self.high - self.low)
            ticks = [step * count for count in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        self.ticks = [tick for tick in ticks if self.low <= self._plain(tick) <= self.high]

    def _plain(self, number: float) -> float:
        return math.log10(number) if self.axis.cost else number

    def __call__(self, number: float) -> float:
        share = (self._plain(number) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def _step(length: float) -> float:
    """Return a round step that goes into a length about five times."""
    power = 10.0 ** math.floor(math.log10(length / 5))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= length / 5)


def _frame(across: _Scale, along: _Scale, x: Axis, y: Axis) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in across.ticks:
        place = across(tick)
        yield f'<path class="grid" d="M{place:.1f} {TOP}V{bottom}"/>'
        yield f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.4g}</text>'
    for tick in along.ticks:
        place = along(tick)
        yield f'<path class="grid" d="M{LEFT} {place:.1f}H{right}"/>'
        yield f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{round(tick, 10):.4g}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
    yield f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x.words)}</text>'
    middle = (TOP + bottom) / 2
    yield f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y.words)}</text>'


def _marks(points: Sequence[Point], across: _Scale, along: _Scale) -> Iterator[str]:
    places = [(across(point.x.value), along(point.y.value)) for point in points]
    taken = [(left - 4, top - 4, left + 4, top + 4) for left, top in places]
    lines = [line for point in points for line in _lines(point, across, along)]
    for point, (left, top) in zip(points, places, strict=True):
        kind = " reference" if point.reference else ""
        says = f"{point.name}: {_words(across.axis, point.x)}; {_words(along.axis, point.y)}"
        yield f'<g tabindex="0" class="method" data-row="{escape(point.name)}"><title>{escape(says)}</title>'
        yield f'<path class="bar" d="M{across(point.x.low):.1f} {top:.1f}H{across(point.x.high):.1f}'
        yield f'M{left:.1f} {along(point.y.low):.1f}V{along(point.y.high):.1f}"/>'
        yield f'<circle class="point{kind}" cx="{left:.1f}" cy="{top:.1f}" r="3.6"/>'
        yield from _label(point, (left, top), taken, lines, kind)
        yield "</g>"


def _words(axis: Axis, interval: Interval) -> str:
    return f"{axis.name} {interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _lines(point: Point, across: _Scale, along: _Scale) -> Iterator[Box]:
    """Return where the two lines of intervals are."""
    left, right = sorted((across(point.x.low), across(point.x.high)))
    top, bottom = sorted((along(point.y.low), along(point.y.high)))
    yield left, along(point.y.value) - 1, right, along(point.y.value) + 1
    yield across(point.x.value) - 1, top, across(point.x.value) + 1, bottom


def _label(
    point: Point, place: tuple[float, float], taken: list[Box], lines: Sequence[Box], kind: str
) -> Iterator[str]:
    """Write the name near its point, where nothing is yet; else over lines; without room in the title alone."""
    name = point.name if len(point.name) <= LONGEST else f"{point.name[: LONGEST - 3]}..."
    width = LETTER * len(name)
    for avoided, away, (right, down) in product((lines, ()), (7, 16, 28, 42, 58), _DIRECTIONS):
        middle = place[0] + right * (away + width / 2), place[1] + down * (away + LINE / 3)
        box = middle[0] - width / 2, middle[1] - LINE / 2, middle[0] + width / 2, middle[1] + LINE / 2
        inside = box[0] > LEFT and box[2] < WIDTH and box[1] > 0 and box[3] < HEIGHT - BOTTOM
        if inside and not any(_meet(box, other) for other in (*taken, *avoided)):
            taken.append(box)
            if away > 7:
                near = min(max(place[0], box[0]), box[2]), min(max(place[1], box[1]), box[3])
                yield f'<path class="leader" d="M{place[0]:.1f} {place[1]:.1f}L{near[0]:.1f} {near[1]:.1f}"/>'
            at = f'x="{middle[0]:.1f}" y="{middle[1] + 4:.1f}"'
            yield f'<text class="name{kind}" {at} text-anchor="middle">{escape(name)}</text>'
            return


_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (0.7, -0.7), (0.7, 0.7), (-0.7, -0.7), (-0.7, 0.7))


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
