"""Pictures around a map, under the path that people import them from."""

from __future__ import annotations

from pytorch_grad_cam.data.pixels import bands_as_rgb as bands_as_rgb
from pytorch_grad_cam.data.pixels import deprocess_image as deprocess_image
from pytorch_grad_cam.data.pixels import preprocess_image as preprocess_image
from pytorch_grad_cam.engine.arrays import scale_accross_batch_and_channels as scale_accross_batch_and_channels
from pytorch_grad_cam.engine.arrays import scale_cam_image as scale_cam_image
from pytorch_grad_cam.engine.boxes import Box as Box
from pytorch_grad_cam.engine.boxes import boxes_from_map as boxes_from_map
from pytorch_grad_cam.engine.boxes import maps_in_boxes as maps_in_boxes
from pytorch_grad_cam.engine.boxes import mask_from_map as mask_from_map
from pytorch_grad_cam.visualization.colormaps import DIVERGING as DIVERGING
from pytorch_grad_cam.visualization.overlay import create_labels_legend as create_labels_legend
from pytorch_grad_cam.visualization.overlay import draw_boxes as draw_boxes
from pytorch_grad_cam.visualization.overlay import heat_map as heat_map
from pytorch_grad_cam.visualization.overlay import show_cam_on_image as show_cam_on_image
from pytorch_grad_cam.visualization.overlay import show_factorization_on_image as show_factorization_on_image
from pytorch_grad_cam.visualization.overlay import show_signed_cam_on_image as show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import colour_bar as colour_bar
from pytorch_grad_cam.visualization.sheet import contact_sheet as contact_sheet
from pytorch_grad_cam.visualization.sheet import labelled_grid as labelled_grid
