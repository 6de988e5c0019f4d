"""Run programs with the package ``pytorch_grad_cam`` that is on the path, each in a process of its own.

``python -P -m wild.running FOLDER [PROGRAM ...]`` writes, for every program, ``PROGRAM.npz`` with its arrays and
``PROGRAM.json`` with its facts, what it left in its networks, and how it failed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import multiprocessing
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from helpers.unchanged_model import assert_same_state, state_of

from wild import networks

PROGRAMS = sorted(path.stem for path in Path(__file__).with_name("programs").glob("[!_]*.py"))
PACKAGE = "pytorch_grad_cam"
SECONDS = 120  # for a program, on a busy machine


@dataclass
class Outcome:
    """What became of a program.

    Attributes:
        arrays: by name.
        facts: by name; plain numbers, strings, lists.
        traces: parts of the networks' state that are not as they were, beyond those the program says it changes.
        error: the end of the traceback; empty if the program ran.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    traces: list[str] = field(default_factory=list)
    error: str = ""

    def write(self, stem: Path) -> None:
        """Write the arrays as ``stem.npz`` and the rest as ``stem.json``."""
        np.savez(stem.with_suffix(".npz"), **self.arrays)
        rest = {"facts": self.facts, "traces": self.traces, "error": self.error}
        stem.with_suffix(".json").write_text(json.dumps(rest), encoding="utf-8")

    @classmethod
    def read(cls, stem: Path) -> Outcome:
        """Read what ``write`` wrote."""
        rest = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(stem.with_suffix(".npz")) as arrays:
            return cls(dict(arrays), **rest)


def program(name: str) -> ModuleType:
    """Return the module of a program."""
    return importlib.import_module(f"wild.programs.{name}")


def run(name: str) -> Outcome:
    """Run a program in this process; what it raises is the caller's."""
    module, outcome = program(name), Outcome()
    networks.BUILT.clear()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for key, value in module.main().items():
            if isinstance(value, np.ndarray):
                outcome.arrays[key] = value
            else:
                outcome.facts[key] = json.loads(json.dumps(value))
    found = all_traces()
    if found:  # hooks of an object in a cycle go when it is collected, which takes time among many others
        gc.collect()
        found = all_traces()
    outcome.traces = sorted(found - {*getattr(module, "CHANGES", ())})
    return outcome


def all_traces() -> set[str]:
    """Say which parts of the state of any network that a program has built are not as they were."""
    return {part for net, before in networks.BUILT for part in traces(net, before)}


def traces(net: torch.nn.Module, before: dict[str, Any]) -> Iterator[str]:
    """Say which parts of a network's state are not as they were."""
    after = state_of(net)
    for part, value in before.items():
        try:
            assert_same_state(value, after[part])
        except AssertionError:
            yield part


@contextlib.contextmanager
def unpatched(name: str) -> Iterator[None]:
    """Give back, after the block, what a program puts into the package's modules and classes."""
    program(name)  # with the modules of the package that it patches
    modules = [module for key, module in sys.modules.items() if key.partition(".")[0] == PACKAGE]
    classes = {item for module in modules for item in vars(module).values() if isinstance(item, type) and _ours(item)}
    owners: list[Any] = [*modules, *classes]
    before = [(owner, dict(vars(owner))) for owner in owners]
    try:
        yield
    finally:
        for owner, attributes in before:
            for key in [key for key in vars(owner) if key not in attributes and not _loaded(owner, key)]:
                delattr(owner, key)
            for key, value in attributes.items():
                if vars(owner).get(key) is not value:
                    setattr(owner, key, value)


def _ours(item: type) -> bool:
    return item.__module__.partition(".")[0] == PACKAGE


def _loaded(owner: Any, key: str) -> bool:
    """Whether a name of a package is a module or a name of one, that was loaded since."""
    return isinstance(owner, ModuleType) and not key.startswith("__") and hasattr(owner, "__path__")


def _run_into(name: str, folder: Path) -> None:
    torch.set_num_threads(1)
    try:
        outcome = run(name)
    except Exception:
        outcome = Outcome(error=traceback.format_exc()[-3000:])
    outcome.write(folder / name)


def run_all(folder: Path, names: list[str], at_once: int = 2) -> None:
    """Run programs, each in a fork of a process that has only loaded the package."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torchvision", "wild.networks", PACKAGE])

    def one(name: str) -> None:
        process = context.Process(target=_run_into, args=(name, folder))
        process.start()
        process.join(SECONDS)
        if process.exitcode != 0:
            process.kill()
            Outcome(error=f"ended with {process.exitcode} within {SECONDS} seconds").write(folder / name)

    with ThreadPoolExecutor(at_once) as threads:
        for done in [threads.submit(one, name) for name in names]:
            done.result()


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2:] or PROGRAMS)
