"""The entrance of cam.py, ``python -m pytorch_grad_cam`` and the console script."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from pytorch_grad_cam.cli.arguments import CommandParser, program_name
from pytorch_grad_cam.cli.commands import COMMANDS, DEFAULT, Command
from pytorch_grad_cam.runs.error_text import in_one_line

# Packages whose warnings are about their own affairs: only --debug shows them. Those of the user's own code are shown.
_OTHERS = ("torch", "torchvision", "timm", "transformers", "huggingface_hub", "safetensors", "PIL", "numpy")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the options, without the program's name; None takes those of the process.

    Returns:
        The exit code: 0; 1 if something could not be explained, which is listed; 2 for wrong options; 130 after Ctrl-C.
    """
    try:
        command, options = _parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:  # argparse ends so, after --help too
        return stop.code if isinstance(stop.code, int) else 0
    try:
        with warnings.catch_warnings():
            if not options.debug:
                for package in _OTHERS:
                    warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
            return command.run(options)
    except KeyboardInterrupt:
        print("error: interrupted; nothing was left half written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return 1


def _parse(argv: Sequence[str]) -> tuple[Command, Any]:
    """Return the command that is named first, or the default one, and its options."""
    name, arguments = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else (DEFAULT, argv)
    if name == DEFAULT and arguments and not arguments[0].startswith("-") and not _may_be_picture(arguments[0]):
        _refuse_word(arguments[0])
    program = program_name() if name == DEFAULT else f"{program_name()} {name}"
    return COMMANDS[name], COMMANDS[name].parse(program, arguments)


def _may_be_picture(word: str) -> bool:
    """Say whether a first word that is no command is a picture, a folder or a pattern, or shall be one."""
    return os.path.exists(word) or not word.isalpha()


def _refuse_word(word: str) -> NoReturn:
    """Say what to do about a first word that is neither a command nor a picture."""
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(COMMANDS)}"
    CommandParser(prog=program_name()).error(f"{word!r} is neither a command nor a picture; {hint}")
