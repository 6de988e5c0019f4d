"""Load a network by its name, from whatever source it comes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.network_input import adjust_input
from pytorch_grad_cam.models.sources import SOURCES, sentence, source_of

_WEIGHTS_FILES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")


def load_model(
    spec: str,
    weights: str | None = None,
    device: str | torch.device | None = None,
    *,
    trust_pickle: bool = False,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    squash: bool = False,
) -> LoadedModel:
    """Load a network by name.

    Args:
        spec: "shapes" (built in, needs no download), a torchvision name ("resnet50"), one of timm's ("timm/resnet18",
            "timm/" and a folder, "hf-hub:timm/resnet18.a1_in1k"), an image classifier of transformers ("hf/" and a
            folder, a config.json or a name), a file of Neural Network Console ("results.nnp"), what
            ``torch.export.save`` wrote ("net.pt2"), or your own network as "package.module:factory".
        weights: a file of weights; for torchvision also the name of published ones ("IMAGENET1K_V2"); for torchvision
            and timm also "random".
        device: where the network goes; None leaves it where it was made.
        trust_pickle: unpickle more than tensors from the file of weights, which can run any code in it.
        size: side of the square that the network sees, in pixels, where it is not the usual one.
        mean: per channel, for normalising values in [0, 1], where it is not the usual one; one number for gray.
        std: likewise.
        squash: show the network the whole picture, squashed, instead of its centre.

    Returns:
        The network with its preprocessing, categories and source.

    Raises:
        ValueError: if the name is unknown (the message suggests some) or the weights do not fit.
        FileNotFoundError: if there is no such file of weights.
        ImportError, TypeError, RuntimeError: if a factory cannot be used, or a download fails.
    """
    source = source_of(spec)
    if source is None:
        raise ValueError(_unknown(spec))
    if weights is not None and not source.takes_weights:
        raise ValueError(f"{spec} holds its weights; leave out --weights {weights}")
    loaded = adjust_input(source.load(spec, weights, trust_pickle), size, mean, std, squash)
    return loaded if device is None else replace(loaded, model=loaded.model.to(device))


def is_downloaded(spec: str) -> bool:
    """Say whether the weights of this network are downloaded if none are given, as those of torchvision's names."""
    source = source_of(spec)
    return source is not None and source.is_downloaded(spec)


def _unknown(spec: str) -> str:
    """Say what is wrong with a name that no source knows, and which names there are."""
    if spec.endswith(_WEIGHTS_FILES) or Path(spec).is_file():
        return (
            f"{spec} is a file; name the network with --model and give the file with --weights, e.g. "
            f"--model resnet50 --weights {spec}"
        )
    names = [name for source in SOURCES for name in source.listed()]
    close = difflib.get_close_matches(spec.lower(), names, n=3)
    hint = f"did you mean {' or '.join(close)}? Known" if close else "known"
    offers = sentence((source.offer for source in SOURCES), "and")
    return f"the model {spec!r} is unknown; {hint} are {offers}"
