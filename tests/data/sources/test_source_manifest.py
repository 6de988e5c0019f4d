"""Tables of paths as a source of pictures."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.small_pictures import MAX_PIXELS, check_items, number_of, write_pictures

from pytorch_grad_cam.data.sources.manifest import ManifestSource

Found = list[tuple[str, str | int | None, str | int | None, int]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures 0 to 2, and the working folder elsewhere."""
    write_pictures(tmp_path / "data", ["cat/1.png", "dog/1.png", "other.png"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(source: ManifestSource) -> Found:
    return [(each.id, each.label, each.target, number_of(each.read(MAX_PIXELS))) for each in source]


def table(text: str, name: str = "data/photos.csv", encoding: str = "utf-8") -> ManifestSource:
    Path(name).write_text(text, encoding=encoding)
    return ManifestSource(name)


PLAIN = [("cat/1", None, None, 0), ("other", None, None, 2)]
FULL = [("one", "cat", "dog", 0), ("two", None, "281", 2)]


def test_csv(here: Path) -> None:
    assert found(table("path\ncat/1.png\n\n  \nother.png\n")) == PLAIN
    assert found(table("cat/1.png\nother.png")) == PLAIN  # paths only
    assert found(table("File\r\ncat/1.png\r\nother.png\r\n", encoding="utf-8-sig")) == PLAIN
    assert found(table("id,label,unknown,path,target\none,cat,?,cat/1.png,dog\ntwo,,?,other.png,281\n")) == FULL
    assert found(table("path\tlabel\ncat/1.png\ta, b\nother.png\t\n", "data/a.TSV")) == [
        ("cat/1", "a, b", None, 0),
        ("other", None, None, 2),
    ]
    (first, _) = table('path,label\ncat/1.png,"a, ""b""\nc"\nother.png,x\n')
    assert first.label == 'a, "b"\nc'


def test_json_lines(here: Path) -> None:
    rows = ['{"path": "cat/1.png", "label": 3, "id": 7, "more": [1]}', "", '{"path": "other.png", "target": "dog"}']
    text = "\n".join(rows)
    for ending in ("jsonl", "ndjson"):
        assert found(table(text, f"data/a.{ending}")) == [("7", 3, None, 0), ("other", None, "dog", 2)]


def test_items_of_a_table(here: Path) -> None:
    source = table("file_name,label\ncat/1.png,cat\ndog/1.png,dog\n")
    items = check_items(source, here)
    assert [each.origin for each in items] == [
        "cat/1.png (line 2 of data/photos.csv)",
        "dog/1.png (line 3 of data/photos.csv)",
    ]
    assert source.description == "table: data/photos.csv (with label)"


def test_pictures_elsewhere_and_ids(here: Path) -> None:
    write_pictures(here, ["apart/5.png", "data/cat/1.jpg"])
    whole = (here / "apart" / "5.png").as_posix()
    source = table("path\ncat/1.png\n./cat/../cat/1.jpg\n../apart/5.png\n")
    assert [each.id for each in source] == ["cat/1.png", "cat/1.jpg", whole[1:].removesuffix(".png")]
    assert [number_of(each.read(MAX_PIXELS)) for each in source] == [0, 1, 0]
    assert [each.id for each in table(f"{whole}\n")] == [whole[1:].removesuffix(".png")]


def test_an_id_twice_names_both_rows(here: Path) -> None:
    for text, message in (
        ("path,id\ncat/1.png,7\ndog/1.png,8\nother.png,7\n", "the id '7': cat/1.png .line 2 of data/photos.csv., and "),
        ("path,target\ncat/1.png,7\n\ncat/1.png,8\n", "the id 'cat/1.png': .*line 2 .*line 4 .* an id of its own"),
    ):
        with pytest.raises(ValueError, match=message):
            table(text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "label,id\ncat,1\n", "the first line of a.csv names no column path, but 'label, id'; write e.g."),
        ("a.csv", "cat/1.png,cat\n", "names no column path"),
        ("a.csv", "path,label\na.png\n", r"line 2 of a.csv has 1 cells, not 2 \(path, label\): 'a.png'; put quotes"),
        ("a.csv", "path\na.png\na,b.png\n", "line 3 of a.csv has 2 cells, not 1"),
        ("a.csv", "path,label\n,cat\n", "line 2 of a.csv has no path of a picture"),
        ("a.csv", "path,path\na,b\n", "names two columns path"),
        ("a.csv", 'path,label\na.png,"cat\n', "line 2 of a.csv cannot be read: unexpected end of data"),
        ("a.csv", f"path\na.png\n{'x' * 200_000}\n", "line 3 of a.csv cannot be read: field larger"),
        ("a.csv", "path\nhttps://example.com/a.png\n", "line 2 of a.csv: 'https://example.com/a.png' is no path of a"),
        ("a.csv", "", "a.csv names no picture; give a CSV, TSV, JSON-lines or parquet file with the column path"),
        ("a.csv", "path,label\n", "names no picture"),
        ("a.jsonl", '{"path": "a.png"}\n{"path": \n', "line 2 of a.jsonl is not JSON"),
        ("a.jsonl", "[" * 100_000, "line 1 of a.jsonl is not JSON"),
        ("a.jsonl", '["a.png"]', r"line 1 of a.jsonl is no object such as .*, but \['a.png'\]"),
        ("a.jsonl", '{"label": "a"}', "line 1 of a.jsonl has no path of a picture"),
        ("a.jsonl", '{"path": 7}', "line 1 of a.jsonl has no path of a picture but 7"),
        ("a.jsonl", '{"path": "a\\u0000.png"}', "line 1 of a.jsonl: .* is no path of a file"),
        ("a.jsonl", '{"path": "a", "label": 0.5}', "line 1 of a.jsonl: its label is 0.5; it must be a text or a whole"),
        ("a.jsonl", '{"path": "a", "target": true}', "its target is True"),
        ("a.jsonl", '{"path": "a", "id": {}}', "its id is {}"),
        ("a.txt", "a.png", "a.txt is no table that can be read; give a CSV"),
    ],
)
def test_bad_lines_are_named(name: str, text: str, message: str, here: Path) -> None:
    with pytest.raises(ValueError, match=message):
        table(text, name)


