"""The trade-off plot."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pytorch_grad_cam.evaluation.scatter import HEIGHT, WIDTH, Axis, Interval, Point, scatter

SVG = "{http://www.w3.org/2000/svg}"


def drawn(points: list[Point], x: Axis, y: Axis) -> ElementTree.Element:
    return ElementTree.fromstring(scatter(points, x, y, standalone=True))


def at(value: float) -> Interval:
    return Interval(value, value - 0.1, value + 0.1)


def places(tree: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in tree.iter(f"{SVG}circle")]


def test_better_is_up_and_right_also_where_less_is_better() -> None:
    points = [Point("good", at(0.9), at(0.1)), Point("bad", at(0.2), at(0.7))]
    (good, bad) = places(drawn(points, Axis("gridpg"), Axis("deletion", False)))
    assert good[0] > bad[0]
    assert good[1] < bad[1]
    (good, bad) = places(drawn(points, Axis("deletion", False), Axis("gridpg")))
    assert good[0] < bad[0]  # 0.9 is worse than 0.2
    assert good[1] > bad[1]


def test_cost_is_logarithmic_and_grows_to_the_right() -> None:
    points = [Point(str(cost), Interval(cost, cost, cost), at(0.5)) for cost in (1.0, 10.0, 100.0)]
    (one, ten, hundred) = places(drawn(points, Axis("ms", cost=True), Axis("gridpg")))
    assert ten[0] - one[0] == pytest.approx(hundred[0] - ten[0], abs=0.2)
    assert one[0] < ten[0]


def test_names_do_not_cover_one_another() -> None:
    points = [Point(f"method{index}", at(0.5 + index / 500), at(0.5)) for index in range(12)]
    labels = [
        label for label in drawn(points, Axis("a"), Axis("b")).iter(f"{SVG}text") if "name" in label.get("class", "")
    ]
    centres = [(float(label.attrib["x"]), float(label.attrib["y"])) for label in labels]
    assert len(labels) == 12
    for index, (x, y) in enumerate(centres):
        assert all(abs(x - other) > 40 or abs(y - down) > 12 for other, down in centres[:index])
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT


def test_one_point_and_a_name_with_markup() -> None:
    tree = drawn([Point('<b>"&', at(0.0), Interval(0.0, 0.0, 0.0), reference=True)], Axis("<x>"), Axis("y"))
    (title,) = tree.iter(f"{SVG}title")
    assert title.text is not None
    assert title.text.startswith('<b>"&: <x> 0 (-0.1 to 0.1)')


def test_no_point() -> None:
    with pytest.raises(ValueError, match="one point or more"):
        scatter([], Axis("x"), Axis("y"))
