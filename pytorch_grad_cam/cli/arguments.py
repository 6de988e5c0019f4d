"""What the options of all commands share: the parser, types that check what was typed, options of one meaning.

Importing this costs nothing.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from pytorch_grad_cam.cli.help_format import HelpFormatter
from pytorch_grad_cam.cli.method_names import method_or_all
from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.models.sources import SOURCES, sentence

T = TypeVar("T")
TASKS = ("classification", "segmentation", "detection")
SCORES = ("softmax", "sigmoid", "multi-label", "none")
DTYPES = ("float32", "bfloat16", "float16")


_only_build = ContextVar("_only_build", default=False)  # whether a parser is wanted, and nothing shall be read with it


class _BuiltError(Exception):
    """Carries a parser out of the function that was about to read arguments with it."""

    def __init__(self, parser: CommandParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(parse: Callable[[], Any]) -> CommandParser:
    """Return the parser that a command builds, without reading anything with it.

    Args:
        parse: reads the arguments of the command with a `CommandParser`.

    Raises:
        TypeError: if it reads them without one.
    """
    token = _only_build.set(True)
    try:
        parse()
    except _BuiltError as built:
        return built.parser
    finally:
        _only_build.reset(token)
    raise TypeError(f"{parse} reads its arguments without a CommandParser; make one, and call its parse_args")


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the closest option for one that does not exist.

    Args:
        examples: what can be typed behind the program's name, a line each.
        **options: as for argparse.
    """

    def __init__(self, examples: Sequence[str] = (), **options: Any) -> None:
        lines = "".join(f"  %(prog)s {line}\n" for line in examples)
        epilog = "\n\n".join(part for part in (options.pop("epilog", ""), lines and f"examples:\n{lines}") if part)
        super().__init__(formatter_class=HelpFormatter, epilog=epilog or None, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the arguments; words in front of the first option are pictures."""
        if _only_build.get():
            raise _BuiltError(self)
        if args and not args[0].startswith("-") and "--image-path" in self._option_string_actions:
            args = ["--image-path", *args]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        close = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        hint = f"; did you mean {close[0]}?" if close else ""
        self.exit(2, f"error: {message}{hint} (--help shows the options)\n")


def program_name() -> str:
    """Return what people type to start the program."""
    name = os.path.basename(sys.argv[0])
    return "python -m pytorch_grad_cam" if name == "__main__.py" else name


def argument_type(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the message of a ValueError instead of its own, which names the function."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def number_type(kind: Callable[[str], T], wanted: str, is_allowed: Callable[[T], bool]) -> Callable[[str], T]:
    """Return a type of argument for the allowed ``int`` or ``float`` numbers, which messages call ``wanted``."""

    def converted(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not is_allowed(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return converted


def positive_number(of_what: str = "") -> Callable[[str], int]:
    """Return a type of argument for whole numbers from 1, such as a positive number of pixels."""
    return number_type(int, f"a positive number{of_what and ' of '}{of_what}", lambda value: value >= 1)


whole_number = number_type(int, "a whole number from 0", lambda value: value >= 0)
fraction = number_type(float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
share_below_one = number_type(float, "a number from 0 to below 1", lambda value: 0 <= value < 1)


def add_network_arguments(
    parser: argparse.ArgumentParser, *short: str, default: str = "resnet50", several: bool = False
) -> None:
    """Add what describes the network, and --debug.

    Args:
        parser: of the command.
        *short: other names of --model.
        default: the network where none is named; with ``several`` the command fills it in itself.
        several: --model can be given more than once, and is a list.
    """
    group = parser.add_argument_group("network")
    add = group.add_argument
    networks = sentence((source.help for source in SOURCES), "or")
    how: dict[str, Any] = {"action": "append"} if several else {"default": default}
    often = "; once for each network" if several else ""
    add(*short, "--model", metavar="NAME", help=f"{networks}{often} (default: {default})", **how)
    what = "a state dict, a published one's name (IMAGENET1K_V2), or random"
    add("--weights", metavar="FILE", help=what)
    what = "unpickle objects in a file; that can run any code in it"
    add("--trust-pickle", action="store_true", help=what)
    what = "texts in the place of classes, one map for each, for hf/FOLDER or open_clip/NAME of the kind of CLIP"
    add("--prompt", nargs="+", metavar="TEXT", help=what)
    add("--categories", metavar="FILE", help="class names, one per line, or a JSON list; or the names: no,yes")
    size = positive_number("pixels")
    add("--size", type=size, metavar="N", help="the network sees N x N pixels")
    whole = group.add_mutually_exclusive_group().add_argument
    whole("--squash", action="store_true", help="squash the whole picture to that size, no crop")
    whole("--pad", action="store_true", help="show the whole picture in its shape, between bars (letterbox)")
    what = "per channel, of values in 0..1 (default for all: as trained)"
    add("--mean", type=float, nargs="+", metavar="X", help=what)
    add("--std", type=float, nargs="+", metavar="X", help="likewise; one number each for gray pictures")
    what = f"that a picture may have (default: {MAX_PIXELS // 1_000_000} million)"
    add("--max-pixels", type=positive_number("pixels"), default=MAX_PIXELS, metavar="N", help=what)
    add("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: cpu)")
    add("--use-cuda", action="store_true", help="use the GPU if there is one, else the CPU")
    add("--debug", action="store_true", help="show the full traceback of an error")


def add_scores(group: Any) -> None:
    """Add the option that says what a classifier's scores are; `targets.score_kinds` says what each kind means."""
    group.add_argument(
        "--scores",
        choices=SCORES,
        metavar="KIND",
        help="what a classifier's numbers are: softmax, sigmoid (each class by itself), multi-label (all above 50 %% "
        "are listed) or none (default: seen from the network, and said)",
    )


def add_question(group: Any) -> None:
    """Add what is explained, by which methods; `contrast_options` reads what --contrast says."""
    add = group.add_argument
    what = "see the command methods; several, or all (default: gradcam)"
    add("--method", type=argument_type(method_or_all), nargs="+", action="extend", metavar="NAME", help=what)
    what = "index or name, or top-3; several, too (default: the top class)"
    add("--target", nargs="+", action="extend", default=[], metavar="CLASS", help=what)
    what = "A B: for A (red), not B (blue); rest: for the class, not any other"
    add("--contrast", nargs="+", metavar="CLASS", help=what)
    add("--against", action="store_true", help="what speaks against the class, not for it (see --target)")


def contrast_options(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the two classes that --contrast names, or that a class is set against the rest."""
    words = options["contrast"]
    if words is not None and [word.lower() for word in words] == ["rest"]:
        return {"contrast": None, "rest": True}
    if words and len(words) != 2:
        parser.error(
            f"--contrast takes two classes, or the word rest (--target names the class), not {' '.join(words)!r}"
        )
    if words and options["target"]:
        parser.error("--contrast takes the place of --target; give one of the two")
    if words and options["against"]:
        parser.error("--contrast with --against is the contrast the other way round; exchange its two classes")
    return {"contrast": words, "rest": False}


def add_layers(group: Any) -> None:
    """Add where it is looked at."""
    what = "e.g. layer4; several are averaged; stages: one per resolution"
    group.add_argument("--target-layers", nargs="+", metavar="LAYER", help=what)


def add_samples(group: Any) -> None:
    """Add the settings of methods that draw."""
    add = group.add_argument
    what = "for smoothgrad and the like (default: 25) and rise (default: 1000)"
    add("--num-samples", type=positive_number("samples"), metavar="N", help=what)
    what = "for smoothgrad and the like, a share of the range (default: 0.15)"
    add("--noise-level", type=fraction, metavar="X", help=what)
    add("--seed", type=whole_number, default=0, metavar="N", help="of noise, masks and random weights (default: 0)")


def add_dtype(group: Any) -> None:
    """Add how precise passes are."""
    what = "of passes: float32 (default), bfloat16 or float16"
    group.add_argument("--dtype", choices=DTYPES, default="float32", metavar="TYPE", help=what)


def add_eigen_smooth(group: Any) -> None:
    """Add the option for less noise."""
    what = "first principal component: less noise"
    group.add_argument("--eigen-smooth", "--eigen_smooth", action="store_true", help=what)


def add_image_path(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the pictures."""
    what = "files, folders or patterns; first of all, without the name"
    parser.add_argument("--image-path", required=True, nargs="+", action="extend", metavar="PICTURE", help=what)
    add_page(parser)


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses a page of a file with several."""
    what = "of a TIFF, or a frame of an animation, from 1 (default: 1)"
    parser.add_argument("--page", type=positive_number("a page"), default=1, metavar="N", help=what)


def add_output_dir(group: Any) -> None:
    """Add the option that names the folder of the results."""
    group.add_argument("--output-dir", default="output", metavar="FOLDER", help="made if missing (default: output)")


def add_image_weight(group: Any, default: float) -> None:
    """Add the option that says how much of the picture an overlay shows."""
    what = f"share of the picture in the overlay, 0 to 1 (default: {default})"
    group.add_argument("--image-weight", type=fraction, default=default, metavar="W", help=what)


def add_overwrite(group: Any) -> None:
    """Add the option that lets files be replaced."""
    what = "replace files of an earlier run (one picture's own always are)"
    group.add_argument("--overwrite", action="store_true", help=what)
