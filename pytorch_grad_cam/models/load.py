"""Load a network by its name, from whatever source it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.inputs import input_channels
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.sources import source_of
from pytorch_grad_cam.models.unknown import unknown_network

_HIGHEST_MEAN = 3.0  # of values in 0..1, with much room


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
    pad: bool = False,
    prompts: Sequence[str] | None = None,
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
        pad: show it the whole picture, its shape kept, between bars of the mean colour (letterbox).
        prompts: texts in the place of classes, for networks of pictures and texts; see `models.from_clip`.

    Returns:
        The network with its preprocessing, categories and source.

    Raises:
        ValueError: if the name is unknown (the message suggests some), the weights do not fit, or the picture is to
            be both squashed and padded.
        FileNotFoundError: if there is no such file of weights.
        ImportError, TypeError, RuntimeError: if a factory cannot be used, or a download fails.
    """
    if squash and pad:
        raise ValueError("squash changes the picture's shape and pad keeps it; give one of them")
    loaded = _with_input(_found(spec, weights, trust_pickle, prompts), size, mean, std, whole=squash or pad)
    if squash or pad:
        seen = loaded.preprocessing
        loaded = replace(loaded, preprocessing=seen.squashed() if squash else seen.padded())
    return loaded if device is None else replace(loaded, model=loaded.model.to(device))


def _found(spec: str, weights: str | None, trust_pickle: bool, prompts: Sequence[str] | None) -> LoadedModel:
    if prompts is not None:
        from pytorch_grad_cam.models.from_clip import load_prompted

        return load_prompted(spec, prompts, weights)
    source = source_of(spec)
    if source is None:
        raise ValueError(unknown_network(spec))
    if weights is not None and not source.takes_weights:
        raise ValueError(f"{spec} holds its weights; leave out --weights {weights}")
    return source.load(spec, weights, trust_pickle)


def is_downloaded(spec: str) -> bool:
    """Say whether the weights of this network are downloaded if none are given, as those of torchvision's names."""
    source = source_of(spec)
    return source is not None and source.is_downloaded(spec)


def _with_input(
    loaded: LoadedModel, size: int | None, mean: Sequence[float] | None, std: Sequence[float] | None, whole: bool
) -> LoadedModel:
    """Return a loaded network that sees pictures of another size or normalisation.

    Args:
        whole: the picture will be squashed or padded to a square of that size.
    """
    if loaded.task != "classification" and size is not None and not whole:
        loaded, size = _with_shorter_side(loaded, size), None
    preprocessing = loaded.preprocessing
    if size is not None:
        preprocessing = preprocessing.sized(size)
    preprocessing = _with_normalisation(preprocessing, input_channels(loaded.model), mean, std)
    return replace(loaded, preprocessing=preprocessing)


def _with_normalisation(
    preprocessing: Preprocessing, channels: int | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Preprocessing:
    if len(mean or ()) == len(std or ()) == 1 and channels == 3:
        mean, std = tuple(mean or ()) * 3, tuple(std or ()) * 3  # one number for all of RGB
    if mean is None and std is None:
        return preprocessing
    if max(map(abs, mean or (0.0,))) > _HIGHEST_MEAN:
        shares = " ".join(f"{number / 255:.3g}" for number in mean or ())
        raise ValueError(
            f"the mean {' '.join(f'{number:g}' for number in mean or ())} belongs to values in 0..255; here they are "
            f"in 0..1: divide it and the standard deviation by 255, e.g. --mean {shares}"
        )
    return replace(  # both at once: one number for gray must not meet three
        preprocessing,
        mean=preprocessing.mean if mean is None else tuple(mean),
        std=preprocessing.std if std is None else tuple(std),
    )


def _with_shorter_side(loaded: LoadedModel, side: int) -> LoadedModel:
    """Let a network see whole pictures with a shorter side of ``side`` pixels; detectors resize them on their own."""
    transform: Any = getattr(loaded.model, "transform", None)
    if transform is None or not hasattr(transform, "min_size"):
        whole = loaded.preprocessing.crop is None
        if whole and isinstance(loaded.preprocessing.resize, tuple):
            return replace(loaded, preprocessing=replace(loaded.preprocessing, resize=(side, side)))
        resized = replace(loaded.preprocessing, resize=side) if whole else loaded.preprocessing.sized(side)
        return replace(loaded, preprocessing=resized)
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        raise ValueError(f"this detector sees {width} x {height} pixels whatever the picture; leave out --size {side}")
    longest = transform.max_size / transform.min_size[-1]
    transform.min_size, transform.max_size = (side,), max(side, round(side * longest))
    return loaded
