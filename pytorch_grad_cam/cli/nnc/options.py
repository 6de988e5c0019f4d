"""The options of ``nnc``: those of Neural Network Console's plug-ins, by their names. Importing this costs nothing."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any

from pytorch_grad_cam.cli.explain import arguments
from pytorch_grad_cam.cli.explain.options import NncOptions, Parser

COMMANDS = {
    "gradcam": "Grad-CAM of one picture",
    "gradcam-batch": "Grad-CAM of every row of a dataset CSV",
    "smoothgrad": "SmoothGrad of one picture",
    "smoothgrad-batch": "SmoothGrad of every row of a dataset CSV",
}

_BATCH = """Writes the rows of --input with one column added first, {column!r}, which names the row's picture,
<output without ending>/0000/<i>.png with i from 0, relative to the CSV it stands in.
The class in the row's label is explained, unlike in the plug-in, which explains class 0 for integer labels. A label is
an integer, one column per class (y__0, y__1, ...) or a file with a vector; a network with one output has class 0 only.
Pictures of another size are resized, gray and colour converted. A row that fails is reported and its new cell stays
empty; the others go on. A run that was killed continues where it was when the same command is given again; everything
else that --output names is replaced."""
_EPILOG = """--style paper (default) is the method as published, in our colours, at the picture's own size.
--style nnc draws what the plug-in draws: {nnc}, at the network's size.
--score output (default) explains the network's output, of a classifier the probability, as the plug-in does. Where it
is close to 1 its gradient vanishes; --score logit explains the number before the last Softmax or Sigmoid."""
_STYLES = {
    False: "a ReLU per channel before the mean, the plug-in's colours and overlay",
    True: "the mean of squared gradients, cut at the 1st and 99th percentile, in gray",
}


def parse_nnc(program: str, given: Sequence[str]) -> NncOptions:
    """Read the options after ``nnc``; on a mistake, print one line and exit with 2, as argparse does."""
    if not given or given[0] not in COMMANDS:
        parser = _overview(program)
        parser.parse_known_args([word for word in given[:1] if word in ("-h", "--help")])
        word = given[0] if given else ""
        close = difflib.get_close_matches(word, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(COMMANDS)}"
        parser.error(f"there is no command {word!r}; {hint}" if word else f"name a command: {', '.join(COMMANDS)}")
    command = given[0]
    parser = command_parser(program, command)
    options = vars(parser.parse_args(given[1:]))
    if not command.endswith("-batch"):
        options["image"] = _one_picture(parser, options.pop("input"), options["image"])
    return NncOptions(command=command, **options)


def command_parser(program: str, command: str) -> argparse.ArgumentParser:
    """Describe the options of one command."""
    smooth, batch = command.startswith("smoothgrad"), command.endswith("-batch")
    column = "SmoothGrad" if smooth else "gradcam"
    parser = Parser(
        prog=f"{program} {command}",
        description=f"{COMMANDS[command]}, with the options of the plug-in of Neural Network Console.",
        epilog=(f"{_BATCH.format(column=column)}\n\n" if batch else "") + _EPILOG.format(nnc=_STYLES[smooth]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("plug-in")
    if batch:
        _add(group, "input", "-i", default="output_result.csv", metavar="CSV", help="the dataset")
        _add(group, "input_variable", "-v1", default="x", metavar="NAME", help="its column with the pictures")
        _add(group, "label_variable", "-v2", default="y", metavar="NAME", help="its column or columns with the class")
        # Without it, -c would be taken for -cr.
        _add(group, "class_index", "-c", type=_no_class, default=0, metavar="N", help=argparse.SUPPRESS)
    else:
        what = "the picture; -i PICTURE means the same"
        _add(group, "image", "-image", default=None, metavar="PICTURE", help=what, shown="")
        _add(group, "input", "-i", default=None, metavar="PICTURE", help=argparse.SUPPRESS)
        _add(group, "class_index", "-c", type=_whole, default=0, metavar="N", help="the class to explain")
    stem = "smoothgrad" if smooth else "gradcam" if batch else "grad_cam"
    _add(group, "output", "-o", default=stem + (".csv" if batch else ".png"), metavar="FILE", help="what to write")
    if smooth:
        what = "standard deviation of the noise, as a share of the input's range"
        _add(group, "noise_level", "-nl", type=_share, default=0.15, metavar="X", help=what)
        _add(group, "num_samples", "-n", type=_positive, default=25, metavar="N", help="noisy copies per picture")
        what = "take the gradient at the network's variable number N (.nnp only)"
        _add(group, "layer_index", "-li", type=_whole, default=0, metavar="N", help=what)
    else:
        what = "the network cuts its input first: the map covers only what the first convolution sees"
        _add(group, "contains_crop", "-cr", nargs="?", const=True, type=_truth, default=False, metavar="yes", help=what)
    what = "the output to explain, by its name in a .nnp (default: the first)"
    _add(group, "output_variable", "-ov", default=None, metavar="NAME", help=what, shown="")
    group = parser.add_argument_group("ours")
    group.add_argument(
        "--style", choices=("paper", "nnc"), default="paper", help="the published method (default) or the plug-in's"
    )
    group.add_argument(
        "--score",
        choices=("output", "logit"),
        default="output",
        help="what is explained; logit: .nnp only (default: output)",
    )
    if not smooth:
        what = "layers of the map (default: the last convolution of a .nnp, else the last with positions)"
        group.add_argument("--target-layers", nargs="+", metavar="LAYER", default=None, help=what)
    else:
        parser.set_defaults(target_layers=None)
        _add(group, "seed", type=_whole, default=0, metavar="N", help="of the noise")
    if smooth or batch:
        what = "noisy copies per forward pass" if smooth else "rows per forward pass"
        what += " (default: 32, and up to 128 where the network takes small pictures)"
        _add(group, "batch_size", type=_positive, default=None, metavar="N", help=what, shown="")
    arguments.network(parser, "-m", default="results.nnp")
    return parser


def _overview(program: str) -> argparse.ArgumentParser:
    commands = "\n".join(f"  {command:20}{what}" for command, what in COMMANDS.items())
    return Parser(
        prog=program,
        usage="%(prog)s COMMAND [options]",
        description="The XAI plug-ins of Neural Network Console, with their options, for a .nnp or any other network.",
        epilog=f"commands:\n{commands}\n\n%(prog)s COMMAND --help lists the options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _one_picture(parser: argparse.ArgumentParser, first: str | None, image: str | None) -> str:
    """Choose the picture: ``-i`` is it, but a CSV in the plug-ins' later form, which names the picture otherwise."""
    if image is None:
        if first is None:
            parser.error("the following arguments are required: -i/--image")
        if first.lower().endswith(".csv"):
            parser.error(f"{first} is a CSV file; give a picture, or use the batch command for all its rows")
        return first
    if first is not None and not first.lower().endswith(".csv"):
        parser.error(f"two pictures were given, {first} and {image}; give one")
    return image


def _add(group: Any, name: str, *short: str, help: str, shown: str | None = None, **how: Any) -> None:
    """Add an option under its long name, with ``_`` and with ``-``."""
    if help is not argparse.SUPPRESS and shown is None:
        help += f" (default: {how['default']})"
    names = dict.fromkeys((*short, f"--{name}", f"--{name.replace('_', '-')}"))
    group.add_argument(*names, dest=name, help=help, **how)


def _checked(kind: Callable[[str], Any], wanted: str, allowed: Callable[[Any], bool]) -> Callable[[str], Any]:
    def converted(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not allowed(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return converted


def _no_class(text: str) -> int:
    raise argparse.ArgumentTypeError("each row explains the class in its label; --label_variable says where that is")


def _truth(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text.lower() in ("yes", "true", "1")


_whole = _checked(int, "a whole number from 0", lambda value: value >= 0)
_positive = _checked(int, "a whole number from 1", lambda value: value >= 1)
_share = _checked(float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
