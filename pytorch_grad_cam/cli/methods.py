"""The command ``methods``: what there is to choose from. Loads no torch, so that it answers at once."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from pytorch_grad_cam.cli.arguments import CommandParser
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.method_names import special_methods
from pytorch_grad_cam.cli.output import aligned_columns
from pytorch_grad_cam.methods import METHODS

LEGEND = """
passes per picture: F, B: forward and backward through the network; Ft, Bt: only through what follows the layer;
                    K: channels of the layer, n: its positions, N: changed pictures

for networks with what is in brackets only: {special}"""


def parse(program: str, arguments: Sequence[str]) -> Namespace:
    """Refuse all arguments but --help."""
    parser = CommandParser([""], prog=program, description=COMMANDS["methods"].description)
    parser.set_defaults(debug=False)
    return parser.parse_args(arguments)


def run(_: Namespace) -> int:
    """Print every method: name, what is highlighted, passes, source."""
    rows = [("method", "highlights", "passes", "source")]
    rows += [(method.name, method.summary, method.passes, method.source) for method in METHODS.values()]
    print(aligned_columns(rows))
    print(LEGEND.format(special=special_methods()))
    return 0
