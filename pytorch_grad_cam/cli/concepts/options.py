"""The options of ``concepts``. Importing this costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pytorch_grad_cam.cli.explain import arguments
from pytorch_grad_cam.cli.explain.options import ConceptsOptions, Parser

_DESCRIPTION = """Split what a layer tells apart in the pictures into concepts, without asking for a class (Deep
Feature Factorization): writes <output-dir>/<picture>_concepts.jpg, each place in the colour of its strongest concept,
and concepts.json. All pictures are looked at together, so a concept has the same colour in all of them."""


def parse_concepts(program: str, given: Sequence[str]) -> ConceptsOptions:
    """Read the options after ``concepts``; on a mistake, print one line and exit with 2, as argparse does."""
    return ConceptsOptions(**vars(concepts_parser(program).parse_args(given)))


def concepts_parser(program: str) -> argparse.ArgumentParser:
    """Describe the options."""
    parser = Parser(prog=program, description=_DESCRIPTION)
    parser.add_argument(
        "--image-path",
        required=True,
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="files, folders or patterns ('photos/**/*.jpg'); can be repeated",
    )
    arguments.network(parser)
    group = parser.add_argument_group("concepts")
    group.add_argument("--components", type=_count, default=5, metavar="K", help="number of concepts (default: 5)")
    group.add_argument(
        "--top-k", type=_count, default=2, metavar="N", help="classes that are named per concept (default: 2)"
    )
    group.add_argument(
        "--target-layer",
        "--target-layers",
        metavar="LAYER",
        help="dotted name, e.g. layer4 or features.-1 (default: the last with positions)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the factorisation's start (default: 0)")
    group = parser.add_argument_group("output")
    group.add_argument("--output-dir", default="output", metavar="FOLDER", help="made if missing (default: output)")
    group.add_argument(
        "--image-weight",
        type=_share,
        default=0.3,
        metavar="W",
        help="share of the picture in the overlay, 0 to 1 (default: 0.3)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace files of an earlier run (one picture's always are)"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share
