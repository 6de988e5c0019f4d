"""The network that the options ask for, on its device, and how it is described."""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from pytorch_grad_cam.models.categories import read_categories
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.network_options import NetworkOptions


def load_network(options: NetworkOptions) -> tuple[LoadedModel, torch.device]:
    """Load the network to its device; return both.

    Raises:
        ValueError: if the device cannot be used here.
        Exception: as `models.load.load_model` does.
    """
    device = _chosen_device(options)
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
        pad=options.pad,
    )
    return (loaded if categories is None else replace(loaded, categories=categories)), device


def network_summary(loaded: LoadedModel, size: tuple[int, int]) -> str:
    """Say in one line what the network is and what it sees, at ``size`` (height, width)."""
    part = "the whole picture" if loaded.preprocessing.crop is None else "its centre"
    part += " between bars" if loaded.preprocessing.pad is not None else ""
    mean, std = (
        " ".join(f"{number:g}" for number in numbers)
        for numbers in (loaded.preprocessing.mean, loaded.preprocessing.std)
    )
    return f"{loaded.source}; sees {part} at {size[1]} x {size[0]}, mean {mean}, std {std}"


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
