"""The outside of .nnp files: dialects, kinds of weights, and files that are damaged or hostile."""

from __future__ import annotations

import io
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.nnp_files import (
    as_h5,
    as_protobuf,
    classifier,
    field,
    varint,
    write_nnp,
    write_zip,
)

from pytorch_grad_cam.models.nnp import load, load_nnp, parameters, text
from pytorch_grad_cam.models.nnp.parameters import read_h5, read_protobuf
from pytorch_grad_cam.models.nnp.text import parse_text

# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        'a { dim: -1 dim: 2 } flag: true word: "y\'" number: 1e-05',
        "a: { dim:-1 dim: 2 }\nflag: True\nword: 'y\\''\nnumber: 1e-05f",
        'a < dim: [-1, 2] >; flag: 1, word: "y" "\\047" # comment { \n number: .1e-4',
        'a: <dim: -1; dim: 0x2;> flag: t word: "\\x79\\u0027" number: 0.00001',
    ],
)
def test_dialects(written: str) -> None:
    message = parse_text(written)
    assert message.shape("a") == [-1, 2]
    assert message.flag("flag") is True
    assert message.text("word") == "y'"
    assert message.number("number") == pytest.approx(1e-5)


def test_what_is_absent_is_zero_and_the_last_value_counts() -> None:
    message = parse_text("a: 1 a: 2 s: inf m: -inf")
    assert (message.integer("a"), message.integers("a"), message.integer("b")) == (2, [1, 2], 0)
    assert (message.text("b"), message.flag("b"), message.shape("b"), message.number("b")) == ("", False, [], 0.0)
    assert (message.number("s"), message.number("m")) == (float("inf"), -float("inf"))


