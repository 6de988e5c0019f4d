"""The page of a comparison in Chromium: it sorts, filters, opens pictures, and asks nobody for anything.

``pytest -m browser`` runs these; they fail where Playwright (extra ``browser``) or Chromium is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.chromium import Pages
from helpers.comparison_data import comparison_data

from pytorch_grad_cam.evaluation.page import page

pytestmark = pytest.mark.browser

Open = Callable[..., Any]  # from the page's data to the page in the browser


@pytest.fixture
def show(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a comparison as a page; afterwards no error happened and nothing was asked for but the file itself."""
    file, pages = tmp_path / "evaluation.html", Pages(chromium)

    def shown(data: dict[str, Any], **options: Any) -> Any:
        file.write_text(page(data), encoding="utf-8")
        return pages.open(file, **options)

    yield shown
    pages.close()
    assert not pages.problems
    assert pages.asked_for() == {file.as_uri()}


def first_column(tab: Any) -> list[str]:
    return [text.split("\n")[0] for text in tab.locator("#scores tbody tr:visible th").all_inner_texts()]


def test_sorts(show: Open) -> None:
    tab = show(comparison_data(methods=3))
    as_written = first_column(tab)
    tab.get_by_role("button", name="deletion").click()  # less is better: the smallest first
    assert first_column(tab) == as_written
    assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    tab.get_by_role("button", name="deletion").click()
    assert first_column(tab) == as_written[::-1]
    tab.get_by_role("button", name="insertion").click()  # the largest first
    assert first_column(tab) == as_written
    assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    tab.get_by_role("button", name="ms per map").click()
    tab.get_by_role("button", name="ms per map").click()
    assert first_column(tab) == ["method2 layer2", "method1 layer1", "method0 layer0", "random", "uniform"]


def test_sorts_by_keyboard(show: Open) -> None:
    tab = show(comparison_data(methods=3))
    tab.get_by_role("button", name="insertion").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    assert first_column(tab)[0] == "uniform"


def test_filters_rows_and_metrics(show: Open) -> None:
    tab = show(comparison_data(methods=3))
    tab.get_by_label("reference maps").uncheck()
    assert first_column(tab) == ["method0 layer0", "method1 layer1", "method2 layer2"]
    tab.get_by_label("Method or layer").fill("LAYER1")
    assert first_column(tab) == ["method1 layer1"]
    assert tab.locator("#row-count").inner_text() == "1 of 5 rows"
    assert tab.locator("article").first.locator("figure").count() == 2  # the picture, and that row's map
    tab.get_by_label("Metrics").select_option("localisation")
    heads = tab.locator("#scores thead th:visible").all_inner_texts()
    assert [head.split()[0] for head in heads] == ["method", "gridpg", "passes", "ms"]


def test_plots(show: Open) -> None:
    tab = show(comparison_data())
    assert tab.locator(".plots figure:visible").count() == 2
    tab.get_by_label("Upwards").select_option("deletion")
    shown = [figure.get_attribute("data-across") for figure in tab.locator(".plots figure:visible").all()]
    assert shown == ["gridpg", "ms per map"]
    assert "deletion" in (tab.locator(".plots figure:visible svg").first.get_attribute("aria-label"))


def test_pictures_worst_disagreement_first(show: Open) -> None:
    data = comparison_data(pictures=30)
    data["rows"][0]["scores"]["insertion"]["values"][17] = 9.0
    tab = show(data)
    assert tab.locator("article h3").first.inner_text() == "photo017 · thing17 (0.5)"
    tab.get_by_label("Order").select_option("given")
    assert tab.locator("article h3").first.inner_text().startswith("photo000")
    tab.get_by_role("button", name="Next").first.click()
    assert tab.locator("#picture-count").inner_text() == "13 to 24 of 30"
    assert tab.locator("article h3").first.inner_text().startswith("photo012")
    tab.get_by_label("Name or class").fill("thing29")
    assert tab.locator("#picture-count").inner_text() == "1 to 1 of 1"


def test_worst_mean_first_where_less_is_better(show: Open) -> None:
    data = comparison_data(pictures=20)
    for row in data["rows"]:
        row["scores"]["deletion"]["values"][7] = 3.0
    tab = show(data)
    tab.locator("#picture-metric").select_option("deletion")
    tab.get_by_label("Order").select_option("worst")
    assert tab.locator("article h3").first.inner_text().startswith("photo007")


def test_opens_a_picture(show: Open) -> None:
    data = comparison_data()
    tab = show(data)
    tab.get_by_label("Order").select_option("given")
    tab.locator("article").nth(2).locator("button").nth(1).click()
    viewer = tab.get_by_role("dialog")
    assert viewer.locator("h2").inner_text() == "photo002 · thing2 (0.5)"
    images = viewer.locator("img.map")
    assert images.count() == 4  # of five rows one has no map
    assert images.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 7
    first = [float(text) for text in viewer.locator("tbody tr").first.locator("td").all_inner_texts()]
    values = [score["values"][2] for score in data["rows"][0]["scores"].values()]
    assert first == [float(f"{value:.3g}") for value in values]
    viewer.get_by_role("button", name="Next").click()
    assert viewer.locator("h2").inner_text().startswith("photo003")
    tab.keyboard.press("Escape")
    assert not viewer.is_visible()


def test_names_with_markup_run_nothing(show: Open) -> None:
    tab = show(comparison_data(hostile=True))
    tab.get_by_label("Order").select_option("given")
    assert "<script>" in tab.locator("article h3").nth(1).inner_text()
    tab.locator("article button").nth(8).click()
    assert tab.title().startswith("Which map is any good?")
    assert tab.locator("img[src=x]").count() == 0
    assert tab.locator("script").count() == 2


def test_the_policy_lets_no_request_leave(chromium: Any, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.html"
    file.write_text(page(comparison_data()), encoding="utf-8")
    tab = chromium.new_page()
    tab.goto(file.as_uri())
    blocked = tab.evaluate(
        """async () => {
            const violations = [];
            const both = new Promise((done) => document.addEventListener("securitypolicyviolation", (event) => {
                violations.push(event.blockedURI);
                if (violations.length === 2) done();
            }));
            new Image().src = "http://127.0.0.1:9/a.png";
            fetch("http://127.0.0.1:9/b").catch(() => {});
            await both;
            return violations.sort();
        }"""
    )
    tab.close()
    assert blocked == ["http://127.0.0.1:9/a.png", "http://127.0.0.1:9/b"]


def test_500_pictures_of_10_rows(show: Open) -> None:
    """What is drawn at once does not grow with the number of pictures."""
    tab = show(comparison_data(pictures=500, methods=8, size=96))
    assert tab.locator("#picture-count").inner_text() == "1 to 12 of 500"
    assert tab.locator("img").count() <= 12 * 20
    for _ in range(5):
        tab.get_by_role("button", name="Next").first.click()
    assert tab.locator("#picture-count").inner_text() == "61 to 72 of 500"
    assert tab.locator("img").count() <= 12 * 20
    tab.get_by_label("Name or class").fill("photo499")
    assert tab.locator("article").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_hangs_over(show: Open, scheme: str) -> None:
    tab = show(comparison_data(), viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    colours = "body => [getComputedStyle(body).color, getComputedStyle(body).backgroundColor].map((colour) => "
    text, back = tab.locator("body").evaluate(colours + r"colour.match(/\d+/g).reduce((sum, part) => sum + +part, 0))")
    assert (text > back) == (scheme == "dark")
