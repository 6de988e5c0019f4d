"""The table of commands: what can be typed behind the program's name, and which modules do it.

A new command is a row in ``COMMANDS`` and a folder beside this file with ``options.py`` and ``run.py``; a small command
may be one module with both functions. The modules are imported when their command is given, so that the help of one
command does not load what another one needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol


class CommandOptions(Protocol):
    """The options of a command, of which ``main`` must know one: whether errors are shown in full."""

    @property
    def debug(self) -> bool: ...


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: the word that is typed.
        summary: one line for ``--help``.
        options_module: has ``parse(program, arguments)``, which returns the options, a frozen dataclass with ``debug``.
            On a mistake it prints one line and exits with 2, as argparse does. It loads neither torch nor NumPy.
        run_module: has ``run(options)``, which does the work and returns the exit code.
    """

    name: str
    summary: str
    options_module: str
    run_module: str

    @property
    def description(self) -> str:
        """The summary as a sentence."""
        return f"{self.summary.capitalize()}."

    def parse(self, program: str, arguments: Sequence[str]) -> CommandOptions:
        """Read the arguments behind the command's name."""
        options: CommandOptions = import_module(self.options_module).parse(program, arguments)
        return options

    def run(self, options: Any) -> int:
        """Do the work and return the exit code."""
        code: int = import_module(self.run_module).run(options)
        return code


DEFAULT = "explain"  # where no command is named
_ROWS = (
    Command(
        "explain",
        "draw maps, the same as no command at all",
        "pytorch_grad_cam.cli.explain.options",
        "pytorch_grad_cam.cli.explain.run",
    ),
    Command(
        "methods",
        "list the methods: what each highlights, its cost and source",
        "pytorch_grad_cam.cli.methods.options",
        "pytorch_grad_cam.cli.methods.run",
    ),
    Command(
        "layers",
        "list the layers of a network, and which can be looked at",
        "pytorch_grad_cam.cli.layers.options",
        "pytorch_grad_cam.cli.layers.run",
    ),
    Command(
        "concepts",
        "split what a layer tells apart in the pictures into concepts (Deep Feature Factorization)",
        "pytorch_grad_cam.cli.concepts.options",
        "pytorch_grad_cam.cli.concepts.run",
    ),
    Command(
        "nnc",
        "the four XAI plug-ins of Neural Network Console: gradcam, gradcam-batch, smoothgrad, smoothgrad-batch",
        "pytorch_grad_cam.cli.nnc.options",
        "pytorch_grad_cam.cli.nnc.run",
    ),
)
COMMANDS = {command.name: command for command in _ROWS}
