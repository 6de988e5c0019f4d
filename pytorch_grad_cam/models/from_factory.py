"""Own networks as a source: a function in an importable module builds one, ``package.module:factory``."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from pytorch_grad_cam.common.importing import made_by
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
    made = made_by(spec, lambda thing: isinstance(thing, (nn.Module, LoadedModel)), "a network")
    if isinstance(made, LoadedModel):
        return made
    if isinstance(made, nn.Module):
        return LoadedModel(made, Preprocessing(), source=spec)
    raise TypeError(f"{spec}() returned a {type(made).__name__}; return a torch.nn.Module or a LoadedModel")
