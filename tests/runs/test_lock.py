"""The lock of a folder: never two holders, and none that is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.runs import lock
from pytorch_grad_cam.runs.lock import LOCK, folder_lock

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HOLD = """
import sys
from pathlib import Path
from pytorch_grad_cam.runs.lock import folder_lock
with folder_lock(Path("d")):
    print("locked", flush=True)
    sys.stdin.read()
"""
# Takes turns with others: whoever holds the lock makes a file that must not be there, and removes it.
CONTEND = """
import os, sys, time
from pathlib import Path
from pytorch_grad_cam.runs.lock import folder_lock
held = refused = 0
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        with folder_lock(Path("d")):
            os.close(os.open("d/held", os.O_CREAT | os.O_EXCL))
            time.sleep(0.0005)
            os.unlink("d/held")
            held += 1
    except RuntimeError:
        refused += 1
        time.sleep(0.0001)
print(held, refused)
"""


def other(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_process_holds_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    holder = other(HOLD)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(RuntimeError, match="another run is writing into d; wait for its end"), folder_lock(Path("d")):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with folder_lock(Path("d")):
        assert os.listdir("d") == [LOCK]
    assert os.listdir("d") == [LOCK]


def test_two_threads_are_two_holders_too(tmp_path: Path) -> None:
    refused = []

    def second() -> None:
        try:
            with folder_lock(tmp_path):
                pass
        except RuntimeError:
            refused.append(True)

    with folder_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused
    with folder_lock(tmp_path):
        pass


def test_a_file_that_is_exchanged_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that removes the file at its end has the name for a moment, and then another one makes it anew."""
    real, exchanges = lock._lock, 3

    def exchanged(file: int) -> bool:
        nonlocal exchanges
        if exchanges:
            exchanges -= 1
            (tmp_path / LOCK).unlink()
            if exchanges:
                (tmp_path / LOCK).touch()
        return real(file)

    monkeypatch.setattr(lock, "_lock", exchanged)
    with folder_lock(tmp_path):
        monkeypatch.undo()
        with pytest.raises(RuntimeError, match="another run"), folder_lock(tmp_path):
            pass


def test_what_cannot_be_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot lock .*\.lock: .*; name another folder"):
        folder_lock(tmp_path / "file" / "d").__enter__()

    def unsupported(file: int) -> bool:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_lock", unsupported)
    with pytest.raises(OSError, match="operation not supported"):
        folder_lock(tmp_path).__enter__()


@pytest.mark.slow
def test_many_processes_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    processes = [other(CONTEND, "5") for _ in range(6)]
    counts = []
    for process in processes:
        out, err = process.communicate()
        assert process.returncode == 0, err
        counts.append([int(word) for word in out.split()])
    assert sum(held for held, _ in counts) > 100
    assert sum(refused for _, refused in counts) > 100
