"""Maps of volumes, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.visualization.volumes import show_cam_on_volume as show_cam_on_volume
