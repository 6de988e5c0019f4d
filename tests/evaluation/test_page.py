"""The page of a comparison: what stands in the file. What it does is in test_page_in_browser."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from helpers.comparison_data import comparison_data
from helpers.parsed_page import Parsed

from pytorch_grad_cam.evaluation.page import disagreements, page


def _outside_plots(parsed: Parsed) -> list[str]:
    return [name for name, _ in parsed.elements if name not in ("path", "text")]


def test_nothing_is_fetched() -> None:
    parsed = Parsed(page(comparison_data()))
    fetching = [attributes.get(name) for _, attributes in parsed.elements for name in ("src", "href", "srcset", "data")]
    assert {address for address in fetching if address and not address.startswith("#")} == {"data:,"}
    assert "default-src 'none'" in next(a["content"] or "" for t, a in parsed.elements if "http-equiv" in a)


def test_what_users_named_is_text() -> None:
    data = comparison_data(hostile=True)
    plain, hostile = Parsed(page(comparison_data())), Parsed(page(data))
    assert _outside_plots(hostile) == _outside_plots(plain)  # where a label lies depends on its length
    assert len(hostile.scripts) == 2
    assert json.loads(hostile.scripts[0])["images"] == data["images"]
    assert data["verdicts"][0]["answer"] in "".join(hostile.words)


def test_a_name_may_look_like_a_place_of_the_template() -> None:
    data = comparison_data() | {"model": "@@DATA@@"}
    assert page(data).count("@@DATA@@") == 3  # the title, the heading, the sentence below


def test_numbers_intervals_and_how_many() -> None:
    data = comparison_data()
    score = data["rows"][0]["scores"]["insertion"]
    text = page(data)
    assert f"<b>{score['value']:.3g}</b>" in text
    assert f"{score['low']:.3g} to {score['high']:.3g}; of 5, 1 not judged" in text
    assert "not shown better than random" in text
    assert len(re.findall("not shown better than", text)) == 1  # only of the last method it is not decided
    for words in ("steps", "28", "somebody, 2020", "resamples", "2000", "more is better", "less is better"):
        assert words in text


def test_what_was_not_measured_says_why() -> None:
    data = comparison_data()
    row = data["rows"][1]
    row["scores"].pop("gridpg")
    row["scores"]["deletion"] |= {"value": None, "low": None, "high": None, "judged": 0, "reason": "all maps are blank"}
    row |= {"forward": None, "backward": None, "reason": "needs attention"}
    text = page(data)
    assert all(words in text for words in ("not measured", "all maps are blank", "needs attention"))


def test_plots_are_of_every_pair() -> None:
    text = page(comparison_data())
    pairs = set(re.findall(r'data-up="(\w+)" data-across="([\w ]+)"', text))
    assert pairs == {(up, across) for up in ("insertion", "deletion") for across in ("gridpg", "ms per map")}
    data = comparison_data()
    data.pop("times")
    assert 'data-across="passes per map"' in page(data)


def test_a_picture_must_be_in_the_page() -> None:
    data = comparison_data()
    data["pictures"][2]["maps"]["random"] = "https://example.org/map.png"
    with pytest.raises(ValueError, match=r"photo002.*data URL"):
        page(data)


def test_without_pictures() -> None:
    data = comparison_data()
    data.pop("pictures")
    assert json.loads(Parsed(page(data)).scripts[0])["pictures"] == [None] * 6


def test_a_metric_of_whole_data_sets_has_no_number_of_a_picture() -> None:
    data = comparison_data()
    for row in data["rows"]:
        row["scores"]["gridpg"]["values"] = [[0.5, 0.7], [None, 0.1], *[[1.0, 1.0]] * 4]
    parsed = json.loads(Parsed(page(data)).scripts[0])
    assert parsed["rows"][0]["values"]["gridpg"] == [None] * 6
    assert parsed["apart"]["gridpg"] == [None] * 6


def test_disagreements() -> None:
    """By hand: two metrics, three pictures, two methods and a reference map that does not count."""
    values = {"a": ([0.0, 1.0, None], [0.0, 0.0, 5.0]), "b": ([0.0, 4.0, 1.0], [2.0, 0.0, 1.0])}
    data = {
        "images": [{}, {}, {}],
        "metrics": [{"name": "a"}, {"name": "b"}],
        "rows": [
            {"kind": "method", "scores": {name: {"values": pair[row]} for name, pair in values.items()}}
            for row in range(2)
        ]
        + [{"kind": "reference", "scores": {name: {"values": [9.0, 9.0, 9.0]} for name in values}}],
    }
    apart = disagreements(data)
    assert apart["a"] == [0.0, 1.0, None]
    assert apart["b"] == [2.0, 4.0, 0.0]
    np.testing.assert_allclose(apart[""], [(0 + 1) / 2, (2 + 2) / 2, 0])  # a: mean 0.5, b: mean 2
