"""Metrics: numbers that say how good a map is. They know no method, and call what they are given."""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(__name__, {})  # its modules, without importing them one by one
