"""The report of a run: what is written. What the page does is in test_report_in_browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.colour_net import NET, red_and_blue
from helpers.generated_run import HOSTILE, generated_run
from helpers.parsed_page import Parsed
from PIL import Image

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.runs.lock import folder_lock
from pytorch_grad_cam.runs.report import write
from pytorch_grad_cam.runs.report.write import write_report, write_single_file
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.run_index import json_line


def parsed(page: Path) -> Parsed:
    """Read a page."""
    return Parsed(page.read_text(encoding="utf-8"))


def data_of(page: Path) -> dict[str, Any]:
    """Read a page's block of JSON."""
    found: dict[str, Any] = json.loads(parsed(page).scripts[0])
    return found


def rows_of(page: Path) -> list[list[Any]]:
    """Read the rows of a page as the browser does: a call with a number and a text in quotes."""
    rows: list[list[Any]] = []
    for number, chunk in enumerate(data_of(page)["chunks"]):
        found = re.fullmatch(r"reportRows\((\d+),'(.*)'\);\n", (page.parent / chunk).read_text(encoding="utf-8"))
        assert found
        assert int(found[1]) == number
        rows += json.loads(re.sub(r"\\(u[0-9a-f]{4}|.)", _character, found[2]))
    return rows


def _character(sign: re.Match[str]) -> str:
    return chr(int(sign[1][1:], 16)) if len(sign[1]) == 5 else sign[1]


def whole(rows: list[list[Any]], lists: dict[str, Any]) -> list[dict[str, Any]]:
    """Put compact rows together again, from what `compact` says of them."""

    def path(place: int, stem: str) -> dict[str, str]:
        return {
            kind: before if behind is None else f"{before}{stem}{behind}"
            for kind, before, behind in (lists["files"][place] if place >= 0 else ())
        }

    found = []
    for id, stem, origin, label, right, status, ms, height, width, seen, maps, files, error in rows:
        name = id if stem is None else stem
        before, behind = lists["origins"][origin]
        row: dict[str, Any] = {
            "id": id,
            "origin": before if behind is None else before + id + behind,
            "label": None if label < 0 else lists["labels"][label],
            "status": lists["statuses"][status],
            "ms": ms,
        }
        row |= {"error": error} if error else {}
        row |= {"height": height, "width": width} if height else {}
        if seen:
            row["right"] = {1: True, 0: False, -1: None}[right]
            row["predicted"] = [
                dict(zip(("index", "name"), lists["classes"][place], strict=True)) | {"share": share}
                for place, share in zip(seen[::2], seen[1::2], strict=True)
            ]
        if maps:
            row["maps"] = []
        for kind, own, score, share, energy, notes in maps:
            method, target, text, layers = lists["kinds"][kind]
            row["maps"].append({
                "method": method, "class": dict(zip(("index", "name"), lists["classes"][target], strict=True)),
                "label": text, "layers": [layers], "score": score, "share": share, "energy": energy,
                "notes": [lists["notes"][note] for note in notes], "files": path(own, name),
            })  # fmt: skip
        found.append(row | path(files, name))
    return found


def expected(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_bytes().splitlines()]
    return [row | {"ms": row.pop("position") % 50 + 0.5} for row in rows]


@pytest.mark.parametrize("hostile", [False, True])
def test_the_page_has_all_that_the_index_says(tmp_path: Path, hostile: bool) -> None:
    folder = generated_run(tmp_path / "run", rows=130, files=False, hostile=hostile)
    written = write_report(RunFolder(folder))
    assert (written.path, written.rows, written.remarks) == (folder / "report" / "index.html", 130, ())
    assert whole(rows_of(written.path), data_of(written.path)["lists"]) == expected(folder)


def test_what_repeats_is_written_once(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=2500, files=False)
    page = write_report(RunFolder(folder)).path
    data = data_of(page)
    assert len(data["chunks"]) == 2
    assert {name: len(value) for name, value in data["lists"].items() if name != "shares"} == {
        "origins": 1, "labels": 40, "statuses": 3, "classes": 40, "kinds": 80, "files": 3, "notes": 1,
    }  # fmt: skip
    size = sum(file.stat().st_size for file in (folder / "report" / "data").iterdir())
    assert size < (folder / "index.jsonl").stat().st_size / 5


