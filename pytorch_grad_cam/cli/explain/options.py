"""The options of the command line. Importing this costs nothing: no torch, no pictures."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.explain import arguments
from pytorch_grad_cam.methods import METHODS

VERBS = {
    "explain": "draw maps, the same as no command at all",
    "methods": "list the methods: what each highlights, its cost and source",
    "layers": "list the layers of a network, and which can be looked at",
    "concepts": "split what a layer tells apart in the pictures into concepts (Deep Feature Factorization)",
    "nnc": "the four XAI plug-ins of Neural Network Console: gradcam, gradcam-batch, smoothgrad, smoothgrad-batch",
}

EXAMPLES = """examples:
  %(prog)s --image-path dog.jpg
  %(prog)s --image-path dog.jpg --model resnet18 --method layercam --target "tiger cat"
  %(prog)s --image-path dog.jpg --model resnet18 --contrast "tiger cat" "Egyptian cat"
  %(prog)s --image-path dog.jpg --model resnet18 --weights mine.pth --target-layers layer3 layer4
  %(prog)s --image-path dog.jpg --model mypackage.nets:build --size 96 --target 3
  %(prog)s --image-path street.jpg --model fasterrcnn_resnet50_fpn --target car
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
    contrast: list[str] | None
    against: bool
    task: str | None
    target_layers: list[str] | None
    eigen_smooth: bool
    aug_smooth: bool
    batch_size: int | None
    num_samples: int | None
    noise_level: float | None
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
class ConceptsOptions(NetworkOptions):
    """How to split pictures into concepts; `concept_arguments` says what each means."""

    image_path: list[str]
    components: int
    top_k: int
    target_layer: str | None
    seed: int
    output_dir: str
    image_weight: float
    overwrite: bool


@dataclass(frozen=True)
class NncOptions(NetworkOptions):
    """One of the four commands of ``nnc``; `nnc_arguments` says what each means. Some belong to a part of them only."""

    command: str
    output: str
    target_layers: list[str] | None
    output_variable: str | None
    score: str
    style: str
    batch_size: int | None = None
    image: str | None = None
    class_index: int = 0
    input: str | None = None
    input_variable: str = "x"
    label_variable: str = "y"
    contains_crop: bool = False
    noise_level: float = 0.15
    num_samples: int = 25
    layer_index: int = 0
    seed: int = 0

    @property
    def smooth(self) -> bool:
        """Whether gradients of noisy inputs are wanted, instead of Grad-CAM."""
        return self.command.startswith("smoothgrad")

    @property
    def batch(self) -> bool:
        """Whether a dataset CSV is worked on, instead of one picture."""
        return self.command.endswith("-batch")


@dataclass(frozen=True)
class MethodsOptions:
    """The verb ``methods`` has nothing to choose."""

    debug: bool = False


Options = ExplainOptions | LayersOptions | ConceptsOptions | NncOptions | MethodsOptions


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        close = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        hint = f"; did you mean {close[0]}?" if close else ""
        self.exit(2, f"error: {message}{hint} (--help shows the options)\n")


def parse(argv: Sequence[str]) -> Options:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    verb, given = (argv[0], argv[1:]) if argv and argv[0] in VERBS else ("explain", argv)
    if verb == "methods":
        Parser(prog=f"{_program()} methods", description=_sentence("methods")).parse_args(given)
        return MethodsOptions()
    if verb == "layers":
        return LayersOptions(**vars(layers_parser().parse_args(given)))
    if verb == "concepts":
        from pytorch_grad_cam.cli.concepts.options import parse_concepts

        return parse_concepts(f"{_program()} concepts", given)
    if verb == "nnc":
        from pytorch_grad_cam.cli.nnc.options import parse_nnc

        return parse_nnc(f"{_program()} nnc", given)
    if given and not given[0].startswith("-"):
        _refuse(given[0])
    parser = explain_parser()
    options = vars(parser.parse_args(given))
    arguments.check_explanation(parser, options)
    return ExplainOptions(**options | {"method": arguments.chosen_methods(options["method"])})


def explain_parser() -> argparse.ArgumentParser:
    """Describe the options of the command without a verb."""
    methods = "\n".join(f"  {method.name:20}{method.summary}" for method in METHODS.values())
    verbs = "\n".join(f"  {verb:20}{what}" for verb, what in VERBS.items())
    result = Parser(
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
    result = Parser(prog=f"{_program()} layers", description=_sentence("layers"))
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
    Parser(prog=_program()).error(f"there is no command {word!r}; {hint}")


def _sentence(verb: str) -> str:
    return f"{VERBS[verb].capitalize()}."


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return "python -m pytorch_grad_cam" if name == "__main__.py" else name
