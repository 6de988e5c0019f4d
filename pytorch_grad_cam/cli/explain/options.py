"""The options of the command without a verb. Importing this costs nothing: no torch, no pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.arguments import add_image_path
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.explain.arguments import (
    FILES,
    add_explanation_arguments,
    add_output_arguments,
    check_explanation,
)
from pytorch_grad_cam.cli.method_names import chosen_methods
from pytorch_grad_cam.cli.network_arguments import add_network_arguments
from pytorch_grad_cam.cli.parser import CommandParser
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.runs.network_options import NetworkOptions

EXAMPLES = """examples:
  %(prog)s --image-path dog.jpg
  %(prog)s --image-path dog.jpg --model resnet18 --method layercam --target "tiger cat"
  %(prog)s --image-path dog.jpg --model resnet18 --contrast "tiger cat" "Egyptian cat"
  %(prog)s --image-path dog.jpg --model resnet18 --weights mine.pth --target-layers layer3 layer4
  %(prog)s --image-path dog.jpg --model mypackage.nets:build --size 96 --target 3
  %(prog)s --image-path street.jpg --model fasterrcnn_resnet50_fpn --target car
  %(prog)s --image-path photos/ more/*.png --method gradcam layercam --target top-3 --save overlay json
"""


@dataclass(frozen=True)
class ExplainOptions(NetworkOptions):
    """What to draw of what; `cli.explain.arguments` says what each means."""

    image_path: list[str]
    method: list[str]
    target: list[str]
    contrast: list[str] | None
    against: bool
    task: str | None
    target_layers: list[str] | None
    eigen_smooth: bool
    aug_smooth: bool
    batch_size: int | None
    num_samples: int | None
    noise_level: float | None
    seed: int
    output_dir: str
    save: list[str] | None
    colormap: str
    image_weight: float
    box_threshold: float | str
    overwrite: bool


def parse(program: str, arguments: Sequence[str]) -> ExplainOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = _parser(program)
    options = vars(parser.parse_args(arguments))
    check_explanation(parser, options)
    return ExplainOptions(**options | {"method": chosen_methods(options["method"])})


def _parser(program: str) -> argparse.ArgumentParser:
    methods = "\n".join(f"  {method.name:20}{method.summary}" for method in METHODS.values())
    commands = "\n".join(f"  {command.name:20}{command.summary}" for command in COMMANDS.values())
    parser = CommandParser(
        prog=program,
        usage="%(prog)s [COMMAND] --image-path PICTURE [...] [options]",
        description="Show which parts of a picture speak for a class: writes <output-dir>/<method>_cam.jpg.",
        epilog=f"commands:\n{commands}\n\nmethods:\n{methods}\n\nfiles:\n{FILES}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_image_path(parser)
    add_network_arguments(parser)
    add_explanation_arguments(parser)
    add_output_arguments(parser)
    return parser