def test_what_users_named_is_text(tmp_path: Path) -> None:
    plain = parsed(write_report(RunFolder(generated_run(tmp_path / "plain", files=False))).path)
    written = write_report(RunFolder(generated_run(tmp_path / "hostile", files=False, hostile=True)))
    hostile = parsed(written.path)
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]
    assert len(hostile.scripts) == 2
    assert HOSTILE[0] in "".join(hostile.words)
    for chunk in (written.path.parent / "data").iterdir():
        text = chunk.read_text(encoding="utf-8")
        assert not set(text[:-1]) & set("<>&\u2028\u2029\n\r")


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    folder = RunFolder(generated_run(tmp_path / "run"))
    for page, allowed in ((write_report(folder).path, "data: 'self' file:"), (write_single_file(folder).path, "data:")):
        found = parsed(page)
        named = [attributes.get(name) for _, attributes in found.elements for name in ("src", "href", "srcset", "data")]
        assert {address for address in named if address} == {"data:,"}
        policy = next(attributes["content"] or "" for _, attributes in found.elements if "http-equiv" in attributes)
        assert policy.startswith(f"default-src 'none'; img-src {allowed}; script-src 'sha256-")
        assert "unsafe" not in policy
        assert "http" not in policy


def test_a_report_is_the_same_twice_and_replaces_the_former(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=30, to_come=5, files=False)
    page = write_report(RunFolder(folder)).path
    (page.parent / "data" / "mine.js").write_text("// of somebody else")
    before = {file.name: file.read_bytes() for file in (folder / "report").rglob("*") if file.is_file()}
    write_report(RunFolder(folder))
    assert {file.name: file.read_bytes() for file in (folder / "report").rglob("*") if file.is_file()} == before

    more = [json.loads(line) for line in (folder / "index.jsonl").read_bytes().splitlines()]
    more.append({"position": 30, "id": "new", "origin": "x", "label": None, "status": "failed", "error": "none"})
    (folder / "index.jsonl").write_bytes(b"".join(map(json_line, more)))
    (page.parent / "data" / ".0123456789abcdef.part").write_bytes(b"left by a kill")
    write_report(RunFolder(folder))
    assert [row[0] for row in rows_of(page)][-1] == "new"
    names = {file.name for file in (page.parent / "data").iterdir()}
    assert names == {"mine.js", Path(data_of(page)["chunks"][0]).name}


def test_a_report_that_cannot_be_written_leaves_the_former_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = generated_run(tmp_path / "run", rows=10, files=False)
    page = write_report(RunFolder(folder)).path
    before = rows_of(page)
    (folder / "index.jsonl").write_bytes((folder / "index.jsonl").read_bytes().replace(b"photo00003", b"another"))

    def full(path: Path, *arguments: Any, **options: Any) -> None:
        if path.suffix == ".html":
            raise OSError("the disk is full")
        original(path, *arguments, **options)

    original = write.write_bytes
    monkeypatch.setattr(write, "write_bytes", full)
    with pytest.raises(OSError, match="full"):
        write_report(RunFolder(folder))
    assert rows_of(page) == before
    monkeypatch.undo()
    write_report(RunFolder(folder))
    assert rows_of(page) != before
    assert len(list((page.parent / "data").iterdir())) == 1


def test_two_reports_at_once_are_refused(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=3, files=False)
    with folder_lock(folder / "report"), pytest.raises(RuntimeError, match=r"is writing into .*report"):
        write_report(RunFolder(folder))


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    written = write_report(RunFolder(generated_run(tmp_path / "run", rows=30, to_come=1200, files=False)))
    assert written.remarks == ("The run is not finished: 1,200 of 1,230 pictures are still to come.",)
    assert written.remarks[0] in "".join(parsed(written.path).words)


def test_a_run_without_a_picture_has_a_page(tmp_path: Path) -> None:
    written = write_report(RunFolder(generated_run(tmp_path / "run", rows=0, to_come=3)))
    assert "3 of 3 pictures are still to come" in written.remarks[0]
    assert data_of(written.path)["chunks"] == []


