"""The options of the command line. Importing this costs nothing: no torch, no pictures."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli import arguments
from pytorch_grad_cam.methods import METHODS

VERBS = {
    "explain": "draw maps, the same as no command at all",
    "methods": "list the methods: what each highlights, its cost and source",
    "layers": "list the layers of a network, and which can be looked at",
}

EXAMPLES = """examples:
  %(prog)s --image-path dog.jpg
  %(prog)s --image-path dog.jpg --model resnet18 --method layercam --target "tiger cat"
  %(prog)s --image-path dog.jpg --model resnet18 --weights mine.pth --target-layers layer3 layer4
  %(prog)s --image-path dog.jpg --model mypackage.nets:build --size 96 --target 3
  %(prog)s --image-path photos/ more/*.png --method gradcam layercam --target top-3 --save overlay json
"""


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and how it sees a picture; `arguments.network` says what each means."""

    model: str
    weights: str | None
    categories: str | None
    trust_pickle: bool
    size: int | None
    squash: bool
    mean: list[float] | None
    std: list[float] | None
    device: str
    use_cuda: bool
    debug: bool


@dataclass(frozen=True)
class ExplainOptions(NetworkOptions):
    """What to draw of what; `arguments` says what each means."""

    image_path: list[str]
    method: list[str]
    target: list[str]
    target_layers: list[str] | None
    eigen_smooth: bool
    aug_smooth: bool
    batch_size: int | None
    seed: int
    output_dir: str
    save: list[str] | None
    colormap: str
    image_weight: float
    box_threshold: float | str
    overwrite: bool


@dataclass(frozen=True)
class LayersOptions(NetworkOptions):
    """Which network's layers, for which picture."""

    image_path: str | None


@dataclass(frozen=True)
class MethodsOptions:
    """The verb ``methods`` has nothing to choose."""

    debug: bool = False


Options = ExplainOptions | LayersOptions | MethodsOptions


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows the options)\n")


def parse(argv: Sequence[str]) -> Options:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    verb, given = (argv[0], argv[1:]) if argv and argv[0] in VERBS else ("explain", argv)
    if verb == "methods":
        _Parser(prog=f"{_program()} methods", description=_sentence("methods")).parse_args(given)
        return MethodsOptions()
    if verb == "layers":
        return LayersOptions(**vars(layers_parser().parse_args(given)))
    if given and not given[0].startswith("-"):
        _refuse(given[0])
    options = vars(explain_parser().parse_args(given))
    return ExplainOptions(**options | {"method": arguments.chosen_methods(options["method"])})


def explain_parser() -> argparse.ArgumentParser:
    """Describe the options of the command without a verb."""
    methods = "\n".join(f"  {method.name:20}{method.summary}" for method in METHODS.values())
    verbs = "\n".join(f"  {verb:20}{what}" for verb, what in VERBS.items())
    result = _Parser(
        prog=_program(),
        usage="%(prog)s [COMMAND] --image-path PICTURE [...] [options]",
        description="Show which parts of a picture speak for a class: writes <output-dir>/<method>_cam.jpg.",
        epilog=f"commands:\n{verbs}\n\nmethods:\n{methods}\n\nfiles:\n{arguments.FILES}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    result.add_argument(
        "--image-path",
        required=True,
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="files, folders or patterns ('photos/**/*.jpg'); can be repeated",
    )
    arguments.network(result)
    arguments.explanation(result)
    arguments.output(result)
    return result


def layers_parser() -> argparse.ArgumentParser:
    """Describe the options of ``layers``."""
    result = _Parser(prog=f"{_program()} layers", description=_sentence("layers"))
    result.add_argument("--image-path", metavar="PICTURE", help="the input (default: a gray picture of the usual size)")
    arguments.network(result)
    return result


def _refuse(word: str) -> NoReturn:
    """Say what to do about a first word that is no command."""
    close = difflib.get_close_matches(word, VERBS, n=1)
    if os.path.exists(word) or not word.isalpha():
        hint = f"give pictures with --image-path {word}"
    else:
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(VERBS)}"
    _Parser(prog=_program()).error(f"there is no command {word!r}; {hint}")


def _sentence(verb: str) -> str:
    return f"{VERBS[verb].capitalize()}."


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return "python -m pytorch_grad_cam" if name == "__main__.py" else name
