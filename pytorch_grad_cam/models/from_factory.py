"""Own networks as a source: a function in an importable module builds one, ``package.module:factory``."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any

from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights


def load_factory(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Import a module, also from the working folder, and call the factory in it without arguments.

    Args:
        spec: ``package.module:name``; the name is a function or class, dotted if it lies deeper, or a finished network.
        weights: a file of weights that are copied into the network.
        trust_pickle: see `models.weights_file.read_weights`.

    Returns:
        What the factory returned if that is a LoadedModel; else its network, with ImageNet's preprocessing. The
        network keeps the training mode that the factory gave it.

    Raises:
        ImportError: if the module or the name cannot be imported.
        TypeError: if the result is neither a network nor a LoadedModel.
        RuntimeError: if the factory raises.
        ValueError: if the spelling is another, or a file's weights are no such network's.
    """
    loaded = _call_factory(spec)
    if weights is None:
        return loaded
    copy_weights(loaded.model, read_weights(weights, trust_pickle), weights)
    return replace(loaded, source=f"{loaded.source}, weights from {weights}")


def _call_factory(spec: str) -> LoadedModel:
    module_name, _, path = spec.rpartition(":")  # the last: the first may stand behind the letter of a drive
    if not module_name or not path or _is_path(path):
        raise ValueError(f"{spec!r} does not name a factory; write package.module:function")
    if module_name.endswith(".py") or _is_path(module_name):
        file = PureWindowsPath(module_name.removesuffix(".py"))  # which takes / and \ for the same
        dotted = ".".join(file.relative_to(file.anchor).parts)
        raise ValueError(f"{spec!r} names a file; write it as a module: {dotted}:{path}")
    network: Any = _import_attribute(module_name, path)
    if not isinstance(network, (nn.Module, LoadedModel)):
        if not callable(network):
            raise TypeError(f"{spec} is a {type(network).__name__}; name a function that returns a network")
        try:
            network = network()
        except Exception as error:
            raise RuntimeError(
                f"{spec}() raised {type(error).__name__}: {error}; it is called without arguments"
            ) from error
    if isinstance(network, LoadedModel):
        return network
    if isinstance(network, nn.Module):
        return LoadedModel(network, Preprocessing(), source=spec)
    raise TypeError(f"{spec}() returned a {type(network).__name__}; return a torch.nn.Module or a LoadedModel")


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text


def _import_attribute(module_name: str, path: str) -> Any:
    """Import a module, also from the working folder, and return what a dotted path names in it."""
    here = str(Path.cwd())
    if here not in sys.path:  # as python -m does; a console script does not
        sys.path.insert(0, here)
    try:
        attribute: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ImportError(
                f"there is no module {module_name!r}; it is looked for in {here} and among the installed packages"
            ) from error
        raise ImportError(f"the module {module_name!r} cannot be imported: {error}") from error
    except Exception as error:  # somebody's module may raise anything
        raise ImportError(f"the module {module_name!r} raised {type(error).__name__}: {error}") from error
    for part in path.split("."):
        try:
            attribute = getattr(attribute, part)
        except AttributeError as error:
            known = [name for name, value in vars(attribute).items() if callable(value) and not name.startswith("_")]
            more = f", ... ({len(known)} in all)" if len(known) > 12 else ""
            hint = f"; it has {', '.join(known[:12])}{more}" if known else ""
            raise ImportError(f"the module {module_name!r} has no {path!r}{hint}") from error
    return attribute
