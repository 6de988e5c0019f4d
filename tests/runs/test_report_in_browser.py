"""The report of a run in Chromium, opened from disk: every control, 5,000 rows, and no request leaves the page.

``pytest -m browser`` runs these; they fail where Playwright (extra ``browser``) or Chromium is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.chromium import Pages
from helpers.generated_run import HOSTILE, METHODS, generated_run

from pytorch_grad_cam.runs.report.write import write_report, write_single_file
from pytorch_grad_cam.runs.run_folder import RunFolder

pytestmark = pytest.mark.browser

Open = Callable[..., Any]  # from a run's folder to its report in the browser
DESK = {"width": 1400, "height": 900}
ROWS = 400
SHOWN_IDS = """() => [...cards.keys()].sort((a, b) => a - b)
    .map((place) => cards.get(place).querySelector('.name bdi').textContent)"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 400 pictures with its report."""
    folder = generated_run(tmp_path_factory.mktemp("runs") / "run", ROWS)
    write_report(RunFolder(folder))
    return folder


@pytest.fixture
def show(chromium: Any) -> Iterator[Open]:
    """Open reports; afterwards no error happened, and nothing was asked for but files of the run."""
    pages, folders = Pages(chromium), []

    def shown(folder: Path, name: str = "index.html", address: str = "", **options: Any) -> Any:
        folders.append(folder.as_uri())
        tab = pages.open(folder / "report" / name, **{"viewport": DESK} | options)
        if address:
            tab.goto(f"{tab.url}#{address}")
            tab.reload()
        tab.wait_for_selector("html[data-ready]")
        return tab

    yield shown
    pages.close()
    assert not pages.problems
    assert [url for url in pages.asked_for() if not any(url.startswith(f"{folder}/") for folder in folders)] == []


def ids(tab: Any) -> list[str]:
    """Return the names of the cards in the page, in order."""
    found: list[str] = tab.evaluate(SHOWN_IDS)
    return found


def count(tab: Any) -> int:
    """Return how many pictures are said to be shown."""
    return int(tab.locator("#count").inner_text().partition(" ")[0].replace(",", ""))


def photos(where: Callable[[int], bool]) -> list[str]:
    return [f"photo{place:05d}" for place in range(ROWS) if where(place)]


def failed(place: int) -> bool:
    return place % 23 == 22


def explained(place: int) -> bool:
    return not failed(place) and place % 29 != 28


# --- filters


def test_what_became_of_the_pictures(show: Open, run: Path) -> None:
    tab = show(run)
    wrong = photos(lambda place: place % 7 == 6 and not failed(place))
    noted = photos(lambda place: place % 11 == 10 and explained(place))
    judged = ROWS - len(photos(failed))
    right = judged - len(wrong)
    assert [text.split("\n") for text in tab.locator("#tiles button").all_inner_texts()] == [
        ["400", "all"],
        [str(right), f"right ({100 * right / judged:.1f} %)"],
        [str(len(wrong)), "wrong"],
        [str(len(noted)), "with notes"],
        [str(len(photos(failed))), "failed"],
        [str(judged - len(photos(explained))), "not asked for"],
    ]
    for name, expected in (("wrong", wrong), ("with notes", noted), ("failed", photos(failed)), ("all", photos(bool))):
        tab.locator("#tiles button", has_text=name).click()
        assert count(tab) == (ROWS if name == "all" else len(expected))
        if name != "all":
            assert ids(tab) == expected[: len(ids(tab))]


@pytest.mark.parametrize(
    ("control", "value", "takes"),
    [
        ("label", "class 3 ", lambda place: place % 40 == 3),
        ("class", "class 7 ", lambda place: not failed(place) and (place + (place % 7 == 6)) % 40 == 7),
        ("right", "wrong", lambda place: not failed(place) and place % 7 == 6),
        ("right", "not judged", failed),
        ("note", "the gradient is zero", lambda place: explained(place) and place % 11 == 10),
        ("note", "without notes", lambda place: not (explained(place) and place % 11 == 10)),
        ("status", "skipped", lambda place: not failed(place) and not explained(place)),
    ],
)
def test_filters(show: Open, run: Path, control: str, value: str, takes: Callable[[int], bool]) -> None:
    tab = show(run)
    options = tab.locator(f"#{control}").locator("option").all_inner_texts()
    chosen = next(option for option in options if option.startswith(value))
    tab.locator(f"#{control}").select_option(chosen)
    expected = photos(takes)
    assert count(tab) == len(expected)
    if "(" in chosen:
        assert chosen.endswith(f"({len(expected)})")
    assert ids(tab) == expected[: len(ids(tab))]
    tab.get_by_role("button", name="Show all pictures").click()
    assert count(tab) == ROWS
    assert tab.get_by_role("button", name="Show all pictures").is_disabled()


