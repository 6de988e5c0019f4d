"""ScoreCAM."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self, get_args

import torch
import tqdm  # code for grad-cam patches it here
from torch import Tensor
from torch.nn import functional as F

from pytorch_grad_cam.bases.perturbation_cam import PerturbationCAM
from pytorch_grad_cam.common.messages import EQUAL_WEIGHTS, Note
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import LayerRecord
from pytorch_grad_cam.engine.chunks import chunks_of
from pytorch_grad_cam.engine.maps import LINEAR, is_constant, unit_range
from pytorch_grad_cam.engine.perturb import strongest
from pytorch_grad_cam.engine.precision import PassDtype, pass_dtype
from pytorch_grad_cam.engine.scoring import (
    Progress,
    on_faster_layout,
    progress_bar,
    replaced_bar,
    scores_of_variants,
)
from pytorch_grad_cam.targets.classification import Target, returns_probabilities
from pytorch_grad_cam.targets.derived import as_probability

Change = Callable[[Tensor, Tensor], Tensor]
Weighting = Literal["auto", "softmax", "probability"]

NEARLY_EQUAL = 1.1  # the largest weight by the smallest
_EQUAL = "the channels have nearly equal weights (the largest is {:.2f} times the smallest), whatever the class"
_WEIGH = "weighting='probability' weighs them by the probability of the class"


class ScoreCAM(PerturbationCAM):
    """Highlights the channels that, used as a mask on the image, keep the score up. No gradient.

    ``H_k = minmax(U(A_k))``; ``w = softmax_k(s(x * H_k))``; ``L = relu(sum_k w_k A_k)``. The score of the baseline
    image cancels in the softmax. Asked about a probability ``p``, ``w_k = p(x * H_k)``, as in the authors' code.

    Args:
        weighting: "softmax" as above, whatever is asked; "probability": ``w_k`` is the probability of the class asked
            about, which for a class index is the authors' result; a callable is taken as one. "auto" (default):
            "probability" for ``ClassifierOutputSoftmaxTarget`` and the classes of a network whose outputs sum to 1,
            "softmax" for all else.
        batch_size: masked images per forward pass, at most; None (default): as many as the free memory of a GPU holds.
            Where the memory turns out to be too small, half as many, which is said in the log.
        channels: try only this many channels, those with the largest mean absolute activation; the others get
            weight 0. None tries all.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        dtype: of the passes over masked images: ``torch.bfloat16`` or ``torch.float16`` runs them under autocast, which
            processors and GPUs that compute in it do in half the time. The activations and the network's weights stay
            as they are. All other arguments as for ``BaseCAM``.

    Source: H. Wang et al., 2020, "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
    arXiv:1910.01279.
    Note: masks are resized with aligned corners and stretched afterwards, as in the package ``grad-cam``. The softmax
    ties the result to the scale of the logits: a spread far below 1, as of probabilities, gives every channel the same
    weight, whatever the class, which a note says. ``grad-cam`` takes it of probabilities, too. Masking a normalised
    input with 0 means masking with the mean colour.
    """

    def __init__(
        self,
        *args: Any,
        batch_size: int | None = None,
        channels: int | None = None,
        progress: Progress = False,
        weighting: Weighting = "auto",
        dtype: PassDtype = None,
        **kwargs: Any,
    ) -> None:
        if weighting not in get_args(Weighting):
            raise ValueError(f"weighting={weighting!r} is unknown; choose 'auto', 'softmax' or 'probability'")
        super().__init__(*args, **kwargs)
        self.batch_size, self.channels, self.progress = batch_size, channels, progress
        self.weighting, self.dtype = weighting, pass_dtype(dtype)

    @property
    def versions(self) -> int:
        """How many changed images each mask makes; their scores are averaged."""
        return 1

    def channel_weights(self, call: Call, layer: LayerRecord, targets: list[Target]) -> Tensor:
        activations = layer.activations
        scores = activations.new_full(activations.shape[:2], -torch.inf)
        chosen = self.channels_to_try(layer)
        tried = [_Masks.of(image, channels) for image, channels in zip(activations, chosen, strict=True)]
        chunks = chunks_of(self.batch_size, call.inputs[0])
        total = self.versions * sum(len(masks.runs) for masks in tried)
        with progress_bar(total, type(self).__name__, self.progress, replaced_bar(tqdm)) as advance:
            for row, masks in enumerate(tried):
                image = call.inputs[row : row + 1]
                run = call.run.of_row(row)
                probability = self._probability(targets[row], row, len(targets))
                by_variant = scores_of_variants(
                    len(masks.runs) * self.versions,
                    partial(
                        _masked,
                        image.shape[2:],
                        activations[row, masks.runs].to(image.device),
                        self.versions,
                        self.change(image),
                    ),
                    on_faster_layout(run) if image.device.type == "cpu" else run,
                    probability or targets[row],
                    chunks,
                    advance,
                    self.dtype,
                ).to(scores)
                means = by_variant.reshape(len(masks.runs), self.versions).mean(1)[masks.run_of]
                if probability is None:
                    scores[row, masks.channels] = means
                    scores[row] = scores[row].softmax(0)
                else:  # a constant channel says nothing of a place, and has no mask
                    scores[row] = 0
                    scores[row, masks.channels] = means.masked_fill(masks.empty, 0)
        return scores

    def _probability(self, target: Target, row: int, batch: int) -> Target | None:
        """Return what scores one image's class by its probability, where that weighs the channels; else None."""
        if self.weighting == "softmax":
            return None
        outputs = getattr(self, "outputs", None)  # None: asked for weights outside of a call
        of_probabilities = outputs is not None and returns_probabilities(outputs, row, batch)
        found = as_probability(target, of_probabilities)
        if self.weighting == "probability":
            return found or target
        return found if found == target else None

    def notes_on_weights(self, weights: Tensor | None) -> list[Note | None]:
        if weights is None or weights.ndim != 2:
            return []
        notes: list[Note | None] = []
        for row in weights.tolist():
            counting = [weight for weight in row if weight > 0]
            ratio = max(counting) / min(counting) if len(counting) > 1 else math.inf
            advice = _WEIGH if abs(sum(row) - 1) < 1e-3 else ""  # those of a softmax, not probabilities
            notes.append(Note(EQUAL_WEIGHTS, _EQUAL.format(ratio), advice) if ratio < NEARLY_EQUAL else None)
        return notes

    def channels_to_try(self, layer: LayerRecord) -> list[Tensor]:
        """Return per image the channels to try; the others get weight 0."""
        return [strongest(image, self.channels) for image in layer.activations]

    def change(self, image: Tensor) -> Change:
        """Return how masks ``(K, *S)`` in [0, 1] and the numbers of their versions ``(K,)`` change an image."""
        return lambda masks, versions: image * masks[:, None].to(image.dtype)


