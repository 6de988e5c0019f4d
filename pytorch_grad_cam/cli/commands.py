"""The table of commands: what can be typed behind the program's name, and which modules do it.

A new command is a row in ``COMMANDS`` and a folder beside this file with ``options.py`` and ``run.py``; a small command
is one module with both functions. The modules are imported when their command is given, so that the help of one command
does not load what another one needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Attributes:
        name: the word that is typed.
        summary: one line for ``--help``.
        options_module: in this package; has ``parse(program, arguments)``, which returns the options, an object with
            ``debug``. On a mistake it prints one line and exits with 2, as argparse does. It loads neither torch nor
            NumPy.
        run_module: in this package; has ``run(options)``, which does the work and returns the exit code.
        second_words: that follow the name, where each has options of its own.
    """

    name: str
    summary: str
    options_module: str
    run_module: str
    second_words: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The summary as a sentence."""
        return f"{self.summary[:1].upper()}{self.summary[1:]}."

    def parse(self, program: str, arguments: Sequence[str]) -> Any:
        """Read the arguments behind the command's name."""
        return import_module(f"pytorch_grad_cam.cli.{self.options_module}").parse(program, arguments)

    def run(self, options: Any) -> int:
        """Do the work and return the exit code."""
        code: int = import_module(f"pytorch_grad_cam.cli.{self.run_module}").run(options)
        return code


DEFAULT = "explain"  # where no command is named
COMMANDS = {
    command.name: command
    for command in (
        Command("explain", "draw maps, the same as no command at all", "explain.options", "explain.run"),
        Command(
            "run",
            "explain any number of pictures in batches; it goes on where it was stopped",
            "run.options",
            "run.run",
        ),
        Command("report", "write a page that shows what a run found, to sort, filter and pass on", "report", "report"),
        Command("methods", "list the methods: what each highlights, its cost and source", "methods", "methods"),
        Command("layers", "list the layers of a network, and which can be looked at", "layers", "layers"),
        Command(
            "volume",
            "draw maps of volumes: .npy, .npz, NIfTI, DICOM; a montage and a volume",
            "explain.arrays.volume_options",
            "explain.arrays.volume",
        ),
        Command(
            "signal",
            "draw maps of signals: .csv, .npy, .npz; curves in the colours of the map",
            "explain.arrays.signal_options",
            "explain.arrays.signal",
        ),
        Command(
            "video",
            "draw maps of videos, frame by frame for one class: .gif, .mp4 and others",
            "explain.arrays.video_options",
            "explain.arrays.video",
        ),
        Command(
            "concepts",
            "split what a layer tells apart into concepts (Deep Feature Factorization)",
            "concepts.options",
            "concepts.run",
        ),
        Command(
            "evaluate",
            "measure which method is best for your network, and whether any is good",
            "evaluate.options",
            "evaluate.run",
        ),
        Command("demo", "serve a page in the browser on which people drop pictures and see maps", "demo", "demo"),
        Command(
            "doctor", "say what is installed and missing here, and try whether maps come out right", "doctor", "doctor"
        ),
        Command(
            "nnc",
            "the four XAI plug-ins of Neural Network Console, for .nnp and others",
            "nnc.options",
            "nnc.run",
            second_words=("gradcam", "gradcam-batch", "smoothgrad", "smoothgrad-batch"),
        ),
        Command("completion", "print what lets bash, zsh or fish complete what is typed", "completion", "completion"),
    )
}