def test_filters_by_numbers(show: Open, run: Path) -> None:
    tab = show(run)
    tab.get_by_label("Confidence from").fill("60")
    tab.get_by_label("Confidence to").fill("70.2")
    assert count(tab) == len(photos(lambda place: not failed(place) and 600 <= place * 37 % 1000 <= 702))
    tab.get_by_label("Confidence to").fill("")
    assert count(tab) == len(photos(lambda place: not failed(place) and place * 37 % 1000 >= 600))
    tab.get_by_label("Confidence from").fill("")
    tab.get_by_label("Energy from").fill("0.3")

    def energetic(place: int, least: int) -> bool:
        return explained(place) and place % 11 != 10 and place * 37 % 1000 >= least

    assert count(tab) == len(photos(lambda place: energetic(place, 600)))
    tab.locator("#energy-of").select_option("hirescam")  # a third of the confidence, not a half
    assert count(tab) == len(photos(lambda place: energetic(place, 900)))


def test_searches(show: Open, run: Path) -> None:
    tab = show(run)
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "text"
    tab.keyboard.type("PHOTO0012")
    assert ids(tab) == [f"photo0012{digit}" for digit in range(10)]
    tab.keyboard.press("Escape")
    assert count(tab) == ROWS
    tab.get_by_label("Search").fill("gradient is")
    assert count(tab) == len(photos(lambda place: explained(place) and place % 11 == 10))
    tab.get_by_label("Search").fill("no such thing")
    assert count(tab) == 0
    assert ids(tab) == []
    assert (
        tab.evaluate("getComputedStyle(document.getElementById('list'), '::after').content")
        == '"No picture is like that."'
    )


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("name", lambda place: place),
        ("label", lambda place: place % 40),
        ("prediction", lambda place: None if failed(place) else (place + (place % 7 == 6)) % 40),
        ("wrong, then right", lambda place: None if failed(place) else place % 7 != 6),
        ("confidence", lambda place: None if failed(place) else place * 37 % 1000),
        ("energy of the map", lambda place: place * 37 % 1000 if explained(place) and place % 11 != 10 else None),
        ("number of notes", lambda place: -(explained(place) and place % 11 == 10)),
        ("time taken", lambda place: place % 50),
    ],
)
def test_sorts(show: Open, run: Path, order: str, key: Callable[[int], int | None]) -> None:
    tab = show(run)
    tab.locator("#sort").select_option(order)
    values = {place: key(place) for place in range(ROWS)}
    known = [place for place in values if values[place] is not None]
    for sign in (1, -1):
        in_order = sorted(known, key=lambda place: (sign * values[place], place))  # type: ignore[operator]
        shown = ids(tab)
        assert shown == [f"photo{place:05d}" for place in in_order[: len(shown)]]
        tab.locator("h1").click()
        tab.keyboard.press("End")
        missing = sorted(set(values) - set(known))
        assert ids(tab)[-1] == f"photo{(missing or in_order)[-1]:05d}"  # what has no value comes last, either way
        tab.keyboard.press("Home")
        tab.get_by_role("button", name="Order: ").click()


def test_confused_pairs(show: Open, run: Path) -> None:
    tab = show(run)
    pairs: dict[tuple[int, int], int] = {}
    for place in range(ROWS):
        if place % 7 == 6 and not failed(place):
            pair = (place % 40, (place + 1) % 40)
            pairs[pair] = pairs.get(pair, 0) + 1
    assert tab.locator(".pair").count() == 8
    tab.get_by_role("button", name=f"More of {len(pairs)} pairs").click()
    listed = [
        re.fullmatch(r"class (\d+) → class (\d+)\s+(\d+)", text) for text in tab.locator(".pair").all_inner_texts()
    ]
    assert {(int(found[1]), int(found[2])): int(found[3]) for found in listed if found} == pairs
    counts = [int(found[3]) for found in listed if found]
    assert counts == sorted(counts, reverse=True)
    first = listed[0]
    assert first
    tab.locator(".pair").first.click()
    assert tab.locator(".pair[aria-pressed=true]").count() == 1
    assert count(tab) == int(first[3])
    assert {text.strip() for text in tab.locator(".truth").all_inner_texts()} == {f"label: class {first[1]}"}


