"""What a text names is told by its form and by what is there."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT
from helpers.small_pictures import MAX_PIXELS, check_items, encoded, number_of, picture, write_pictures

from pytorch_grad_cam.data.sources.dataset import DatasetSource
from pytorch_grad_cam.data.sources.files import FilesSource
from pytorch_grad_cam.data.sources.find import KINDS, find_source
from pytorch_grad_cam.data.sources.manifest import ManifestSource
from pytorch_grad_cam.data.sources.shards import ShardsSource


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a source of each kind."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path, ["photos/cat/1.png", "photos/dog/2.png", "more/3.png"])
    Path("photos.csv").write_text("path,id\nmore/3.png,three\n")
    with tarfile.open("s-0.tar", "w") as archive:
        member = tarfile.TarInfo("four.png")
        member.size = len(encoded(4))
        archive.addfile(member, io.BytesIO(encoded(4)))
    return tmp_path


@pytest.mark.parametrize(
    ("texts", "kind", "ids"),
    [
        (["photos"], FilesSource, ["cat/1", "dog/2"]),
        (["photos/"], FilesSource, ["cat/1", "dog/2"]),
        (["photos", "more"], FilesSource, ["photos/cat/1", "photos/dog/2", "more/3"]),
        (["photos/*/*.png"], FilesSource, ["cat/1", "dog/2"]),
        (["photos/{dog,cat}/*.png"], FilesSource, ["dog/2", "cat/1"]),
        (["more/3.png"], FilesSource, ["3"]),
        (["photos.csv"], ManifestSource, ["three"]),
        (["*.csv"], ManifestSource, ["three"]),
        (["s-{0..0}.tar"], ShardsSource, ["four"]),
        (["*.tar"], ShardsSource, ["four"]),
        (["torchvision.datasets:FakeData"], DatasetSource, [f"{number:08d}" for number in range(1000)]),
    ],
)
def test_each_kind(texts: list[str], kind: type, ids: list[str], here: Path) -> None:
    source = find_source(texts)
    assert isinstance(source, kind)
    assert [each.id for each in source] == ids


def test_several_kinds_one_behind_the_other(here: Path) -> None:
    source = find_source(["s-0.tar", "photos", "photos.csv"])
    items = check_items(source, here)
    assert [each.id for each in items] == ["four", "cat/1", "dog/2", "three"]
    assert [number_of(each.read(MAX_PIXELS)) for each in items] == [4, 0, 1, 2]
    assert source.description == "tar shards: s-0.tar (1); files: photos; table: photos.csv (with id)"


def test_an_id_of_two_sources_names_both(here: Path) -> None:
    Path("other.csv").write_text("path\nphotos/cat/1.png\n")
    Path("photos", "other.csv").write_text("path\ncat/1.png\ndog/2.png\n")
    message = r"the id 'cat/1': photos.cat.1.png, and cat/1.png \(line 2 of photos/other.csv\); give these sources one"
    with pytest.raises(ValueError, match=message):
        find_source(["photos", "photos/other.csv"])
    assert len(find_source(["photos", "other.csv"])) == 3


@pytest.mark.parametrize("text", ["photo", "s3", "a b c", "", "C:", "two:words:here", "\0", "x" * 5000, "--help"])
def test_an_unknown_word_is_told_all_kinds(text: str, here: Path) -> None:
    with pytest.raises(ValueError, match="is no source of pictures; give one of") as caught:
        find_source([text])
    assert str(caught.value).endswith(KINDS)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("photo/", FileNotFoundError, "there is no folder photo/; check the path"),
        ("photo.csv", FileNotFoundError, "there is no file photo.csv; check the path"),
        ("s-9.tar", FileNotFoundError, "there is no file s-9.tar; check the path"),
        ("*.jsonl", ValueError, r"no file matches \*.jsonl; check the pattern"),
        ("*.jpg", ValueError, r"no file matches \*.jpg; check the pattern"),
        ("https://example.com/photos", ValueError, "is an address; download the picture and give its file"),
        ("net.py:make", ValueError, "names a file; write it as a module: net:make"),
        ("no_module:make", ImportError, "there is no module 'no_module'"),
        ("s.tar.gz", FileNotFoundError, "there is no file s.tar.gz"),
        ("shards", ValueError, "the folder shards has no pictures; for its .tar files give 'shards/\\*.tar'"),
    ],
)
def test_what_is_not_there(text: str, kind: type[Exception], message: str, here: Path) -> None:
    Path("shards").mkdir()
    Path("shards", "a.tar").touch()
    with pytest.raises(kind, match=message):
        find_source([text])


def test_the_page_shows_what_runs(here: Path) -> None:
    """docs/data_sets.md."""
    page = (ROOT / "docs" / "data_sets.md").read_text(encoding="utf-8").partition("## Where the pictures come from")[2]
    block = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block
    Path("photos.csv").rename("more.csv")
    names: dict[str, Any] = {"my_dataset": [(picture(1), "cat")]}
    exec(block[1], names)
    assert len(names["source"]) == 1
    assert names["image"].shape == (4, 6, 3)


def test_nothing_is_no_source() -> None:
    with pytest.raises(ValueError, match="there is no source of pictures; give one of"):
        find_source([])


def test_a_missing_file_that_is_named_as_a_picture_is_one_that_cannot_be_read(here: Path) -> None:
    """As with --image-path: the others go on."""
    _, missing = find_source(["more/3.png", "more/4.png"])
    with pytest.raises(FileNotFoundError, match=r"there is no file .*4.png; check the path"):
        missing.read(MAX_PIXELS)
