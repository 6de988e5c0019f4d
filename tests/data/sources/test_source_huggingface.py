"""Hugging Face data sets on disk as a source of pictures.

``pytest -m datasets`` runs these, with the extra ``datasets``.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.small_pictures import MAX_PIXELS, check_items, encoded, number_of, picture, write_pictures

from pytorch_grad_cam.data.sources.find import find_source
from pytorch_grad_cam.data.sources.huggingface import HuggingFaceSource

pytestmark = pytest.mark.datasets


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    package = missing.package("datasets")
    package.disable_progress_bars()
    return package


def data_set(datasets: Any, labels: Sequence[int] = (0, 1, -1)) -> Any:
    """A data set with pictures as many as labels, whose classes are cat and dog."""
    features = {
        "n": datasets.Value("int64"),
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
    }
    rows = {"n": list(labels), "image": [picture(n) for n in range(len(labels))], "label": list(labels)}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def found(source: Any) -> list[tuple[str, str | int | None, int]]:
    return [(each.id, each.label, number_of(each.read(MAX_PIXELS))) for each in source]


def test_a_data_set(datasets: Any, tmp_path: Path) -> None:
    data_set(datasets).save_to_disk("one")
    source = HuggingFaceSource("one")
    assert found(source) == [("00000000", "cat", 0), ("00000001", "dog", 1), ("00000002", None, 2)]
    items = check_items(source, tmp_path)
    assert items[1].origin == "row 1 of one"
    assert source.description == "data set: one (labels: label)"
    with pytest.raises(ValueError, match="row 1 of one has 6 x 4 pixels, more than the 20 that are read"):
        items[1].read(20)


def test_splits(datasets: Any, tmp_path: Path) -> None:
    data = data_set(datasets)
    datasets.DatasetDict({"train": data, "test": data.select([2, 1])}).save_to_disk("both")
    assert found(find_source(["both:test"])) == [("test/00000000", None, 2), ("test/00000001", "dog", 1)]
    assert len(find_source(["both:train", "both:test"])) == 5
    check_items(find_source(["both:train"]), tmp_path)
    for text, message in (
        ("both", "the data set both has several splits; give both:train or both:test"),
        ("both:val", "the data set both has no split 'val'; give both:train or"),
    ):
        with pytest.raises(ValueError, match=message):
            find_source([text])
    datasets.DatasetDict({"only": data}).save_to_disk("alone")
    assert next(iter(find_source(["alone"]))).id == "only/00000000"
    data.save_to_disk("one")
    with pytest.raises(ValueError, match="the data set one has no splits; leave out :train"):
        find_source(["one:train"])
    data.save_to_disk("two")
    with pytest.raises(ValueError, match="the id '00000000': row 0 of one, and row 0 of two; give these sources one"):
        find_source(["one", "two"])


def test_which_column_is_what(datasets: Any) -> None:
    data = data_set(datasets)
    names = datasets.ClassLabel(names=["a", "b", "c"])
    masks = [{"bytes": encoded(9), "path": None}] * 3
    by_name = data.rename_column("label", "kind").add_column("label", ["x", "", None])
    for given, labels in (
        (data.rename_column("label", "kind").rename_column("image", "photo"), ["cat", "dog", None]),
        (by_name, ["cat", "dog", None]),  # what has classes goes before what has texts
        (by_name.remove_columns("kind"), ["x", None, None]),
        (data.remove_columns("label").rename_column("n", "labels"), [0, 1, -1]),
        (data.remove_columns("label"), [None, None, None]),
        (data.add_column("fine", [2, 0, 1]).cast_column("fine", names), ["cat", "dog", None]),
        (data.add_column("mask", masks).cast_column("mask", datasets.Image()), ["cat", "dog", None]),
    ):
        shutil.rmtree("some", ignore_errors=True)
        given.save_to_disk("some")
        items = list(HuggingFaceSource("some"))
        assert [each.label for each in items] == labels
        assert [number_of(each.read(MAX_PIXELS)) for each in items] == [0, 1, 2]
    data.remove_columns("image").save_to_disk("none")
    with pytest.raises(ValueError, match="the data set none has no column of pictures among n, label; give one the"):
        HuggingFaceSource("none")
    two = {name: [picture(0)] for name in ("left", "right")}
    datasets.Dataset.from_dict(two).cast_column("left", datasets.Image()).cast_column(
        "right", datasets.Image()
    ).save_to_disk("two")
    with pytest.raises(ValueError, match="several columns of pictures, left, right; rename one to image"):
        HuggingFaceSource("two")


def test_pictures_that_are_none_or_damaged(datasets: Any) -> None:
    stored = [{"bytes": encoded(0)}, {"bytes": b"no picture"}, {"bytes": b""}, None]
    features = datasets.Features({"image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}})
    rows = [each and {"path": None, **each} for each in stored]
    data = datasets.Dataset.from_dict({"image": rows}, features=features)
    data.cast_column("image", datasets.Image()).save_to_disk("odd")
    first, *others = HuggingFaceSource("odd")
    assert number_of(first.read(MAX_PIXELS)) == 0
    wrong = ("1 of odd is not a picture in a known", "2 of odd is empty", "3 of odd has no picture")
    for item, message in zip(others, wrong, strict=True):
        with pytest.raises(ValueError, match=f"row {message}"):
            item.read(MAX_PIXELS)


def test_pictures_that_are_stored_as_paths(datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which save_to_disk makes none of; older versions did."""
    write_pictures(tmp_path, ["0.png", "1.png"])
    data_set(datasets).save_to_disk("one")
    items = list(HuggingFaceSource("one"))
    monkeypatch.setattr(type(items[0].table), "cell", lambda table, row: {"bytes": None, "path": row and f"{row}.png"})
    assert number_of(items[1].read(MAX_PIXELS)) == 1
    with pytest.raises(ValueError, match="row 0 of one has no picture"):
        items[0].read(MAX_PIXELS)
    with pytest.raises(FileNotFoundError, match=r"there is no file 2.png; check the path"):
        items[2].read(MAX_PIXELS)


def test_damaged_and_changed_data_sets(datasets: Any) -> None:
    data_set(datasets).save_to_disk("one")
    items = list(HuggingFaceSource("one"))
    shutil.rmtree("one")
    data_set(datasets, [1, 0]).save_to_disk("one")
    with pytest.raises(ValueError, match="one has been written anew since its pictures were listed; begin again"):
        items[0].read(MAX_PIXELS)
    chance = random.Random(0)
    for name in os.listdir("one"):
        whole = Path("one", name).read_bytes()
        for number in range(40):
            data = bytearray(whole)
            for _ in range(3):
                data[chance.randrange(len(data))] = chance.randrange(256)
            shutil.rmtree("bad", ignore_errors=True)
            shutil.copytree("one", "bad")
            Path("bad", name).write_bytes(data[: chance.randrange(len(data))] if number % 4 == 0 else data)
            try:
                for item in HuggingFaceSource("bad"):
                    item.read(MAX_PIXELS)
            except (OSError, ValueError) as error:
                assert "bad" in str(error)  # noqa: PT017 - a few do no harm