@dataclass(frozen=True)
class _Masks:
    """The masks that some channels of one image give: one for all that differ only in scale, which runs once.

    Late layers have many: channels that are 0, and those that one position alone excites.

    Attributes:
        channels: which are tried.
        runs: one channel for each mask, the constant ones' last.
        run_of: the place in ``runs`` of each of ``channels``.
        empty: which of ``channels`` are constant, and mask everything.
    """

    channels: Tensor
    runs: Tensor
    run_of: Tensor
    empty: Tensor

    @classmethod
    def of(cls, activations: Tensor, channels: Tensor) -> Self:
        """Find the masks of ``channels`` among activations ``(C, *s)``."""
        tried = activations[channels]
        empty = is_constant(tried)
        masks = unit_range(tried).flatten(1).cpu()  # not every device finds unique rows
        kind = masks.unique(dim=0, return_inverse=True)[1].to(channels.device)  # type: ignore[no-untyped-call]
        places = torch.arange(len(channels), device=channels.device)
        first = torch.full_like(places, len(places)).scatter_reduce(0, kind, places, "amin")[kind]  # of the same mask
        runs = places[first == places]
        runs = torch.cat([runs[~empty[runs]], runs[empty[runs]]])
        run_of = torch.empty_like(places).scatter(0, runs, torch.arange(len(runs), device=runs.device))[first]
        return cls(channels, channels[runs], run_of, empty)


def _masked(size: Sequence[int], channels: Tensor, versions: int, change: Change, chunk: slice) -> Tensor:
    """Change an image by some of ``K`` channels ``(K, *s)``, resized and stretched to [0, 1], each ``versions`` times.

    Args:
        chunk: of the ``K * versions`` variants: version ``i % versions`` of channel ``i // versions``.
    """
    first, last = chunk.start // versions, (chunk.stop - 1) // versions
    numbers = torch.arange(chunk.start, chunk.stop, device=channels.device)
    grown = F.interpolate(channels[first : last + 1, None], size=size, mode=LINEAR[len(size)], align_corners=True)
    return change(unit_range(grown[:, 0])[numbers // versions - first], numbers % versions)  # (K, C, *S)
