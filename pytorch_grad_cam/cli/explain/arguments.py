"""The options that only explaining has: names, what they take, what they mean. Importing this costs nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from pytorch_grad_cam.cli.arguments import (
    add_image_weight,
    add_output_dir,
    add_overwrite,
    argument_type,
    fraction,
    positive_number,
    whole_number,
)
from pytorch_grad_cam.cli.method_names import method_or_all

TASKS = ("classification", "segmentation", "detection")
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


def add_explanation_arguments(parser: ArgumentParser) -> None:
    """Add what decides on the map."""
    group = parser.add_argument_group("explanation")
    group.add_argument(
        "--method",
        type=argument_type(method_or_all),
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
        type=positive_number("inputs"),
        metavar="N",
        help="changed inputs per forward pass, at most, for scorecam, ablationcam and the like",
    )
    group.add_argument(
        "--num-samples",
        type=positive_number("samples"),
        metavar="N",
        help="noisy copies for smoothgrad and the like (default: 25), masks for rise (default: 1000)",
    )
    group.add_argument(
        "--noise-level",
        type=fraction,
        metavar="X",
        help="noise for smoothgrad and the like, as a share of the picture's range (default: 0.15)",
    )
    group.add_argument(
        "--seed", type=whole_number, default=0, metavar="N", help="of noise, masks and random weights (default: 0)"
    )


def check_explanation(parser: ArgumentParser, options: dict[str, Any]) -> None:
    """Refuse options that do not go together, as argparse refuses one."""
    if options["contrast"] and options["target"]:
        parser.error("--contrast takes the place of --target; give one of the two")
    if options["contrast"] and options["against"]:
        parser.error("--contrast with --against is the contrast the other way round; exchange its two classes")
    if "guided" in (options["save"] or []) and (options["contrast"] or options["against"]):
        parser.error("--save guided shows what speaks for one class; it goes with neither --contrast nor --against")


def add_output_arguments(parser: ArgumentParser) -> None:
    """Add what decides on the files."""
    group = parser.add_argument_group("output")
    add_output_dir(group)
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
        type=argument_type(_colormap),
        default="jet",
        metavar="NAME",
        help=f"{', '.join(COLORMAPS[:4])} or another of OpenCV's (default: jet)",
    )
    add_image_weight(group, default=0.5)
    group.add_argument(
        "--box-threshold",
        type=argument_type(_threshold),
        default=0.5,
        metavar="T",
        help="boxes lie around what exceeds this share of the map's maximum, or p90: its 90th percentile, or otsu "
        "(default: 0.5)",
    )
    add_overwrite(group)


def _colormap(text: str) -> str:
    name = text.lower().removeprefix("colormap_")
    if name not in COLORMAPS:
        raise ValueError(f"unknown colormap {text!r}; known: {', '.join(COLORMAPS)}")
    return name


def _threshold(text: str) -> float | str:
    """Check the form only; `engine.boxes` says what it means."""
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
