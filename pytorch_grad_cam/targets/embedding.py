"""Targets for networks that describe a picture by an embedding: similarity search, retrieval, two-tower models."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from pytorch_grad_cam.engine.maps import widest, working_precision

_UNIT_LENGTH_ERROR = {torch.float16: 1e-2, torch.bfloat16: 3e-2}  # how far rounding moves a length of 1
_LEAST_LENGTH = 8  # numbers from which on a row of length 1 is no accident


class SimilarityTarget:
    """Scores an image by how similar its embedding ``e`` is to a reference ``r``: ``e . r / (|e| |r|)``, or ``e . r``.

    It shows what makes an image look like another one, or fit a text, whose embedding is the reference.

    Args:
        reference: ``(D,)``, or ``(K, D)``: the mean over several examples of what is meant; it is a constant.
        measure: "cosine", or "dot" where lengths mean something.

    Raises:
        ValueError: for another form or measure, or a reference that is 0; when called, for an output of another form.
    """

    def __init__(self, reference: Any, measure: Literal["cosine", "dot"] = "cosine") -> None:
        embeddings = working_precision(torch.as_tensor(reference).detach())
        self.references = embeddings[None] if embeddings.ndim == 1 else embeddings  # (K, D)
        if self.references.ndim != 2 or not self.references.numel():
            raise ValueError(f"the reference is {tuple(embeddings.shape)}; give one embedding (D,) or several (K, D)")
        if not bool((self.references != 0).any(1).all()):
            raise ValueError("a reference embedding is 0 throughout, so nothing is similar to it")
        if measure not in ("cosine", "dot"):
            raise ValueError(f"measure={measure!r} is unknown; choose 'cosine' or 'dot'")
        self.measure = measure

    def __call__(self, model_output: Tensor) -> Tensor:
        if not isinstance(model_output, Tensor):
            raise ValueError(
                f"a similarity needs an embedding (D,) for each image, but the model returns a "
                f"{type(model_output).__name__}; pick the embedding with output=, e.g. output='image_embeds'"
            )
        length = self.references.shape[1]
        if model_output.shape != (length,):
            raise ValueError(
                f"the model gives {tuple(model_output.shape)} for an image, the reference has {length} numbers; take "
                "the reference from the same model, pooled to one embedding (D,)"
            )
        embedding = working_precision(model_output)
        references = self.references.to(embedding)
        if self.measure == "dot":
            return (references @ embedding).mean()
        return torch.cosine_similarity(references, embedding[None], dim=1).mean()


def is_embedding(outputs: Any) -> bool:
    """Say whether ``(B, D)`` outputs are certainly embeddings: long rows of length 1 that are no probabilities."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or outputs.shape[1] < _LEAST_LENGTH:
        return False
    if not outputs.is_floating_point():
        return False
    lengths = outputs.to(widest(outputs.device)).norm(dim=1)
    of_length_one = ((lengths - 1).abs() < _UNIT_LENGTH_ERROR.get(outputs.dtype, 1e-4)).all()
    return bool(of_length_one & (outputs < 0).any())  # read once: at each time all work of a GPU is waited for
