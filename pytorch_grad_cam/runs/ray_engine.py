"""A run on a cluster of Ray: actors explain the batches, and whoever started them keeps what they found."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_grad_cam
from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.runs.data_set_run import DataSetRun, DoneBatch, Report
from pytorch_grad_cam.runs.error_text import in_one_line

# An actor asks for half a processor, and there are as many actors as processors: so one half of them is always left
# for the tasks with which Ray Data feeds the actors. Actors that asked for whole ones would take all of a small
# machine, the feeding tasks would wait for a processor, the actors for their batches, and nothing would say so.
CPUS_OF_ACTOR = 0.5
_MOST_TASKS = 4096  # of larger runs, a task is several batches: each costs the driver some memory and time


class RayEngineError(RuntimeError):
    """A worker cannot do its batches; the message says why."""


def run_on_ray(run: DataSetRun, worker: DataSetRun, report: Report, *, gpu: bool, address: str | None = None) -> None:
    """Do all of a run that is not done yet on a cluster of Ray.

    The workers need the package, the network's files and the pictures, but not the run's folder: this process writes
    everything there, each batch once, when it comes. A worker or machine that is lost meanwhile costs the batches that
    it had; Ray gives them to others.

    Args:
        run: which this process claimed and keeps. Its caller holds the folder's lock.
        worker: the same run for the workers, see `DataSetRun.on`.
        report: is told of each batch when it is kept.
        gpu: each worker has a GPU of its own.
        address: of a cluster, as for ``ray.init``, such as "auto" or "ray://host:10001"; None: one is started on this
            machine for this run, unless the process is connected to one already.

    Raises:
        ImportError: if Ray is missing.
        RayEngineError: if no picture at all can be explained, or there is no GPU.
        Exception: what writing raises, and Ray.
    """
    batches = run.batches_to_do()
    if batches:
        with _connected(address):
            for done in _done(worker, batches, gpu):
                run.keep(done)
                report(done.rows)
    run.put_in_order()


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    ray = need("ray")
    if ray.is_initialized():  # the caller's own, which goes on
        yield
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        quiet |= {"include_dashboard": False, "runtime_env": {"env_vars": {"PYTHONPATH": _path()}}}
    ray.init(address=address or "local", **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _path() -> str:
    """Return where workers on this machine find the modules that this process has: the package, users' factories."""
    package = Path(pytorch_grad_cam.__file__).parents[1]
    return os.pathsep.join(dict.fromkeys([str(package), *(os.path.abspath(each) for each in sys.path if each)]))


def _done(run: DataSetRun, batches: list[list[int]], gpu: bool) -> Iterator[DoneBatch]:
    """Have the batches done, and yield each as it comes."""
    ray, data = need("ray"), need("ray.data")
    resources = ray.cluster_resources()
    if gpu and not resources.get("GPU"):
        raise RayEngineError("the cluster has no GPU; leave out --device cuda")
    count = max(1, min(int(resources["GPU" if gpu else "CPU"]), len(batches)))
    context = data.DataContext.get_current()
    context.enable_progress_bars = False  # there is one of the run
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Pickled by value once, here: the list of pictures may be long, and the actors read it where it lies.
    shared = ray.put(pickle.dumps(run))
    # One block, and so one task, a batch: what is lost with a worker is what it had in hand. Blocks of given items are
    # made by this process; other sources would be read by tasks of their own.
    tasks = data.from_items(
        [{"positions": each} for each in batches], override_num_blocks=min(len(batches), _MOST_TASKS)
    )
    found = tasks.map_batches(
        _Actor,
        fn_constructor_args=(shared, os.getcwd()),
        batch_size=1,
        compute=data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
        num_cpus=CPUS_OF_ACTOR,
        num_gpus=1 if gpu else 0,
    )
    for row in found.iter_rows():
        yield _Packed(**row).unpacked()


@dataclass(frozen=True)
class _Packed:
    """A `DoneBatch` as a row of a table, on its way through the cluster."""

    error: str
    rows: str  # JSON, as in the index
    times: str
    names: list[str]
    contents: list[bytes]

    @classmethod
    def of(cls, done: DoneBatch) -> _Packed:
        return cls("", json.dumps(done.rows), json.dumps(done.times), list(done.files), list(done.files.values()))

    def unpacked(self) -> DoneBatch:
        if self.error:
            raise RayEngineError(self.error)
        return DoneBatch(
            json.loads(self.rows), json.loads(self.times), dict(zip(self.names, self.contents, strict=True))
        )


class _Actor:
    """Holds the run, and with it the network, which is loaded with the first batch."""

    def __init__(self, shared: Any, folder: str) -> None:
        if os.path.isdir(folder):  # the driver's, by which names of pictures and networks may be meant
            os.chdir(folder)
        self._run: DataSetRun = pickle.loads(need("ray").get(shared))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Do the batches of a task."""
        packed = [self._done([int(each) for each in positions]) for positions in batch["positions"]]
        return {name: [asdict(each)[name] for each in packed] for name in asdict(packed[0])}

    def _done(self, positions: list[int]) -> _Packed:
        try:
            return _Packed.of(self._run.done_batch(positions))
        except Exception as error:  # Ray would try it again and again, and bury what it says
            return _Packed(in_one_line(error), "[]", "[]", [], [])
