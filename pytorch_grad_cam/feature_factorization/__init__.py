"""What a layer knows of its pictures: a few concepts, each with a place in every picture."""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(__name__, {})  # its modules, without importing them one by one
