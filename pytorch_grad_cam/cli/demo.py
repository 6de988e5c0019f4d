"""The command ``demo``: a page in the browser on which people drop pictures."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytorch_grad_cam.cli.arguments import (
    CommandParser,
    add_network_arguments,
    add_scores,
    number_type,
    positive_number,
)
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.runs.network_options import NetworkOptions

BUNDLED = "shapes"
MEGABYTE = 2**20
_ONE_NETWORK = ("weights", "categories", "prompt", "size", "mean", "std", "scores")  # which others would not suit
_EXAMPLES = (
    "                         (the bundled network, offline)",
    "--model resnet50 --examples dog.jpg",
    "--model shapes --model resnet50 --host 0.0.0.0",
)
_NOTE = """It needs the package gradio: pip install "tracelesscam[demo]". The page fetches and
reports nothing. Pictures lie in a temporary folder for an hour; no other file can be
read through the page."""


@dataclass(frozen=True)
class DemoOptions(NetworkOptions):
    """Which networks are shown, to whom, within which limits."""

    models: tuple[str, ...]
    scores: str | None
    examples: list[str] | None
    host: str
    port: int | None
    max_passes: int
    max_upload: int
    queue: int


def parse(program: str, arguments: Sequence[str]) -> DemoOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["demo"].description, epilog=_NOTE)
    add_network_arguments(parser, default=BUNDLED, several=True)
    add_scores(parser)
    group = parser.add_argument_group("page")
    what = "that can be taken with a click (default: scenes for the bundled network)"
    group.add_argument("--examples", nargs="+", metavar="PICTURE", help=what)
    what = "to listen on; 0.0.0.0: for everybody in the network (default: 127.0.0.1, this machine alone)"
    group.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=what)
    port = number_type(int, "a port, 1 to 65535", lambda value: 1 <= value <= 65535)
    group.add_argument("--port", type=port, metavar="N", help="(default: a free one from 7860 on)")
    what = "that a map may take; dearer methods are refused (default: 200)"
    group.add_argument("--max-passes", type=positive_number("passes"), default=200, metavar="N", help=what)
    what = "MB that a picture's file may have (default: 20)"
    group.add_argument("--max-upload", type=positive_number("megabytes"), default=20, metavar="MB", help=what)
    what = "questions that may wait (default: 20)"
    group.add_argument("--queue", type=positive_number("questions"), default=20, metavar="N", help=what)
    values = vars(parser.parse_args(arguments))
    models = tuple(dict.fromkeys(values.pop("model") or (BUNDLED,)))
    options = DemoOptions(model=models[0], models=models, **values)
    given = [f"--{name}" for name in _ONE_NETWORK if getattr(options, name) is not None]
    if len(models) > 1 and given:
        parser.error(f"{', '.join(given)} would go for all networks; give one --model, or leave it out")
    return options


def run(options: DemoOptions) -> int:
    """Load the networks and serve the page until Ctrl-C."""
    from pytorch_grad_cam.common.extras import need

    need("gradio")  # before networks are loaded, which may take longer
    from pytorch_grad_cam.data.images import read_image
    from pytorch_grad_cam.demo.answers import Answers, shrunk
    from pytorch_grad_cam.demo.serve import Limits, scenes, serving

    if options.examples:
        examples = [shrunk(read_image(path, max_pixels=options.max_pixels)) for path in options.examples]
    else:
        examples = scenes() if BUNDLED in options.models else []
    answers = Answers({name: _desk(options, name) for name in options.models}, options.max_pixels)
    limits = Limits(options.queue, options.max_upload * MEGABYTE)
    before = signal.signal(signal.SIGTERM, _interrupt)  # as a server is stopped: what it kept goes then, too
    try:
        with serving(answers, examples, limits, options.host, options.port) as address:
            print(f"the demo is at {address} (Ctrl-C stops it)", flush=True)
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        print("the demo has stopped; the pictures are gone", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _desk(options: DemoOptions, name: str) -> Any:
    from pytorch_grad_cam.cli.network import load_network
    from pytorch_grad_cam.demo.desk import Desk

    loaded, _ = load_network(replace(options, model=name))
    return Desk(loaded, options.max_passes, options.scores)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
