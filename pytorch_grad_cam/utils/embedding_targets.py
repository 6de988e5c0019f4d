"""Targets for embeddings, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.targets.embedding import SimilarityTarget as SimilarityTarget
from pytorch_grad_cam.targets.embedding import is_embedding as is_embedding
