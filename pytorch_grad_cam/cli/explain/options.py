"""The options of the command without a verb: names, what they take, what they mean. Importing this costs nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.arguments import (
    TASKS,
    CommandParser,
    add_dtype,
    add_eigen_smooth,
    add_image_path,
    add_image_weight,
    add_layers,
    add_network_arguments,
    add_output_dir,
    add_overwrite,
    add_question,
    add_samples,
    add_scores,
    argument_type,
    contrast_options,
    positive_number,
    share_below_one,
)
from pytorch_grad_cam.cli.commands import COMMANDS, DEFAULT
from pytorch_grad_cam.cli.method_names import chosen_methods
from pytorch_grad_cam.common.drawing_names import BLENDS, COLORMAPS, PERCEPTUAL, SIGNED_COLORMAPS, Blend
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.runs.network_options import NetworkOptions

LAYOUTS = ("yolov5", "yolov8", "yolo26", "detr")  # as in targets.detector_layouts, which loads torch
# What can be saved, and what for.
KINDS = {
    "overlay": "<name>_cam.jpg, the map on the picture; several also grid.jpg or contact_sheet.jpg",
    "figure": "<name>_figure.png, for papers: picture, overlay and map with a colour bar and a title",
    "guided": "<name>_gb.jpg or guided_gb.jpg, guided backpropagation; <name>_cam_gb.jpg: times the map",
    "heatmap": "<name>_heatmap.png, the map alone; gray where the network never looked",
    "npy": "<name>_cam.npy, float32 (H, W) in the picture's pixels; NaN where the network never looked",
    "boxes": "<name>_boxes.jpg and <name>_boxes.json, around what the map points at",
    "json": "<name>.json, what was found, in numbers",
}
FILES = """  <name> is <method> or, if several classes are asked for, <method>_<index>_<class>. One picture's files
  lie in the output folder itself; several pictures get a folder each. --save takes:
""" + "\n".join(f"  {kind:10}{what}" for kind, what in KINDS.items())
EXAMPLES = (
    "dog.jpg",
    'dog.jpg --model resnet18 --method layercam --target "tiger cat"',
    'dog.jpg --contrast "tiger cat" "Egyptian cat" --save figure --layer-sweep',
    "dog.jpg --model resnet18 --weights mine.pth --target-layers layer3 layer4 --mean 0.5 --std 0.5",
    "street.jpg --model yolo11n.pt --trust-pickle --target car",
    "photos/ more/*.png --method all --budget 10m --target top-3 --save overlay json",
)


@dataclass(frozen=True)
class ExplainOptions(NetworkOptions):
    """What to draw of what; `add_explanation_arguments` and `add_output_arguments` say what each means."""

    image_path: list[str]
    page: int
    method: list[str]
    target: list[str]
    contrast: list[str] | None
    rest: bool
    against: bool
    signed: bool
    task: str | None
    read: str | None
    output: int | str | None
    forward_kwargs: list[tuple[str, Any]] | None
    scores: str | None
    target_layers: list[str] | None
    eigen_smooth: bool
    aug_smooth: bool
    batch_size: int | None
    dtype: str
    num_samples: int | None
    noise_level: float | None
    max_passes: int | None
    budget: float | None
    seed: int
    head_fusion: str | None
    discard_ratio: float | None
    layer_sweep: bool
    attention_grid: bool
    labels: str | None
    output_dir: str
    save: list[str] | None
    colormap: str
    blend: Blend
    dark: bool
    image_weight: float
    box_threshold: float | str
    overwrite: bool


def parse(program: str, arguments: Sequence[str]) -> ExplainOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = _parser(program)
    options = vars(parser.parse_args(arguments))
    options |= contrast_options(parser, options)
    if options["signed"] and (options["contrast"] or options["against"]):
        parser.error("--signed shows for and against in one map; it goes with neither --contrast nor --against")
    if "guided" in (options["save"] or []) and (options["contrast"] or options["against"]):
        parser.error("--save guided shows what speaks for one class; it goes with neither --contrast nor --against")
    return ExplainOptions(**options | {"method": chosen_methods(options["method"])})


def _parser(program: str) -> argparse.ArgumentParser:
    commands = "\n".join(
        f"  {command.name:20}{command.summary}" for command in COMMANDS.values() if command.name != DEFAULT
    )
    parser = CommandParser(
        prog=program,
        examples=EXAMPLES,
        usage="%(prog)s [COMMAND] PICTURE [...] [options]",
        description="Show which parts of a picture speak for a class: writes <output-dir>/<method>_cam.jpg.",
        epilog=f"commands, behind which --help lists the options of each:\n{commands}\n\n"
        "methods (the command methods says what each highlights, and what it costs):\n"
        f"  {', '.join(METHODS)}\n\nfiles:\n{FILES}",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_image_path(parser)
    add_network_arguments(parser)
    add_explanation_arguments(parser)
    add_sweep_arguments(parser)
    add_output_arguments(parser)
    return parser


def add_explanation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what decides on the map."""
    group = parser.add_argument_group("explanation")
    add = group.add_argument
    add_question(group)
    what = "what speaks for (red) and against the class (blue) in one map"
    add("--signed", action="store_true", help=what)
    add(
        "--task",
        choices=TASKS,
        metavar="TASK",
        help="classification, segmentation (regions of a class) or detection (objects), if the network is your own",
    )
    what = "form of a detector's output: yolov5 (N, 5 + M), yolov8 (4 + M, N), yolo26 (N, 6) or detr"
    add("--read", choices=LAYOUTS, metavar="FORM", help=what)
    what = "of the network's output: an index, a key or an attribute"
    add("--output", type=_number_or_text, metavar="PART", help=what)
    what = "of the network's forward, e.g. interpolate_pos_encoding=true"
    add("--forward-kwargs", type=argument_type(_keyword), nargs="+", metavar="NAME=X", help=what)
    add_scores(group)
    add_layers(group)
    add("--aug-smooth", "--aug_smooth", action="store_true", help="average over flipped and brightened views")
    add_eigen_smooth(group)
    what = "changed inputs per forward pass, for scorecam and the like"
    add("--batch-size", type=positive_number("inputs"), metavar="N", help=what)
    add_dtype(group)
    add_samples(group)
    what = "work per map; dear methods take fewer samples, or are left out"
    add("--max-passes", type=positive_number("passes"), metavar="N", help=what)
    what = "for all maps together, e.g. 60s or 5m; likewise"
    add("--budget", type=argument_type(_seconds), metavar="TIME", help=what)


