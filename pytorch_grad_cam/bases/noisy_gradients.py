"""Input gradients of many noisy copies of an image: what SmoothGrad and VarGrad sum up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.bases.input_cam import InputCAM, at_least
from pytorch_grad_cam.bases.input_gradients import Attributions, input_gradients
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine.chunks import Chunks, chunks_of
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.scoring import Progress, progress_bar
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec

Noise = Callable[[Tensor, int], Tensor]


class NoisyGradients(InputCAM):
    """A method that makes one number of the gradients at ``N`` noisy copies of an image.

    ``g_i = ds/dx`` at ``x + e_i``, ``e_i ~ Normal(0, sigma^2)``, ``sigma = noise_level (max x - min x)`` per image,
    over all its channels and in the network's units. The clean image decides which class is explained.

    Args:
        model, target_layers, reshape_transform: as for ``InputCAM``.
        noise_level: standard deviation of the noise as a share of the image's range; 0.1 to 0.2 is usual.
        num_samples: ``N``; beyond 50 little changes.
        batch_size: noisy copies per forward and backward pass, at most; None (default): as for ``ScoreCAM``.
        seed: of the noise. Every image is given the same draws, scaled by its own range, whatever else is in its
            batch and wherever the network is; the global random state is left alone.
        noise: gives ``e_i`` instead, from an image ``(C, *S)`` and ``i``, for each image in turn with ``i`` ascending
            from 0; then noise_level and seed play no part.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        **kwargs: as for ``BaseCAM``.

    Raises:
        ValueError: for a negative noise_level, or for fewer samples than the method needs.
    """

    fewest = 1  # samples

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        noise_level: float = 0.15,
        num_samples: int = 25,
        batch_size: int | None = None,
        seed: int = 0,
        noise: Noise | None = None,
        progress: Progress = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        at_least(noise_level=(noise_level, 0), num_samples=(num_samples, self.fewest))
        self.noise_level, self.num_samples, self.batch_size = noise_level, num_samples, batch_size
        self.seed, self.noise, self.progress = seed, noise, progress

    def statistic(self, gradients: Iterator[Tensor]) -> Tensor:
        """Sum up the gradients of one image's copies, which come in chunks ``(n, C, *S)``, as ``(C, *S)``."""
        raise NotImplementedError(f"{type(self).__name__} must override statistic")

    def attribute(self, call: Call) -> Attributions:
        outputs = call.run(call.inputs)
        targets, scores = score_targets(outputs, call.spec, len(call.inputs))
        with progress_bar(len(call.inputs) * self.num_samples, type(self).__name__, self.progress) as advance:
            chunks = chunks_of(self.batch_size, call.inputs[0], with_graph=True)
            values = [
                self.statistic(self._gradients(call.replace(run=call.run.of_row(row)), row, target, chunks, advance))
                for row, target in enumerate(targets)
            ]
        return Attributions(torch.stack(values), detached(outputs), targets, scores.detach())

    def _gradients(
        self, call: Call, row: int, target: Target, chunks: Chunks, advance: Callable[[int], None]
    ) -> Iterator[Tensor]:
        """Yield the input gradients at the noisy copies of one image, in chunks ``(n, C, *S)``."""
        image = call.inputs[row]
        noise = self.noise or self._normal(image)

        def gradients(noisy: Tensor) -> Tensor:
            return input_gradients(
                call.replace(inputs=noisy).asking(TargetSpec([target] * len(noisy))), self.relu_rule
            ).values

        start = 0
        while start < self.num_samples:  # noise is drawn once, also for what has to be done again on fewer copies
            numbers = range(start, min(start + chunks.size, self.num_samples))
            noises = [torch.as_tensor(noise(image, number), device=image.device) for number in numbers]
            noisy = (working_precision(image) + torch.stack(noises)).to(image.dtype)  # (n, C, *S)
            for _, found in chunks(len(noisy), lambda chunk, noisy=noisy: gradients(noisy[chunk])):  # type: ignore[misc]
                yield found
                advance(len(found))
            start = numbers.stop

    def _normal(self, image: Tensor) -> Noise:
        """Return the noise of one image, drawn on the CPU so that every device gets the same."""
        generator = torch.Generator().manual_seed(self.seed)
        low, high = working_precision(image).aminmax()
        deviation = self.noise_level * (high - low)

        def draw(image: Tensor, number: int) -> Tensor:
            return torch.randn(image.shape, generator=generator, device="cpu").to(image.device) * deviation

        return draw
