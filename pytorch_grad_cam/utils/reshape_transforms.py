"""From tokens and pyramids to channels first, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.engine.layout import fasterrcnn_reshape_transform as fasterrcnn_reshape_transform
from pytorch_grad_cam.engine.layout import swinT_reshape_transform as swinT_reshape_transform
from pytorch_grad_cam.engine.layout import vit_reshape_transform as vit_reshape_transform
