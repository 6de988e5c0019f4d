"""What identifies a network: two runs may share results only if theirs are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from pytorch_grad_cam.models.loaded import LoadedModel


def fingerprint(loaded: LoadedModel, *files: str | None) -> str:
    """Hash a network: layers, parameters, buffers, preprocessing, and the files it came from (where a name is one)."""
    digest = hashlib.sha256()
    digest.update(repr((loaded.model, loaded.preprocessing, loaded.target_layers, loaded.source)).encode())
    _add_values(digest, loaded.model)
    for path in files:
        if path is not None and Path(path).is_file():
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def model_fingerprint(model: nn.Module) -> str:
    """Hash a network of which nothing else is known: layers, parameters and buffers."""
    digest = hashlib.sha256(repr(model).encode())
    _add_values(digest, model)
    return digest.hexdigest()


def _add_values(digest: hashlib._Hash, model: nn.Module) -> None:
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy knows no bfloat16