def test_names_in_any_language_are_escaped_bytes() -> None:
    assert parse_text('n: "\\347\\225\\263" n: "畳"').texts("n") == ["畳", "畳"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("a {", "line 1 .* has its end where a field name must stand"),
        ("a: 1\nb: }", r"line 2 .* has '}' where a value must stand"),
        ("a 1", "where a colon or a message must stand"),
        ("}", "where a field name must stand"),
        ("a { b: 1 >", "where a field name must stand"),
        ("a: [1, 2", "where a value must stand"),
        ('a: "open', "cannot be read at '\"open'"),
        ("a: 1\n\x00", r"line 2 .* cannot be read at '\\x00'"),
        ('a: "\\377"', "line 1 .* has a text that is not UTF-8"),
        ("a { " * 100, "nested deeper than 32"),
        ("a: [" * 100, "where a value must stand"),
    ],
)
def test_text_that_is_none(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_text(written)


@pytest.mark.parametrize(
    ("written", "ask", "message"),
    [
        ("a: 1", lambda m: m.text("a"), "the field 'a' must be a text, not 1"),
        ('a: "1"', lambda m: m.integer("a"), "must be a whole number, not '1'"),
        ("a: true", lambda m: m.integers("a"), "must be a whole number, not True"),
        ("a { }", lambda m: m.number("a"), "must be a number, not a message"),
        ("a: 1", lambda m: m.message("a"), "must be a message, not 1"),
        ("a: 3000000000", lambda m: m.integer("a"), "needs more than 32 bits"),
        ("a: " + "9" * 39, lambda m: m.integer("a"), "needs more than 32 bits"),
        ("a: 0x" + "f" * 2000, lambda m: m.number("a"), "is too large a number"),
    ],
)
def test_values_of_another_type(written: str, ask: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(parse_text(written))


def test_a_text_of_values_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_FIELDS", 1000)
    with pytest.raises(ValueError, match="more than 1000 values"):
        parse_text("a: 1 " * 2000)


# --- weights --------------------------------------------------------------------------------------------------------


def outputs(path: Path) -> torch.Tensor:
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        result: torch.Tensor = load_nnp(path).model(x)
    return result


def test_weights_from_everywhere_are_the_same(tmp_path: Path) -> None:
    written, weights = classifier()
    expected = outputs(write_nnp(tmp_path / "a.nnp", written, weights, "protobuf"))
    for how in ("h5", "text"):
        assert torch.equal(outputs(write_nnp(tmp_path / "a.nnp", written, weights, how)), expected)
    unpacked = as_protobuf(weights, packed=False)
    solver = as_h5({name: array * 0 for name, array in weights.items()})
    members = {
        "sub/net.prototxt": written,
        "parameters.protobuf": unpacked,
        "Optimizer_Adam_optimizer.h5.optimizer": solver,  # must not be taken for weights
        "../../escape.h5x": "x",
    }
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert torch.equal(outputs(write_zip(tmp_path / "a.nnp", members, compression)), expected)


def test_half_and_double_precision_become_float32() -> None:
    for dtype in (np.float16, np.float64, np.int32):
        found = read_h5(as_h5({"a/b/W": np.arange(6, dtype=dtype).reshape(2, 3)}))
        assert found["a/b/W"].dtype == np.float32
        assert found["a/b/W"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_without_h5py_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, weights = classifier()
    path = write_nnp(tmp_path / "a.nnp", written, weights, "h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match="h5py"):
        load_nnp(path)
    assert outputs(write_nnp(tmp_path / "a.nnp", written, weights, "protobuf")).shape == (2, 3)


def h5_file(tmp_path: Path, fill: Callable[[Any, Any], None]) -> bytes:
    import h5py

    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["W"] = np.full((2, 2), 7.0)
    (tmp_path / "raw.bin").write_bytes(b"\x01" * 64)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file, h5py)
    return buffer.getvalue()


def virtual(file: Any, h5py: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "W", (2, 2))
    file.create_virtual_dataset("W", layout)


def endless(file: Any, h5py: Any, folder: Path) -> None:
    file.create_group("a")["b"] = file["/"]


HOSTILE: list[tuple[str, Callable[[Any, Any, Path], None], str]] = [
    (
        "external",
        lambda f, h, p: f.__setitem__("W", h.ExternalLink(str(p / "secret.h5"), "/W")),
        "is a link to another",
    ),
    ("soft", lambda f, h, p: f.__setitem__("W", h.SoftLink("/elsewhere")), "is a link to another place"),
    ("virtual", virtual, "lie in another file"),
    (
        "raw",
        lambda f, h, p: f.create_dataset("W", (2, 2), "f4", external=[(str(p / "raw.bin"), 0, 16)]) and None,
        "lie in another file",
    ),
    ("endless", endless, "nested deeper than 32"),
    (
        "huge",
        lambda f, h, p: f.create_dataset("W", (1 << 20, 1 << 20), "f4", chunks=(8, 8)) and None,
        r"more than .* numbers|would grow beyond",
    ),
    ("text", lambda f, h, p: f.__setitem__("W", "hello"), "is no array of numbers"),
    ("reference", lambda f, h, p: f.create_dataset("W", data=f.ref, dtype=h.ref_dtype) and None, "no array of numbers"),
]


@pytest.mark.parametrize(("name", "fill", "message"), HOSTILE, ids=[name for name, _, _ in HOSTILE])
def test_h5_reads_nothing_but_itself(
    name: str, fill: Callable[[Any, Any, Path], None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_h5(h5_file(tmp_path, lambda file, h5py: fill(file, h5py, tmp_path)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80", "ends in the middle of a number"),
        (b"\xff" * 11, "more than 64 bits"),
        (varint(200 << 3 | 2) + b"\x20abc", "ends in the middle of a field"),
        (b"\x03", "wire type 3"),
        (field(200, 5), "a number where a message or text must stand"),
        (field(200, field(1, b"\xff")), "not UTF-8"),
        (field(200, field(1, b"W") + field(100, b"abc")), "the values of the parameter 'W' are cut off"),
        (field(200, field(1, b"W") + field(20, field(1, b"\x02"))), "has 0 values, which its shape 2 does not hold"),
        (field(200, field(1, b"W") + field(20, field(1, varint((1 << 64) - 1)))), "does not hold"),
        (field(200, field(1, b"W") + field(20, field(1, b"\x01" * 99))), "more than 8 axes"),
    ],
)
def test_protobuf_that_is_none(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_protobuf(data)


def test_protobuf_in_too_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "MAX_FIELDS", 100)
    with pytest.raises(ValueError, match="more than 100 pieces"):
        read_protobuf(b"\x08\x00" * 1000)


# --- containers -----------------------------------------------------------------------------------------------------


def test_what_is_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no.nnp does not exist; check the path"):
        load_nnp(tmp_path / "no.nnp")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_nnp(tmp_path)
    path = tmp_path / "a.nnp"
    for content in (b"", b"PK\x03\x04", b"<!DOCTYPE html>", b"PK\x05\x06" + b"\xff" * 18):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a.nnp (is not a ZIP file|has a damaged list|holds no network text)"):
            load_nnp(path)
    for members, message in (
        ({}, "holds no network text"),
        ({"parameter.h5": b"x"}, "holds no network text"),
        ({"a.nntxt": b"\xff\xfe"}, "a.nntxt is not text in UTF-8"),
        ({"a.nntxt": ""}, "has no executor"),
        ({f"{place}.txt": "" for place in range(1001)}, "has 1001 members"),
    ):
        with pytest.raises(ValueError, match=message):
            load_nnp(write_zip(path, members))
    with pytest.raises(ValueError, match=r"compressed by method 14"):
        load_nnp(write_zip(path, {"a.nntxt": "a"}, zipfile.ZIP_LZMA))


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.nnp"
    written, _ = classifier()
    write_zip(path, {"a.nntxt": written, "parameter.protobuf": bytes(40 << 20)})  # 40 MB of zeros in 40 KB
    with pytest.raises(ValueError, match=r"parameter.protobuf would grow to 41943040 bytes; at most 167\d{5} are"):
        load_nnp(path)
    monkeypatch.setattr(load, "MAX_TEXT", 1000)
    with pytest.raises(ValueError, match=r"a.nntxt would grow to \d+ bytes; at most 1000 are believed"):
        load_nnp(path)
    # a directory that lies about the size
    data = write_zip(path, {"a.nntxt": written}).read_bytes()
    true, false = len(written.encode()).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(data.replace(true, false))
    with pytest.raises(ValueError, match=r"a\.nnp"):
        load_nnp(path)


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.nnp", {"a.nntxt": "a"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a.nntxt is encrypted"):
        load_nnp(path)


# --- damage ---------------------------------------------------------------------------------------------------------


def damaged(data: bytes, draw: random.Random) -> bytes:
    result = bytearray(data)
    kind = draw.randrange(4)
    if kind == 0:
        return bytes(result[: draw.randrange(len(result))])
    if kind == 1:
        start = draw.randrange(len(result))
        del result[start : start + draw.randrange(1, 9)]
        return bytes(result)
    for _ in range(draw.choice((1, 1, 3, 20))):
        place = draw.randrange(len(result))
        result[place] = draw.randrange(256) if kind == 2 else result[place] ^ (1 << draw.randrange(8))
    return bytes(result)


@pytest.mark.again
@pytest.mark.filterwarnings("ignore")  # about numbers and names in damaged files
@pytest.mark.parametrize("what", ["file", "text", "protobuf", pytest.param("h5", marks=pytest.mark.slow)])
def test_damaged_files_give_a_value_error_and_nothing_else(what: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    written, weights = classifier()
    members: dict[str, Any] = {"net.nntxt": written.encode(), "parameter.protobuf": as_protobuf(weights)}
    if what == "h5":
        members["parameter.h5"] = as_h5(weights)
        del members["parameter.protobuf"]
    path = tmp_path / "a.nnp"
    whole = write_zip(path, members).read_bytes()
    suffix = {"text": ".nntxt", "protobuf": ".protobuf", "h5": ".h5"}.get(what, "")
    names = [name for name in members if name.endswith(suffix)] if suffix else []
    failed, unnamed = 0, 0
    for _ in range(100):
        if what == "file":
            path.write_bytes(damaged(whole, draw))
        else:  # within a sound ZIP, whose checksums would find everything
            write_zip(path, {**members, names[0]: damaged(members[names[0]], draw)}, zipfile.ZIP_STORED)
        try:
            load_nnp(path)
        except ValueError as error:
            failed += str(path) in str(error)
            unnamed += str(path) not in str(error)
    assert failed > 20
    assert not unnamed


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    written, weights = classifier()
    load_nnp(write_nnp(tmp_path / "a.nnp", written, weights, "h5"))
    assert os.listdir(tmp_path) == ["a.nnp"]
