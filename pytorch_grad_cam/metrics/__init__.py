"""How good a map is: numbers from perturbed inputs. Metrics know no method; they call what they are given."""

from __future__ import annotations

from pytorch_grad_cam.common.lazy import loading as _loading

__getattr__ = _loading(__name__, {})  # its modules, without importing them one by one
