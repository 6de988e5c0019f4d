"""The entrance of cam.py, ``python -m pytorch_grad_cam`` and the console script."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pytorch_grad_cam.cli.options import parse

# What the package raises on purpose, with a message for people. Anything else is named by its kind.
_EXPECTED = (ValueError, TypeError, IndexError, OSError, ImportError, RuntimeError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the options, without the program's name; None takes those of the process.

    Returns:
        The exit code: 0; 1 if no explanation was made; 2 for wrong options; 130 after Ctrl-C.
    """
    try:
        options = parse(argv)
    except SystemExit as stop:  # argparse ends so, after --help too
        return stop.code if isinstance(stop.code, int) else 0
    try:
        from pytorch_grad_cam.cli.explain import explain  # here, because it loads torch

        return explain(options)
    except KeyboardInterrupt:
        print("error: interrupted; nothing was left half written", file=sys.stderr)
        return 130
    except Exception as error:
        if options.debug:
            raise
        print(f"error: {_in_one_line(error)}", file=sys.stderr)
        return 1


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, _EXPECTED) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"
