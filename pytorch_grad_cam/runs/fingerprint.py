"""What identifies a network: two runs may share results only if theirs are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from pytorch_grad_cam.models.loaded import LoadedModel


def fingerprint(loaded: LoadedModel, *files: str | None) -> str:
    """Hash a network: its layers, parameters, buffers and preprocessing, and the files it came from.

    Args:
        loaded: the network.
        files: names that may be those of files; others are left out, with None.
    """
    digest = hashlib.sha256()
    digest.update(repr((loaded.model, loaded.preprocessing, loaded.target_layers, loaded.source)).encode())
    for name, value in loaded.model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(_bytes(value))
    for path in files:
        if path is not None and Path(path).is_file():
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    content: bytes = flat.view(torch.uint8).numpy().tobytes()  # NumPy knows no bfloat16
    return content
