"""Maps of signals, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.visualization.signals import show_cam_on_signal as show_cam_on_signal
