"""Runs over many pictures: interrupted, shared out, continued, disturbed; always the same files in the end."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.paths import ROOT
from helpers.run_pictures import BATCH, PICTURES, PLAIN, results, run, write_pictures

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.runs import run_folder
from pytorch_grad_cam.runs.data_set_run import DataSetRun
from pytorch_grad_cam.runs.lock import folder_lock
from pytorch_grad_cam.runs.opened_run import open_run
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.shards import Shard, local_rank

pytestmark = pytest.mark.again

Said = pytest.CaptureFixture[str]
LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and an undisturbed run over them."""
    folder = tmp_path_factory.mktemp("made")
    write_pictures(folder / "photos")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run("whole") == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def _here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made / "photos", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(run_folder, "_MOMENT", 0.1)
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def whole(made: Path) -> dict[str, str]:
    return results(made / "whole")


def rows(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "index.jsonl").read_text(encoding="utf-8").splitlines()]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def program(*arguments: str, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "cam.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**more))


# --- one process ----------------------------------------------------------------------------------------------------


def test_all_pictures_have_a_row_and_its_files(whole: dict[str, str], made: Path) -> None:
    opened = open_run(made / "whole")
    assert [row["position"] for row in opened] == list(range(PICTURES))
    named = {file for row in opened for file in run_folder.files_of(row)}
    assert set(whole) == named | {"index.jsonl", "manifest.json"}
    assert len(named) == 4 * PICTURES  # two thumbs, an overlay, a map


def test_what_is_complete_is_not_done_again(capsys: Said, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made / "whole", "r")
    monkeypatch.setattr(DataSetRun, "_explain", None)
    assert run("r") == 0
    assert f"going on:   {PICTURES} of {PICTURES} pictures were done before" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["overlays/0006.jpg", "maps/0006.npy", "thumbs/0006.heat.jpg"])
def test_a_deleted_file_is_made_again_with_its_batch(
    lost: str, whole: dict[str, str], made: Path, capsys: Said
) -> None:
    shutil.copytree(made / "whole", "r")
    Path("r", lost).unlink()
    assert run("r") == 0
    assert results("r") == whole
    assert f"{PICTURES - BATCH} of {PICTURES} pictures were done before" in capsys.readouterr().out


@pytest.mark.parametrize("cut", [1, 40, 4000])
def test_an_index_that_was_cut_short(cut: int, whole: dict[str, str], made: Path) -> None:
    shutil.copytree(made / "whole", "r")
    index = Path("r/index.jsonl")
    index.write_bytes(index.read_bytes()[:-cut])
    assert run("r") == 0
    assert results("r") == whole


def test_overwrite_deletes_all_that_a_run_and_a_killed_one_wrote_and_nothing_else(
    whole: dict[str, str], made: Path
) -> None:
    shutil.copytree(made / "whole", "r")
    shutil.copytree("r/overlays", "r/maps/of an earlier batch")
    Path("r/overlays/.0003.jpg.part").write_bytes(b"half")
    Path("r/overlays/notes.txt").write_text("mine")
    Path("r/mine.jpg").write_bytes(b"mine")
    assert run("r", "--limit", "8", "--overwrite") == 0
    assert Path("r/overlays/notes.txt").read_text() == "mine"
    Path("r/overlays/notes.txt").unlink()
    assert Path("r/mine.jpg").read_bytes() == b"mine"
    Path("r/mine.jpg").unlink()
    assert run("r", "--overwrite") == 0
    assert results("r") == whole


def test_overwrite_deletes_nothing_in_a_folder_that_is_no_run(capsys: Said) -> None:
    Path("mine/overlays").mkdir(parents=True)
    Path("mine/overlays/a.jpg").write_bytes(b"mine")
    assert run("mine", "--overwrite") == 1
    assert "mine has overlays already but no manifest.json, so it is no run" in capsys.readouterr().err
    assert Path("mine/overlays/a.jpg").read_bytes() == b"mine"


def test_other_settings_are_refused_by_name(made: Path, whole: dict[str, str], capsys: Said) -> None:
    shutil.copytree(made / "whole", "r")
    assert run("r", "--target", "2", "--seed", "3") == 1
    said = capsys.readouterr().err
    assert 'classes: [] then, ["2"] now' in said
    assert 'settings: {"seed": 0} then, {"seed": 3} now' in said
    assert results("r") == whole


