"""The options of ``video``. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorch_grad_cam.cli.arguments import number_type, positive_number
from pytorch_grad_cam.cli.explain.arrays.options import ONLY_PICTURES, parse_options
from pytorch_grad_cam.cli.explain.options import ExplainOptions

_EXAMPLES = """  %(prog)s --image-path cat.gif --model resnet18
  %(prog)s --image-path street.mp4 --model resnet50 --target "sports car" --method layercam --max-frames 120
"""


@dataclass(frozen=True)
class VideoOptions(ExplainOptions):
    """What to draw of videos; `parse` says what each means."""

    max_frames: int
    format: str | None
    rate: float | None


def parse(program: str, arguments: Sequence[str]) -> VideoOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    return parse_options(
        VideoOptions,
        program,
        "video",
        arguments,
        path_help=".gif, .webp, .apng, .mp4, .avi, .mov, .mkv, .webm; several",
        examples=_EXAMPLES,
        add_own=_add_own,
        hidden=(*ONLY_PICTURES, "--aug-smooth", "--task"),
        needs_model=False,
    )


def _add_own(group: Any) -> None:
    add = group.add_argument
    what = "of the beginning; the rest is left out (default: 300)"
    add("--max-frames", type=positive_number("frames"), default=300, metavar="N", help=what)
    what = "of the result (default: gif for animated pictures, else mp4, which most browsers do not show)"
    add("--format", choices=("gif", "mp4", "avi"), help=what)
    rate = number_type(float, "a positive number", lambda value: value > 0)
    add("--rate", type=rate, metavar="FPS", help="frames per second of the result (default: as the video has)")
