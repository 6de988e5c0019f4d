"""Several devices of this machine: a process for each, with a share of the run, watched by one that does no work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from pytorch_grad_cam.cli.run.joining import join
from pytorch_grad_cam.cli.run.options import RunOptions
from pytorch_grad_cam.cli.run.work import Tally, folder_of, logged_above_bar, model_line, prepared, rows_before
from pytorch_grad_cam.runs.data_set_run import FAILED
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.run_index import Row
from pytorch_grad_cam.runs.shards import Shard

ALL = "all"
_PATIENCE = 20.0  # seconds that a process has for ending its batch after Ctrl-C


def run_on_devices(options: RunOptions) -> int:
    """Start the processes, show what they do, and join what they did.

    Returns:
        0; 1 if a picture or a process failed, which is said; 130 after Ctrl-C.

    Raises:
        ValueError: if there is no such device.
    """
    folder, devices = folder_of(options), _chosen(options.devices or [])
    if options.overwrite:
        with folder.writing(None):
            folder.clear()
    parts = [
        _Part(device, Shard(number, len(devices)), sum(each == device for each in devices))
        for number, device in enumerate(devices, 1)
    ]
    tally = Tally()
    with _started(parts, options):
        try:
            _follow(parts, tally)
        except KeyboardInterrupt:
            _stop(parts)
            done = sum(part.done for part in parts)
            print(f"error: interrupted; {done} of {sum(part.share for part in parts)} pictures are done and kept in "
                  f"{folder.path}; the same command goes on there", file=sys.stderr)  # fmt: skip
            return 130
    return _end(parts, tally, folder)


def _chosen(devices: Sequence[str]) -> list[str]:
    """Return the devices that were named, with what "all" means here."""
    import torch

    if list(devices) != [ALL]:
        for device in devices:
            _check(device)
        return list(devices)
    count = torch.cuda.device_count()
    if not count:
        raise ValueError(
            "--devices all means all CUDA devices, and there is none; name them, such as --devices cpu cpu"
        )
    return [f"cuda:{index}" for index in range(count)]


def _check(name: str) -> None:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"{name!r} is no device; give all, or devices such as cuda:0 cuda:1") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there is no device {name} here; there are {torch.cuda.device_count()} CUDA devices")


@dataclass
class _Part:
    """A process with its share of the run, as it is seen from outside."""

    device: str
    shard: Shard
    alike: int  # processes that share the device
    process: SpawnProcess | None = None
    channel: Connection | None = None
    share: int = 0
    done: int = 0
    model: str = ""
    error: str = ""
    complete: bool = False
    bar: Any = field(default=None, repr=False)

    @property
    def connection(self) -> Connection:
        """The way to it, once it was started."""
        assert self.channel is not None
        return self.channel

    @property
    def name(self) -> str:
        return f"{self.device} ({self.shard})"


@contextmanager
def _started(parts: Sequence[_Part], options: RunOptions) -> Iterator[None]:
    """Start the processes; whatever happens, none is left when the block ends."""
    context = multiprocessing.get_context("spawn")
    try:
        with _deaf_to_ctrl_c():  # which they inherit: it is for the one that watches, and it tells them
            for part in parts:
                part.channel, theirs = context.Pipe()
                own = replace(options, device=part.device, devices=None, use_cuda=False, overwrite=False)
                part.process = context.Process(target=_work, args=(own, part.shard, part.alike, theirs), daemon=True)
                part.process.start()
                theirs.close()
        yield
    finally:
        for part in parts:
            if part.process is not None:
                part.process.kill()  # mostly it has ended; else what it has written stays as it is, and is gone on with
                part.process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # where signals cannot be set, none arrives either
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _follow(parts: Sequence[_Part], tally: Tally) -> None:
    """Show what the processes tell until all have ended."""
    from tqdm import tqdm

    by_channel: dict[Any, _Part] = {part.connection: part for part in parts}
    for place, part in enumerate(parts):
        part.bar = tqdm(unit="picture", disable=None, leave=False, desc=part.name, position=place)
    try:
        while by_channel:
            for channel in wait(list(by_channel)):
                part = by_channel[channel]
                try:
                    kind, value = part.connection.recv()
                    _take(part, kind, value, tally)
                except (EOFError, ConnectionError):
                    del by_channel[channel]
                    assert part.process is not None
                    part.process.join()
                    if not part.complete and not part.error:
                        part.error = f"its process was killed, or crashed (exit code {part.process.exitcode})"
    finally:
        for part in parts:
            part.bar.close()


def _take(part: _Part, kind: str, value: Any, tally: Tally) -> None:
    from tqdm import tqdm

    if kind == "begun":
        part.model, part.share, before = value
        part.bar.reset(part.share)
        part.done = len(before)
        part.bar.update(part.done)
        for row in before:
            tally.count(row)
    elif kind == "rows":
        part.done += len(value)
        part.bar.update(len(value))
        tally.add(value)
    elif kind == "note":
        tqdm.write(f"note: {part.name}: {value}", file=sys.stderr)
    elif kind == "error":
        part.error = value
    else:
        part.complete = True


def _stop(parts: Sequence[_Part]) -> None:
    """Ask the processes to end after their batch; `_started` ends those that do not."""
    for part in parts:
        with suppress(OSError):
            part.connection.send("stop")
    with suppress(KeyboardInterrupt):  # once more: at once, then
        for part in parts:
            assert part.process is not None
            part.process.join(_PATIENCE)


def _end(parts: Sequence[_Part], tally: Tally, folder: RunFolder) -> int:
    """Say what came of all, and join it if it is complete; return the exit code."""
    print(next((part.model for part in parts if part.model), ""), end="")
    for part in parts:
        if part.share:
            print(f"device:     {part.name}: {part.done} of {part.share} pictures")
    errors: dict[str, list[str]] = {}
    for part in parts:
        if part.error:
            errors.setdefault(part.error, []).append(part.name)
    for error, names in errors.items():
        where = "" if len(names) == len(parts) else f"{', '.join(names)}: "
        print(f"error: {where}{error}", file=sys.stderr)
    if errors:
        if any(part.done for part in parts):
            print(f"error: not all devices did their share; what is done is kept in {folder.path}, and the same "
                  "command goes on there", file=sys.stderr)  # fmt: skip
        return 1
    print(*tally.lines(), sep="\n")
    join(folder)
    tally.say_failures()
    return 1 if tally.counts[FAILED] else 0


def _work(options: RunOptions, shard: Shard, alike: int, channel: Connection) -> None:
    """Do a share, in a process of its own, and tell whoever watches."""
    with channel, suppress(OSError, KeyboardInterrupt):  # it has gone, or asked to stop
        try:
            _share_the_cores(options.device, alike)
            cores = max(2, (os.cpu_count() or 1) // shard.count)
            this = prepared(replace(options, workers=options.workers or cores), shard)
            with this.folder.writing(shard), logged_above_bar(lambda text: channel.send(("note", text))):
                this.folder.claim(this.settings())
                channel.send(("begun", (model_line(this) + "\n", len(this.mine()), rows_before(this))))

                def report(rows: Sequence[Row]) -> None:
                    channel.send(("rows", rows))
                    if channel.poll():
                        raise KeyboardInterrupt

                this.run(report)
            channel.send(("complete", None))
        except Exception as error:
            if options.debug:
                raise
            channel.send(("error", in_one_line(error)))


def _share_the_cores(device: str, alike: int) -> None:
    """Keep processes on the CPU from waiting for one another."""
    import torch

    if device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // alike))
