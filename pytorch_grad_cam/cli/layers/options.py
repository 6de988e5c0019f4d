"""The options of ``layers``. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.network_arguments import add_network_arguments
from pytorch_grad_cam.cli.parser import CommandParser
from pytorch_grad_cam.runs.network_options import NetworkOptions


@dataclass(frozen=True)
class LayersOptions(NetworkOptions):
    """Which network's layers, for which picture."""

    image_path: str | None


def parse(program: str, arguments: Sequence[str]) -> LayersOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(prog=program, description=COMMANDS["layers"].description)
    parser.add_argument("--image-path", metavar="PICTURE", help="the input (default: a gray picture of the usual size)")
    add_network_arguments(parser)
    return LayersOptions(**vars(parser.parse_args(arguments)))
