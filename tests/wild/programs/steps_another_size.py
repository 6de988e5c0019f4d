"""Maps of a size of the user's own, such as that of the picture on the disk."""

from typing import Any

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


class Sized(GradCAM):
    def __init__(self, *args: Any, original: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.original = original

    def get_target_width_height(self, input_tensor: Any) -> Any:
        return self.original


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(2)
    cam = Sized(net, [net.block, net.act], original=(50, 30))
    return {"map": cam(input_tensor=x, targets=[ClassifierOutputTarget(3), ClassifierOutputTarget(1)])}
