"""What the options of ``volume``, ``signal`` and ``video`` share. Importing this costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytorch_grad_cam.cli.arguments import CommandParser, add_network_arguments, contrast_options
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.explain.options import (
    add_explanation_arguments,
    add_output_arguments,
    add_sweep_arguments,
)
from pytorch_grad_cam.cli.method_names import chosen_methods

T = TypeVar("T")
# Options of pictures, which mean nothing for other inputs.
ONLY_PICTURES = (
    *("--read", "--max-passes", "--budget", "--save", "--box-threshold"),
    *("--layer-sweep", "--attention-grid", "--labels", "--overwrite"),
)
SIZES = ("--size", "--squash", "--max-pixels")
NORMALIZE = ("none", "unit", "zscore")


def parse_options(
    kind: Callable[..., T],
    program: str,
    name: str,
    arguments: Sequence[str],
    *,
    path_help: str,
    examples: str,
    add_own: Callable[[Any], None],
    hidden: Sequence[str],
    needs_model: bool,
) -> T:
    """Read the options of one of the commands: those of pictures that have a meaning here, and its own.

    Args:
        kind: the class of the options.
        program: what people type to start it.
        name: of the command.
        arguments: that were typed.
        path_help: what can be given.
        examples: for the help.
        add_own: adds the command's own options to a group.
        hidden: options that have no meaning here; giving one is a mistake.
        needs_model: whether there is no usual network for such inputs.
    """
    parser = CommandParser(
        prog=program,
        usage="%(prog)s --image-path FILE [...] --model NAME [options]",
        description=COMMANDS[name].description,
        epilog=f"examples:\n{examples}",
    )
    parser.add_argument(
        "--image-path", "--path", required=True, nargs="+", action="extend", metavar="FILE", help=path_help
    )
    add_own(parser.add_argument_group(name))
    add_network_arguments(parser)
    add_explanation_arguments(parser)
    add_sweep_arguments(parser)
    add_output_arguments(parser)
    known: dict[str, argparse.Action] = parser._option_string_actions
    for option in hidden:
        known[option].help = argparse.SUPPRESS
    if needs_model:
        known["--model"].required = True
        known["--mean"].help = "one number, or one for each channel, that is subtracted first"
        known["--std"].help = "likewise, by which the rest is divided"
        known["--model"].help = "package.module:factory for your own network, or a .pt2 file of torch.export"
    parser.set_defaults(page=1)
    options = vars(parser.parse_args(arguments))
    given = [option for option in hidden if options[known[option].dest] != known[option].default]
    if given:
        parser.error(f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for pictures, not for a {name}")
    options |= contrast_options(parser, options)
    return kind(**options | {"method": chosen_methods(options["method"])})


def add_array_choice(add: Callable[..., Any]) -> None:
    """Add what chooses one array of a file, and how its numbers are given to the network."""
    add("--key", metavar="NAME", help="the array, where a .npz file has several")
    add("--index", type=int, metavar="N", help="the entry from 0, where the file holds several")
    what = (
        "none: numbers as they are; unit: from the lowest to the highest 0 to 1; zscore: mean 0, deviation 1; then "
        "--mean and --std, one number for each channel (default: none)"
    )
    add("--normalize", choices=NORMALIZE, default="none", metavar="HOW", help=what)
