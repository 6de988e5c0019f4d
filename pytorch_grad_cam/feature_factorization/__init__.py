"""Deep Feature Factorization: what a layer returns, split into a few concepts with a map in every picture."""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(__name__, {})  # its modules, without importing them one by one