def test_a_picture_that_cannot_be_read_is_one_row_and_can_be_tried_again(whole: dict[str, str], capsys: Said) -> None:
    good = Path("photos/0009.png").read_bytes()
    Path("photos/0009.png").write_bytes(good[:60])
    assert run("r") == 1
    assert "1 of 20 pictures failed; --retry-failed does them again" in capsys.readouterr().err
    failed = [row for row in rows("r") if row["status"] != "done"]
    assert [(row["id"], row["status"], row["origin"]) for row in failed] == [("0009", "failed", "photos/0009.png")]
    assert run("r") == 1  # no second try that nobody asked for
    Path("photos/0009.png").write_bytes(good)
    assert run("r", "--retry-failed") == 0
    assert results("r") == whole


def test_two_runs_in_one_folder(capsys: Said) -> None:
    with folder_lock(Path("r")):
        assert run("r") == 1
        assert "another run is writing into r" in capsys.readouterr().err
        assert run("r", "--shard", "1/2") == 1
        assert "another run is writing into r" in capsys.readouterr().err
    with folder_lock(Path("r/shards/1-of-2")):
        assert run("r", "--shard", "1/2") == 1
        assert "another run is writing into r/shards/1-of-2" in capsys.readouterr().err
        assert run("r") == 1
        assert "another run is writing into r/shards/1-of-2" in capsys.readouterr().err
        assert run("r", "--shard", "2/2") == 0


@pytest.mark.parametrize("room", [0, 1, 5, 30, 70])
def test_a_full_disk_ends_a_run_that_goes_on_later(
    room: int, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    write, calls = os.write, 0

    def failing(file: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls > room + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2] if calls == room + 1 else data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", failing)
        assert run("r") == 1
    assert "no space left on device; make room there, or choose another folder" in capsys.readouterr().err
    assert not list(Path("r").rglob(".*.part"))
    assert run("r") == 0
    assert results("r") == whole


@pytest.mark.parametrize("size", [100, 200, 300])
def test_a_small_disk_that_is_given_room(size: int, whole: dict[str, str], capsys: Said) -> None:
    Path("disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "t", "disk"], capture_output=True).returncode:
        pytest.skip(f"{missing.NEEDS}the right to mount a small disk; the test above pretends to have one")
    try:
        assert run("disk/r") == 1
        assert "no space left on device; make room there" in capsys.readouterr().err
        subprocess.run(["mount", "-o", "remount,size=10m", "disk"], check=True)
        assert run("disk/r") == 0
        assert results("disk/r") == whole
    finally:
        subprocess.run(["umount", "disk"], check=True)


def test_a_folder_that_vanishes_is_said_and_not_made_anew(
    whole: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    commit = DataSetRun._commit

    def moving(self: DataSetRun, *given: Any) -> None:
        commit(self, *given)
        if Path("r").exists():
            Path("r").rename("away")

    with monkeypatch.context() as patched:
        patched.setattr(DataSetRun, "_commit", moving)
        assert run("r", "--workers", "1") == 1
    assert (
        "r was deleted or moved away during the run; put it back, and the same command goes on"
        in capsys.readouterr().err
    )
    shutil.rmtree("r", ignore_errors=True)  # of a picture that was being written in that very instant
    Path("away").rename("r")
    assert run("r") == 0
    assert results("r") == whole


# --- shares ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shares_are_joined_by_the_last_one(order: tuple[int, ...], whole: dict[str, str], capsys: Said) -> None:
    for number in order:
        assert run("r", "--shard", f"{number}/3") == 0
    said = capsys.readouterr().out
    assert "shares:     2 of 3 are not complete yet; then --merge r" in said
    assert f"written:    r/index.jsonl, {PICTURES} pictures" in said
    assert results("r") == whole
    assert [row["ms"] is not None for row in open_run("r")] == [True] * PICTURES


def test_a_missing_share_is_named(capsys: Said) -> None:
    for number in (1, 3):
        assert run("r", "--shard", f"{number}/4") == 0
    capsys.readouterr()
    assert main(["run", "--merge", "r"]) == 1
    assert "2 shares of r are not complete yet: 2/4, 4/4" in capsys.readouterr().err
    assert not Path("r/index.jsonl").exists()


def test_other_numbers_of_shares_do_not_meet(capsys: Said) -> None:
    assert run("r", "--shard", "1/2") == 0
    assert run("r", "--shard", "1/3") == 1
    assert "r holds share 1/2 of a run, and this is share 1/3" in capsys.readouterr().err
    assert [each.name for each in Path("r/shards").iterdir() if each.is_dir()] == ["1-of-2"]


def test_a_share_is_done_again_and_joined_once_more(whole: dict[str, str]) -> None:
    for number in (1, 2):
        assert run("r", "--shard", f"{number}/2") == 0
    Path("r/overlays/0005.jpg").unlink()
    assert run("r", "--shard", "2/2") == 0
    assert results("r") == whole


def test_overwrite_takes_shares_away_too(whole: dict[str, str]) -> None:
    for number in (1, 2):
        assert run("r", "--shard", f"{number}/2") == 0
    Path("r/shards/1-of-2/.index.jsonl.part").write_bytes(b"of a kill")
    assert run("r", "--overwrite") == 0
    assert results("r") == whole
    assert not RunFolder("r").shards()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "3", "WORLD_SIZE": "8"}, (4, 8)),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3"}, (3, 3)),
        ({"RANK": "1", "WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, (2, 4)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"}, (3, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "4",
            },
            (3, 3),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "1",
                "SLURM_ARRAY_TASK_COUNT": "2",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_PROCID": "2",
                "SLURM_STEP_NUM_TASKS": "4",
            },
            (7, 8),
        ),
        (
            {
                "SLURM_ARRAY_TASK_ID": "1",
                "SLURM_ARRAY_TASK_COUNT": "2",
                "SLURM_ARRAY_TASK_MIN": "1",
                "RANK": "1",
                "WORLD_SIZE": "2",
            },
            (2, 4),
        ),
    ],
)
def test_the_share_of_a_process(given: dict[str, str], expected: tuple[int, int] | None) -> None:
    assert Shard.from_environment(given) == (None if expected is None else Shard(*expected))


