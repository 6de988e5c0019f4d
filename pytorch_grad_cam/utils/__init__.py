"""The paths that people import targets, drawing and reshape transforms from; what they hold is defined elsewhere."""

from __future__ import annotations

from pytorch_grad_cam.utils import detection_targets as detection_targets
from pytorch_grad_cam.utils import embedding_targets as embedding_targets
from pytorch_grad_cam.utils import find_layers as find_layers
from pytorch_grad_cam.utils import image as image
from pytorch_grad_cam.utils import model_targets as model_targets
from pytorch_grad_cam.utils import reshape_transforms as reshape_transforms
from pytorch_grad_cam.utils import segmentation_targets as segmentation_targets
from pytorch_grad_cam.utils import signals as signals
from pytorch_grad_cam.utils import svd_on_activations as svd_on_activations
from pytorch_grad_cam.utils import video as video
from pytorch_grad_cam.utils import volumes as volumes
from pytorch_grad_cam.utils.image import deprocess_image as deprocess_image
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection as get_2d_projection
