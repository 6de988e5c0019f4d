"""Pictures by path, folder and glob; class names from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_grad_cam.data.samples import find_samples, names_many
from pytorch_grad_cam.models.categories import read_categories


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, which only have to be there."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deeper/c.tif", "deeper/a.png", "[odd].jpg", "x.weird"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def found(*sources: str) -> list[tuple[str, str]]:
    samples, problems = find_samples(sources)
    assert not problems
    return [(each.id, each.path.as_posix()) for each in samples]


def test_files_folders_and_patterns(here: Path) -> None:
    assert found("b.jpg") == [("b", "b.jpg")]
    assert found("x.weird", "missing.jpg") == [("x", "x.weird"), ("missing", "missing.jpg")]  # reading will tell
    assert found("deeper") == [("a", "deeper/a.png"), ("c", "deeper/c.tif")]
    assert [path for _, path in found(".")] == ["[odd].jpg", "a.PNG", "b.jpg"]
    assert found("*.weird") == [("x", "x.weird")]
    assert found("[odd].jpg") == [("[odd]", "[odd].jpg")]  # a file of that name, no pattern
    assert [path for _, path in found("**/*")] == ["[odd].jpg", "a.PNG", "b.jpg", "deeper/a.png", "deeper/c.tif"]
    assert found("b.jpg", "*.jpg", str(here / "b.jpg")) == [("b", "b.jpg"), ("[odd]", "[odd].jpg")]  # each once


def test_every_picture_has_a_name_of_its_own(here: Path) -> None:
    assert [name for name, _ in found("a.PNG", "deeper/a.png")] == ["a", "deeper/a"]
    Path("A.jpg").touch()
    assert [name for name, _ in found("a.PNG", "A.jpg")] == ["a.PNG", "A.jpg"]
    Path("same").mkdir()
    assert len({name for name, _ in found("a.PNG", "A.jpg", "deeper/a.png")}) == 3


def test_what_stands_for_no_picture(here: Path) -> None:
    Path("empty").mkdir()
    Path("outer/inner").mkdir(parents=True)
    Path("outer/inner/p.png").touch()
    samples, problems = find_samples(["empty", "b.jpg", "*.gif", "outer"])
    assert [each.id for each in samples] == ["b"]
    assert problems[0].startswith("the folder empty has no pictures (.avif, .bmp,")
    assert problems[1] == "no file matches *.gif; check the pattern"
    assert problems[2].endswith("its subfolders have some: 'outer/**/*' takes them too")


def test_one_or_many_is_what_was_asked_for_not_what_was_found(here: Path) -> None:
    assert not names_many(["b.jpg"])
    assert not names_many(["missing.jpg"])
    assert not names_many(["[odd].jpg"])
    assert all(map(names_many, (["deeper"], ["*.weird"], ["b.jpg", "a.PNG"])))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\ndog\n\n"),
        ("a.txt", "\ufeffcat \n dog"),
        ("a.json", '["cat", "dog"]'),
        ("a.json", '{"1": "dog", "0": "cat"}'),
        ("a.json", '{"0": ["n01", "cat"], "1": ["n02", "dog"]}'),
        ("a.json", '{"dog": 1, "cat": 0}'),
        ("a.json", '[{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]'),
    ],
)
def test_class_names_from_a_file(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_categories(tmp_path / name) == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"1": "dog"}', "is neither a JSON list of class names nor an object with all indices from 0"),
        (b'{"dog": 1}', "is neither a JSON list"),
        (b'[{"id": 7}]', "is neither a JSON list"),
        (b"[1, 2]", "names that are no texts"),
        (b"nothing", "is neither a JSON list"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
    ],
)
def test_files_that_hold_no_class_names(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_categories(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match="there is no file of class names"):
        read_categories(tmp_path / "b.json")