def test_a_bar_of_confidence(show: Open, run: Path) -> None:
    tab = show(run)
    assert "pictures have 50 % or more" in (tab.locator("#histogram svg").get_attribute("aria-label") or "")
    tab.locator(".bin").nth(12).click()
    assert tab.get_by_label("Confidence from").input_value() == "60"
    assert count(tab) == len(photos(lambda place: not failed(place) and 600 <= place * 37 % 1000 <= 650))


def test_the_address_remembers(show: Open, run: Path) -> None:
    tab = show(run)
    tab.locator("#right").select_option("wrong")
    tab.locator("#sort").select_option("confidence")
    tab.locator("#label").select_option(index=3)
    tab.get_by_role("checkbox", name="gradcam").uncheck()
    tab.get_by_role("button", name="Dark").click()
    tab.wait_for_function("() => location.hash.includes('without') && location.hash.includes('theme')")
    before = (ids(tab), count(tab))
    tab.reload()
    tab.wait_for_selector("html[data-ready]")
    assert (ids(tab), count(tab)) == before
    assert tab.get_by_role("button", name="Light").is_visible()
    other = show(run, address="label=gone&sort=constructor&energyOf=x&theme=x&without=x&confidenceFrom=much")
    assert count(other) == ROWS  # what fits no more is left out


# --- pictures and maps


def natural_widths(tab: Any, images: str) -> list[int]:
    found: list[int] = tab.locator(images).evaluate_all(
        "images => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth)))"
    )
    return found


def test_methods_side_by_side(show: Open, run: Path) -> None:
    tab = show(run)
    first = tab.locator(".card").first
    assert first.locator(".caption").all_inner_texts() == list(METHODS)
    assert natural_widths(tab, ".card:first-child img") == [160] * 4
    tab.get_by_role("checkbox", name="gradcam").uncheck()
    assert tab.locator(".card").first.locator("img").count() == 2
    sources = tab.locator(".card").first.locator("img").evaluate_all("all => all.map((one) => one.getAttribute('src'))")
    assert sources == ["../thumbs/photo00000.jpg", "../thumbs/photo00000.hirescam.heat.jpg"]


def opacity(tab: Any, what: str) -> float:
    return float(tab.locator(what).first.evaluate("image => getComputedStyle(image).opacity"))


def test_how_strongly_the_map_is_drawn(show: Open, run: Path) -> None:
    tab = show(run)
    assert opacity(tab, ".heat") == 0.5
    tab.get_by_label("How strongly the map is drawn").fill("80")
    assert opacity(tab, ".heat") == pytest.approx(0.8)
    tab.locator("h1").click()
    tab.keyboard.press("]")
    assert opacity(tab, ".heat") == pytest.approx(0.9)
    tab.keyboard.press("[")
    assert opacity(tab, ".heat") == pytest.approx(0.8)
    tab.keyboard.press("f")
    assert not tab.locator(".heat").first.is_visible()
    assert tab.locator("#flip").get_attribute("aria-pressed") == "true"
    tab.locator("#flip").click()
    assert tab.locator(".heat").first.is_visible()


def test_sizes(show: Open, run: Path) -> None:
    tab = show(run)
    widths = []
    for size in ("small", "medium", "large"):
        tab.locator("#size").select_option(size)
        widths.append(tab.evaluate("document.querySelector('.stage').getBoundingClientRect().width"))
    assert widths == sorted(set(widths))


def test_cards_say_what_they_are(show: Open, run: Path) -> None:
    tab = show(run)
    cards = {name: tab.get_by_role("button", name=name) for name in ("photo00006", "photo00010", "photo00022")}
    assert cards["photo00006"].get_attribute("aria-label") == "photo00006, wrong, seen as class 7 22.2 %, label class 6"
    assert "the gradient is zero" in cards["photo00010"].inner_text()
    tab.get_by_label("Search").fill("photo00022")
    assert "is not a picture" in cards["photo00022"].inner_text()


