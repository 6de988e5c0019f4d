"""What identifies a network: two runs may share results only if theirs are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from pytorch_grad_cam.models.loaded import LoadedModel


def fingerprint(loaded: LoadedModel, *files: str | None) -> str:
    """Hash a network: layers, parameters, buffers, preprocessing, and the files it came from (where a name is one)."""
    digest = hashlib.sha256()
    digest.update(repr((loaded.model, loaded.preprocessing, loaded.target_layers, loaded.source)).encode())
    for name, value in loaded.model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy knows no bfloat16
    for path in files:
        if path is not None and Path(path).is_file():
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
