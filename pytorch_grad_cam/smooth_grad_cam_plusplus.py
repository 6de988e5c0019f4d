"""Smooth Grad-CAM++."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.bases.perturbation_cam import PerturbationCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import ForwardPass, LayerRecord
from pytorch_grad_cam.engine.maps import per_image, spatial_axes, spatial_sum, widest
from pytorch_grad_cam.engine.pass_record import PassRecord
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec

SMALLEST = 0.1  # denominator, see GradCAM++


class SmoothGradCAMPlusPlus(PerturbationCAM):
    """Highlights what GradCAM++ does, with gradients averaged over noisy copies of the image.

    ``D_j = mean_i G_i^j`` over ``N`` noisy inputs; ``alpha = D_2 / (2 D_2 + S_k D_3)``;
    ``w_k = sum_p alpha relu(D_1)``; ``L = relu(sum_k w_k A_k)``, ``A`` and ``S_k`` those of the clean image.

    Args:
        num_samples: ``N``.
        noise_level: standard deviation of the noise, as a share of the image's range.
        seed: of the noise; all images and calls meet the same. All other arguments as for ``BaseCAM``.

    Raises:
        ValueError: for fewer than one sample or a negative noise_level.

    Source: D. Omeiza, S. Speakman, C. Cintas and K. Weldemariam, 2019, "Smooth Grad-CAM++: An Enhanced Inference Level
    Visualization Technique for Deep Convolutional Neural Network Models", arXiv:1908.01224.
    Note: the paper prints ``D_1`` in the numerator; with ``D_2`` one sample without noise is GradCAM++ of the paper
    (``epsilon=0``). ``D_2`` is cancelled and the denominator kept at 0.1 or more, as there. ``torchcam`` takes the last
    noisy pass's activations. The map depends little on the class, so do not contrast classes with it.
    """

    tells_classes = False

    def __init__(
        self, *args: Any, num_samples: int = 8, noise_level: float = 0.15, seed: int = 0, **kwargs: Any
    ) -> None:
        if num_samples < 1 or noise_level < 0:
            raise ValueError(
                f"num_samples={num_samples}, noise_level={noise_level}: give 1 or more samples and a level of 0 or more"
            )
        super().__init__(*args, **kwargs)
        self.num_samples, self.noise_level, self.seed = num_samples, noise_level, seed

    def channel_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        activations, inputs = layer.activations, call.inputs
        generator = torch.Generator().manual_seed(self.seed)
        flat = inputs.flatten(1)
        scale = per_image(self.noise_level * (flat.amax(1) - flat.amin(1)), inputs)
        # In float32 the cubes of small gradients underflow; one kind of device has nothing better.
        dtype = widest(activations.device)
        first, second, third = (torch.zeros_like(activations, dtype=dtype) for _ in range(3))
        for _ in range(self.num_samples):
            noise = torch.randn(inputs.shape[1:], generator=generator, device="cpu")  # the same for all images
            grad = self._grads(call.replace(inputs=inputs + noise.to(inputs) * scale), layer.module, targets).to(dtype)
            first, second, third = first + grad, second + grad**2, third + grad**3
        ratio = third / torch.where(second > 0, second, 1)  # D_3 / D_2
        denominator = (2 + spatial_sum(activations) * ratio).clamp_min(SMALLEST)
        return ((first / self.num_samples).relu() / denominator).sum(spatial_axes(activations)).to(activations)

    def _grads(self, call: Call, module: nn.Module, targets: list[Target]) -> Tensor:
        """Return the gradient of the scores by the layer's activations, for the images of a call: ``(B, C, *s)``."""
        record = PassRecord(self.model, [module], call.layout)
        one_pass = ForwardPass(record, call, uses_targets=True, uses_gradients=True, relu_rule=self.relu_rule)
        grads = one_pass.score(TargetSpec(targets)).layers[0].grads
        assert grads is not None
        return grads
