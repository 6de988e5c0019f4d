"""A method of your own is a way to weigh channels: one class, one line of arithmetic."""

import torch

from pytorch_grad_cam import BaseCAM
from pytorch_grad_cam.data.scenes import render_scene
from pytorch_grad_cam.models.shapes import load_shapes, preprocess


class MaxGradCAM(BaseCAM):
    """Weighs each channel by its largest gradient instead of the mean."""

    tensors = True  # get tensors; without it get_cam_weights receives NumPy arrays, as in the package grad-cam

    def get_cam_weights(self, input_tensor, target_layer, targets, activations, grads) -> torch.Tensor:
        return grads.amax((2, 3))  # (B, C)


def main(seed: int = 7) -> torch.Tensor:
    scene = render_scene(seed)
    model = load_shapes()
    found = MaxGradCAM(model, "stage4").explain(preprocess(scene.image), scene.objects[0].index)
    inside = found.maps[0][torch.from_numpy(scene.objects[0].mask)].mean() / found.maps.mean()
    print(f"the {scene.objects[0].label} gets {inside:.1f} times the mean of the map")
    return found.maps


if __name__ == "__main__":
    main()
