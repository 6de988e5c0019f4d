"""Small .nnp files that claim much: each is refused, or read, in bounded time and memory."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.limited import MEMORY, SECONDS, Reading, read_limited
from helpers.nnp_files import (
    as_protobuf,
    classifier,
    dims,
    executor,
    field,
    function,
    network,
    one_function,
    variable,
    varint,
    write_nnp,
    write_zip,
)

from pytorch_grad_cam.models.nnp import load_nnp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does; run it there")
LONG = 60_000_000


def h5(**settings: Any) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("w0", dtype="f4", **settings)
    return buffer.getvalue()


def text_of(content: str) -> Callable[[Path], None]:
    return lambda path: write_nnp(path, content) and None


def repeated(times: int, links: int = 1, axes: int = 1, block: str = "R") -> str:
    """Return a network whose functions run many times."""
    inside = f'repeat_id: "{block}"'
    start = f'repeat_param {{ repeat_id: "{block}" times: {times} }}'
    body = variable("x", [-1, 2])
    body += variable("a", [-1, *[2] * axes], more=inside) + variable("b", [-1, 2], more=inside) + variable("y", [-1, 2])
    body += function("RepeatStart", ["x", "b"], ["a"], start, more=inside)
    body += function("AddN", ["a"] * links, ["b"], name="add", more=inside)
    body += function("RepeatEnd", ["b"], ["y"], start)
    return network(body, more=f'repeat_info {{ id: "{block}" times: {times} }}') + executor()


def affine_of_one_weight(path: Path) -> None:
    body = variable("v0", [-1, 1000]) + variable("w", [1000, 1000], "Parameter")
    body += "".join(variable(f"v{place}", [-1, 1000]) for place in range(1, 4001))
    param = "affine_param { base_axis: 1 }"
    body += "".join(function("Affine", [f"v{place}", "w"], [f"v{place + 1}"], param) for place in range(4000))
    write_nnp(path, network(body) + executor("v4000", "v0"), {"w": np.zeros((1000, 1000), np.float32)})


def statistics_of_no_file(path: Path) -> None:
    body = "".join(variable(f"v{place}", [-1, LONG // 4]) for place in range(101))
    param = "batch_normalization_param { axes: 1 batch_stat: true no_bias: true no_scale: true eps: 1e-5 }"
    body += "".join(function("BatchNormalization", [f"v{n}"], [f"v{n + 1}"], param) for n in range(100))
    write_nnp(path, network(body) + executor("v100", "v0"))


def weights_as(name: str, data: bytes, shape: tuple[int, ...] = (12, 2)) -> Callable[[Path], None]:
    written, _ = one_function("Affine", (3, 4), "affine_param { base_axis: 1 }", [np.zeros(shape, np.int8)])
    return lambda path: write_zip(path, {"a.nntxt": written, name: data}) and None


def members_without_end(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.nntxt", classifier()[0])
        for place in range(100):
            archive.writestr(f"{place}.protobuf", bytes(15 << 20) if place < 8 else b"")


def one(kind: str, shape: tuple[int, ...], param: str, outputs: int = 1) -> Callable[[Path], None]:
    return text_of(one_function(kind, shape, param, outputs=outputs)[0])


def later(make: Callable[[], Callable[[Path], None]]) -> Callable[[Path], None]:
    """Take memory for what is written when it is written, not whenever this file is imported."""
    return lambda path: make()(path)


wide = dims("kernel", [1, 2]), dims("stride", [1, 1]), dims("pad", [0, 1])
FILES: dict[str, Callable[[Path], None]] = {
    "pad by reflection": one("Pad", (2,), f'pad_param {{ pad_width: 0 pad_width: {LONG} mode: "reflect" }}'),
    "pad by repetition": one("Pad", (2,), f'pad_param {{ pad_width: 0 pad_width: {LONG} mode: "repeat" }}'),
    "slice": one("Slice", (LONG,), f"slice_param {{ start: {LONG - 1} stop: 0 step: -1 }}"),
    "split": one("Split", (LONG,), "split_param { axis: 1 }", outputs=3),
    "windows": one("AveragePooling", (1, 1, LONG // 2), f"average_pooling_param {{ {' '.join(wide)} }}"),
    "statistics": statistics_of_no_file,
    "messages": later(lambda: text_of("a{}" * 5_000_000)),
    "empty lists": later(lambda: text_of("a:[]" * 4_000_000)),
    "comments": later(lambda: text_of("#\n" * 8_000_000)),
    "values": later(lambda: text_of("a:[" + "0 " * 8_000_000 + "]")),
    "texts": later(lambda: text_of("a:" + '""' * 8_000_000)),
    "one text": later(lambda: text_of('a: "' + "x" * 15_000_000 + '"')),
    "signs": later(lambda: text_of('a: "' + "\\a" * 8_000_000 + '"')),
    "digits": later(lambda: text_of("a: 0x" + "f" * 15_000_000)),
    "runs": text_of(repeated(1_000_000)),
    "runs times links": text_of(repeated(15_000, links=1000)),
    "runs times axes": text_of(repeated(15_000, axes=100_000)),
    "runs times name": later(lambda: text_of(repeated(15_000, block="R" * 9000))),
    "one weight in many functions": affine_of_one_weight,
    "members": members_without_end,
    "fill value": weights_as("p.h5", h5(shape=(LONG * 4,), fillvalue=1.0)),
    "chunks never written": weights_as("p.h5", h5(shape=(LONG * 4,), chunks=(1000,))),
    "packed zeros": later(
        lambda: weights_as("p.h5", h5(shape=(LONG // 2,), data=np.zeros(LONG // 2, "f4"), compression="gzip"))
    ),
    "one chunk": weights_as("p.h5", h5(shape=(1,), maxshape=(None,), chunks=(LONG * 4,), compression="gzip")),
    "fields": later(lambda: weights_as("p.protobuf", b"\x08\x00" * 8_000_000)),
    "sizes": later(
        lambda: weights_as("p.protobuf", field(200, field(1, b"w0") + field(20, field(1, b"\x01") * 4_000_000)))
    ),
    "axes times values": weights_as(
        "p.protobuf", field(200, field(1, b"w0") + field(20, field(1, varint((1 << 64) - 1) * 8)))
    ),
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reading]:
    folder = tmp_path_factory.mktemp("hostile")
    written, weights = classifier()
    warm = write_nnp(folder / "warm.nnp", written, weights, "h5")
    paths = {name: folder / f"{number}.nnp" for number, name in enumerate(FILES)}
    for name, write in FILES.items():
        write(paths[name])
    return read_limited("pytorch_grad_cam.models.nnp:load_nnp", warm, paths)


@pytest.mark.slow  # all of them together take half a minute
@pytest.mark.parametrize("name", FILES)
def test_a_small_file_takes_no_long_and_no_memory(name: str, readings: dict[str, Reading]) -> None:
    found = readings[name]
    assert found.said.startswith("ValueError: ") or not found.said, found.said[:300]
    assert len(found.said) < 12_000
    assert found.seconds < SECONDS
    assert found.memory < MEMORY


QUICK = ("pad by reflection", "split", "runs times links", "fill value", "chunks never written", "one chunk")


@pytest.mark.parametrize("name", QUICK)
def test_what_is_refused_at_once(name: str, tmp_path: Path) -> None:
    """Those that are refused before anything is made; the rest is measured in a process of its own."""
    FILES[name](tmp_path / "a.nnp")
    if name == "pad by reflection":  # nothing is made of its numbers before it runs
        loaded = load_nnp(tmp_path / "a.nnp")
        assert sum(tensor.numel() for tensor in loaded.model.state_dict().values()) == 0
        return
    with pytest.raises(ValueError, match=r"at most|more than|would grow"):
        load_nnp(tmp_path / "a.nnp")


def test_a_member_without_a_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.nnp", {"a.nntxt": classifier()[0]})
    nameless = zipfile.ZipInfo("a")
    nameless.filename = ""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(nameless, "x")
    with pytest.raises(ValueError, match=r"a\.nnp has a member without a name; export it again"):
        load_nnp(path)


def test_honest_weights_of_zeros_are_read(tmp_path: Path) -> None:
    """They pack a hundred times better than trained ones."""
    written, weights = one_function(
        "Affine", (1000,), "affine_param { base_axis: 1 }", [np.zeros((1000, 1000), np.float32)]
    )
    for how in ("protobuf", "h5"):
        assert load_nnp(write_nnp(tmp_path / "a.nnp", written, weights, how)).model
    assert as_protobuf(weights)
