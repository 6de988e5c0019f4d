"""Tar archives as a source of pictures."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.small_pictures import MAX_PIXELS, check_items, encoded, number_of

from pytorch_grad_cam.data.sources.shards import ShardsSource


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tar(path: str, files: Iterable[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def two_shards() -> None:
    write_tar("s-000.tar", [("a/1.jpg", encoded(1)), ("a/1.cls", b"7\n"), ("a/2.png", encoded(2)), ("a/2.cls", b"cat")])
    write_tar("s-001.tar", [("3.json", b'{"label": "dog"}'), ("3.webp", encoded(3)), ("4.jpg", encoded(4))])


def found(*texts: str) -> list[tuple[str, str | int | None, int]]:
    return [(each.id, each.label, number_of(each.read(MAX_PIXELS))) for each in ShardsSource(texts)]


ALL = [("a/1", 7, 1), ("a/2", "cat", 2), ("3", "dog", 3), ("4", None, 4)]


def test_samples_of_shards(here: Path) -> None:
    two_shards()
    source = ShardsSource(["s-{000..001}.tar"])
    items = check_items(source, here)
    assert found("s-{000..001}.tar") == ALL
    assert found("*.tar") == ALL
    assert found("s-001.tar", "s-000.tar", "*.tar") == ALL[2:] + ALL[:2]  # each once
    assert items[0].origin == "s-000.tar: a/1.jpg"
    assert items[0].target is None
    assert source.description == "tar shards: s-{000..001}.tar (2)"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar(form: int) -> None:
    long = "/".join(["folder" * 5] * 5) + "/" + "n" * 60  # two headers, where a name has more than 100 bytes
    write_tar("a.tar", [(f"{long}.jpg", encoded(1)), (f"{long}.cls", b"3"), ("./b.png", encoded(2))], form)
    assert found("a.tar") == [(long, 3, 1), ("b", None, 2)]


def test_which_file_of_a_sample_is_what() -> None:
    files = [
        ("1.seg.png", encoded(9)),  # parts of one sample need not stand together
        ("2.JPEG", encoded(2)),
        ("1.png", encoded(1)),
        ("2.png", encoded(9)),  # a mask
        ("2.txt", b"a caption"),
        ("3.left.png", encoded(3)),
        ("3.json", b'{"label": 5}'),
        ("3.cls", b""),
        ("4.jpg", encoded(4)),
        ("4.json", b'["no object"]'),
        ("5.jpg", encoded(5)),
        ("5.json", b'{"label": [1, 2]}'),
        ("v1.0/6.a.jpg", encoded(6)),  # the folder's dot is none of the file's
        ("7.txt", b"no picture"),
        ("._1.png", b"what a Mac leaves"),
        ("README", b""),
    ]
    write_tar("a.tar", files)
    assert found("a.tar") == [
        ("1", None, 1),
        ("2", None, 2),
        ("3", None, 3),
        ("4", None, 4),
        ("5", None, 5),
        ("v1.0/6", None, 6),
    ]


def test_a_name_twice_names_both() -> None:
    write_tar("a.tar", [("1.jpg", encoded(1))])
    write_tar("b.tar", [("1.png", encoded(2))])
    with pytest.raises(ValueError, match=r"the id '1': a.tar: 1.jpg, and b.tar: 1.png; give these archives one at a"):
        ShardsSource(["*.tar"])
    write_tar("c.tar", [("1.jpg", encoded(1)), ("1.jpg", encoded(2))])
    with pytest.raises(ValueError, match=r"c.tar: 1.jpg is there twice"):
        ShardsSource(["c.tar"])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("1.left.png", b""), ("1.right.png", b"")], "a.tar: 1.left.png and 1.right.png belong to one sample"),
        ([("1.jpg", b""), ("1.cls", b"\xff")], "a.tar: 1.cls is not text in UTF-8"),
        ([("1.jpg", b""), ("1.json", b"{")], "a.tar: 1.json is not JSON"),
        ([("1.jpg", b""), ("1.json", b"[" * 100_000)], "a.tar: 1.json is not JSON"),
        ([("1.jpg", b""), ("1.cls", bytes(2_000_000))], "a.tar: 1.cls has 2000000 bytes, too many for a label"),
        ([("1.txt", b"")], "a.tar: no picture is in it; none of its files ends in .avif, "),
        ([], "no picture is in it"),
    ],
)
def test_samples_that_are_none(files: list[tuple[str, bytes]], message: str) -> None:
    write_tar("a.tar", files)
    with pytest.raises(ValueError, match=message):
        ShardsSource(["a.tar"])


def test_a_bad_picture_is_that_of_one_item() -> None:
    write_tar("a.tar", [("1.jpg", b"no picture"), ("2.jpg", b""), ("3.jpg", encoded(3))])
    first, second, third = ShardsSource(["a.tar"])
    with pytest.raises(ValueError, match=r"a.tar: 1.jpg is not a picture in a known format"):
        first.read(MAX_PIXELS)
    with pytest.raises(ValueError, match=r"a.tar: 2.jpg is empty"):
        second.read(MAX_PIXELS)
    with pytest.raises(ValueError, match=r"a.tar: 3.jpg has 6 x 4 pixels, more than the 20 that are read"):
        third.read(20)
    os.truncate("a.tar", 600)
    with pytest.raises(ValueError, match=r"a.tar has become shorter than it was"):
        third.read(MAX_PIXELS)
    os.unlink("a.tar")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a.tar; check the path"):
        third.read(MAX_PIXELS)


def test_hostile_names_are_only_ids(here: Path) -> None:
    names = ["../../up", "/etc/passwd", "C:\\a", "<script>alert(1)</script>", "a\nb", "\u202egpj", "\udcff", "n" * 300]
    before = set(os.listdir(here.parent))
    write_tar("a.tar", [(f"{name}.png", encoded(number)) for number, name in enumerate(names)])
    items = check_items(ShardsSource(["a.tar"]), here)
    assert [each.id for each in items] == [*names[:6], "\\udcff", "n" * 300]
    assert [number_of(each.read(MAX_PIXELS)) for each in items] == list(range(8))
    assert set(os.listdir(here.parent)) == before
    assert set(os.listdir(here)) == {"a.tar", "elsewhere"}


def test_links_and_devices_in_an_archive_are_passed_over() -> None:
    with tarfile.open("a.tar", "w") as archive:
        for number, kind in enumerate(
            [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
        ):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("9.png")
        member.size = len(encoded(9))
        archive.addfile(member, io.BytesIO(encoded(9)))
    assert found("a.tar") == [("9", None, 9)]


def test_a_cut_archive_is_refused_wherever_it_is_cut() -> None:
    two_shards()
    whole = Path("s-000.tar").read_bytes()
    last = whole.rstrip(b"\0")
    for length in [*range(0, len(last), 97), *range(512, len(last), 512)]:
        Path("cut.tar").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cut\.tar (cannot be read as a tar archive|is empty)"):
            ShardsSource(["cut.tar"])


def test_a_damaged_archive_is_never_read_as_a_shorter_one() -> None:
    """tarfile takes a header that it cannot read for the end."""
    two_shards()
    whole = Path("s-000.tar").read_bytes()
    headers = [offset for offset in range(0, len(whole), 512) if b"ustar" in whole[offset : offset + 512]]
    assert len(headers) == 4
    for offset in headers:
        data = bytearray(whole)
        data[offset + 150] ^= 1  # of the sum
        Path("bad.tar").write_bytes(data)
        with pytest.raises(ValueError, match=rf"bad\.tar cannot be read as a tar archive: .*({offset}|checksum)"):
            ShardsSource(["bad.tar"])


def test_hostile_headers() -> None:
    chance = random.Random(0)
    two_shards()
    for name in ("s-000.tar", "s-001.tar"):
        whole = Path(name).read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            start = chance.randrange(0, 4) * 1024
            for _ in range(chance.randrange(1, 20)):
                data[start + chance.randrange(512)] = chance.randrange(256)
            header = bytes(data[start : start + 512])
            total = sum(header) - sum(header[148:156]) + 8 * 32  # a sum that holds, so that the rest is looked at
            data[start + 148 : start + 156] = b"%06o\0 " % total
            Path("bad.tar").write_bytes(data)
            try:
                for item in ShardsSource(["bad.tar"]):
                    item.read(MAX_PIXELS)
            except ValueError as error:
                assert "bad.tar" in str(error)  # noqa: PT017 - many do no harm


def huge_header(kind: bytes, size: bytes) -> bytes:
    member = tarfile.TarInfo("a.png")
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size.ljust(12, b"\0")
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.REGTYPE])
@pytest.mark.parametrize("size", [b"77777777777", b"\x80" + b"\x7f" * 11, b"\xff" * 11 + b"\x80"], ids=repr)
def test_sizes_that_nothing_has(kind: bytes, size: bytes) -> None:
    """Gigabytes, more than a number holds, and less than nothing."""
    Path("a.tar").write_bytes(huge_header(kind, size) + bytes(10240))
    with pytest.raises(ValueError, match=r"a\.tar cannot be read as a tar archive"):
        ShardsSource(["a.tar"])


def test_a_picture_of_gigabytes_is_not_read() -> None:
    size = 5_000_000_000
    with open("a.tar", "wb") as file:
        file.write(huge_header(tarfile.REGTYPE, b"%011o" % size))
        file.truncate(512 + -(-size // 512) * 512 + 1024)  # a hole, which takes no room
    (item,) = ShardsSource(["a.tar"])
    with pytest.raises(ValueError, match=r"a\.tar: a\.png has 5000000000 bytes, too many for a picture of 1000 pixels"):
        item.read(MAX_PIXELS)


def test_compressed_archives_are_refused_in_words() -> None:
    two_shards()
    data = Path("s-000.tar").read_bytes()
    for name, content, kind in (
        ("a.tar.gz", gzip.compress(data), "gzip"),
        ("a.tar", gzip.compress(data), "gzip"),
        ("a.tar.zst", b"\x28\xb5\x2f\xfd" + data, "zstd"),
    ):
        Path(name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{re.escape(name)} is compressed \({kind}\).*unpack it to a plain .tar"):
            ShardsSource([name])


def test_files_that_are_no_archives() -> None:
    two_shards()
    joined = Path("s-000.tar").read_bytes() + Path("s-001.tar").read_bytes()
    Path("joined.tar").write_bytes(joined)
    Path("text.tar").write_text("no archive" * 1000)
    os.mkfifo("pipe.tar")
    for name, message in (
        ("joined.tar", "there is more behind its end"),
        ("text.tar", "text.tar cannot be read as a tar archive"),
        ("pipe.tar", "pipe.tar is no file, but a device"),
        ("https://example.com/a.tar", "is an address; download the archives"),
        ("pipe:cat a.tar", "is an address"),
        ("x-*.tar", r"no file matches x-\*.tar"),
    ):
        with pytest.raises(ValueError, match=message):
            ShardsSource([name])
    with pytest.raises(FileNotFoundError, match=r"there is no file s-002.tar; check the path"):
        ShardsSource(["s-{000..002}.tar"])
