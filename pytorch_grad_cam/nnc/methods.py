"""The methods of Neural Network Console's plug-ins, where they differ from the published ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.notes import ZERO_GRADIENT, Note
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.engine.diagnosis import ZERO
from pytorch_grad_cam.engine.maps import channel_sum, resize, spatial_mean
from pytorch_grad_cam.targets.classification import Target

Noise = Callable[[Tensor, int], Tensor]


class ChannelReluGradCAM(BaseCAM):
    """Grad-CAM as Neural Network Console's plug-in computes it: no channel takes away what another one gives.

    ``w_k = mean_p G_k(p)``; ``L(p) = mean_k relu(w_k A_k(p))``. Never negative, and less bound to the class than
    Grad-CAM, where evidence against it counts: ``relu(sum_k w_k A_k)``.
    """

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        weights = spatial_mean(grads)
        # relu(w A) = relu(w) relu(A) + relu(-w) relu(-A), without an array of the activations' size per term
        positive = channel_sum(weights.clamp_min(0), activations.clamp_min(0))
        negative = channel_sum((-weights).clamp_min(0), (-activations).clamp_min(0))
        return (positive + negative) / activations.shape[1]


class LayerGradients(BaseCAM):
    """The gradient of a layer, as it is: the map is its sum over the channels, and ``grads`` keeps the whole."""

    grads: Tensor  # (B, C, *s), of the last call

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        self.grads = grads
        return grads.sum(1)


class LayerSmoothGrad:
    """SmoothGrad of a layer: the gradients by its output, at noisy copies of the input.

    Args:
        model: the network.
        layer: one of its modules, whose output is ``(B, C, H, W)``.
        squared: sum the mean squares over the channels; else take the largest magnitude of the means.
        noise_level: standard deviation of the noise, as a share of the input's range.
        num_samples: noisy copies per picture.
        batch_size: noisy copies per forward pass.
        seed: of the noise.
        noise: gives it instead, from an image ``(C, H, W)`` and the copy's number.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: nn.Module,
        squared: bool,
        *,
        noise_level: float,
        num_samples: int,
        batch_size: int,
        seed: int,
        noise: Noise | None,
    ) -> None:
        self._cam, self._squared = LayerGradients(model, [layer]), squared
        self._level, self._samples, self._batch_size = noise_level, num_samples, batch_size
        self._seed, self._noise = seed, noise

    def explain(self, inputs: Tensor, targets: Sequence[Target]) -> Explanation:
        """Explain a batch; ``raw`` is ``(B, h, w)`` of the layer's size, and never negative."""
        clean = self._cam.explain(inputs, list(targets), relu=False, normalize="none")
        raws = [self._raw(image, target) for image, target in zip(inputs, targets, strict=True)]
        raw = torch.stack(raws)  # (B, h, w)
        notes = tuple((Note(ZERO_GRADIENT, ZERO),) * (not each.any()) for each in raws)
        return replace(clean, raw=(raw,), maps=resize(raw, inputs.shape[2:]), notes=notes)

    def _raw(self, image: Tensor, target: Target) -> Tensor:
        noise, total = self._noise or self._normal(image), torch.zeros(())
        for start in range(0, self._samples, self._batch_size):
            numbers = range(start, min(start + self._batch_size, self._samples))
            added = torch.stack([noise(image, number) for number in numbers]).to(image.device)
            noisy = (image + added).to(image.dtype)
            self._cam.explain(noisy, [target] * len(numbers), relu=False, normalize="none")
            grads = self._cam.grads
            total = total.to(grads.device) + (grads.square() if self._squared else grads).sum(0)  # (C, h, w)
        mean = total / self._samples
        return mean.sum(0) if self._squared else mean.abs().amax(0)

    def _normal(self, image: Tensor) -> Noise:
        generator = torch.Generator().manual_seed(self._seed)
        deviation = self._level * (image.max() - image.min())
        return lambda image, number: deviation * torch.randn(image.shape, generator=generator).to(image.device)


class ConsoleNoise:
    """The noise that the plug-in adds: NumPy's, from one generator for all rows of a dataset.

    The noise of a row depends on its number only: the draws of rows that are left out are made and thrown away.
    """

    def __init__(self, noise_level: float, num_samples: int, seed: int) -> None:
        self._level, self._samples = noise_level, num_samples
        self._generator = np.random.RandomState(seed)
        self._row = 0  # whose draws come next
        self._expected: deque[int] = deque()

    def expect(self, rows: Sequence[int]) -> None:
        """Say which rows come next, in ascending order."""
        self._expected.extend(rows)

    def __call__(self, image: Tensor, number: int) -> Tensor:
        """Draw noise number ``number`` of the row that is next, for its image ``(C, H, W)``."""
        if number == 0:
            row = self._expected.popleft()
            for _ in range(self._row, row):
                self._generator.normal(size=(self._samples, *image.shape))
            self._row = row + 1
        deviation = self._level * float(image.max() - image.min())
        return torch.from_numpy(self._generator.normal(0, deviation, tuple(image.shape)))
