"""The options of ``volume``. Importing this costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorch_grad_cam.cli.arguments import positive_number
from pytorch_grad_cam.cli.explain.arrays.options import ONLY_PICTURES, SIZES, add_array_choice, parse_options
from pytorch_grad_cam.cli.explain.options import ExplainOptions

_EXAMPLES = """  %(prog)s --image-path head.nii.gz --model mynets:build --target 1
  %(prog)s --image-path dicom_folder/ --model mynets:build --normalize zscore --slices 16
  %(prog)s --image-path scans.npz --key volume --model mynets:build --task segmentation --orientation RAS
"""


@dataclass(frozen=True)
class VolumeOptions(ExplainOptions):
    """What to draw of volumes; `parse` says what each means."""

    key: str | None
    index: int | None
    normalize: str
    axis: int | None
    slices: int
    choose: str
    window: list[float] | None
    orientation: str | None
    spacing: list[float] | None


def parse(program: str, arguments: Sequence[str]) -> VolumeOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    return parse_options(
        VolumeOptions,
        program,
        "volume",
        arguments,
        path_help=".npy, .npz, .nii, .nii.gz, .dcm, or a folder with the files of one DICOM series; several",
        examples=_EXAMPLES,
        add_own=_add_own,
        hidden=(*ONLY_PICTURES, *SIZES),
        needs_model=True,
    )


def _add_own(group: Any) -> None:
    add = group.add_argument
    add_array_choice(add)
    add("--axis", type=int, choices=(0, 1, 2), help="of the slices (default: axial where directions are known, else 0)")
    add("--slices", type=positive_number("slices"), default=9, metavar="N", help="in the montage (default: 9)")
    what = "evenly over the axis, or evidence: those where the map is strongest (default: evenly)"
    add("--choose", choices=("evenly", "evidence"), default="evenly", help=what)
    add("--window", type=float, nargs=2, metavar=("LOW", "HIGH"), help="values shown black and white")
    what = "where each axis points as its index grows, such as RAS (default: as the file says)"
    add("--orientation", type=_orientation, metavar="LETTERS", help=what)
    what = "size of a voxel along each axis (default: as the file says, else 1)"
    add("--spacing", type=float, nargs=3, metavar="MM", help=what)


def _orientation(text: str) -> str:
    letters = text.upper()
    if sorted(next((pair for pair in ("LR", "AP", "IS") if letter in pair), letter) for letter in letters) != [
        "AP",
        "IS",
        "LR",
    ]:
        raise argparse.ArgumentTypeError(f"{text!r} must have one letter per axis: L or R, A or P, S or I, e.g. RAS")
    return letters
