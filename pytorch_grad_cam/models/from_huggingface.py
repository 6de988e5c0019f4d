"""The image classifiers of the package transformers as a source: a folder, a configuration, or a name on the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import first_line, read_weights

_INTERPOLATION = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # numbers of PIL
_PREFIX = "hf/"
SETTINGS = "preprocessor_config.json"
_PATIENCE = 10.0  # seconds for one answer of the hub


def load_huggingface(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build an image classifier of transformers, in evaluation mode.

    Args:
        spec: "hf/" and a folder that ``save_pretrained`` wrote, a file config.json (random weights, unless some are
            given), or a name on the hub, which is downloaded.
        weights: a file of weights instead of those that come along.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        ImportError: without transformers.
        RuntimeError: if a name cannot be downloaded, or a folder is no such network's.
        ValueError: if a file's weights are no such network's.
    """
    transformers: Any = need("transformers")
    path = spec.removeprefix(_PREFIX)
    folder = Path(path)
    only_config = folder.suffix == ".json"
    if only_config and not folder.is_file():
        raise FileNotFoundError(f"there is no configuration {path}; check the path")
    state = None if weights is None else read_weights(weights, trust_pickle)
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        try:
            if state is not None:
                model, report = _build_with_state(transformers, path, state)
            elif only_config:
                model, report = _build_without_weights(transformers, path), {}
            else:
                kind = transformers.AutoModelForImageClassification
                model, report = make_local_first(kind.from_pretrained, path), {}
        except Exception as error:  # configurations and the hub's client raise errors of many kinds
            if "trust_remote_code" in str(error):  # transformers has no class for it
                raise ValueError(
                    f"{path!r} needs Python code that comes with it, and that is never run here; if you trust it, load "
                    "it in a function of your own and name that: --model package.module:function"
                ) from error
            raise RuntimeError(
                f"transformers cannot make an image classifier of {path!r} ({first_line(error)}); give a folder that "
                "save_pretrained wrote, or a config.json"
            ) from error
    _check_report(report, f"{weights} do not fit {type(model).__name__}")
    settings_file = (folder.parent if only_config else folder) / SETTINGS
    settings = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else {}
    random = ", random weights" if only_config else ""
    return LoadedModel(
        in_evaluation(model),
        preprocessing_from_settings(settings, getattr(model.config, "image_size", 224)),
        tuple(model.config.id2label[index] for index in range(model.config.num_labels)),
        source=f"{_PREFIX}{path}" + (f", weights from {weights}" if weights else random),
    )


def preprocessing_from_settings(settings: dict[str, Any], image_size: int | list[int]) -> Preprocessing:
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


def _build_without_weights(transformers: Any, path: str) -> Any:
    config = make_local_first(transformers.AutoConfig.from_pretrained, path)
    return transformers.AutoModelForImageClassification.from_config(config)


def _build_with_state(transformers: Any, path: str, state: Mapping[str, Tensor]) -> tuple[Any, dict[str, Any]]:
    """Build a network with the weights of a state dict; return it, and transformers' report on what did not fit."""
    model = _build_without_weights(transformers, path)
    # Not load_state_dict: transformers knows also the names that its earlier versions wrote.
    try:
        model, report = type(model).from_pretrained(
            None, config=model.config, state_dict=dict(state), output_loading_info=True, ignore_mismatched_sizes=True
        )
    except ValueError:  # before transformers 5, where nothing but a part of the head is there
        report = {"missing_keys": [name for name in model.state_dict() if name not in state]}
        if not report["missing_keys"]:
            raise
    return model, report


def make_local_first(make: Callable[..., Any], path: str) -> Any:
    """Make something of what is on this machine; only of what is not here, ask the hub."""
    make = partial(make, trust_remote_code=False)  # without it transformers asks, and waits for an answer
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
            f"it is not on this machine, and the hub cannot be reached or does not give it: {first_line(error)}"
        ) from error


def _check_report(report: Mapping[str, Any], what: str) -> None:
    """Refuse weights that leave a part of the network as it was drawn."""
    problems = [
        f"{word}: {', '.join(map(str, list(report[key])[:3]))}"
        for key, word in (("missing_keys", "missing"), ("mismatched_keys", "of another shape"))
        if report.get(key)
    ]
    if problems:
        raise ValueError(f"the weights of {what}: {'; '.join(problems)}")


def _side(size: Any, default: Any) -> Any:
    """Return the length of the shorter side, or (height, width), of what a processor calls a size."""
    if isinstance(size, dict):
        if "shortest_edge" in size:
            return size["shortest_edge"]
        return (size["height"], size["width"]) if "height" in size else default
    return default if size is None else size
