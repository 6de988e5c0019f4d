"""The command ``methods``: what there is to choose from. Loads no torch, so that it answers at once."""

from __future__ import annotations

from pytorch_grad_cam.cli.method_names import special_methods
from pytorch_grad_cam.cli.methods.options import MethodsOptions
from pytorch_grad_cam.cli.text_table import aligned_columns
from pytorch_grad_cam.methods import METHODS

LEGEND = """
passes per picture: F, B: forward and backward through the network; Ft, Bt: only through what follows the layer;
                    K: channels of the layer, n: its positions, N: changed pictures

for networks with what is in brackets only: {special}"""


def run(_: MethodsOptions) -> int:
    """Print every method: name, what is highlighted, passes, source."""
    rows = [("method", "highlights", "passes", "source")]
    rows += [(method.name, method.summary, method.passes, method.source) for method in METHODS.values()]
    for line in aligned_columns(rows):
        print(line)
    print(LEGEND.format(special=special_methods()))
    return 0
