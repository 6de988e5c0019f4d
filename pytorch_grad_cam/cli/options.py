"""The options of the command line. Importing this costs nothing: no torch, no pictures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from pytorch_grad_cam import __version__
from pytorch_grad_cam.methods import METHODS, method_name

T = TypeVar("T")

EXAMPLES = """examples:
  %(prog)s --image-path dog.jpg
  %(prog)s --image-path dog.jpg --model resnet18 --method layercam --target "tiger cat"
  %(prog)s --image-path dog.jpg --model resnet18 --weights mine.pth --target-layers layer3 layer4
  %(prog)s --image-path dog.jpg --model mypackage.nets:build --size 96 --target 3
"""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line; `parser` says what each means."""

    image_path: str
    model: str
    weights: str | None
    trust_pickle: bool
    size: int | None
    squash: bool
    mean: list[float] | None
    std: list[float] | None
    method: str
    target_layers: list[str] | None
    target: str | None
    eigen_smooth: bool
    aug_smooth: bool
    device: str
    use_cuda: bool
    output_dir: str
    debug: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help shows the options)\n")


def parse(argv: Sequence[str] | None = None) -> Options:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    return Options(**vars(parser().parse_args(argv)))


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    methods = "\n".join(f"  {method.name:20}{method.summary}" for method in METHODS.values())
    result = _Parser(
        prog=_program(),
        description="Show which parts of a picture speak for a class: writes <output-dir>/<method>_cam.jpg.",
        epilog=f"methods:\n{methods}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    result.add_argument("--image-path", required=True, metavar="FILE", help="the picture")

    network = result.add_argument_group("network")
    network.add_argument(
        "--model",
        default="resnet50",
        metavar="NAME",
        help="a torchvision network (default: resnet50), package.module:factory for your own, or shapes: built in, "
        "needs no download",
    )
    network.add_argument(
        "--weights", metavar="FILE", help="state dict (.pth, .safetensors), or published ones by name (IMAGENET1K_V2)"
    )
    network.add_argument(
        "--trust-pickle",
        action="store_true",
        help="unpickle Python objects in --weights; that can run any code in the file",
    )
    network.add_argument(
        "--size", type=_as(_positive), metavar="N", help="the network sees N x N pixels (default: as it was trained)"
    )
    network.add_argument(
        "--squash", action="store_true", help="squash the whole picture to that size instead of cropping its centre"
    )
    network.add_argument(
        "--mean", type=float, nargs="+", metavar="X", help="per channel, of values in 0..1 (default: as it was trained)"
    )
    network.add_argument(
        "--std", type=float, nargs="+", metavar="X", help="likewise; one number each for gray pictures"
    )

    what = result.add_argument_group("explanation")
    what.add_argument(
        "--method", type=_as(method_name), default="gradcam", metavar="NAME", help="see below (default: gradcam)"
    )
    what.add_argument(
        "--target", metavar="CLASS", help="index or name of the class to explain (default: the top class)"
    )
    what.add_argument(
        "--target-layers",
        nargs="+",
        metavar="LAYER",
        help="dotted names, e.g. layer4 or features.-1; several are averaged (default: the last with positions)",
    )
    what.add_argument(
        "--aug-smooth", "--aug_smooth", action="store_true", help="average over flipped and brightened views"
    )
    what.add_argument(
        "--eigen-smooth", "--eigen_smooth", action="store_true", help="first principal component: less noise"
    )

    rest = result.add_argument_group("device and output")
    rest.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: cpu)")
    rest.add_argument("--use-cuda", action="store_true", help="use the GPU if there is one, else the CPU")
    rest.add_argument("--output-dir", default="output", metavar="FOLDER", help="made if missing (default: output)")
    rest.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    return result


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return "python -m pytorch_grad_cam" if name == "__main__.py" else name


def _as(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the message of a ValueError instead of its own, which names the function."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is not a positive number of pixels")
    return int(text)
