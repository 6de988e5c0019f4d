"""gScoreCAM."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.maps import spatial_mean
from pytorch_grad_cam.score_cam import ScoreCAM


class GScoreCAM(ScoreCAM):
    """Highlights what ScoreCAM does, from the few channels with the largest mean gradient. Several times faster.

    ``H_k = minmax(U(A_k))``; ``w = softmax_k(s(x * H_k))`` over the ``channels`` largest ``mean_p G_k``, 0 for all
    others; ``L = relu(sum_k w_k A_k)``.

    Args:
        channels: how many to try, for each image its own. All other arguments as for ``ScoreCAM``.

    Raises:
        ValueError: for fewer than one channel.

    Source: P. Chen, Q. Li, S. Biaz, T. Bui and A. Nguyen, 2022, "gScoreCAM: What objects is CLIP looking at?", ACCV.
    Note: channels that are not tried are left out of the softmax. The authors' code gives them the score 0 there, which
    is a weight when the scores are small, and takes the first image's channels for the whole batch.
    """

    uses_gradients = True

    def __init__(self, *args: Any, channels: int = 300, **kwargs: Any) -> None:
        if channels < 1:
            raise ValueError(f"channels={channels} leaves nothing to try; give 1 or more")
        super().__init__(*args, channels=channels, **kwargs)

    def channels_to_try(self, layer: LayerRecord) -> list[Tensor]:
        assert layer.grads is not None
        means = spatial_mean(layer.grads)  # (B, C)
        count = means.shape[1] if self.channels is None else min(self.channels, means.shape[1])
        return list(means.topk(count).indices.sort().values)
