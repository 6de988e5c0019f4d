"""VarGrad."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pytorch_grad_cam.bases.noisy_gradients import NoisyGradients

# A standard deviation of this many times the precision of the mean is rounding: the gradient is the same everywhere.
ROUNDING = 8


class VarGrad(NoisyGradients):
    """Highlights the input values whose influence on the score depends most on the rest of the image.

    ``g_i = ds/dx`` at ``x + e_i`` with Gaussian noise ``e_i``; ``V = mean_i (g_i - mean g)^2``;
    ``L(p) = sum_c V_c(p)``.

    Args:
        *args, **kwargs: as for ``NoisyGradients``: noise_level, num_samples (at least 2), batch_size, seed, noise,
            progress; layers and reshape_transform are ignored.

    Source: J. Adebayo et al., 2018, "Sanity Checks for Saliency Maps", arXiv:1810.03292.
    Note: ``attributions`` returns ``V``. A linear network has no variance anywhere.
    """

    fewest = 2
    why_zero = "the gradient is the same in every noisy copy (no noise, or a network that is linear there)"

    def statistic(self, gradients: Iterator[Tensor]) -> Tensor:
        # Chunk by chunk around the mean so far: the mean of squares less the square of the mean would cancel.
        count, mean, squares = 0, torch.zeros(()), torch.zeros(())
        for chunk in gradients:
            own = chunk.mean(0)
            if not count:
                mean, squares = torch.zeros_like(own), torch.zeros_like(own)
            total = count + len(chunk)
            step = own - mean
            squares = squares + (chunk - own).square().sum(0) + step.square() * (count * len(chunk) / total)
            mean = mean + step * (len(chunk) / total)
            count = total
        variance = squares / count
        rounding = (ROUNDING * torch.finfo(mean.dtype).eps * mean).square()
        return torch.where(variance > rounding, variance, 0)
