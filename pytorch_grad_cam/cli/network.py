"""The network that the options ask for, on its device, and how it is described."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pytorch_grad_cam.engine.inputs import input_channels
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.models.categories import read_categories
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.weights_file import first_line
from pytorch_grad_cam.runs.network_options import NetworkOptions


def load_network(options: NetworkOptions) -> tuple[LoadedModel, torch.device]:
    """Load the network to its device; return both.

    Raises:
        ValueError: if the device cannot be used here.
        Exception: as `models.load.load_model` does.
    """
    device = _chosen_device(options)
    categories = None if options.categories is None else _read_names(options.categories)
    loaded = load_model(
        options.model,
        options.weights,
        device,
        trust_pickle=options.trust_pickle,
        size=options.size,
        mean=options.mean,
        std=options.std,
        squash=options.squash,
        pad=options.pad,
        prompts=options.prompt,
    )
    categories = categories or loaded.categories
    if categories is not None and len(categories) == 1:  # one score: its name is that of yes
        categories = (f"not {categories[0]}", categories[0])
    return replace(loaded, categories=categories), device


@contextmanager
def advising(loaded: LoadedModel, options: NetworkOptions, inputs: Tensor) -> Iterator[None]:
    """Where something fails because the network does not take its input, say so, and what to give instead.

    Raises:
        ValueError: in the place of what was raised inside, if the network fails on the input alone.
    """
    try:
        yield
    except Exception as error:
        problem = _problem_with(loaded, options, inputs)
        if problem is None:
            raise
        raise ValueError(problem) from error


@giving_back
def _problem_with(loaded: LoadedModel, options: NetworkOptions, inputs: Tensor) -> str | None:
    """Say why the network does not take an input ``(B, C, h, w)``; None if it does, or fails as nobody foresaw."""
    try:
        with undisturbed(loaded.model, inputs.device):
            loaded.run(inputs)
    except (AssertionError, RuntimeError, ValueError, TypeError, IndexError) as error:
        _, given, height, width = inputs.shape
        problem = f"the network does not take a picture of {width} x {height} in {given} channel{'s' * (given != 1)}"
        return f"{problem} ({' '.join(first_line(error).split())}); {_advice(loaded, options, given)}"
    except Exception:  # it says itself what is wrong
        return None
    return None


def _advice(loaded: LoadedModel, options: NetworkOptions, given: int) -> str:
    taken = input_channels(loaded.model)
    if taken == 1 != given:
        return "it takes gray pictures: say so with one number each, e.g. --mean 0.5 --std 0.5"
    if taken == 3 != given:
        return "it takes colour pictures: give three numbers each for --mean and --std, or none"
    if taken is not None and taken != given:
        return f"its first convolution takes {taken} channels, and pictures have 3, or 1; explain it from Python"
    if options.size is not None:
        return f"leave out --size {options.size}, or give the size that it was made for"
    return "give the size that it was made for with --size N"


def network_summary(loaded: LoadedModel, size: tuple[int, int]) -> str:
    """Say in one line what the network is and what it sees, at ``size`` (height, width)."""
    part = "the whole picture" if loaded.preprocessing.crop is None else "its centre"
    part += " between bars" if loaded.preprocessing.pad is not None else ""
    mean, std = (
        " ".join(f"{number:g}" for number in numbers)
        for numbers in (loaded.preprocessing.mean, loaded.preprocessing.std)
    )
    return f"{loaded.source}; sees {part} at {size[1]} x {size[0]}, mean {mean}, std {std}"


def _read_names(text: str) -> tuple[str, ...]:
    """Read class names, of a file or as they were typed: ``no,yes``."""
    if "," in text and not Path(text).exists():
        return tuple(name.strip() for name in text.split(","))
    return read_categories(text)


def _chosen_device(options: NetworkOptions) -> torch.device:
    if options.use_cuda:
        if torch.cuda.is_available():
            return torch.device("cuda")
        print("warning: --use-cuda: there is no usable CUDA device, using the CPU", file=sys.stderr)
        return torch.device("cpu")
    try:
        device = torch.device(options.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"the device {options.device!r} cannot be used here; --device cpu always can") from error
    return device