def test_a_picture_that_is_open(show: Open, run: Path) -> None:
    tab = show(run)
    tab.get_by_role("button", name="photo00003").click()
    viewer = tab.get_by_role("dialog")
    assert viewer.locator("h2").inner_text() == "photo00003"
    assert viewer.locator("#viewer-place").inner_text() == "4 of 400"
    assert viewer.locator(".bars li").all_inner_texts() == ["class 3\n11.1 %", "class 3\n88.9 %"]
    links = viewer.get_by_role("link", name="overlay, full size")
    assert [link.get_attribute("href") for link in links.all()] == [
        f"../overlays/photo00003.{method}.jpg" for method in METHODS
    ]
    with tab.context.expect_page() as opened:
        links.first.click()
    assert opened.value.url == (run / "overlays" / "photo00003.gradcam.jpg").as_uri()
    opened.value.close()
    assert viewer.locator(".full-size").first.is_visible()
    viewer.get_by_label("full size").uncheck()
    assert not viewer.locator(".full-size").first.is_visible()
    assert viewer.locator(".heat").first.is_visible()
    viewer.get_by_label("full size").check()
    viewer.get_by_role("button", name="Next").click()
    assert viewer.locator("h2").inner_text() == "photo00004"
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    assert viewer.locator("h2").inner_text() == "photo00002"
    tab.keyboard.press("f")
    assert not viewer.locator(".full-size").first.is_visible()
    tab.keyboard.press("Escape")
    assert not viewer.is_visible()
    # a dialog says that it is closed some time after it is gone
    tab.wait_for_selector(".open[aria-label^='photo00002']:focus")


def test_one_that_failed_is_open(show: Open, run: Path) -> None:
    tab = show(run)
    tab.locator("#tiles button", has_text="failed").click()
    tab.locator(".open").first.click()
    viewer = tab.get_by_role("dialog")
    assert "is not a picture" in viewer.inner_text()
    assert viewer.locator("img").count() == 0


def test_keys_of_the_list(show: Open, run: Path) -> None:
    tab = show(run)
    focused = "document.activeElement.getAttribute('aria-label')?.slice(0, 10) ?? document.activeElement.tagName"
    columns = len({round(card.bounding_box()["x"]) for card in tab.locator(".card").all()})
    assert columns > 1
    tab.keyboard.press("ArrowRight")  # nothing has the focus yet: the first picture in sight
    for key, expected in (
        ("ArrowRight", 1),
        ("ArrowDown", 1 + columns),
        ("ArrowLeft", columns),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("End", ROWS - 1),
        ("ArrowRight", ROWS - 1),
        ("Home", 0),
    ):
        tab.keyboard.press(key)
        assert tab.evaluate(focused) == f"photo{expected:05d}"
        box = tab.locator(":focus").bounding_box()
        assert 0 <= box["y"] <= DESK["height"] - box["height"]
    assert tab.locator(".open[tabindex='0']").count() == 1
    tab.keyboard.press("Enter")
    assert tab.get_by_role("dialog").is_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog").locator("h2").inner_text() == "Keys"
    tab.keyboard.press("Escape")
    tab.get_by_label("Search").fill("f[?")  # these letters are text there
    assert tab.get_by_label("Search").input_value() == "f[?"


# --- many rows, other screens, paper


def test_5000_rows(show: Open, tmp_path: Path) -> None:
    """What is in the page does not grow with the number of pictures, and pictures come as one scrolls."""
    folder = generated_run(tmp_path / "run", 5000)
    write_report(RunFolder(folder))
    tab = show(folder)
    assert tab.locator("#count").inner_text() == "5,000 of 5,000 pictures"
    few = tab.locator(".card").count()
    assert few <= 24
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.name')].some((name) => /photo02[45]/.test(name.textContent))"
    )
    assert tab.locator(".card").count() <= few + 8
    assert 0 < len(asked) <= 4 * (few + 8)
    assert natural_widths(tab, ".card img") != []
    tab.get_by_label("Search").fill("photo04999")
    assert count(tab) == 1
    assert ids(tab) == ["photo04999"]
    tab.get_by_label("Search").fill("")
    tab.locator("h1").click()
    tab.keyboard.press("End")
    assert ids(tab)[-1] == "photo04999"


