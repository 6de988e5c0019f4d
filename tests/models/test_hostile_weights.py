"""Files of weights and of class names that are well-formed and mean nothing: a sentence each."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytorch_grad_cam.models.categories import read_categories
from pytorch_grad_cam.models.pickle_names import check_saved
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights


def test_dictionaries_that_hold_one_another(tmp_path: Path) -> None:
    content: dict[str, Any] = {"epoch": 3}
    content["model"] = content
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="holds dictionaries that hold one another"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("key", [0, 1.5, None, True, ("a", "b")])
def test_keys_that_are_no_names(key: Any, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1), key: torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=rf"holds tensors under .*, a {type(key).__name__}, where names must stand"):
        read_weights(tmp_path / "a.pth")


def test_complex_weights(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    torch.save({name: value.to(torch.complex64) for name, value in net.state_dict().items()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"are complex numbers, those of Linear are not: weight, bias; save real ones"):
        copy_weights(net, read_weights(tmp_path / "a.pth"), "a.pth")


def test_weights_that_cannot_be_copied() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"the weights of a\.pth cannot be copied into Linear"):
        copy_weights(net, {"weight": torch.zeros(2, 2, device="meta"), "bias": torch.zeros(2).to_sparse()}, "a.pth")


def test_weights_that_are_packed_are_not_unpacked_beyond_reason(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(17 << 20)}, tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as old,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match=r"b\.pth would grow from \d+ to \d+ bytes; torch packs nothing"):
        read_weights(tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"tench"', "it is a str"),
        ("7", "it is a int"),
        ("null", "it is a NoneType"),
        ('{"a": 0, "b": 0}', "'a' and 'b' have the same index"),
        ('{"0": "a", "0": "b"}', "'0' stands in it twice"),
        ('{"a": 0, "b": 2}', "'1'"),
        ("[" * 100_000 + "]" * 100_000, "recursion"),
        ("[" + "1" * 5_000 + "]", "digits"),
        ("[[]]", "index out of range"),
    ],
)
def test_class_names_that_are_none(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.json is neither a JSON list .*{message}"):
        read_categories(tmp_path / "a.json")


def test_class_names_in_every_form(tmp_path: Path) -> None:
    for content in (["a", "b"], {"0": "a", "1": "b"}, {"b": 1, "a": 0}, {"0": ["n1", "a"], "1": {"name": "b"}}):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert read_categories(tmp_path / "a.json") == ("a", "b")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "pickle",
    [
        b"ccollections\n" + b"O" * 50_000 + b"\n.",
        b"ccollections\n" + b"O" * 50_000,  # the line has no end
        b"c" + b"torch." * 9_000 + b"\nA\n.",
        b"ccollections\n\xc3\xa9\nccollections\n" + b"O" * 50_000 + b"\n.",  # behind, or in, a name beyond ASCII
        b"ccollections\n" + b"O" * 50_000 + b"\xc3\xa9\n.",
    ],
)
def test_a_name_without_end(pickle: bytes, zipped: bool, tmp_path: Path) -> None:
    """Torch searches the message that names it in quadratic time: 76 kB took more than ten seconds."""
    pickle = b"\x80\x02" + pickle
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
            archive.writestr("a/data.pkl", pickle)
            archive.writestr("a/version", "3\n")
    else:
        (tmp_path / "a.pth").write_bytes(pickle)
    with pytest.raises(ValueError, match="names an object by more than a thousand characters"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("metadata", [1.5, {"": 2}, [("", {})], {1: {"version": 2}}])
def test_versions_that_are_none(metadata: Any, tmp_path: Path) -> None:
    state = nn.BatchNorm2d(3).state_dict()
    state._metadata = metadata  # type: ignore[attr-defined]
    torch.save(state, tmp_path / "a.pth")
    copy_weights(nn.BatchNorm2d(3), read_weights(tmp_path / "a.pth"), "a.pth")


def test_a_pickle_that_asks_for_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"\x80\x02X\xff\xff\xff\x7fabc.")  # a text of two gigabytes
    tracemalloc.start()
    with open(path, "rb") as file:
        check_saved(file, "a.pth")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