def test_files_that_are_no_tables(here: Path) -> None:
    Path("a.csv").write_bytes(b"path\n\xff\xfe.png\n")
    with pytest.raises(ValueError, match=r"a.csv is not text in UTF-8; save it as that"):
        ManifestSource("a.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no file b.csv; check the path"):
        ManifestSource("b.csv")
    Path("c.csv").mkdir()
    with pytest.raises(IsADirectoryError, match=r"c.csv is a folder; give a CSV"):
        ManifestSource("c.csv")


def test_a_text_that_utf8_cannot_have_is_spelled(here: Path) -> None:
    text = json.dumps({"path": "cat/1.png", "label": "\ud800", "id": "\udcff"})
    assert found(table(text, "data/a.jsonl")) == [("\\udcff", "\\ud800", None, 0)]


def parquet(rows: Sequence[Mapping[str, Any]], name: str = "data/photos.parquet") -> ManifestSource:
    arrow, writer = missing.package("pyarrow"), missing.package("pyarrow.parquet")
    writer.write_table(arrow.Table.from_pylist(list(rows)), name, row_group_size=2)
    return ManifestSource(name)


@pytest.mark.datasets
def test_parquet(here: Path) -> None:
    rows = [
        {"id": "one", "path": "cat/1.png", "label": "cat", "target": 3.0, "more": [1]},
        {"id": "two", "path": "dog/1.png", "label": None, "target": math.nan, "more": []},
        {"id": None, "path": "other.png", "label": "x", "target": None, "more": None},
    ]
    source = parquet(rows)
    assert found(source) == [("one", "cat", 3, 0), ("two", None, None, 1), ("other", "x", None, 2)]
    items = check_items(source, here)
    assert items[2].origin == "other.png (row 3 of data/photos.parquet)"
    many = parquet([{"path": "cat/1.png", "id": str(number)} for number in range(10_000)])
    assert [each.id for each in many] == [str(number) for number in range(10_000)]


@pytest.mark.datasets
def test_bad_rows_of_parquet(here: Path) -> None:
    for rows, message in (
        ([{"path": "a", "label": 1}, {"path": None, "label": 1}], "row 2 of data/photos.parquet has no path"),
        ([{"path": "a", "label": 0.5}], "row 1 of data/photos.parquet: its label is 0.5"),
        ([{"label": 1}], "data/photos.parquet names no column path, but 'label'"),
        ([{"path": "a", "id": 1}] * 2, "the id '1': a .row 1 of data/photos.parquet., and a .row 2"),
    ):
        with pytest.raises(ValueError, match=message):
            parquet(rows)


@pytest.mark.datasets
def test_damaged_parquet(here: Path) -> None:
    parquet([{"path": "cat/1.png", "label": "cat", "id": str(number)} for number in range(50)])
    whole, chance = Path("data/photos.parquet").read_bytes(), random.Random(0)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        Path("data/photos.parquet").write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)
        try:
            ManifestSource("data/photos.parquet")
        except ValueError as error:
            assert "data/photos.parquet" in str(error)  # noqa: PT017 - a few do no harm
            refused += 1
    assert refused > 100
