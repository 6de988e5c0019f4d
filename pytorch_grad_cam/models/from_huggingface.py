"""Image classifiers of the package transformers: from a folder, a configuration, or by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from pytorch_grad_cam.models.from_file import read_weights
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation

_INTERPOLATION = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # numbers of PIL
_SETTINGS = "preprocessor_config.json"
_PATIENCE = 10.0  # seconds for one answer of the hub


def load_huggingface(path: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build an image classifier of transformers, in evaluation mode.

    Args:
        path: a folder that ``save_pretrained`` wrote, a file config.json (random weights, unless some are given), or a
            name on the hub, which is downloaded.
        weights: a file of weights instead of those that come along.
        trust_pickle: see `models.from_file.read_weights`.

    Raises:
        ImportError: without transformers.
        RuntimeError: if a name cannot be downloaded, or a folder is no such network's.
        ValueError: if a file's weights are no such network's.
    """
    transformers: Any = need("transformers")
    kind = transformers.AutoModelForImageClassification
    place = Path(path)
    bare = place.suffix == ".json"
    if bare and not place.is_file():
        raise FileNotFoundError(f"there is no configuration {path}; check the path")
    given = None if weights is None else read_weights(weights, trust_pickle)
    found: Any = None
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        try:
            if bare or given is not None:
                model = kind.from_config(_fetched(transformers.AutoConfig.from_pretrained, path))
            else:
                model = _fetched(kind.from_pretrained, path)
            if given is not None:  # transformers knows also the names that its earlier versions wrote
                model, found = type(model).from_pretrained(
                    None,
                    config=model.config,
                    state_dict=dict(given),
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,
                )
        except Exception as error:  # configurations and the hub's client raise errors of many kinds
            raise RuntimeError(
                f"transformers cannot make an image classifier of {path!r} ({_first_line(error)}); give a folder that "
                "save_pretrained wrote, or a config.json"
            ) from error
    if given is not None:
        _check(found, f"{weights} do not fit {type(model).__name__}")
    source = f"hf/{path}" + (f", weights from {weights}" if weights else ", random weights" if bare else "")
    settings = (place.parent if bare else place) / _SETTINGS
    said = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    names = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    return LoadedModel(
        in_evaluation(model), preprocessing_of(said, getattr(model.config, "image_size", 224)), names, source=source
    )


def preprocessing_of(settings: dict[str, Any], image_size: int | list[int]) -> Preprocessing:
    """Read what transformers' image processors do: ``size``, ``crop_size``, ``image_mean``, ``resample``.

    Args:
        settings: the content of preprocessor_config.json; empty if there is none.
        image_size: what the network sees, where the settings do not say.
    """
    default = image_size if isinstance(image_size, int) else tuple(image_size)
    size, crop = _side(settings.get("size"), default), None
    if settings.get("do_center_crop"):
        crop = _side(settings.get("crop_size"), size)
    elif isinstance(size, int):
        share = settings.get("crop_pct")
        size, crop = (int(size / share), size) if share and size < 384 else ((size, size), None)
    return Preprocessing(
        resize=size if settings.get("do_resize", True) else None,
        crop=crop,
        mean=tuple(settings.get("image_mean") or IMAGENET_MEAN),
        std=tuple(settings.get("image_std") or IMAGENET_STD),
        interpolation=_INTERPOLATION.get(settings.get("resample", 2), "bilinear"),
    )


def _fetched(make: Callable[..., Any], path: str) -> Any:
    """Make something of what is on this machine; only of what is not here, ask the hub."""
    if Path(path).exists():
        return make(path)
    try:
        return make(path, local_files_only=True)
    except OSError:  # nowhere here, or not all of it
        _ask_hub(path)
        return make(path)


def _ask_hub(name: str) -> None:
    """Ask once whether the hub has a model: a download asks again and again for half a minute before it gives up."""
    hub: Any = need("huggingface_hub")
    try:
        hub.HfApi().model_info(name, timeout=_PATIENCE)
    except Exception as error:  # the hub's client raises errors of many kinds
        if isinstance(error, hub.errors.RepositoryNotFoundError):
            raise OSError("there is no such folder here, and no such public model on the hub") from error
        raise OSError(
            f"it is not on this machine, and the hub cannot be reached or does not give it: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check(found: Any, what: str) -> None:
    """Refuse weights that leave a part of the network as it was drawn."""
    problems = [
        f"{word}: {', '.join(map(str, list(found[key])[:3]))}"
        for key, word in (("missing_keys", "missing"), ("mismatched_keys", "of another shape"))
        if found[key]
    ]
    if problems:
        raise ValueError(f"the weights of {what}: {'; '.join(problems)}")


def _side(given: Any, default: Any) -> Any:
    """Return the length of the shorter side, or (height, width), of what a processor calls a size."""
    if isinstance(given, dict):
        if "shortest_edge" in given:
            return given["shortest_edge"]
        return (given["height"], given["width"]) if "height" in given else default
    return default if given is None else given
