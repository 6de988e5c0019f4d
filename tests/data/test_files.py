"""Files that are written: whole or not there, whatever the disk, a signal or a stranger does meanwhile."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.data import files
from pytorch_grad_cam.data.files import append_bytes, make_durable, write_bytes
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.nnc.dataset_csv import write_dataset
from pytorch_grad_cam.visualization.video import save_gif

REAL_WRITE = os.write
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
WRITERS: dict[str, Callable[[Path], None]] = {
    "a.bin": lambda path: write_bytes(path, bytes(range(256)) * 40),
    "b.bin": lambda path: write_bytes(path, bytes(range(256)) * 40, durable=True, sole_writer=True),
    "a.jpg": lambda path: write_image(path, PICTURE),
    "a.gif": lambda path: save_gif(path, np.stack([PICTURE, 255 - PICTURE])),
    "a.csv": lambda path: write_dataset(path, ["x", "y"], ([str(row), "p" * 40] for row in range(5000))),
}
writers = pytest.mark.parametrize("name", WRITERS)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def whole(name: str, tmp_path: Path) -> bytes:
    """Write elsewhere, undisturbed."""
    WRITERS[name](tmp_path / "whole" / name)
    return (tmp_path / "whole" / name).read_bytes()


@writers
@pytest.mark.parametrize("most", [1000, 4095, 1 << 30])
def test_short_counts_are_continued(name: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = whole(name, tmp_path)
    monkeypatch.setattr(os, "write", lambda file, data: REAL_WRITE(file, data[:most]))
    WRITERS[name](tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes() == want
    assert names(tmp_path / "new") == [name]


@writers
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_without_room_leaves_what_was_there(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = len(whole(name, tmp_path))
    folder = tmp_path / "new"
    folder.mkdir()
    path = folder / name
    advice = "choose another folder" if code == errno.EIO else "make room there, or choose another folder"
    for room in (0, 1, length // 2, length - 1):
        left = room

        def write(file: int, data: memoryview) -> int:
            nonlocal left
            if not left:
                raise OSError(code, os.strerror(code))
            count = REAL_WRITE(file, data[:left])
            left -= count
            return count

        path.write_text("old")
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(OSError, match=f"cannot write .*{name}: {os.strerror(code).lower()}; {advice}"):
            WRITERS[name](path)
        monkeypatch.undo()
        assert path.read_text() == "old"
        assert names(folder) == [name]


def test_a_system_that_takes_nothing_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda file, data: 0)
    with pytest.raises(OSError, match="takes no more bytes"):
        write_bytes(tmp_path / "a", b"new")
    assert names(tmp_path) == []


def interrupted_at(step: int, action: Callable[[], None]) -> bool:
    """Run something, with Ctrl-C at a line of the module that writes files; say whether there was such a line."""
    left = step

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        action()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return left <= 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # between opening a file and the block that closes it
@pytest.mark.parametrize("name", ["a.bin", "b.bin", "a.csv"])
def test_ctrl_c_at_any_line_leaves_the_old_file_or_the_new_one(name: str, tmp_path: Path) -> None:
    want, folder = whole(name, tmp_path), tmp_path / "new"
    folder.mkdir()
    step, found = 1, set()
    while True:
        (folder / name).write_text("old")
        if not interrupted_at(step, lambda: WRITERS[name](folder / name)):
            break
        content = (folder / name).read_bytes()
        assert content in (b"old", want), step
        assert names(folder) == [name], step
        found.add(content)
        step += 1
    assert step > 15
    assert b"old" in found


def test_an_error_of_who_makes_the_content_is_no_error_of_the_file(tmp_path: Path) -> None:
    def pieces(error: Exception) -> Iterator[bytes]:
        yield b"new"
        raise error

    write_bytes(tmp_path / "a", b"old")
    for error in (FileNotFoundError("of the source"), ValueError("of the source")):
        with pytest.raises(type(error), match=r"^of the source$"):
            write_bytes(tmp_path / "a", pieces(error))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_link_is_followed_and_a_device_or_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    for content in (b"first", b"second"):
        write_bytes(tmp_path / "link", content)
        assert (tmp_path / "far" / "file").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path / "pipe", "a device or the like"), (tmp_path / "far", "it is a folder")):
        with pytest.raises(OSError, match=f"cannot write {path}: .*{what}"):
            write_bytes(path, b"new")
    assert names(tmp_path) == ["far", "link", "pipe"]
    assert names(tmp_path / "far") == ["file"]


def test_what_a_kill_left_is_written_over_and_a_link_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".a.part").write_bytes(b"half" * 1000)
    write_bytes(tmp_path / "a", b"new", sole_writer=True)
    (tmp_path / "victim").write_bytes(b"kept")
    (tmp_path / ".a.part").symlink_to(tmp_path / "victim")
    write_bytes(tmp_path / "a", b"newer", sole_writer=True)
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "victim").read_bytes()) == (b"newer", b"kept")
    assert names(tmp_path) == ["a", "victim"]


def test_the_disk_has_the_file_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(file: int) -> None:
        steps.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    def noted_replace(old: str, new: str) -> None:
        steps.append("rename")
        replace(old, new)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc, which Linux has, to see which file is meant")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_bytes(tmp_path / "d" / "a", b"new", durable=True, sole_writer=True)
    assert steps == [".a.part", "rename", "d"]
    steps.clear()
    append_bytes(tmp_path / "d" / "a", b"er", keep=3)
    assert steps == ["a"]
    steps.clear()
    monkeypatch.setattr(files, "_sync_disk", lambda folder: False)  # as on systems without the call
    (tmp_path / "d" / "e").mkdir()
    (tmp_path / "d" / "e" / "b").touch()
    make_durable(tmp_path / "d", [f"{tmp_path}/d/a", f"{tmp_path}/d/e/b"])
    assert sorted(steps) == ["a", "b", "d", "e"]


def test_a_disk_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    make_durable(tmp_path, iter([f"{tmp_path}/a"]))
    with pytest.raises(OSError, match=r"cannot write .*nowhere: no such file"):
        make_durable(tmp_path / "nowhere", iter([]))


def test_what_is_appended_is_there_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first, rubbish")
    append_bytes(path, b" second", keep=5)
    assert path.read_bytes() == b"first second"

    def fails(file: int, data: memoryview) -> int:
        monkeypatch.undo()
        REAL_WRITE(file, data[:3])
        monkeypatch.setattr(os, "write", full)
        return 3

    def full(file: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(OSError, match="no space left on device; make room there"):
        append_bytes(path, b" third", keep=12)
    monkeypatch.undo()
    assert path.read_bytes() == b"first second"
    for keep, message in ((13, "it is shorter than what was written there"), (1 << 40, "it is shorter")):
        with pytest.raises(OSError, match=message):
            append_bytes(path, b"", keep)
    with pytest.raises(FileNotFoundError, match="cannot write"):
        append_bytes(tmp_path / "none", b"", 0)


def test_a_limit_of_the_system_on_the_size_of_files(tmp_path: Path) -> None:
    """The kernel's own short counts: it takes what fits, and refuses the rest."""
    code = "from pytorch_grad_cam.data.files import write_bytes; write_bytes('a', bytes(100_000))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
    )
    assert "OSError: cannot write a: file too large; make room there" in run.stderr
    assert names(tmp_path) == []


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk; the tests above pretend to have one")
    try:
        write_bytes(disk / "a", b"old" * 10_000)
        with pytest.raises(OSError, match="no space left on device; make room there, or choose another folder"):
            write_bytes(disk / "a", b"new" * 20_000)
        assert names(disk) == ["a"]
        assert (disk / "a").read_bytes() == b"old" * 10_000
    finally:
        subprocess.run(["umount", disk], check=True)