def test_more_rows_than_a_browser_can_be_high(show: Open, run: Path) -> None:
    """A list that would be too high is scrolled in larger steps, to its end."""
    tab = show(run)
    tab.evaluate("() => { tallest = 5000; redraw(state); }")
    assert tab.evaluate("list.clientHeight") == 5000
    seen = set()
    for part in range(0, 101, 2):
        tab.evaluate(
            "async (part) => { scrollTo(0, part * document.documentElement.scrollHeight / 100); draw(); }", part
        )
        assert tab.evaluate(
            "() => [...cards.values()].some((card) => { "
            "const { top } = card.getBoundingClientRect(); return top >= 0 && top < innerHeight;})"
        )
        seen |= set(ids(tab))
    assert {"photo00000", "photo00200", "photo00399"} <= seen
    tab.locator("h1").click()
    for key, expected in (("Home", 0), ("End", ROWS - 1), ("ArrowUp", ROWS - 4)):
        tab.keyboard.press(key)
        box = tab.locator(":focus").bounding_box()
        assert tab.locator(":focus").get_attribute("aria-label").startswith(f"photo{expected:05d}")
        assert -1 <= box["y"] <= DESK["height"] - box["height"] + 1


CONTRAST = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const back = (node) => {
        for (; node; node = node.parentElement) {
            const colour = getComputedStyle(node).backgroundColor;
            if ((parts(colour)[3] ?? 1) === 1) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!own || !node.checkVisibility() || node.disabled || node.closest("svg, script, noscript")) continue;
        const [a, b] = [light(getComputedStyle(node).color), light(back(node))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([contrast, node.tagName, node.className, node.textContent.slice(0, 30)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_screens(show: Open, run: Path, tmp_path: Path, scheme: str, width: int) -> None:
    """Nothing hangs over, all text is read well, and what is focused is seen."""
    tab = show(run, viewport={"width": width, "height": 780}, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.locator("#filters form").is_visible() == (width >= 800)
    contrasts = tab.evaluate(CONTRAST)
    assert len(contrasts) > 40
    assert [found for found in contrasts if found[0] < 4.5] == []
    tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.locator(".open").first.click()
    viewer = tab.get_by_role("dialog")
    assert viewer.bounding_box()["width"] <= width
    assert viewer.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert [found for found in tab.evaluate(CONTRAST) if found[0] < 4.5] == []
    picture = tmp_path / "page.png"
    tab.screenshot(path=picture)
    assert picture.stat().st_size > 20_000


def test_every_control_has_a_name(show: Open, run: Path) -> None:
    tab = show(run)
    tab.locator(".open").first.click()
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, dialog, aside, ul")].filter((node) =>
            !(node.getAttribute("aria-label") || node.labels?.length || node.textContent.trim()
              || node.getAttribute("aria-labelledby"))).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    assert tab.evaluate("document.querySelectorAll('img:not([alt])').length") == 0


def test_dark_and_light(show: Open, run: Path) -> None:
    tab = show(run, color_scheme="dark")
    back = "getComputedStyle(document.body).backgroundColor"
    dark = tab.evaluate(back)
    tab.get_by_role("button", name="Light").click()
    assert tab.evaluate(back) != dark
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate(back) == dark


def test_on_paper(show: Open, run: Path) -> None:
    tab = show(run)
    on_paper = "() => { dispatchEvent(new Event('beforeprint')); return document.querySelectorAll('.card').length; }"
    assert tab.evaluate(on_paper) == 200
    assert tab.locator("#printed").inner_text() == "The first 200 are printed; filter to print others."
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.querySelector('aside')).display") == "none"
    boxes = [card.bounding_box() for card in tab.locator(".card").all()[:40]]
    places = [(round(box["x"]), round(box["y"])) for box in boxes]
    assert len(set(places)) == 40  # none lies upon another
    assert len(tab.pdf()) > 20_000
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator(".card").count() < 40


# --- what others named, and what is missing


@pytest.mark.parametrize("single", [False, True])
def test_hostile_names_are_text(show: Open, tmp_path: Path, single: bool) -> None:
    folder = generated_run(tmp_path / "run", 60, hostile=True)
    write_report(RunFolder(folder))
    write_single_file(RunFolder(folder))
    tab = show(folder, "single_file.html" if single else "index.html")
    assert tab.title() == HOSTILE[0]
    assert tab.locator("h1").inner_text() == HOSTILE[0]
    assert HOSTILE[1] in tab.locator("#lead").inner_text()
    assert tab.evaluate("document.querySelectorAll('script').length") == (2 if single else 3)
    assert tab.locator("img[src=x]").count() == 0
    in_page = tab.evaluate("() => rows.map((row) => [...row[ID]].map((sign) => sign.codePointAt(0)))")
    expected = [f"{HOSTILE[place % 10]}#{place}" for place in range(60)]
    assert in_page == [[ord(sign) for sign in name] for name in expected]
    assert natural_widths(tab, ".card:first-child img") == [160] * 4
    for place in range(10):
        tab.get_by_role("button", name=re.compile(f"#{place},")).first.click()
        shown = (
            tab.get_by_role("dialog")
            .locator("h2")
            .evaluate("node => [...node.textContent].map((sign) => sign.codePointAt(0))")
        )
        assert shown == [ord(sign) for sign in expected[place]]
        assert tab.get_by_role("dialog").evaluate("node => node.scrollWidth <= node.clientWidth")
        tab.keyboard.press("Escape")
    for select in ("#label", "#class", "#note"):
        for option in tab.locator(select).locator("option").all()[:12]:
            tab.locator(select).select_option(option.get_attribute("value"))
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.wait_for_function("() => document.documentElement.scrollWidth === 360")
    tab.wait_for_timeout(400)  # the address has the last filter
    tab.reload()
    tab.wait_for_selector("html[data-ready]")
    assert tab.title() == HOSTILE[0]


def test_one_file_by_itself(show: Open, tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", 20)
    alone = tmp_path / "elsewhere" / "report"
    write_single_file(RunFolder(folder), alone / "mail.html")
    tab = show(alone.parent, "mail.html")
    assert count(tab) == 20
    assert natural_widths(tab, ".card:first-child img") == [160] * 4
    tab.locator(".open").first.click()
    link = tab.get_by_role("dialog").get_by_role("link", name="overlay, full size").first
    with tab.expect_download() as downloaded:
        link.click()
    assert downloaded.value.path().read_bytes() == (folder / "overlays" / "photo00000.gradcam.jpg").read_bytes()
    assert tab.get_by_role("dialog").get_by_role("link", name="values").count() == 0  # they are not in the file


def test_a_run_without_pictures_or_rows(show: Open, tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", 0, to_come=2)
    write_report(RunFolder(folder))
    tab = show(folder)
    assert tab.locator("#count").inner_text() == "0 of 0 pictures"
    assert "2 of 2 pictures are still to come" in tab.locator("#lead").inner_text()


def test_missing_files_are_said(chromium: Any, tmp_path: Path) -> None:
    """A picture that was deleted, and a page without its data."""
    folder = generated_run(tmp_path / "run", 3)
    page = write_report(RunFolder(folder)).path
    (folder / "thumbs" / "photo00000.jpg").unlink()
    pages = Pages(chromium)
    tab = pages.open(page)
    tab.wait_for_selector(".missing")
    assert tab.locator(".card").first.locator(".missing").all_inner_texts() == ["the file is missing"] * 2
    for chunk in (page.parent / "data").iterdir():
        chunk.unlink()
    tab = pages.open(page)
    tab.wait_for_selector("#problem:visible")
    assert "Keep the run's folder whole" in tab.get_by_role("alert").inner_text()
    pages.close()


@pytest.mark.parametrize("single", [False, True])
def test_the_policy_lets_no_request_leave(chromium: Any, run: Path, tmp_path: Path, single: bool) -> None:
    page = write_report(RunFolder(run)).path
    if single:
        page = write_single_file(RunFolder(generated_run(tmp_path / "run", 3))).path
    tab = chromium.new_page()
    tab.goto(page.as_uri())
    blocked = tab.evaluate(
        """async () => {
            const violations = [];
            const all = new Promise((done) => document.addEventListener("securitypolicyviolation", (event) => {
                violations.push(event.blockedURI);
                if (violations.length === 3) done();
            }));
            new Image().src = "http://127.0.0.1:9/a.png";
            fetch("http://127.0.0.1:9/b").catch(() => {});
            document.head.append(Object.assign(document.createElement("script"), { src: "http://127.0.0.1:9/c.js" }));
            await all;
            return violations.sort();
        }"""
    )
    tab.close()
    assert blocked == ["http://127.0.0.1:9/a.png", "http://127.0.0.1:9/b", "http://127.0.0.1:9/c.js"]
