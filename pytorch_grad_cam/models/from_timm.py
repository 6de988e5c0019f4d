"""The networks of the package timm: by name, with downloaded weights or a file's."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch

from pytorch_grad_cam.data.preprocessing import INTERPOLATIONS, Preprocessing
from pytorch_grad_cam.extras import need
from pytorch_grad_cam.models.from_file import fill, read_weights
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation


def load_timm(name: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build a network of timm, in evaluation mode.

    Args:
        name: as timm calls it, e.g. "vit_tiny_patch16_224" or, with the tag of certain weights, "resnet18.a1_in1k".
        weights: None for the published ones, which are downloaded, or a file.
        trust_pickle: see `models.from_file.read_weights`.

    Raises:
        ImportError: without timm.
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if timm does not know the name, publishes no weights, or a file's weights are no such network's.
    """
    timm: Any = need("timm")
    if not timm.is_model(name):
        plain = name.partition(".")[0].lower()
        close = difflib.get_close_matches(plain, timm.list_models(), n=3) or timm.list_models(f"*{plain}*")[:3]
        hint = f"did you mean {' or '.join(close)}?" if close else "names look like resnet18 or vit_tiny_patch16_224,"
        raise ValueError(f"timm has no network {name!r}; {hint} timm.list_models() lists all")
    given = None if weights is None else read_weights(weights, trust_pickle)
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        if given is None:
            model = _downloaded(timm, name)
        else:
            model = timm.create_model(name, pretrained=False)
            fill(model, given, Path(str(weights)))
    source = f"timm/{name}" if weights is None else f"timm/{name}, weights from {weights}"
    return LoadedModel(
        in_evaluation(model), preprocessing_of(timm.data.resolve_model_data_config(model)), source=source
    )


def preprocessing_of(config: dict[str, Any]) -> Preprocessing:
    """Read timm's data configuration of a network: ``input_size``, ``crop_pct``, ``mean``, ``std``, and so on."""
    channels, height, width = config["input_size"]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    kind = config.get("interpolation", "bilinear")
    side = height if height == width else (height, width)
    share = config.get("crop_pct") or 1.0
    whole = config.get("crop_mode", "center") == "squash" or isinstance(side, tuple)
    return Preprocessing(
        resize=(height, width) if whole else int(height / share),
        crop=None if whole else height,
        mean=mean[:channels] if channels in (1, 3) else mean,
        std=std[:channels] if channels in (1, 3) else std,
        interpolation=kind if kind in INTERPOLATIONS else "bilinear",
    )


def _downloaded(timm: Any, name: str) -> Any:
    try:
        return timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client has errors of many kinds
        if "No pretrained weights" in str(error):
            raise ValueError(f"timm publishes no weights of {name}; give a file of them with --weights FILE") from error
        raise RuntimeError(
            f"the weights of timm/{name} could not be fetched ({_first_line(error)}); give a file of them with "
            "--weights FILE, or try the built-in network, which needs none: --model shapes"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
