"""Opti-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.bases.perturbation_cam import PerturbationCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.image_model import ImageModel
from pytorch_grad_cam.engine.maps import channel_sum, resize, unit_range, widest
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, scores_of
from pytorch_grad_cam.targets.classification import Target

EPSILON = 1e-5  # share of the largest gradient
MEAN, SQUARE = 0.9, 0.999  # how slowly Adam forgets gradients and their squares


class OptiCAM(PerturbationCAM):
    """Highlights the weighted sum of channels that, used as a mask on the image, makes the score largest.

    ``L(u) = sum_k softmax_k(u) relu(A_k)``; ``u = argmax s(x * minmax(U(L(u))))``; the map is ``L(u)``.

    Args:
        steps: of Adam, each a forward and a backward pass.
        rate: its step size. It starts with equal weights, and nothing is random.
        progress: show a bar on stderr; or a function, called with the steps done and all. All other arguments as for
            ``BaseCAM``.

    Raises:
        ValueError: for no step, or a rate that is not positive.
        RuntimeError: when called, if the target does not depend on the input through the graph.

    Source: H. Zhang, F. Torres, R. Sicre, Y. Avrithis and S. Ayache, 2023, "Opti-CAM: Optimizing saliency maps for
    interpretability", arXiv:2301.07002.
    Note: the weights are those of the best mask met on the way, not of the last. The authors' script makes the score
    large, too; a target ``lambda y: -(y[c] - score).abs()`` brings it near that of the whole image instead.
    """

    def __init__(
        self, *args: Any, steps: int = 100, rate: float = 0.1, progress: Progress = False, **kwargs: Any
    ) -> None:
        if steps < 1 or not rate > 0:
            raise ValueError(f"steps={steps}, rate={rate}: give 1 or more steps and a positive rate (0.01 to 0.1)")
        super().__init__(*args, **kwargs)
        self.steps, self.rate, self.progress = steps, rate, progress

    def channel_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        activations = layer.activations
        positive = activations.relu()
        weights = torch.empty_like(activations)  # with positions: a weight counts where its channel is positive
        with progress_bar(self.steps * len(targets), "OptiCAM", self.progress) as advance:
            for row, target in enumerate(targets):
                # Image by image: Adam divides by the size of a gradient, which would lift the rounding that depends
                # on what else is in a batch.
                one = slice(row, row + 1)
                best = self._best(
                    call.run.of_row(row), call.inputs[one], positive[one].to(call.inputs.device), target, advance
                )  # (1, C)
                weights[one] = best.to(weights.device).reshape(*best.shape, *[1] * (activations.ndim - 2)) * (
                    activations[one] > 0
                )
        return weights

    def _best(
        self, run: ImageModel, image: Tensor, positive: Tensor, target: Target, advance: Callable[[int], None]
    ) -> Tensor:
        """Return the channel weights ``(1, C)`` of the best mask for one image."""
        # Scores may be tiny: their squared gradients underflow in float32. One kind of device has nothing better.
        dtype = widest(positive.device)
        free = torch.zeros(1, positive.shape[1], dtype=dtype, device=positive.device)
        mean, square = torch.zeros_like(free), torch.zeros_like(free)
        best, highest = free.softmax(1), torch.full((), -torch.inf, device=free.device)
        for step in range(1, self.steps + 1):
            weights, score, grad = _ascent(run, image, positive, free, target)
            best = torch.where(score > highest, weights, best)
            highest = torch.maximum(highest, score)
            # Adam, written out: its epsilon is a share, so that it neither outweighs the gradients of small scores
            # nor lets the rounding of a channel without influence grow to a step.
            mean, square = MEAN * mean + (1 - MEAN) * grad, SQUARE * square + (1 - SQUARE) * grad**2
            size = (square / (1 - SQUARE**step)).sqrt()
            size = size + EPSILON * size.amax()
            free = free + self.rate * mean / (1 - MEAN**step) / torch.where(size > 0, size, 1)
            advance(1)
        return best


def _ascent(
    run: ImageModel, image: Tensor, positive: Tensor, free: Tensor, target: Target
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights ``(1, C)``, the score of the image under their mask and its gradient by ``free``."""
    with torch.enable_grad():
        leaf = free.clone()
        leaf.requires_grad = True
        weights = leaf.softmax(1)
        mask = unit_range(resize(channel_sum(weights.to(positive), positive), image.shape[2:]))
        (score,) = scores_of(run(image * mask[:, None].to(image.dtype)), [target])
        (grad,) = torch.autograd.grad(score, leaf, allow_unused=True) if score.requires_grad else (None,)
    if grad is None:
        raise RuntimeError(
            "Opti-CAM needs the gradient of the target by the input, and there is none: the network detaches its "
            "input or runs a part of itself without gradients; use a method that needs none, such as ScoreCAM"
        )
    return weights.detach(), score.detach().to(free.device), grad
