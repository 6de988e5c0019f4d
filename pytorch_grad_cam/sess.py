"""SESS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.bases.wrapper_cam import WrapperCAM
from pytorch_grad_cam.common.messages import CONSTANT, Note
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.chunks import Chunks
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, scores_of
from pytorch_grad_cam.engine.trees import map_tensors
from pytorch_grad_cam.engine.windows import (
    crop,
    gaussian_blur,
    resize_antialiased,
    size_with_shorter_side,
    window_corners,
    window_starts,
)
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.derived import as_probability
from pytorch_grad_cam.targets.spec import TargetSpec, class_scores

Pool = Literal["mean", "max"]
Place = tuple[tuple[int, ...], tuple[int, ...]]  # where a window begins, and the size of the picture it is cut from
BLUR, RADIUS = 5.0, 5  # of the smoothing at the end, in pixels
UNSEEN = Note(CONSTANT, "no window's map says anything: each is empty, or its window does not show the target")


class SESS(WrapperCAM):
    """Highlights an object at any scale and in every place: a base method's maps of many windows, put together.

    The picture is resized to several scales and cut into windows; each window's map, weighted by the target's score
    there, goes back to where the window came from: ``L = minmax(mean_i a_i U(L_i))`` over the windows ``i`` that say
    something at a position.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        base_method: the class of the method that makes the windows' maps.
        scales: lengths of the picture's shorter side, in pixels; None: ``num_scales`` of them, from the window's size
            upward in steps of ``scale_step_ratio`` windows.
        num_scales, scale_step_ratio: see ``scales``.
        window_size: side of the windows in pixels, or one side per spatial axis for a network that takes no squares;
            None: the picture's shorter side.
        step_size: how far windows are apart; None: one window. The last one is moved back inside.
        pre_filter_ratio: share of the windows, those with the lowest scores, that are left out; in [0, 1).
        theta: a weighted map counts at a position only above this, in [0, 1).
        pool: "mean" of what counts at a position, or "max".
        smooth: blur the result a little.
        use_softmax_scores: weigh windows by the target of the softmax of the outputs; False: by the target itself,
            negative ones as 0.
        batch_size: windows per forward pass.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        **kwargs: handed to the base method.

    Raises:
        ValueError: for an option outside its range; when called, for a scale that is smaller than the window.

    Source: O. Tursun et al., 2022, "SESS: Saliency Enhancing with Scaling and Sliding", arXiv:2207.01769.
    Note: on 47 questions about photos with several objects the share of the map inside the boxes asked for rose from
    0.376 (GradCAM, the method inside) to 0.410 with SqueezeNet, from 0.378 to 0.427 with MobileNetV2; hits from 30 to
    31 and from 29 to 31 (`benchmarks/results/localisation.md`).
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        base_method: Callable[..., BaseCAM] = GradCAM,
        scales: Sequence[int] | None = None,
        num_scales: int = 12,
        scale_step_ratio: float = 2 / 7,
        window_size: int | Sequence[int] | None = None,
        step_size: int | None = None,
        pre_filter_ratio: float = 0.0,
        theta: float = 0.0,
        pool: Pool = "mean",
        smooth: bool = True,
        use_softmax_scores: bool = True,
        batch_size: int = 32,
        *,
        progress: Progress = False,
        **kwargs: Any,
    ) -> None:
        if pool not in get_args(Pool):
            raise ValueError(f"pool={pool!r} is unknown; choose 'mean' or 'max'")
        if not 0 <= pre_filter_ratio < 1:
            raise ValueError(f"pre_filter_ratio={pre_filter_ratio} is not a share to leave out; give one in [0, 1)")
        if num_scales < 1:
            raise ValueError(f"num_scales={num_scales} must be at least 1")
        super().__init__(model, target_layers, reshape_transform, base_method, **kwargs)
        self.uses_targets = True  # the weights of the windows do, whatever the base
        self.scales, self.num_scales, self.scale_step_ratio = scales, num_scales, scale_step_ratio
        self.window_size, self.step_size, self.pre_filter_ratio = window_size, step_size, pre_filter_ratio
        self.theta, self.pool, self.smooth = theta, pool, smooth
        self.use_softmax_scores, self.batch_size, self.progress = use_softmax_scores, batch_size, progress

    def explain_call(self, call: Call) -> CallResult:
        whole = self.base_cam.explain_call(call)
        if not self.base_cam.uses_targets:
            targets, scores = score_targets(whole.outputs, call.spec, len(call.inputs))
            whole = whole.replace(targets=targets, scores=scores)
        chunks = Chunks(self.batch_size)
        raw = torch.stack([self._of_image(call, row, target, chunks) for row, target in enumerate(whole.targets)])
        notes = tuple((UNSEEN,) if flat else () for flat in maps.is_constant(raw).tolist())
        scaled = call.options.normalize(maps.resize(raw, call.options.size)).float()
        return whole.replace(maps=scaled, raw=(raw,), weights=(None,), notes=notes)

    def _of_image(self, call: Call, row: int, target: Target, chunks: Chunks) -> Tensor:
        """Return the map ``(*S)`` of one image."""
        image, run = call.inputs[row : row + 1], call.run.of_row(row)
        window = self._window(image)
        crops, places = self._crops(image, window)
        if self.pre_filter_ratio:

            def scored(chunk: slice) -> Tensor:
                with torch.no_grad():
                    return self._scores(run(torch.cat(crops[chunk])), target, chunk)

            first = torch.cat([found for _, found in chunks(len(crops), scored)])
            # The order of equal scores is that of the windows.
            kept = first.argsort(stable=True)[int(len(crops) * self.pre_filter_ratio) :].tolist()
            crops, places = [crops[index] for index in kept], [places[index] for index in kept]
        # However the result is scaled: a window's map says where in it, and its score how much that counts.
        scale = maps.unit_range if call.options.relu else maps.unit_peak

        def explained(chunk: slice) -> tuple[Tensor, Tensor]:
            count = len(crops[chunk])
            windows = call.replace(inputs=torch.cat(crops[chunk]), run=run.of_copies(count))
            windows = windows.asking(TargetSpec([target] * count)).with_options(size=window, normalize=scale)
            result = self.base_cam.explain_call(windows)
            return result.maps, self._scores(result.outputs, target, chunk)

        results, scores = [], []
        with progress_bar(len(crops), "SESS", self.progress) as advance:
            for _, (found, counting) in chunks(len(crops), explained):
                results.append(found)
                scores.append(counting)
                advance(len(found))
        return self._fused(torch.cat(results), torch.cat(scores), places, tuple(image.shape[2:]))

    def _fused(self, by_window: Tensor, scores: Tensor, places: Sequence[Place], size: tuple[int, ...]) -> Tensor:
        """Put the windows' maps ``(N, *w)``, weighted by scores ``(N,)``, together to one of the picture's size."""
        highest = scores.max()
        weights = torch.where(highest > 0, scores / highest, 1.0).to(by_window)
        total, count = by_window.new_zeros(size), by_window.new_zeros(size)
        for one, weight, (start, whole) in zip(by_window, weights, places, strict=True):
            pasted = one.new_zeros(whole)
            crop(pasted, start, tuple(one.shape)).copy_(one * weight)
            vote = maps.resize(pasted[None], size)[0]
            if self.pool == "max":
                total = torch.where(vote.abs() > total.abs(), vote, total)
            else:
                counts = vote.abs() > self.theta
                total += vote * counts
                count += counts
        mean = total if self.pool == "max" else total / count.clamp_min(1)
        return gaussian_blur(mean, BLUR, RADIUS) if self.smooth else mean

    def _scores(self, outputs: Any, target: Target, chunk: slice) -> Tensor:
        """Return the weights ``(K,)`` of some windows, from what the model returns for them."""
        count = chunk.stop - chunk.start
        with torch.no_grad():
            if not self.use_softmax_scores:
                return maps.working_precision(scores_of(outputs, [target] * count)).clamp_min(0)
            classes, _ = class_scores(outputs, "the softmax weighs the windows (unless use_softmax_scores=False)")
            if classes.shape[1] == 1:  # yes or no: the probability of what was asked
                return maps.working_precision(scores_of(outputs, [target] * count)).sigmoid()
            likely = map_tensors(outputs, lambda tensor: tensor.softmax(1) if tensor is classes else tensor)
            seen = as_probability(target, of_probabilities=True) or target  # of log odds the probability, too
            return maps.working_precision(scores_of(likely, [seen] * count)).clamp_min(0)

    def _window(self, image: Tensor) -> tuple[int, ...]:
        return self._window_of(tuple(image.shape[2:]))

    def _window_of(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if self.window_size is None or isinstance(self.window_size, int):
            return (self.window_size or min(size),) * len(size)
        if len(self.window_size) != len(size):
            raise ValueError(f"window_size={tuple(self.window_size)} must have {len(size)} sides, or be one number")
        return tuple(self.window_size)

    def get_scales(self, window_size: int) -> list[int]:
        """Return the lengths of the shorter side for windows whose shorter side is this."""
        if self.scales is not None:
            return list(self.scales)
        step = round(window_size * self.scale_step_ratio)
        return [window_size + step * index for index in range(self.num_scales)]

    def count_windows(self, size: Sequence[int]) -> int:
        """Return how many windows an image of spatial size ``S`` has at all scales: passes of the base method."""
        window = self._window_of(tuple(size))
        return sum(
            sum(1 for _ in window_corners(size_with_shorter_side(tuple(size), scale), window, self.step_size))
            for scale in self.get_scales(min(window))
        )

    def _crops(self, image: Tensor, window: tuple[int, ...]) -> tuple[list[Tensor], list[Place]]:
        """Cut the windows ``(1, C, *w)`` out of one image at every scale."""
        crops, places = [], []
        for scale in self.get_scales(min(window)):
            whole = size_with_shorter_side(tuple(image.shape[2:]), scale)
            if any(side < needed for side, needed in zip(whole, window, strict=True)):
                raise ValueError(
                    f"at scale {scale} the picture is {whole}, smaller than the window {window}; give larger scales "
                    "or a smaller window_size"
                )
            scaled = resize_antialiased(image, whole)
            for start in window_corners(whole, window, self.step_size):
                crops.append(crop(scaled, start, window))
                places.append((start, whole))
        return crops, places


def sliding_window(height: int, width: int, step_size: int, window_size: int) -> list[tuple[int, int]]:
    """Return the left upper corners (x, y) of the square windows that cover a picture, row by row."""
    rows, columns = (window_starts(length, step_size, window_size) for length in (height, width))
    return [(x, y) for y in rows for x in columns]
