"""The options of ``concepts``. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.arguments import (
    CommandParser,
    add_image_path,
    add_image_weight,
    add_network_arguments,
    add_output_dir,
    add_overwrite,
    add_scores,
    positive_number,
)
from pytorch_grad_cam.runs.network_options import NetworkOptions

_DESCRIPTION = """Split what a layer tells apart in the pictures into concepts, without asking for a class (Deep
Feature Factorization): writes <output-dir>/<picture>_concepts.jpg, each place in the colour of its strongest concept,
and concepts.json. All pictures are looked at together, so a concept has the same colour in all of them."""


_EXAMPLES = ("photos/ --components 5", "dog.jpg cat.jpg --model resnet18 --target-layer layer3")


@dataclass(frozen=True)
class ConceptsOptions(NetworkOptions):
    """How to split pictures into concepts; `parse` says what each means."""

    image_path: list[str]
    page: int
    components: int
    top_k: int
    target_layer: str | None
    scores: str | None
    seed: int
    output_dir: str
    image_weight: float
    overwrite: bool


def parse(program: str, arguments: Sequence[str]) -> ConceptsOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=_DESCRIPTION)
    add_image_path(parser)
    add_network_arguments(parser)
    concepts = parser.add_argument_group("concepts")
    add = concepts.add_argument
    count = positive_number()
    add("--components", type=count, default=5, metavar="K", help="number of concepts (default: 5)")
    add("--top-k", type=count, default=2, metavar="N", help="classes that are named per concept (default: 2)")
    what = "dotted name, e.g. layer4 or features.-1 (default: the last with positions)"
    add("--target-layer", "--target-layers", metavar="LAYER", help=what)
    add_scores(concepts)
    add("--seed", type=int, default=0, metavar="N", help="of the factorisation's start (default: 0)")
    group = parser.add_argument_group("output")
    add_output_dir(group)
    add_image_weight(group, default=0.3)
    add_overwrite(group)
    return ConceptsOptions(**vars(parser.parse_args(arguments)))