def test_tasks_with_gaps_are_refused() -> None:
    given = {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "1"}
    with pytest.raises(ValueError, match="SLURM_ARRAY_TASK_ID=9 with SLURM_ARRAY_TASK_COUNT=2 is no share"):
        Shard.from_environment(given)


def test_the_rank_on_this_machine() -> None:
    assert local_rank({"LOCAL_RANK": "2", "SLURM_LOCALID": "0"}) == 2
    assert local_rank({"SLURM_LOCALID": "1"}) == 1
    assert local_rank({}) is None


@pytest.mark.parametrize("first", [0, 5])
def test_a_slurm_array(first: int, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    monkeypatch.setenv("SLURM_ARRAY_TASK_MIN", str(first))
    for task in (first, first + 1):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        assert run("r") == 0
    assert results("r") == whole


def test_overwrite_is_refused_where_a_launcher_shared_out_the_run(
    made: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    shutil.copytree(made / "whole", "r")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("r", "--overwrite") == 1
    assert "this process is share 1/2 of a run, and --overwrite deletes all shares" in capsys.readouterr().err
    assert results("r") == whole


def _claim(folder: str, number: int, barrier: Any, said: Any) -> None:
    here, shard = RunFolder(folder), Shard(number, 4)
    with here.writing(shard):
        barrier.wait()
        try:
            here.claim({"seed": number % 2})
            said.put(number % 2)
        except run_folder.ChangedManifestError:
            said.put("refused")
        barrier.wait()


@pytest.mark.slow
def test_shares_with_other_settings_that_begin_at_once_do_not_mix() -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(20):
        barrier, said = context.Barrier(4), context.Queue()
        processes = [context.Process(target=_claim, args=(f"r{attempt}", each, barrier, said)) for each in (1, 2, 3, 4)]
        for process in processes:
            process.start()
        found = [said.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
        assert found.count("refused") == 2
        assert len(set(found)) == 2
        assert json.loads(Path(f"r{attempt}/manifest.json").read_text())["seed"] in found


@pytest.mark.slow
def test_torchrun(whole: dict[str, str]) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*launcher, str(ROOT / "cam.py"), *PLAIN, "--output-dir", "r"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert results("r") == whole
    assert sorted(map(str, RunFolder("r").shards())) == ["1/2", "2/2"]


# --- devices of this machine ----------------------------------------------------------------------------------------


def test_devices_that_are_not_there(capsys: Said) -> None:
    import torch

    if not torch.cuda.is_available():
        assert run("r", "--devices", "all") == 1
        assert "--devices all means all CUDA devices, and there is none" in capsys.readouterr().err
    assert run("r", "--devices", "cpu", "cuda:99") == 1
    assert "there is no device cuda:99 here" in capsys.readouterr().err
    assert run("r", "--devices", "cpus") == 1
    assert "'cpus' is no device" in capsys.readouterr().err
    assert not Path("r").exists()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (["--devices", "cpu", "--shard", "1/2"], "--shard and --devices share out the work in different ways"),
        (["--devices", "cpu", "--engine", "ray"], "--devices and --engine ray share out the work in different ways"),
        (["--devices", "cpu", "--device", "cuda"], "--devices takes the place of --device"),
        (["--ray-address", "auto"], "--ray-address is for --engine ray"),
    ],
)
def test_what_does_not_go_together(given: list[str], error: str, capsys: Said) -> None:
    assert run("r", *given) == 2
    assert error in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_per_device(whole: dict[str, str]) -> None:
    Path("photos/0009.png").rename("good.png")
    Path("photos/0009.png").write_bytes(b"no picture")
    first = program(*PLAIN, "--output-dir", "r", "--devices", "cpu", "cpu")
    out, err = first.communicate(timeout=300)
    assert first.returncode == 1, err
    assert "device:     cpu (1/2): 12 of 12 pictures\ndevice:     cpu (2/2): 8 of 8 pictures\n" in out
    assert "error: photos/0009.png: " in err
    assert "error: 1 of 20 pictures failed; --retry-failed does them again" in err
    Path("good.png").replace("photos/0009.png")
    second = program(*PLAIN, "--output-dir", "r", "--devices", "cpu", "cpu", "--retry-failed")
    out, err = second.communicate(timeout=300)
    assert (second.returncode, err) == (0, "")
    assert results("r") == whole


@pytest.mark.slow
def test_what_all_devices_say_is_said_once() -> None:
    process = program(*PLAIN, "--output-dir", "r", "--target", "no such class", "--devices", "cpu", "cpu")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert err.count("error: ") == 1
    assert "no such class" in err


@pytest.mark.slow
def test_killed_runs() -> None:
    """A small share of what docs/reliability.md reports."""
    command = [sys.executable, "-m", "tools.kill_data_set_runs", "--kills", "8", "--pictures", "40", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "8 kills in" in done.stdout


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def begun(folder: str) -> bool:
    return len(list(Path(folder).glob("shards/*/index.jsonl"))) == 2


@pytest.mark.slow
def test_ctrl_c_ends_all_devices_and_the_same_command_goes_on() -> None:
    shutil.rmtree("photos")
    write_pictures(Path("photos"), 400)
    given = [*PLAIN, "--output-dir", "r", "--devices", "cpu", "cpu"]
    first = program(*given)
    wait_for(lambda: begun("r"), first)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, (out, err)
    assert re.fullmatch(r"error: interrupted; \d+ of 400 pictures are done and kept in r; the same .*\n", err)
    with folder_lock(Path("r/shards/1-of-2")), folder_lock(Path("r/shards/2-of-2")):
        pass  # nobody is left who writes
    second = program(*given)
    assert (second.communicate(timeout=300)[1], second.returncode) == ("", 0)
    assert run("undisturbed") == 0
    assert results("r") == results("undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a process", "the one that watches"])
def test_a_killed_process_of_a_device(victim: str) -> None:
    shutil.rmtree("photos")
    write_pictures(Path("photos"), 400)
    given = [*PLAIN, "--output-dir", "r", "--devices", "cpu", "cpu"]
    first = program(*given)
    wait_for(lambda: begun("r"), first)
    if victim == "a process":
        children = subprocess.run(["pgrep", "-P", str(first.pid), "-f", "spawn_main"], capture_output=True, text=True)
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        _, err = first.communicate(timeout=120)
        assert first.returncode == 1
        assert re.search(r"error: cpu \([12]/2\): its process was killed, or crashed \(exit code -9\)", err)
        assert "error: not all devices did their share; what is done is kept in r, and the same command goes on" in err
    else:
        first.kill()
        first.communicate(timeout=60)
        while True:  # its processes notice when they next tell it something, and end
            try:
                with folder_lock(Path("r/shards/1-of-2"), 1), folder_lock(Path("r/shards/2-of-2"), 1):
                    break
            except RuntimeError:
                time.sleep(0.1)
    second = program(*given)
    assert (second.communicate(timeout=300)[1], second.returncode) == ("", 0)
    assert run("undisturbed") == 0
    assert results("r") == results("undisturbed")
