"""Evaluation: is a map any good, and which method, at which layer, is best on a network and pictures of one's own.

``compare(model, images, methods=..., metrics=...)`` measures and returns a ``Comparison``; ``sanity(model, images)``
asks whether maps depend on the class, on the network's weights and on the picture at all.
"""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(
    __name__,
    {"Comparison": "comparison", "ImageBatch": "batches", "compare": "experiment", "sanity": "sanity_checks"},
)
