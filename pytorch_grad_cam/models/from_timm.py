"""The networks of the package timm as a source: by name, by folder or from the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.preprocessing import INTERPOLATIONS, Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import RANDOM, copy_weights, first_line, read_weights, without_prefix

HUB, FOLDER = ("hf-hub:", "hf_hub:"), "local-dir:"
SCHEMES = (*HUB, FOLDER)


def load_timm(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build a network of timm, in evaluation mode.

    Args:
        spec: "timm/" and the name as timm has it, e.g. "vit_tiny_patch16_224" or, with the tag of certain weights,
            "resnet18.a1_in1k", or the path of a folder with config.json and weights; "local-dir:PATH" for such a
            folder; "hf-hub:OWNER/NAME" for a model on the hub.
        weights: None for the published ones, which are downloaded, or those in the folder; "random"; or a file, off
            which also the number of classes is read.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        ImportError: without timm.
        FileNotFoundError: if a folder has no config.json.
        RuntimeError: if the weights cannot be downloaded.
        ValueError: if timm does not know the name, publishes no weights, or a file's weights are no such network's.
    """
    timm: Any = need("timm")
    name = _checked_name(timm, spec.removeprefix("timm/"))
    random = weights is not None and weights.lower() == RANDOM
    state = None if weights is None or random else read_weights(weights, trust_pickle)
    with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
        model = _create_model(timm, name, pretrained=weights is None)
        if state is not None:
            classes = _other_class_count(model, state)
            if classes is not None:
                model = _create_model(timm, name, pretrained=False, num_classes=classes)
            copy_weights(model, state, Path(str(weights)))
    source = name if name.startswith(SCHEMES) else f"timm/{name}"
    return LoadedModel(
        in_evaluation(model),
        _preprocessing_from(timm.data.resolve_model_data_config(model)),
        _class_names(timm, model),
        source=f"{source}, random weights" if random else f"{source}, weights from {weights}" if weights else source,
    )


def _preprocessing_from(config: dict[str, Any]) -> Preprocessing:
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


def _checked_name(timm: Any, name: str) -> str:
    """Return the name as ``timm.create_model`` takes it; a folder gets its scheme in front.

    Raises:
        FileNotFoundError: if a folder has no config.json.
        ValueError: if timm does not know the name.
    """
    folder = Path(name.removeprefix(FOLDER))
    if (folder / "config.json").is_file():
        return f"{FOLDER}{folder}"
    if name.startswith(FOLDER):
        raise FileNotFoundError(f"{folder} is no model of timm: it has no config.json; check the path")
    if not name.startswith(HUB) and not timm.is_model(name):
        plain = name.partition(".")[0].lower()
        close = difflib.get_close_matches(plain, timm.list_models(), n=3) or timm.list_models(f"*{plain}*")[:3]
        hint = f"did you mean {' or '.join(close)}?" if close else "names look like resnet18 or vit_tiny_patch16_224,"
        raise ValueError(f"timm has no network {name!r}; {hint} timm.list_models() lists all")
    return name


def _create_model(timm: Any, name: str, **options: Any) -> Any:
    try:
        return timm.create_model(name, **options)
    except Exception as error:  # the hub's client has errors of many kinds
        if options["pretrained"] and _has_no_weights(timm, name):
            raise ValueError(f"timm publishes no weights of {name}; give a file of them with --weights FILE") from error
        if name.startswith(FOLDER):
            raise ValueError(
                f"timm cannot build the network in {name.removeprefix(FOLDER)} ({first_line(error)}); the folder must "
                "be one that timm.models.save_for_hf wrote"
            ) from error
        shown = name if name.startswith(SCHEMES) else f"timm/{name}"
        raise RuntimeError(
            f"the weights of {shown} could not be fetched ({first_line(error)}); give a file of them with "
            "--weights FILE, or try the built-in network, which needs none: --model shapes"
        ) from error


def _has_no_weights(timm: Any, name: str) -> bool:
    """Say whether timm has the network under this name, but publishes no weights of it."""
    known = name in timm.list_models() or name in timm.list_models(include_tags=True)
    return known and not timm.models.is_model_pretrained(name)


def _other_class_count(model: Any, weights: Mapping[str, Tensor]) -> int | None:
    """Read the number of classes off the weights of the last layer; None if it is the network's own."""
    known = model.pretrained_cfg.get("classifier")
    name = known if isinstance(known, str) or not known else known[0]
    last = without_prefix(weights, model).get(f"{name}.weight")
    return len(last) if last is not None and len(last) != model.num_classes else None


def _class_names(timm: Any, model: Any) -> tuple[str, ...] | None:
    """Return the names of the classes that come with the weights, or those of the ImageNet that they belong to."""
    names = model.pretrained_cfg.get("label_names")
    subset = timm.data.infer_imagenet_subset(model) if names is None else None
    if subset == "imagenet-1k":
        from torchvision.models import ResNet18_Weights

        names = ResNet18_Weights.DEFAULT.meta["categories"]  # the same classes, in short
    elif subset is not None:
        info = timm.data.ImageNetInfo(subset)
        names = [info.index_to_description(index) for index in range(info.num_classes())]
    return tuple(map(str, names)) if names is not None and len(names) == model.num_classes else None
