"""The options of the command ``evaluate``. Importing this costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.arguments import (
    CommandParser,
    add_image_path,
    add_network_arguments,
    add_output_dir,
    add_overwrite,
    argument_type,
    positive_number,
    whole_number,
)
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.method_names import method_or_all
from pytorch_grad_cam.runs.network_options import NetworkOptions

CHEAP = "cheap"
EPILOG = """files:
  scores.csv        a line for each picture and method
  scores.json       everything: means, intervals, differences, sentences
  timing.json       milliseconds per map
  evaluation.html   all of it to look at, in one file

Random maps, a blob in the middle, edges and a map of ones always come along: a method that is no better than these has
shown nothing. The same command goes on where it was stopped, and gives the same files.
"""
_EXAMPLES = (
    "--image-path photos/ --model resnet50",
    "--image-path photos/ --method gradcam layercam --layers layer3 layer4 layer3+layer4",
    "--image-path photos/ --method all --boxes annotations.json --metric energy_to_chance insertion",
    "--image-path photos/ --sanity",
)


@dataclass(frozen=True)
class EvaluateOptions(NetworkOptions):
    """What is measured of what; `_parser` says what each means."""

    image_path: list[str]
    page: int
    method: list[str]
    layers: list[str] | None
    metric: list[str] | None
    sanity: bool
    target: str | None
    labels: str | None
    boxes: str | None
    masks: str | None
    batch_size: int
    seed: int
    output_dir: str
    overwrite: bool


def parse(program: str, arguments: Sequence[str]) -> EvaluateOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = _parser(program)
    options = vars(parser.parse_args(arguments))
    if options["target"] is not None and options["labels"] is not None:
        parser.error("--labels says each picture's class and --target one for all; give one of the two")
    return EvaluateOptions(**options | {"method": options["method"] or [CHEAP]})


def _parser(program: str) -> argparse.ArgumentParser:
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["evaluate"].description, epilog=EPILOG)
    add_image_path(parser)
    add_network_arguments(parser)
    add = parser.add_argument_group("evaluation").add_argument
    what = "names, cheap (few passes per map), or all that ask for no special network (default: cheap)"
    add("--method", type=argument_type(_method), nargs="+", action="extend", metavar="NAME", help=what)
    what = "layers to compare, each alone; layer3+layer4: their mean (default: the automatic choice)"
    add("--layers", nargs="+", action="extend", metavar="LAYER", help=what)
    what = (
        "what is measured, by name, see docs/evaluation.md (default: insertion, deletion and their difference, mosaics "
        "of pictures, what a masked picture loses, entropy; with --boxes or --masks also whether the objects are found)"
    )
    add("--metric", nargs="+", action="extend", metavar="NAME", help=what)
    what = "ask whether maps change with the class, with random weights and with the picture"
    add("--sanity", action="store_true", help=what)
    what = "the class that is explained, index or name (default: each picture's top class)"
    add("--target", metavar="CLASS", help=what)
    what = "CSV with the columns file and label: each picture's class, index or name"
    add("--labels", metavar="CSV", help=what)
    what = (
        "where the objects are: COCO's JSON, a folder or file of VOC's XML, or a CSV with file, x1, y1, x2, y2 and "
        "label; a label that is a class of the network also says what is explained"
    )
    add("--boxes", metavar="FILE", help=what)
    what = "where the objects are: PNG files named as the pictures; all but 0 is the object"
    add("--masks", metavar="FOLDER", help=what)
    what = "pictures at once, and changed pictures per forward pass (default: 16)"
    add("--batch-size", type=positive_number("pictures"), default=16, metavar="N", help=what)
    add("--seed", type=whole_number, default=0, metavar="N", help="of everything that is drawn (default: 0)")
    group = parser.add_argument_group("output")
    add_output_dir(group)
    add_overwrite(group)
    return parser


def _method(text: str) -> str:
    return CHEAP if text.lower() == CHEAP else method_or_all(text)
