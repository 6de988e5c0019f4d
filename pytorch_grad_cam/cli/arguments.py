"""What the options of several commands share: types that check what was typed, and options of one meaning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def argument_type(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse show the message of a ValueError instead of its own, which names the function."""

    def converted(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converted


def number_type(kind: Callable[[str], T], wanted: str, is_allowed: Callable[[T], bool]) -> Callable[[str], T]:
    """Return a type of argument for the numbers that are allowed.

    Args:
        kind: ``int`` or ``float``.
        wanted: for the message, what such a number is called.
        is_allowed: says whether a number is one.
    """

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


def add_image_path(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the pictures."""
    parser.add_argument(
        "--image-path",
        required=True,
        nargs="+",
        action="extend",
        metavar="PICTURE",
        help="files, folders or patterns ('photos/**/*.jpg'); can be repeated",
    )


def add_output_dir(group: Any) -> None:
    """Add the option that names the folder of the results."""
    group.add_argument("--output-dir", default="output", metavar="FOLDER", help="made if missing (default: output)")


def add_image_weight(group: Any, default: float) -> None:
    """Add the option that says how much of the picture an overlay shows."""
    group.add_argument(
        "--image-weight",
        type=fraction,
        default=default,
        metavar="W",
        help=f"share of the picture in the overlay, 0 to 1 (default: {default})",
    )


def add_overwrite(group: Any) -> None:
    """Add the option that lets files be replaced."""
    group.add_argument(
        "--overwrite", action="store_true", help="replace files of an earlier run (one picture's always are)"
    )
