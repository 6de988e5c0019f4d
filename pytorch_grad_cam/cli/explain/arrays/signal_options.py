"""The options of ``signal``. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorch_grad_cam.cli.arguments import number_type
from pytorch_grad_cam.cli.explain.arrays.options import ONLY_PICTURES, SIZES, add_array_choice, parse_options
from pytorch_grad_cam.cli.explain.options import ExplainOptions

_EXAMPLES = """  %(prog)s --image-path ecg.csv --model mynets:build --target 1
  %(prog)s --image-path gunpoint.npz --key test_x --index 3 --model mynets:build --contrast 0 1
  %(prog)s --image-path leads.npy --model mynets:build --rate 250 --names I II V1
"""


@dataclass(frozen=True)
class SignalOptions(ExplainOptions):
    """What to draw of signals; `parse` says what each means."""

    key: str | None
    index: int | None
    normalize: str
    rate: float | None
    names: list[str] | None


def parse(program: str, arguments: Sequence[str]) -> SignalOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    return parse_options(
        SignalOptions,
        program,
        "signal",
        arguments,
        path_help=".npy or .npz with (T,) or (C, T); .csv with a column for each channel; several",
        examples=_EXAMPLES,
        add_own=_add_own,
        hidden=(*ONLY_PICTURES, *SIZES, "--image-weight"),
        needs_model=True,
    )


def _add_own(group: Any) -> None:
    add = group.add_argument
    add_array_choice(add)
    rate = number_type(float, "a positive number", lambda value: value > 0)
    what = "samples per second, for the axis of time (default: as a CSV's column 'time' says)"
    add("--rate", type=rate, metavar="HZ", help=what)
    add("--names", nargs="+", metavar="NAME", help="of the channels (default: as the first line of a CSV says)")