def add_sweep_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is drawn beside the maps, and what attention is made of."""
    add = parser.add_argument_group("sweeps, attention and labels").add_argument
    what = "layers.jpg: the same class at every stage, or at each target layer"
    add("--layer-sweep", action="store_true", help=what)
    what = "attention.jpg: where each head of a vision transformer looks"
    add("--attention-grid", action="store_true", help=what)
    what = "of heads in attentionrollout: mean, max or min (default: mean)"
    add("--head-fusion", choices=("mean", "max", "min"), metavar="HOW", help=what)
    what = "share of attention that attentionrollout leaves out (default: 0)"
    add("--discard-ratio", type=share_below_one, metavar="X", help=what)
    what = "marks right predictions: folders, by name, or a CSV PICTURE,CLASS"
    add("--labels", metavar="LABELS", help=what)


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what decides on the files."""
    group = parser.add_argument_group("output")
    add_output_dir(group)
    what = "see below (default: overlay, and guided for one picture)"
    group.add_argument("--save", nargs="+", action="extend", choices=list(KINDS), metavar="KIND", help=what)
    what = (
        f"jet (default) ...; safe for the colour-blind and in gray print: {', '.join(PERCEPTUAL)}; "
        f"signed ones likewise: {' (default) or '.join(SIGNED_COLORMAPS)}"
    )
    group.add_argument("--colormap", type=argument_type(_colormap), default="jet", metavar="NAME", help=what)
    what = "classic (default), alpha (opaque where strong) or contour"
    group.add_argument("--blend", choices=list(BLENDS), default="classic", metavar="HOW", help=what)
    group.add_argument("--dark", action="store_true", help="figures on a dark ground")
    add_image_weight(group, default=0.5)
    group.add_argument(
        "--box-threshold",
        type=argument_type(_threshold),
        default=0.5,
        metavar="T",
        help="of boxes: share of the maximum, p90 or otsu (default: 0.5)",
    )
    add_overwrite(group)


def _colormap(text: str) -> str:
    name = text.lower().removeprefix("colormap_")
    if name not in (*COLORMAPS, *SIGNED_COLORMAPS):
        raise ValueError(f"unknown colormap {text!r}; known: {', '.join((*COLORMAPS, *SIGNED_COLORMAPS))}")
    return name


def _number_or_text(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text


def _keyword(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"{text!r} is no argument; write NAME=VALUE, e.g. interpolate_pos_encoding=true")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:].lower()
    try:
        value = float(number) * {"s": 1, "m": 60, "h": 3600}[unit] if unit.isalpha() else float(text)
    except (KeyError, ValueError):
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{text!r} is no time; give one such as 60s, 5m or 1h")
    return value


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
