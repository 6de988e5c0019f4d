"""AblationCAM for a transformer, with the layer that the package has for tokens."""

from typing import Any

from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.ablation_layer import AblationLayerVit
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Tokens, images, seeded

DIFFERENCES = {"map": 2}


def grid(tokens: Any) -> Any:
    return tokens[:, 1:].unflatten(1, (5, 5)).movedim(-1, 1)


def main() -> dict[str, Any]:
    net, x = seeded(Tokens()), images(1, (20, 20))
    cam = AblationCAM(net, [net.blocks[1].norm1], reshape_transform=grid, ablation_layer=AblationLayerVit())
    cam.batch_size = 3
    return {"map": cam(input_tensor=x, targets=[ClassifierOutputTarget(2)])}
