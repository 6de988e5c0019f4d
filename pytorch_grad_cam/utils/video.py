"""Maps of video, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.engine.layout import frames_reshape_transform as frames_reshape_transform
from pytorch_grad_cam.visualization.video import save_gif as save_gif
from pytorch_grad_cam.visualization.video import show_cam_on_video as show_cam_on_video
