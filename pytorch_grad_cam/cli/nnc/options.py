"""The options of ``nnc``: those of Neural Network Console's plug-ins, by their names. Importing this costs nothing."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from pytorch_grad_cam.cli.arguments import CommandParser, add_network_arguments, fraction, number_type, whole_number
from pytorch_grad_cam.nnc.options import CONSOLE_COMMANDS, ConsoleCommand, NncOptions

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


def parse(program: str, arguments: Sequence[str]) -> NncOptions:
    """Read the options after ``nnc``; on a mistake, print one line and exit with 2, as argparse does."""
    if not arguments or arguments[0] not in CONSOLE_COMMANDS:
        _refuse_command(program, arguments)
    command = CONSOLE_COMMANDS[arguments[0]]
    parser = _command_parser(program, command)
    options = vars(parser.parse_args(arguments[1:]))
    if not command.batch:
        options["image"] = _one_picture(parser, options.pop("input"), options["image"])
    return NncOptions(command=command.name, **options)


# What is typed behind the name of a command, by whether it takes a dataset.
_EXAMPLES = {
    False: ["-i a.png -c 3", "-m results.nnp -i a.png -c 3 -o map.png --style nnc"],
    True: ["", "-m results.nnp -i output_result.csv -o maps.csv"],
}


def _refuse_command(program: str, arguments: Sequence[str]) -> NoReturn:
    """Show the commands if that is asked for, else say what to do about a first word that is none."""
    commands = "\n".join(f"  {command.name:20}{command.summary}" for command in CONSOLE_COMMANDS.values())
    parser = CommandParser(
        prog=program,
        usage="%(prog)s COMMAND [options]",
        description="The XAI plug-ins of Neural Network Console, with their options, for a .nnp or any other network.",
        epilog=f"commands:\n{commands}\n\n%(prog)s COMMAND --help lists the options.",
    )
    parser.parse_known_args([word for word in arguments[:1] if word in ("-h", "--help")])
    word = arguments[0] if arguments else ""
    close = difflib.get_close_matches(word, CONSOLE_COMMANDS, n=1)
    known = ", ".join(CONSOLE_COMMANDS)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {known}"
    parser.error(f"there is no command {word!r}; {hint}" if word else f"name a command: {known}")


def _command_parser(program: str, command: ConsoleCommand) -> argparse.ArgumentParser:
    column = "SmoothGrad" if command.smooth else "gradcam"
    nnc_style = _STYLES[command.smooth]
    parser = CommandParser(
        prog=f"{program} {command.name}",
        description=f"{command.summary}, with the options of the plug-in of Neural Network Console.",
        examples=_EXAMPLES[command.batch],
        epilog=(f"{_BATCH.format(column=column)}\n\n" if command.batch else "") + _EPILOG.format(nnc=nnc_style),
    )
    _add_plug_in_arguments(parser.add_argument_group("plug-in"), command)
    _add_own_arguments(parser.add_argument_group("ours"), command)
    if command.smooth:
        parser.set_defaults(target_layers=None)
    add_network_arguments(parser, "-m", default="results.nnp")
    return parser


def _add_plug_in_arguments(group: Any, command: ConsoleCommand) -> None:
    """Add the options that the plug-in has too."""
    if command.batch:
        _add(group, "input", "-i", default="output_result.csv", metavar="CSV", help="the dataset")
        _add(group, "input_variable", "-v1", default="x", metavar="NAME", help="its column with the pictures")
        _add(group, "label_variable", "-v2", default="y", metavar="NAME", help="its column or columns with the class")
        # Without it, -c would be taken for -cr.
        _add(group, "class_index", "-c", type=_no_class, default=0, metavar="N", help=argparse.SUPPRESS)
    else:
        what = "the picture; -i PICTURE means the same"
        _add(group, "image", "-image", default=None, metavar="PICTURE", help=what, shown="")
        _add(group, "input", "-i", default=None, metavar="PICTURE", help=argparse.SUPPRESS)
        _add(group, "class_index", "-c", type=whole_number, default=0, metavar="N", help="the class to explain")
    stem = "smoothgrad" if command.smooth else "gradcam" if command.batch else "grad_cam"
    default = stem + (".csv" if command.batch else ".png")
    _add(group, "output", "-o", default=default, metavar="FILE", help="what to write")
    if command.smooth:
        what = "standard deviation of the noise, as a share of the input's range"
        _add(group, "noise_level", "-nl", type=fraction, default=0.15, metavar="X", help=what)
        _add(group, "num_samples", "-n", type=_positive, default=25, metavar="N", help="noisy copies per picture")
        what = "take the gradient at the network's variable number N (.nnp only)"
        _add(group, "layer_index", "-li", type=whole_number, default=0, metavar="N", help=what)
    else:
        what = "the network cuts its input first: the map covers only what the first convolution sees"
        _add(group, "contains_crop", "-cr", nargs="?", const=True, type=_truth, default=False, metavar="yes", help=what)
    what = "the output to explain, by its name in a .nnp (default: the first)"
    _add(group, "output_variable", "-ov", default=None, metavar="NAME", help=what, shown="")


def _add_own_arguments(group: Any, command: ConsoleCommand) -> None:
    """Add the options that the plug-in does not have."""
    what = "the published method (default) or the plug-in's"
    group.add_argument("--style", choices=("paper", "nnc"), default="paper", help=what)
    what = "what is explained; logit: .nnp only (default: output)"
    group.add_argument("--score", choices=("output", "logit"), default="output", help=what)
    if command.smooth:
        _add(group, "seed", type=whole_number, default=0, metavar="N", help="of the noise")
    else:
        what = "layers of the map (default: the last convolution of a .nnp, else the last with positions)"
        group.add_argument("--target-layers", nargs="+", metavar="LAYER", default=None, help=what)
    if command.smooth or command.batch:
        what = "noisy copies per forward pass" if command.smooth else "rows per forward pass"
        what += " (default: 32, and up to 128 where the network takes small pictures)"
        _add(group, "batch_size", type=_positive, default=None, metavar="N", help=what, shown="")


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


def _add(group: Any, name: str, *short: str, help: str, shown: str | None = None, **options: Any) -> None:
    """Add an option under its long name, with ``_`` and with ``-``."""
    if help is not argparse.SUPPRESS and shown is None:
        help += f" (default: {options['default']})"
    names = dict.fromkeys((*short, f"--{name}", f"--{name.replace('_', '-')}"))
    group.add_argument(*names, dest=name, help=help, **options)


_positive = number_type(int, "a whole number from 1", lambda value: value >= 1)


def _no_class(text: str) -> int:
    raise argparse.ArgumentTypeError("each row explains the class in its label; --label_variable says where that is")


def _truth(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text.lower() in ("yes", "true", "1")
