"""Folders, patterns and files as a source of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.small_pictures import MAX_PIXELS, check_items, number_of, write_pictures

from pytorch_grad_cam.data.folders import braces_expanded, files_below, matching_files
from pytorch_grad_cam.data.samples import find_samples
from pytorch_grad_cam.data.sources.files import FilesSource

NAMES = ("cat/1.png", "cat/old/2.png", "dog/1.png", "top.png")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures in folders, beside hidden ones and what is none."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "photos", [*NAMES, ".hidden.png", "cat/.git/3.png", "._top.png"])
    (tmp_path / "photos" / "notes.txt").touch()
    return tmp_path


def ids(*texts: str) -> list[str]:
    return [item.id for item in FilesSource(texts)]


def test_a_folder_with_all_below_it(photos: Path) -> None:
    items = check_items(FilesSource(["photos"]), photos)
    assert [(each.id, each.label, each.target) for each in items] == [
        ("cat/1", "cat", None),
        ("cat/old/2", "old", None),  # the folder that it lies in, as --labels folders has it
        ("dog/1", "dog", None),
        ("top", None, None),
    ]
    assert [each.origin for each in items] == [os.path.join("photos", *name.split("/")) for name in NAMES]
    assert [number_of(each.read(MAX_PIXELS)) for each in items] == [0, 1, 2, 3]


def test_an_id_has_the_ending_only_where_another_file_differs_in_nothing_else(photos: Path) -> None:
    write_pictures(photos / "photos", ["cat/1.jpg", "top.png.png", "TOP.gif"])
    assert ids("photos") == ["TOP.gif", "cat/1.jpg", "cat/1.png", "cat/old/2", "dog/1", "top.png", "top.png.png"]


def test_an_id_does_not_depend_on_other_pictures_nor_on_where_the_folder_lies(photos: Path) -> None:
    before = set(ids("photos"))
    write_pictures(photos / "photos", ["bird/1.png"])
    assert set(ids(str(photos / "photos"))) == before | {"bird/1"}
    (photos / "photos" / "bird" / "1.png").unlink()
    for name in NAMES[:-1]:
        (photos / "photos" / name).unlink()
    assert ids("photos") == ["top"]


def test_patterns_and_files(photos: Path) -> None:
    labels = [(each.id, each.label) for each in FilesSource(["photos/*/*.png"])]
    assert labels == [("cat/1", "cat"), ("dog/1", "dog")]
    assert [(each.id, each.label) for each in FilesSource(["photos/cat/*"])] == [("1", None)]
    assert ids("photos/**/*.png") == ids("photos")
    assert ids("photos/top.png") == ["top"]
    assert ids("photos/top.png", "photos/*.png", str(photos / "photos" / "top.png")) == ["top"]  # each file once
    assert ids("photos/dog", "photos/cat") == ["dog/1", "cat/1", "cat/old/2"]
    (missing,) = FilesSource(["missing.png"])
    with pytest.raises(FileNotFoundError, match=r"there is no file .*missing\.png; check the path"):
        missing.read(MAX_PIXELS)


def test_links_in_a_circle_end_and_links_to_other_folders_are_followed(photos: Path) -> None:
    write_pictures(photos / "apart", ["5.png"])
    (photos / "photos" / "apart").symlink_to(photos / "apart", target_is_directory=True)
    for number in range(6):  # without care, more ways than anybody can walk
        (photos / "photos" / f"loop{number}").symlink_to(photos / "photos", target_is_directory=True)
        (photos / "photos" / "cat" / f"loop{number}").symlink_to("..", target_is_directory=True)
    (photos / "photos" / "a_dog").symlink_to(photos / "photos" / "dog", target_is_directory=True)
    (photos / "photos" / "gone").symlink_to("nowhere")
    wanted = ["apart/5", "cat/1", "cat/old/2", "dog/1", "top"]  # dog by its own name, not by that of the link
    assert ids("photos") == wanted
    assert ids("photos/**/*.png") == wanted
    assert [each.path.name for each in find_samples(["photos/**/*.png"])[0]] == [
        "5.png",
        "1.png",
        "2.png",
        "1.png",
        "top.png",
    ]


def test_what_has_no_pictures_is_said(photos: Path) -> None:
    (photos / "empty").mkdir()
    for text, message in (
        ("empty", "the folder empty has no pictures"),
        ("*.gif", r"no file matches \*.gif; check the pattern"),
        ("nowhere/**/*.png", "no file matches nowhere"),
        ("http://example.com/a.png", "is an address; download the picture"),
    ):
        with pytest.raises(ValueError, match=message):
            FilesSource(["photos", text])


def test_a_folder_that_cannot_be_read_is_not_passed_over(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def locked(folder: str) -> object:
        if str(folder).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", locked)  # root may read everything
    with pytest.raises(PermissionError, match=r"cannot read the folder photos.dog: permission denied"):
        FilesSource(["photos"])


def test_names_that_are_no_text(photos: Path) -> None:
    try:
        os.rename(b"photos/top.png", b"photos/\xff\n<b>.png")
    except OSError:
        os.rename("photos/top.png", "photos/b\n<b>.png")  # a file system that has texts only
    *_, item = FilesSource(["photos"])
    assert item.id.encode("utf-8").endswith(b"\n<b>")
    assert item.origin.encode("utf-8")
    assert number_of(item.read(MAX_PIXELS)) == 3


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("**", ["a.txt", "x/b.txt", "x/y/b.txt"]),
        ("**/b.txt", ["x/b.txt", "x/y/b.txt"]),
        ("x/**/b.txt", ["x/b.txt", "x/y/b.txt"]),
        ("**/y/**/*", ["x/y/b.txt"]),
        ("**/**/a.*", ["a.txt"]),
        ("*/[xyz]/**", ["x/y/b.txt"]),
        ("x/*", ["x/b.txt"]),
        ("**/c.txt", []),
    ],
)
def test_a_pattern_for_any_depth(
    pattern: str, wanted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "x/b.txt", "x/y/b.txt", "x/.z/b.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    found = [path.replace(os.sep, "/") for path in matching_files(pattern)]
    assert found == wanted
    for every in (tmp_path / pattern, Path("..") / tmp_path.name / pattern):
        relative = [os.path.relpath(path, tmp_path).replace(os.sep, "/") for path in matching_files(str(every))]
        assert relative == wanted
    assert len(files_below(tmp_path)) == 3


def test_braces() -> None:
    assert braces_expanded("s-{008..011}.tar") == ["s-008.tar", "s-009.tar", "s-010.tar", "s-011.tar"]
    assert braces_expanded("{train,val}-{1..0}") == ["train-1", "train-0", "val-1", "val-0"]
    assert braces_expanded("{0..1}{0..1}") == ["00", "01", "10", "11"]
    assert braces_expanded("{x} {} a") == ["{x} {} a"]
    for huge in ("{0..999999999999}", "{0..999}" * 3):
        with pytest.raises(ValueError, match="stands for more than 100,000 names"):
            braces_expanded(huge)
