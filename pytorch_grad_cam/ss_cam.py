"""SS-CAM."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from pytorch_grad_cam.score_cam import Change, ScoreCAM


class SSCAM(ScoreCAM):
    """Highlights the channels that, used as a noisy mask on the image, keep the score up. No gradient.

    ``d_k = mean_i s(x * (H_k + e_i))`` over ``N`` noises, or ``mean_i s(x * H_k + e_i)``; ``w = softmax_k(d)``;
    ``L = relu(sum_k w_k A_k)``; ``H_k`` as in ScoreCAM.
    Asked about a probability, ``w_k = d_k``: see ``weighting`` of ``ScoreCAM``.

    Args:
        num_samples: ``N``.
        std: standard deviation of the noise: on the mask in units of its range, which is 1, on the input as a share
            of the image's range.
        noise_on: "mask" (the paper's variant 1) or "input" (variant 2).
        seed: of the noise. All channels, images and calls meet the same ``N`` noises, so that channels compete under
            equal conditions. All other arguments as for ``ScoreCAM``.

    Raises:
        ValueError: for fewer than one noise, a negative std, or an unknown place.

    Source: H. Wang, R. Naidu, J. Michael and S. S. Kundu, 2020, "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature
    Localization", arXiv:2006.14255.
    Note: the published std of 2 drowns a mask in [0, 1]; the default is a fifth of its range. ``torchcam`` adds the
    noise before it stretches the mask to [0, 1], which squeezes the mask itself.
    """

    def __init__(
        self,
        *args: Any,
        num_samples: int = 35,
        std: float = 0.2,
        noise_on: Literal["mask", "input"] = "mask",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if num_samples < 1 or std < 0:
            raise ValueError(f"num_samples={num_samples}, std={std}: give 1 or more samples and a std of 0 or more")
        if noise_on not in ("mask", "input"):
            raise ValueError(f"noise_on={noise_on!r} is unknown; choose 'mask' or 'input'")
        super().__init__(*args, **kwargs)
        self.num_samples, self.std, self.noise_on, self.seed = num_samples, std, noise_on, seed

    @property
    def versions(self) -> int:
        """One per noise."""
        return self.num_samples

    def change(self, image: Tensor) -> Change:
        generator = torch.Generator().manual_seed(self.seed)
        on_mask = self.noise_on == "mask"
        shape = (self.versions, 1 if on_mask else image.shape[1], *image.shape[2:])
        noise = (torch.randn(shape, generator=generator, device="cpu") * self.std).to(image)  # (N, 1 or C, *S)

        def on_masks(masks: Tensor, versions: Tensor) -> Tensor:
            return image * (masks[:, None].to(image.dtype) + noise[versions])

        def on_input(masks: Tensor, versions: Tensor) -> Tensor:
            return image * masks[:, None].to(image.dtype) + noise[versions] * (image.amax() - image.amin())

        return on_masks if on_mask else on_input
