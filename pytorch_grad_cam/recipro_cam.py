"""Recipro-CAM."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.replay_cam import ReplayCAM
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.core.pipeline import WeightsAndMap
from pytorch_grad_cam.engine.chunks import chunks_of
from pytorch_grad_cam.engine.perturb import BINOMIAL, SINGLE, Positions, position_masks
from pytorch_grad_cam.engine.precision import PassDtype, pass_dtype
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, scores_of_variants
from pytorch_grad_cam.targets.classification import Target

log = logging.getLogger(__name__)


class ReciproCAM(ReplayCAM):
    """Highlights the positions whose features alone, everything else dark, bring the score. No gradient.

    ``L(p) = s(T(A * m_p))``, ``T`` what follows the layer, ``m_p`` a mask that keeps position ``p`` only; no ReLU.

    Args:
        batch_size: masked activations per forward pass through what follows the layer, at most; None (default):
            as for ``ScoreCAM``.
        spread: keep a binomial kernel around ``p`` instead, (1 2 1) / 4 along each axis, cut at the border.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        dtype: of the passes over masked activations, as for ``ScoreCAM``. All other arguments as for ``BaseCAM``.

    Source: S.-Y. Byun and W. Lee, 2022, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural
    networks", arXiv:2209.14074.
    Note: the score is the target's, by default the logit; the paper takes the probability, which is
    ``targets=ClassifierOutputSoftmaxTarget(c)``. Under the kernel every neighbour keeps its own features, where the
    authors' code copies those of ``p``. There are no channels here, so ``eigen_smooth`` is ignored.
    """

    # A score has no zero of its own: the paper stretches its map from the darkest place to the brightest.
    rectifies = False

    def __init__(
        self,
        *args: Any,
        batch_size: int | None = None,
        spread: bool = False,
        progress: Progress = False,
        dtype: PassDtype = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.batch_size, self.spread, self.progress, self.dtype = batch_size, spread, progress, pass_dtype(dtype)

    def layer_map(self, call: Call, layer: LayerRecord, targets: list[Target]) -> WeightsAndMap:
        if type(self).get_cam_image is not BaseCAM.get_cam_image:  # somebody's own class
            return super().layer_map(call, layer, targets)
        if call.options.eigen_smooth:
            log.info("%s has no channels; eigen_smooth is ignored", type(self).__name__)
        activations = layer.activations
        grid = activations.shape[2:]
        count, kernel = math.prod(grid), BINOMIAL if self.spread else SINGLE
        maps, chunks = [], chunks_of(self.batch_size, activations[0], is_activation=True)
        with progress_bar(count * len(targets), type(self).__name__, self.progress) as advance:
            for row, target in enumerate(targets):
                replay = self.replay(call, layer, row)
                positions = Positions(replay.activations, call.layout)

                def masks(chunk: slice) -> Tensor:
                    return position_masks(grid, chunk, kernel, activations)

                run = self.masked_replay(layer, replay, positions)
                scores = scores_of_variants(count, masks, run, target, chunks, advance, self.dtype)
                maps.append(scores.to(activations).reshape(grid))
        return None, torch.stack(maps)  # (B, *s)

    def masked_replay(self, layer: LayerRecord, replay: Replay, positions: Positions) -> Callable[[Tensor], Any]:
        """Return what turns masks ``(K, n)`` into the network's outputs for ``K`` images."""
        return lambda masks: replay(positions.masked(masks))
