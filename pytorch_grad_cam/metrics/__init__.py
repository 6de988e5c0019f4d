"""Metrics: numbers that say how good a map is. They know no method, and call what they are given.

``METRICS`` has them all by name; ``METRICS["insertion"](inputs, maps, targets, model)`` measures a batch.
"""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(__name__, {"METRICS": "table", "Metric": "metric", "Case": "case"})
