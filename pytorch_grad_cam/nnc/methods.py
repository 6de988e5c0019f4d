"""The methods of Neural Network Console's plug-ins, where they differ from the published ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import ZERO_GRADIENT, Note
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.engine.chunks import chunks_of
from pytorch_grad_cam.engine.diagnosis import ZERO
from pytorch_grad_cam.engine.maps import channel_sum, resize
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.smooth_grad import SmoothGrad
from pytorch_grad_cam.targets.classification import Target


class ChannelReluGradCAM(GradCAM):
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
        weights = self.get_cam_weights(input_tensor, target_layer, targets, activations, grads)
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


class LayerSmoothGrad(SmoothGrad):
    """SmoothGrad of a layer: ``explain`` takes the gradients by its output ``(B, C, H, W)``, at noisy inputs.

    ``squared`` sums the mean squares over the channels; else the largest magnitude of the means counts.
    What else ``SmoothGrad`` offers, such as ``attributions``, is of the input still.
    """

    def __init__(self, model: nn.Module, layer: nn.Module, squared: bool, **options: Any) -> None:
        super().__init__(model, mode="squared" if squared else "absolute", **options)
        self._layer_gradients = LayerGradients(model, [layer])

    def explain(self, input_tensor: Tensor, targets: Sequence[Target], **_: Any) -> Explanation:  # type: ignore[override]
        """Explain a batch; ``raw`` is ``(B, h, w)`` of the layer's size, and never negative."""
        clean = self._layer_gradients.explain(input_tensor, list(targets), relu=False, normalize="none")
        pairs = zip(input_tensor, targets, strict=True)
        values = torch.stack([self.statistic(self._noisy_gradients(image, target)) for image, target in pairs])
        raw = self.combine_channels(values)  # (B, h, w)
        notes = tuple((Note(ZERO_GRADIENT, ZERO),) * (not map.any()) for map in raw)
        return replace(clean, raw=(raw,), maps=resize(raw, input_tensor.shape[2:]), notes=notes)

    def _noisy_gradients(self, image: Tensor, target: Target) -> Iterator[Tensor]:
        noise = self.noise or self._normal(image)
        size = chunks_of(self.batch_size, image, with_graph=True).size
        for start in range(0, self.num_samples, size):
            numbers = range(start, min(start + size, self.num_samples))
            added = torch.stack([noise(image, number) for number in numbers]).to(image.device)
            noisy = (image + added).to(image.dtype)  # (n, C, H, W)
            self._layer_gradients.explain(noisy, [target] * len(numbers), relu=False, normalize="none")
            yield self._layer_gradients.grads


class ConsoleNoise:
    """The noise that the plug-in adds: NumPy's, from one generator for all rows of a dataset.

    The noise of a row depends on its number only: the draws of rows that are left out are made and thrown away.
    """

    def __init__(self, noise_level: float, num_samples: int, seed: int) -> None:
        self._level, self._samples = noise_level, num_samples
        self._seed = seed
        self._generator = np.random.RandomState(seed)
        self._row = 0  # whose draws come next
        self._expected: deque[int] = deque()

    def expect(self, rows: Sequence[int]) -> None:
        """Say which rows come next, in ascending order; if they lie before those of last time, it begins anew."""
        if rows and rows[0] < self._row:
            self._generator, self._row = np.random.RandomState(self._seed), 0
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
