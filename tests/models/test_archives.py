"""ZIP files that show one thing to one reader and another to another: refused by whoever reads them."""

from __future__ import annotations

import struct
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
from helpers.nnp_files import classifier, write_nnp
from torch import nn

from pytorch_grad_cam.models import archives
from pytorch_grad_cam.models.archives import open_archive
from pytorch_grad_cam.models.from_exported import load_exported
from pytorch_grad_cam.models.nnp import load_nnp
from pytorch_grad_cam.models.weights_file import read_weights

Member = tuple[str, bytes]
Kind = tuple[str, bytes, Callable[[Path], object]]


def exported() -> bytes:
    file = BytesIO()
    net = nn.Sequential(nn.Conv2d(1, 1, 1)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 2, 2),), strict=False), file)
    return file.getvalue()


def saved() -> bytes:
    file = BytesIO()
    torch.save({"a": torch.arange(3.0)}, file)
    return file.getvalue()


@pytest.fixture(scope="module", params=["pt2", "pth", "nnp"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """The suffix of a kind of file, a sound one, and its reader."""
    if request.param == "pt2":
        return "pt2", exported(), lambda path: load_exported(str(path))
    if request.param == "pth":
        return "pth", saved(), read_weights
    return "nnp", write_nnp(tmp_path_factory.mktemp("nnp") / "a", *classifier(), "text").read_bytes(), load_nnp


def members(data: bytes) -> list[Member]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def packed(content: list[Member], how: int = zipfile.ZIP_STORED) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", how) as archive:
        warnings.simplefilter("ignore")  # zipfile's, on a second name
        for name, data in content:
            archive.writestr(name, data)
    return file.getvalue()


def test_sound_archives_are_read(kind: Kind, tmp_path: Path) -> None:
    suffix, data, read = kind
    path = tmp_path / f"a.{suffix}"
    for sound in (data, packed(members(data))):
        path.write_bytes(sound)
        assert read(path)


@pytest.mark.parametrize("change", [str, str.upper])
def test_a_name_stands_twice(change: Callable[[str], str], kind: Kind, tmp_path: Path) -> None:
    """Python's reader takes the last of two, torch's the first, and it does not tell large letters from small ones."""
    suffix, data, read = kind
    content = members(data)
    path = tmp_path / f"a.{suffix}"
    for name, inside in content:
        for twice in ([(change(name), inside), *content], [*content, (change(name), b"{}")]):
            path.write_bytes(packed(twice))
            with pytest.raises(ValueError, match="two of its members have the same name"):
                read(path)


def test_two_lists_of_members(kind: Kind, tmp_path: Path) -> None:
    """Python looks for the list right before the file's end, torch where the end says that it is."""
    suffix, data, read = kind
    other = packed([(f"{name}x", b"") for name, _ in members(data)])
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(other + packed(members(data)))  # places count from the beginning of the second
    with pytest.raises(ValueError, match="more than one list of members"):
        read(path)


def test_a_version_that_only_torch_reads(tmp_path: Path) -> None:
    """It got around the limit on what a file may grow to."""
    file = BytesIO()
    torch.save({"a": torch.zeros(1 << 20)}, file)
    data = bytearray(packed(members(file.getvalue()), zipfile.ZIP_DEFLATED))
    place = -1
    while (place := data.find(b"PK\1\2", place + 1)) >= 0:
        data[place + 6] = 64
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"is damaged or incomplete.*version 6"):
        read_weights(tmp_path / "a.pth")


def test_a_packed_file_inside_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported program may hold what torch.save wrote, which is unpacked too."""
    monkeypatch.setattr(archives, "_FREE", 1 << 20)
    file = BytesIO()
    torch.save({"a": torch.zeros(1 << 20)}, file)
    inner = packed(members(file.getvalue()), zipfile.ZIP_DEFLATED)
    content = members(exported())
    folder = content[0][0].split("/")[0]
    (tmp_path / "a.pt2").write_bytes(packed([*content, (f"{folder}/data/weights/weight_9", inner)]))
    with pytest.raises(ValueError, match=r"weight_9\) would grow from \d+ to \d+ bytes"):
        load_exported(str(tmp_path / "a.pt2"))


@pytest.mark.parametrize("name", ["data.pkl", "DATA.PKL"])
def test_letters_of_any_size_name_a_pickle(name: str, tmp_path: Path) -> None:
    """Torch takes DATA.PKL for data.pkl; its search in the message on this one takes ten seconds."""
    pickle = b"\x80\x02ccollections\n" + b"O" * 20_000 + b"\n."
    (tmp_path / "a.pth").write_bytes(packed([(f"a/{name}", pickle), ("a/version", b"3\n")]))
    with pytest.raises(ValueError, match="names an object by more than a thousand characters"):
        read_weights(tmp_path / "a.pth")


def test_records_of_large_archives() -> None:
    """Torch always writes the long ones, Python where it must."""
    data = bytearray(saved())
    with open_archive(BytesIO(data)) as archive:
        assert len(archive.namelist()) > 1
    place = data.rindex(b"PK\6\7")
    assert data[place - 56 : place - 52] == b"PK\6\6"
    for at, value in ((place + 8, 7), (place + 8, 1 << 62), (place - 24, 9)):
        struct.pack_into("<Q", changed := bytearray(data), at, value)
        with pytest.raises(zipfile.BadZipFile), open_archive(BytesIO(changed)):
            pass


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"PK\5\6" + bytes(30)])
def test_comments(comment: bytes) -> None:
    file = BytesIO(packed([("a", b"1")]))
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = comment
    if comment.startswith(b"PK"):
        with pytest.raises(zipfile.BadZipFile), open_archive(file):
            pass
    else:
        with open_archive(file) as archive:
            assert archive.read("a") == b"1"
