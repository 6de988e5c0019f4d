"""The entrance of cam.py, ``python -m pytorch_grad_cam`` and the console script."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pytorch_grad_cam.cli.errors import in_one_line
from pytorch_grad_cam.cli.explain.options import (
    ConceptsOptions,
    ExplainOptions,
    LayersOptions,
    NncOptions,
    Options,
    parse,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the options, without the program's name; None takes those of the process.

    Returns:
        The exit code: 0; 1 if something could not be explained, which is listed; 2 for wrong options; 130 after Ctrl-C.
    """
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:  # argparse ends so, after --help too
        return stop.code if isinstance(stop.code, int) else 0
    try:
        return _run(options)
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


def _run(options: Options) -> int:
    """Import what a command needs when it is needed: most of it loads torch."""
    if isinstance(options, ExplainOptions):
        from pytorch_grad_cam.cli.explain.run import explain

        return explain(options)
    if isinstance(options, LayersOptions):
        from pytorch_grad_cam.cli.layers.run import layers

        return layers(options)
    if isinstance(options, ConceptsOptions):
        from pytorch_grad_cam.cli.concepts.run import concepts

        return concepts(options)
    if isinstance(options, NncOptions):
        from pytorch_grad_cam.cli.nnc.run import nnc

        return nnc(options)
    from pytorch_grad_cam.cli.methods.run import methods

    return methods()
