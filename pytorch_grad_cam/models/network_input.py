"""Change what a loaded network sees: the size of its input, the normalisation, the whole picture or its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.inputs import input_channels
from pytorch_grad_cam.models.loaded import LoadedModel


def adjust_input(
    loaded: LoadedModel, size: int | None, mean: Sequence[float] | None, std: Sequence[float] | None, squash: bool
) -> LoadedModel:
    """Return a loaded network with other preprocessing; the arguments are those of `models.load.load_model`.

    Raises:
        ValueError: for a size that a detector cannot have, or numbers that are no normalisation.
    """
    if loaded.task != "classification" and size is not None and not squash:
        loaded, size = _with_shorter_side(loaded, size), None
    preprocessing = loaded.preprocessing
    if size is not None:
        preprocessing = preprocessing.sized(size)
    preprocessing = _with_normalisation(preprocessing, input_channels(loaded.model), mean, std)
    return replace(loaded, preprocessing=preprocessing.squashed() if squash else preprocessing)


def _with_normalisation(
    preprocessing: Preprocessing, channels: int | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Preprocessing:
    if len(mean or ()) == len(std or ()) == 1 and channels == 3:
        mean, std = tuple(mean or ()) * 3, tuple(std or ()) * 3  # one number for all of RGB
    if mean is None and std is None:
        return preprocessing
    return replace(  # both at once: one number for gray must not meet three
        preprocessing,
        mean=preprocessing.mean if mean is None else tuple(mean),
        std=preprocessing.std if std is None else tuple(std),
    )


def _with_shorter_side(loaded: LoadedModel, side: int) -> LoadedModel:
    """Let a network see whole pictures with a shorter side of ``side`` pixels; detectors resize them on their own.

    Raises:
        ValueError: for a detector with a fixed size.
    """
    transform: Any = getattr(loaded.model, "transform", None)
    if transform is None or not hasattr(transform, "min_size"):
        whole = loaded.preprocessing.crop is None
        resized = replace(loaded.preprocessing, resize=side) if whole else loaded.preprocessing.sized(side)
        return replace(loaded, preprocessing=resized)
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        raise ValueError(f"this detector sees {width} x {height} pixels whatever the picture; leave out --size {side}")
    longest = transform.max_size / transform.min_size[-1]
    transform.min_size, transform.max_size = (side,), max(side, round(side * longest))
    return loaded
