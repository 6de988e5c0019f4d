"""The network that the options ask for, on its device, and how it is described."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.explain.options import NetworkOptions
from pytorch_grad_cam.engine.fixed_batch import for_trial
from pytorch_grad_cam.models.categories import read_categories
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel

SIDE = 224  # pixels of the picture that the network is tried with, where it does not say its size


def device_of(options: NetworkOptions) -> torch.device:
    """Return the device that was asked for.

    Raises:
        ValueError: if it cannot be used here.
    """
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


def load(options: NetworkOptions, device: torch.device) -> LoadedModel:
    """Load the network; errors are those of `models.load.load_model`."""
    categories = None if options.categories is None else read_categories(options.categories)
    loaded = load_model(
        options.model,
        options.weights,
        device,
        trust_pickle=options.trust_pickle,
        size=options.size,
        mean=options.mean,
        std=options.std,
        squash=options.squash,
    )
    return loaded if categories is None else replace(loaded, categories=categories)


def trial_input(loaded: LoadedModel, device: torch.device, picture: NDArray[np.uint8] | None = None) -> Tensor:
    """Return what a network is tried with: a picture, gray without one, as often as it must be ``(B, C, h, w)``."""
    if picture is None:
        seen = loaded.preprocessing.crop or loaded.preprocessing.resize or SIDE
        picture = np.full((*((seen, seen) if isinstance(seen, int) else seen), 3), 128, dtype=np.uint8)
    return for_trial(loaded.model, loaded.preprocessing(picture)[None].to(device))


def described(loaded: LoadedModel, size: tuple[int, int]) -> str:
    """Say in one line what the network is and what it sees, at ``size`` (height, width)."""
    part = "the whole picture" if loaded.preprocessing.crop is None else "its centre"
    mean, std = (
        " ".join(f"{number:g}" for number in numbers)
        for numbers in (loaded.preprocessing.mean, loaded.preprocessing.std)
    )
    return f"{loaded.source}; sees {part} at {size[1]} x {size[0]}, mean {mean}, std {std}"
