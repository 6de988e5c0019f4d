"""One name in, one network ready to be explained out: picks the source."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.inputs import input_channels
from pytorch_grad_cam.models.from_factory import load_factory
from pytorch_grad_cam.models.from_file import fill, read_weights
from pytorch_grad_cam.models.from_timm import SCHEMES, load_timm
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation

BUILT_IN = "shapes"
NNP, EXPORTED = ".nnp", ".pt2"
_FILES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")


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
    if spec.lower() == BUILT_IN:
        loaded = _built_in(weights, trust_pickle)
    elif spec.lower().endswith(NNP):
        loaded = _nnp(spec, weights)
    elif spec.lower().endswith(EXPORTED):
        from pytorch_grad_cam.models.from_exported import load_exported

        if weights is not None:
            raise ValueError(f"{spec} holds its weights; leave out --weights {weights}")
        loaded = load_exported(spec, trust_pickle)
    elif spec.startswith(("timm/", *SCHEMES)):
        loaded = load_timm(spec.removeprefix("timm/"), weights, trust_pickle)
    elif spec.startswith("hf/"):
        from pytorch_grad_cam.models.from_huggingface import load_huggingface

        loaded = load_huggingface(spec.removeprefix("hf/"), weights, trust_pickle)
    elif ":" in spec:
        loaded = load_factory(spec)
        if weights is not None:
            fill(loaded.model, read_weights(weights, trust_pickle), weights)
            loaded = replace(loaded, source=f"{loaded.source}, weights from {weights}")
    else:
        loaded = _torchvision(spec, weights, trust_pickle)
    if loaded.task != "classification" and size is not None and not squash:
        from pytorch_grad_cam.models.from_torchvision_tasks import with_side

        loaded, size = with_side(loaded, size), None
    preprocessing = _adapted(loaded, size, mean, std, squash)
    model = loaded.model if device is None else loaded.model.to(device)
    return replace(loaded, model=model, preprocessing=preprocessing)


def is_downloaded(spec: str) -> bool:
    """Say whether the weights of this network come over the net if none are given, as those of torchvision's names."""
    if spec.startswith("timm/"):
        return not (Path(spec.removeprefix("timm/")) / "config.json").is_file()
    if spec.lower() == BUILT_IN or spec.lower().endswith((NNP, EXPORTED)):
        return False
    return ":" not in spec and not spec.startswith("hf/")


def _built_in(weights: str | None, trust_pickle: bool) -> LoadedModel:
    from pytorch_grad_cam.data.outlines import SHAPES
    from pytorch_grad_cam.data.scenes import SIZE
    from pytorch_grad_cam.models.shapes import MEAN, STD, ShapesNet, load_shapes

    if weights is None:
        model: nn.Module = load_shapes()
        source = "shapes, the built-in network"
    else:
        with torch.random.fork_rng(devices=[]):
            model = in_evaluation(ShapesNet())
        fill(model, read_weights(weights, trust_pickle), weights)
        source = f"shapes, weights from {weights}"
    preprocessing = Preprocessing(resize=SIZE, crop=SIZE, mean=MEAN, std=STD)
    return LoadedModel(model, preprocessing, SHAPES, source=source, multi_label=True)


def _nnp(spec: str, weights: str | None) -> LoadedModel:
    from pytorch_grad_cam.models.nnp.load import load_nnp

    if weights is not None:
        raise ValueError(f"{spec} holds its weights; leave out --weights {weights}")
    return load_nnp(spec)


def _torchvision(spec: str, weights: str | None, trust_pickle: bool) -> LoadedModel:
    from pytorch_grad_cam.models.from_torchvision import load_torchvision, names
    from pytorch_grad_cam.models.from_torchvision_tasks import load_for_task, tasks

    if spec.lower() in tasks():
        return load_for_task(spec.lower(), weights, trust_pickle)
    known = [*names(), *tasks()]
    if spec.lower() in known:
        return load_torchvision(spec.lower(), weights, trust_pickle)
    if spec.endswith(_FILES) or Path(spec).is_file():
        raise ValueError(
            f"{spec} is a file; name the network with --model and give the file with --weights, e.g. "
            f"--model resnet50 --weights {spec}"
        )
    close = difflib.get_close_matches(spec.lower(), [*known, BUILT_IN], n=3)
    hint = f"did you mean {' or '.join(close)}? Known" if close else "known"
    raise ValueError(
        f"the model {spec!r} is unknown; {hint} are {BUILT_IN}, torchvision's networks for classification, "
        "segmentation and detection, timm/NAME, hf-hub:NAME, hf/PATH, package.module:factory for your own, "
        ".nnp files of Neural Network Console, and .pt2 files of torch.export"
    )


def _adapted(
    loaded: LoadedModel,
    size: int | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    squash: bool,
) -> Preprocessing:
    preprocessing = loaded.preprocessing
    if size is not None:
        preprocessing = preprocessing.sized(size)
    if len(mean or ()) == len(std or ()) == 1 and input_channels(loaded.model) == 3:
        mean, std = tuple(mean or ()) * 3, tuple(std or ()) * 3  # one number for all of RGB
    if mean is not None or std is not None:  # both at once: one number for gray must not meet three
        preprocessing = replace(
            preprocessing,
            mean=preprocessing.mean if mean is None else tuple(mean),
            std=preprocessing.std if std is None else tuple(std),
        )
    return preprocessing.squashed() if squash else preprocessing
