"""SmoothGrad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor

from pytorch_grad_cam.bases.noisy_gradients import NoisyGradients

MODES = ("absolute", "signed", "squared")


class SmoothGrad(NoisyGradients):
    """Highlights the input values whose change moves the score, averaged over noisy copies of the image.

    ``g_i = ds/dx`` at ``x + e_i`` with Gaussian noise ``e_i``; ``M = mean_i g_i``; ``L(p) = max_c |M_c(p)|``.

    Args:
        mode: "absolute" as above; "signed": ``L(p) = sum_c M_c(p)``, shown in full by ``relu=False``; "squared":
            ``M = mean_i g_i^2``, ``L(p) = sum_c M_c(p)``, a different map with fewer faint places.
        *args, **kwargs: as for ``NoisyGradients``: noise_level, num_samples, batch_size, seed, noise, progress; layers
            and reshape_transform are ignored.

    Raises:
        ValueError: for another mode, a negative noise_level, or no samples.

    Source: D. Smilkov et al., 2017, "SmoothGrad: removing noise by adding noise", arXiv:1706.03825; squared:
    S. Hooker et al., 2018, "A Benchmark for Interpretability Methods in Deep Neural Networks", arXiv:1806.10758.
    Note: ``attributions`` returns ``M``. The magnitude is taken after the average: only so does what changes its sign
    from copy to copy cancel. The paper leaves open how channels are combined; the maximum is that of Simonyan et al.
    """

    def __init__(self, *args: Any, mode: Literal["absolute", "signed", "squared"] = "absolute", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if mode not in MODES:
            raise ValueError(f"mode={mode!r} is unknown; choose one of {', '.join(map(repr, MODES))}")
        self.mode = mode

    def statistic(self, gradients: Iterator[Tensor]) -> Tensor:
        total = sum((chunk.square() if self.mode == "squared" else chunk).sum(0) for chunk in gradients)
        assert isinstance(total, Tensor)
        return total / self.num_samples

    def combine_channels(self, values: Tensor) -> Tensor:
        return values.abs().amax(1) if self.mode == "absolute" else values.sum(1)
