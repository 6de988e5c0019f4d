"""Every option: its name, what it takes, and what it means. Importing this costs nothing."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, TypeVar

from pytorch_grad_cam.methods import METHODS, method_name
from pytorch_grad_cam.models.sources import SOURCES, sentence

T = TypeVar("T")

TASKS = ("classification", "segmentation", "detection")
ALL = "all"
# What can be saved, and what for.
KINDS = {
    "overlay": "<name>_cam.jpg, the map on the picture; of several maps also grid.jpg, of several pictures "
    "contact_sheet.jpg",
    "guided": "<name>_gb.jpg and <name>_cam_gb.jpg, guided backpropagation alone and times the map",
    "heatmap": "<name>_heatmap.png, the map alone; gray where the network never looked",
    "npy": "<name>_cam.npy, float32 (H, W) in the picture's pixels; NaN where the network never looked",
    "boxes": "<name>_boxes.jpg and <name>_boxes.json, around what the map points at",
    "json": "<name>.json, what was found, in numbers",
}
FILES = """  <name> is <method> or, if several classes are asked for, <method>_<index>_<class>. One picture's files
  lie in the output folder itself; a folder, a pattern or several pictures get a folder for each picture.
  --save takes:
""" + "\n".join(f"  {kind:10}{what}" for kind, what in KINDS.items())
# OpenCV's, in lower case and without COLORMAP_.
COLORMAPS = (
    "jet",
    "turbo",
    "viridis",
    "inferno",
    "magma",
    "plasma",
    "cividis",
    "parula",
    "hot",
    "bone",
    "rainbow",
    "ocean",
    "winter",
    "summer",
    "autumn",
    "spring",
    "cool",
    "hsv",
    "pink",
    "twilight",
    "twilight_shifted",
    "deepgreen",
)


def network(parser: ArgumentParser, *short: str, default: str = "resnet50") -> None:
    """Add what describes the network, and --debug; ``short`` are other names of --model."""
    group = parser.add_argument_group("network")
    group.add_argument(
        *short,
        "--model",
        default=default,
        metavar="NAME",
        help=f"{sentence((source.help for source in SOURCES), 'or')} (default: {default})",
    )
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="state dict (.pth, .safetensors), published ones by name (IMAGENET1K_V2), or random",
    )
    group.add_argument(
        "--trust-pickle",
        action="store_true",
        help="unpickle Python objects in --weights or a .pt2; that can run any code in the file",
    )
    group.add_argument("--categories", metavar="FILE", help="class names, one per line, or a JSON list")
    group.add_argument(
        "--size",
        type=_as(_positive("number of pixels")),
        metavar="N",
        help="the network sees N x N pixels (default: as it was trained)",
    )
    group.add_argument(
        "--squash", action="store_true", help="squash the whole picture to that size instead of cropping its centre"
    )
    group.add_argument(
        "--mean", type=float, nargs="+", metavar="X", help="per channel, of values in 0..1 (default: as it was trained)"
    )
    group.add_argument("--std", type=float, nargs="+", metavar="X", help="likewise; one number each for gray pictures")
    group.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: cpu)")
    group.add_argument("--use-cuda", action="store_true", help="use the GPU if there is one, else the CPU")
    group.add_argument("--debug", action="store_true", help="show the full traceback of an error")


def explanation(parser: ArgumentParser) -> None:
    """Add what decides on the map."""
    group = parser.add_argument_group("explanation")
    group.add_argument(
        "--method",
        type=_as(_method),
        nargs="+",
        action="extend",
        metavar="NAME",
        help="see below; several, or all that ask for no special network (default: gradcam)",
    )
    group.add_argument(
        "--target",
        nargs="+",
        action="extend",
        default=[],
        metavar="CLASS",
        help="index or name of a class to explain, or top-3 for the three predicted first; several, too "
        "(default: the top class)",
    )
    group.add_argument(
        "--contrast",
        nargs=2,
        metavar=("A", "B"),
        help="what speaks for class A rather than class B: red for A, blue for B; takes the place of --target",
    )
    group.add_argument(
        "--against", action="store_true", help="what speaks against the class, not for it (see --target)"
    )
    group.add_argument(
        "--task",
        choices=TASKS,
        help="what the network does, if it is your own: segmentation explains the predicted region of a class, "
        "detection each object that is found, with its box (default: what the network is known for)",
    )
    group.add_argument(
        "--target-layers",
        nargs="+",
        metavar="LAYER",
        help="dotted names, e.g. layer4 or features.-1; several are averaged (default: the last with positions)",
    )
    group.add_argument(
        "--aug-smooth", "--aug_smooth", action="store_true", help="average over flipped and brightened views"
    )
    group.add_argument(
        "--eigen-smooth", "--eigen_smooth", action="store_true", help="first principal component: less noise"
    )
    group.add_argument(
        "--batch-size",
        type=_as(_positive("number of inputs")),
        metavar="N",
        help="changed inputs per forward pass, at most, for scorecam, ablationcam and the like",
    )
    group.add_argument(
        "--num-samples",
        type=_as(_positive("number of samples")),
        metavar="N",
        help="noisy copies for smoothgrad and the like (default: 25), masks for rise (default: 1000)",
    )
    group.add_argument(
        "--noise-level",
        type=_as(_share),
        metavar="X",
        help="noise for smoothgrad and the like, as a share of the picture's range (default: 0.15)",
    )
    group.add_argument(
        "--seed", type=_as(_whole), default=0, metavar="N", help="of noise, masks and random weights (default: 0)"
    )


def check_explanation(parser: ArgumentParser, options: dict[str, Any]) -> None:
    """Refuse options that do not go together, as argparse refuses one."""
    if options["contrast"] and options["target"]:
        parser.error("--contrast takes the place of --target; give one of the two")
    if options["contrast"] and options["against"]:
        parser.error("--contrast with --against is the contrast the other way round; exchange its two classes")
    if "guided" in (options["save"] or []) and (options["contrast"] or options["against"]):
        parser.error("--save guided shows what speaks for one class; it goes with neither --contrast nor --against")


def output(parser: ArgumentParser) -> None:
    """Add what decides on the files."""
    group = parser.add_argument_group("output")
    group.add_argument("--output-dir", default="output", metavar="FOLDER", help="made if missing (default: output)")
    group.add_argument(
        "--save",
        nargs="+",
        action="extend",
        choices=list(KINDS),
        metavar="KIND",
        help="what to write: " + ", ".join(KINDS) + "; see below (default: overlay, and guided for one picture)",
    )
    group.add_argument(
        "--colormap",
        type=_as(_colormap),
        default="jet",
        metavar="NAME",
        help=f"{', '.join(COLORMAPS[:4])} or another of OpenCV's (default: jet)",
    )
    group.add_argument(
        "--image-weight",
        type=_as(_share),
        default=0.5,
        metavar="W",
        help="share of the picture in the overlay, 0 to 1 (default: 0.5)",
    )
    group.add_argument(
        "--box-threshold",
        type=_as(_threshold),
        default=0.5,
        metavar="T",
        help="boxes lie around what exceeds this share of the map's maximum, or p90: its 90th percentile, or otsu "
        "(default: 0.5)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace files of an earlier run (one picture's always are)"
    )


def chosen_methods(given: list[str] | None) -> list[str]:
    """Return the names of the methods to run, each once, in the order given."""
    names = given or ["gradcam"]
    return (
        [name for name, method in METHODS.items() if not method.needs or name in names]
        if ALL in names
        else list(dict.fromkeys(names))
    )


def _method(text: str) -> str:
    return ALL if text.lower() == ALL else method_name(text)


def _as(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the message of a ValueError instead of its own, which names the function."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def _positive(what: str) -> Callable[[str], int]:
    def converted(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{text!r} is not a positive {what}")
        return int(text)

    return converted


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number from 0")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{text!r} is not a number from 0 to 1")
    return share


def _colormap(text: str) -> str:
    name = text.lower().removeprefix("colormap_")
    if name not in COLORMAPS:
        raise ValueError(f"unknown colormap {text!r}; known: {', '.join(COLORMAPS)}")
    return name


def _threshold(text: str) -> float | str:
    """Check the form only; `utils.boxes` says what it means."""
    if text.lower() == "otsu":
        return "otsu"
    percentile = text[:1].lower() == "p"
    try:
        number = float(text[1:] if percentile else text)
    except ValueError:
        number = -1.0
    if not (0 <= number < 100 if percentile else 0 < number <= 1):
        raise ValueError(f"{text!r} is no threshold; give a share such as 0.4, a percentile such as p90, or otsu")
    return text.lower() if percentile else number
