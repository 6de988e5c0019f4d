"""Whole networks that were pickled, as ultralytics keeps them: a file .pt or .pth with an object instead of weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.layers import network_in
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.pickle_names import check_saved
from pytorch_grad_cam.models.unknown import unknown_network
from pytorch_grad_cam.models.weights_file import check_file, first_line, forbidden_object

_NETWORKS = ("ema", "model", "net", "network")  # where training programs put a network, the best first
_BARS = 114 / 255  # their gray around the picture
_USUAL_SIDE = 640  # of ultralytics' networks, where they do not say it
_TASKS = {"detect": "detection", "segment": "detection", "pose": "detection", "obb": "detection"}


def load_pickled(spec: str, weights: None = None, trust_pickle: bool = False) -> LoadedModel:
    """Load a network that was pickled as a whole. Only with ``trust_pickle``: that can run any code in the file.

    Args:
        spec: a file .pt or .pth.
        weights: None: the file holds them.
        trust_pickle: unpickle it.

    Returns:
        The network in evaluation mode. One of ultralytics comes with its class names, its task and its size, and a
        detector sees the whole picture in a letterbox; of heads that suppress boxes themselves the branch that has
        gradients is taken.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if a package is missing that the network was made with.
        ValueError: if it holds no network, or weights only, or must be unpickled and may not be.
    """
    path = Path(spec)
    check_file(path, "network")
    content = _unpickled(path, trust_pickle)
    network = _network_of(content)
    if network is None:
        raise ValueError(unknown_network(spec))
    network = in_evaluation(network.float())
    known = getattr(network, "names", None)
    names = tuple(str(known[index]) for index in sorted(known)) if isinstance(known, Mapping) else None
    if not type(network).__module__.startswith("ultralytics."):
        return LoadedModel(network, Preprocessing(), names, source=str(path))
    return _of_ultralytics(network, names, str(path))


def _unpickled(path: Path, trust_pickle: bool) -> Any:
    try:
        with open(path, "rb") as file:
            check_saved(file, str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, in one sentence
            return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise ImportError(
            f"{path} was made with the package {package}, which is missing: pip install {package}"
        ) from error
    except Exception as error:  # a file of another kind makes the reader raise almost anything
        forbidden = None if trust_pickle else forbidden_object(error)
        if forbidden is None:
            raise ValueError(f"{path} holds no network that can be read here ({first_line(error)})") from error
        raise ValueError(
            f"{path} is a network pickled as a whole (it holds {forbidden}), and reading that can run any code in the "
            "file; if you trust its author, allow it with --trust-pickle (trust_pickle=True), else build the network "
            "yourself and give its state dict with --weights"
        ) from error


def _network_of(content: Any) -> nn.Module | None:
    candidates = [content]
    if isinstance(content, Mapping):
        candidates = [content.get(name) for name in _NETWORKS]
    found = next((candidate for candidate in candidates if isinstance(candidate, nn.Module)), None)
    return None if found is None else network_in(found)


def _of_ultralytics(network: nn.Module, names: tuple[str, ...] | None, source: str) -> LoadedModel:
    settings = getattr(network, "args", {})
    known = settings.get("imgsz") if isinstance(settings, Mapping) else getattr(settings, "imgsz", None)
    side = known if isinstance(known, int) else _USUAL_SIDE
    task = _TASKS.get(str(getattr(network, "task", "")) or _task_by_class(network), "classification")
    plain: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if task == "classification":
        return LoadedModel(network, Preprocessing(side, side, **plain), names, source=source, output=0)
    heads: list[Any] = [module for module in network.modules() if getattr(module, "end2end", False)]
    for head in heads:
        head.end2end = False  # the other branch is cut off from the layers before it
    seen = Preprocessing((side, side), None, **plain).padded(_BARS)
    return LoadedModel(network, seen, names, source=source, task="detection")


def _task_by_class(network: nn.Module) -> str:
    return "classify" if type(network).__name__ == "ClassificationModel" else "detect"