def test_shares_that_are_not_joined_are_reported_in_order(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=40, files=False)
    everything = expected(folder)
    for name in ("index.jsonl", "times.jsonl"):
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        (folder / name).unlink()
        for share in range(2):
            place = folder / "shards" / f"{share + 1}-of-2"
            place.mkdir(parents=True, exist_ok=True)
            kept = (line for at, line in enumerate(lines) if at // 16 % 2 == share)
            (place / name).write_bytes(b"".join(kept))
    page = write_report(RunFolder(folder)).path
    assert whole(rows_of(page), data_of(page)["lists"]) == everything


# --- one file to mail


def test_one_file_holds_the_pictures(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=25)
    (folder / "thumbs" / "photo00003.jpg").unlink()
    page = write_single_file(RunFolder(folder), tmp_path / "to" / "mail.html").path
    assert page == tmp_path / "to" / "mail.html"
    data = data_of(page)
    assert whole(data["rows"], data["lists"]) == expected(folder)
    named = {file for row in expected(folder) for file in (row.get("thumb"), *_drawn(row)) if file}
    assert set(data["pictures"]) == named - {"thumbs/photo00003.jpg"}
    assert all(url.startswith("data:image/jpeg;base64,/9j/") for url in data["pictures"].values())
    assert not (folder / "report").exists()
    assert write_single_file(RunFolder(folder)).path == folder / "report" / "single_file.html"


def _drawn(row: dict[str, Any]) -> list[str]:
    return [path for each in row.get("maps", ()) for kind, path in each["files"].items() if kind != "npy"]


def test_overlays_that_are_too_large_to_mail_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "_FULL_SIZE", 1000)
    written = write_single_file(RunFolder(generated_run(tmp_path / "run", rows=5)))
    assert written.remarks == ("The overlays in full size are too large for one file, and left out.",)
    assert {path.partition("/")[0] for path in data_of(written.path)["pictures"]} == {"thumbs"}


def test_too_many_pictures_for_one_file(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=340, files=False)
    with pytest.raises(ValueError, match=r"more than the 300 pictures that one file holds; leave out --single-file"):
        write_single_file(RunFolder(folder))
    assert not (folder / "report").exists()
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_bytes().splitlines()]
    few = [{key: value for key, value in row.items() if key != "thumb" or row["position"] < 300} for row in rows]
    (folder / "index.jsonl").write_bytes(b"".join(map(json_line, few)))
    assert write_single_file(RunFolder(folder)).rows == 340  # those that were not asked for have no picture


def test_one_file_holds_nothing_from_outside_the_run(tmp_path: Path) -> None:
    folder = generated_run(tmp_path / "run", rows=3)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    text = (folder / "index.jsonl").read_text(encoding="utf-8")
    (folder / "index.jsonl").write_text(text.replace("thumbs/photo00001.jpg", "../secret.jpg"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"names \.\./secret\.jpg, which is no file of the run"):
        write_single_file(RunFolder(folder))


# --- the command


def test_cam_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        Image.fromarray(red_and_blue()).save(here / f"{number}.png")
    command = ["run", *(f"{number}.png" for number in range(3)), "--output-dir", "run", *NET]
    assert main(command) == 0
    capsys.readouterr()
    assert main(["report", "run"]) == 0
    assert capsys.readouterr().out == f"pictures:   3\nwritten:    {Path('run/report/index.html')}\n"
    assert [row[0] for row in rows_of(here / "run" / "report" / "index.html")] == ["0", "1", "2"]
    assert main(["report", "run", "--single-file", "--output", "mail.html"]) == 0
    assert len(data_of(here / "mail.html")["pictures"]) == 9  # picture, map and overlay of each
    assert main([*command, "--overwrite", "--seed", "1"]) == 0
    assert not (here / "run" / "report" / "index.html").exists()  # what it showed is no more


def test_cam_report_of_an_unfinished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = generated_run(tmp_path / "run", rows=3, to_come=1, files=False)
    assert main(["report", str(folder)]) == 0
    assert "note:       The run is not finished: 1 of 4 pictures are still to come.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is no run: it has no manifest.json"),
        (["run", "--output", "x.html"], "--output goes with --single-file"),
        ([], "required: RUN"),
        (["run", "--single-file", "--output", "."], "it is a folder"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    generated_run(tmp_path / "run", rows=1, files=False)
    assert main(["report", *arguments]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
