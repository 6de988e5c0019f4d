"""Read signals: arrays and CSV files."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data import arrays

_TABLES = (".csv", ".tsv", ".txt")
_TIME = ("time", "t", "seconds", "s", "sec", "time (s)", "time [s]")
_UNEVEN = 0.01  # share by which steps of time may differ


@dataclass(frozen=True)
class Signal:
    """A signal.

    Attributes:
        values: float32 ``(C, T)``.
        names: of the channels; None where nothing says them.
        rate: samples per second; None where nothing says it.
    """

    values: NDArray[np.float32]
    names: tuple[str, ...] | None = None
    rate: float | None = None


def read_signal(path: str | Path, key: str | None = None, index: int | None = None) -> Signal:
    """Read a signal.

    Args:
        path: a .npy or .npz file with ``(T,)`` or ``(C, T)``; or a CSV file with a column for each channel, a line for
            each sample, and perhaps the names of the columns above them. A column of seconds (``time``) says the rate.
        key: the name of the array, where a .npz file has several.
        index: of the signal, where an array holds several along its first axis.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read as a signal; the message says why.
        IndexError: for an entry that is not there.
    """
    path = Path(path)
    if path.suffix.lower() in arrays.ENDINGS:
        values = arrays.read_array(path, key, index)
        if values.ndim > 2:
            values = values.reshape(values.shape[-2:]) if values.size == values.shape[-1] * values.shape[-2] else values
        if values.ndim not in (1, 2):
            raise ValueError(
                f"{path} has the shape {values.shape}, which is no signal (T,) or (C, T); of several choose one with "
                "--index"
            )
        return Signal(values.reshape(-1, values.shape[-1]))
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    if path.suffix.lower() not in _TABLES:
        raise ValueError(f"{path} is no signal that can be read; give .npy, .npz or .csv")
    return _from_table(path)


def _from_table(path: Path) -> Signal:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=separator)]
    rows = [row for row in rows if any(row)]
    names = None
    if rows and any(_number(cell) is None for cell in rows[0]):
        names, rows = tuple(rows[0]), rows[1:]
    if len(rows) < 2:
        raise ValueError(f"{path} has {len(rows)} lines of numbers; a signal has a line for each sample")
    columns = len(rows[0])
    values = np.empty((columns, len(rows)), dtype=np.float64)
    for line, row in enumerate(rows, 1 if names is None else 2):
        numbers = [_number(cell) for cell in row]
        wrong = next((cell for cell, number in zip(row, numbers, strict=True) if number is None), None)
        if wrong is not None or len(row) != columns:
            what = f"{wrong!r} is no number" if wrong is not None else f"it has {len(row)} cells, the first {columns}"
            raise ValueError(f"line {line} of {path}: {what}")
        values[:, line - (1 if names is None else 2)] = numbers
    return _without_time(values, names)


def _without_time(values: NDArray[np.float64], names: tuple[str, ...] | None) -> Signal:
    """Turn a column of seconds into the rate, if there is one and its steps are equal."""
    rate = None
    if names is not None and len(names) > 1 and names[0].lower() in _TIME:
        steps = np.diff(values[0])
        if steps.min() <= 0 or steps.max() - steps.min() > _UNEVEN * steps.mean():
            raise ValueError(
                f"the steps of the column {names[0]!r} are {steps.min():g} to {steps.max():g}, and have to be equal"
            )
        rate, names, values = float(1 / steps.mean()), names[1:], values[1:]
    return Signal(values.astype(np.float32), names, rate)


def _number(text: str) -> float | None:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return None
