"""A mask that was saved as a picture, 0 to 255, drawn over the picture."""

from typing import Any

import numpy as np

from pytorch_grad_cam.utils.image import show_cam_on_image
from wild.networks import images

DIFFERENCES = {"from 1": 8, "from 255": 8}


def main() -> dict[str, Any]:
    picture = ((images(1, (12, 16))[0].permute(1, 2, 0).numpy() + 2) / 4).astype(np.float32)
    mask = (images(1, (12, 16), 1)[0, 0].numpy() + 2) / 4
    saved = np.uint8(255 * mask)
    return {
        "from 1": show_cam_on_image(picture, np.float32(mask), use_rgb=True),
        "from 255": saved_mask(picture, saved),
    }


def saved_mask(picture: Any, saved: Any) -> Any:
    return show_cam_on_image(picture, saved / np.float32(255), use_rgb=True, colormap=2)
