"""Layers of a model by type or condition, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.engine.layers import find_layer_predicate_recursive as find_layer_predicate_recursive
from pytorch_grad_cam.engine.layers import find_layer_types_recursive as find_layer_types_recursive
from pytorch_grad_cam.engine.layers import replace_all_layer_type_recursive as replace_all_layer_type_recursive
from pytorch_grad_cam.engine.layers import replace_layer_recursive as replace_layer_recursive
