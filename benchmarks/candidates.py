"""Definitions that were tried for a method of our own: each one pass forward and one back, and no parameter.

All look at one layer per resolution (``target_layers="stages"``): ``e_l = sum_k G_k A_k`` is the local evidence of
layer ``l`` (HiResCAM, signed), ``c = sum_k mean(G_k) A_k`` GradCAM's map of the last layer; ``U`` resizes to the input,
``n_l`` is a layer's number of positions.

Candidates that ask the same of the same images share a pass, so that comparing many costs little more than comparing
one; see `OfStages.explain_call`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam import GradCAM, GradCAMElementWise, HiResCAM, LayerCAM, ShapleyCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call, CallResult
from pytorch_grad_cam.core.forward_pass import ScoredPass
from pytorch_grad_cam.engine.layers import STAGES
from pytorch_grad_cam.engine.maps import per_image, resize, unit_range
from pytorch_grad_cam.targets.classification import ClassifierOutputReST, Target
from pytorch_grad_cam.targets.derived import rather_than_rest

_KEPT = 12  # passes: as many as the metrics of one batch ask for


class OfStages(BaseCAM):
    """What the candidates share: local evidence of one layer per resolution, and passes that are run once.

    A pass is known by the network, the layers, the images, what is asked and how classes are scored; networks whose
    weights change between calls must not be explained so.
    """

    tensors = True
    _passes: ClassVar[OrderedDict[Any, tuple[nn.Module, ScoredPass]]] = OrderedDict()

    def __init__(self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None) -> None:
        super().__init__(model, STAGES if target_layers is None else target_layers, reshape_transform)

    @classmethod
    def forget(cls) -> None:
        """Let go of all passes."""
        OfStages._passes.clear()

    def explain_call(self, call: Call) -> CallResult:
        layers = tuple(map(id, call.target_layers))
        asked = (call.inputs.numpy(force=True).tobytes(), repr(call.specs[0]), str(self.class_target))
        key = (id(self.model), layers, *asked)
        if key not in self._passes:
            self._passes[key] = self.model, pipeline.forward(self, call).score(call.specs[0])  # the model lives on
            while len(self._passes) > _KEPT:
                self._passes.popitem(last=False)
        return pipeline.weigh_and_combine(self, call, call.inputs, self._passes[key][1])

    get_cam_weights = HiResCAM.get_cam_weights

    def combine_layers(self, call: Call, targets: list[Target], raws: Sequence[Tensor]) -> Tensor:
        signed = self.fused([raw.double() for raw in raws], call.options.size)
        return call.options.normalize(signed.relu() if call.options.relu else signed).float()

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Make one signed map ``(B, *size)`` of the layers' signed maps ``(B, *s)``; default: `mean_of`."""
        return mean_of(raws, size)


class LastIsGradCAM(OfStages):
    """Local evidence at the earlier layers, GradCAM at the last."""

    def get_cam_weights(self, input_tensor: Tensor, target_layer: nn.Module, *given: Any) -> Tensor:
        assert self.target_layers is not None
        method = GradCAM if target_layer is self.target_layers[-1] else HiResCAM
        return method.get_cam_weights(self, input_tensor, target_layer, *given)


def stretched(raw: Tensor, size: Sequence[int]) -> Tensor:
    """Return the positive evidence of one layer in [0, 1], resized."""
    return resize(unit_range(raw.relu()), size)


def mean_of(raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Average the layers' positive evidence, each stretched to [0, 1]."""
    return torch.stack([stretched(raw, size) for raw in raws]).mean(0)


def balanced(raw: Tensor) -> Tensor:
    """Divide a layer's map ``(B, *s)`` by the mean of its absolute values; 0 stays 0."""
    scale = raw.flatten(1).abs().mean(1)
    return raw / per_image(torch.where(scale > 0, scale, torch.inf), raw)


def in_cells(raw: Tensor, like: Tensor) -> Tensor:
    """Average a map over the cells of the grid of a coarser one; one that is no finer stays."""
    if all(mine <= other for mine, other in zip(raw.shape[1:], like.shape[1:], strict=True)):
        return raw
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[raw.ndim - 2]
    return pool(raw[:, None], tuple(like.shape[1:]))[:, 0]


class GradCAMLast(LastIsGradCAM):
    """GradCAM at the last layer, with what is compared: ``relu(c)``."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        return resize(raws[-1].relu(), size)  # as GradCAM: ReLU first


class GradCAMStages(OfStages):
    """GradCAM at each layer, averaged."""

    get_cam_weights = GradCAM.get_cam_weights


class HiResStages(OfStages):
    """``mean_l minmax(relu(e_l))``."""


class LayerCAMStages(OfStages):
    """``mean_l minmax(sum_k relu(G_k) A_k)``."""

    get_cam_weights = LayerCAM.get_cam_weights


class ElementWiseStages(OfStages):
    """``mean_l minmax(sum_k relu(G_k A_k))``."""

    get_cam_weights = GradCAMElementWise.get_cam_weights


class ScoreUnits(OfStages):
    """``relu(sum_l n_l U(e_l))``: evidence for and against in units of the score, which each layer shares out."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        return torch.stack([resize(raw * raw[0].numel(), size) for raw in raws]).sum(0)


class Balanced(OfStages):
    """``relu(sum_l U(e_l / mean|e_l|))``: signed, each layer with as much absolute evidence."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        return torch.stack([resize(balanced(raw), size) for raw in raws]).sum(0)


class Halves(LastIsGradCAM):
    """Half GradCAM at the last layer, half the mean of the earlier layers' local evidence."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        last = stretched(raws[-1], size)
        return last if len(raws) == 1 else (last + mean_of(raws[:-1], size)) / 2


class Geometric(LastIsGradCAM):
    """``sqrt(last (local + mean local))``: agreement with a floor, so that no earlier layer zeroes a place."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        last = stretched(raws[-1], size)
        if len(raws) == 1:
            return last
        local = mean_of(raws[:-1], size)
        return (last * (local + per_image(local.flatten(1).mean(1), local))).sqrt()


class Harmonic(LastIsGradCAM):
    """The harmonic mean of the last map and the earlier evidence, each with its own mean as floor."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        last = stretched(raws[-1], size)
        if len(raws) == 1:
            return last
        one, two = (each + per_image(each.flatten(1).mean(1), each) for each in (last, mean_of(raws[:-1], size)))
        total = one + two
        return one * two / torch.where(total > 0, total, 1)


class Boosted(LastIsGradCAM):
    """``last (1 + local)``: the last map, up to twice as strong where earlier layers find evidence, too."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        last = stretched(raws[-1], size)
        return last if len(raws) == 1 else last * (1 + mean_of(raws[:-1], size))


class Sharpened(LastIsGradCAM):
    """``last (local + m) / (U(cells(local)) + m)``: detail moves within a cell of the last layer, never between cells.

    ``m`` is the mean of the local evidence.
    """

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        last = stretched(raws[-1], size)
        if len(raws) == 1:
            return last
        local = mean_of(raws[:-1], size)
        floor = per_image(local.flatten(1).mean(1), local)
        around = resize(in_cells(local, raws[-1]), size) + floor
        return last * torch.where(around > 0, (local + floor) / torch.where(around > 0, around, 1), 1)


class Cells(LastIsGradCAM):
    """``relu(sum_l e_l / mean|e_l|)``, the earlier ``e_l`` averaged, for and against, over cells of the last grid."""

    def fused(self, raws: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        return resize(torch.stack([balanced(in_cells(raw, raws[-1])) for raw in raws]).sum(0).relu(), size)


class GradCAMLastRest(GradCAMLast):
    """GradCAM at the last layer, of the log odds."""

    class_target = staticmethod(rather_than_rest)


class HiResStagesRest(HiResStages):
    """Local evidence averaged over layers, of the log odds."""

    class_target = staticmethod(rather_than_rest)


class SharpenedRest(Sharpened):
    """The sharpened map, of the log odds."""

    class_target = staticmethod(rather_than_rest)


class CellsRest(Cells):
    """The sum in cells, of the log odds."""

    class_target = staticmethod(rather_than_rest)


def _rest(category: int, scores: Tensor) -> Target:
    """Score a class by its logit and its log probability, ShapleyCAM's score."""
    return ClassifierOutputReST(category)


class GradCAMLastReST(GradCAMLast):
    """GradCAM at the last layer, of ShapleyCAM's score ``y_c + log softmax(y)_c``: half logit, half log odds."""

    class_target = staticmethod(_rest)


class BoostedReST(Boosted):
    """``last (1 + local)`` of ShapleyCAM's score."""

    class_target = staticmethod(_rest)


class ShapleyLast(ShapleyCAM):
    """ShapleyCAM at the last layer: GradCAM's weights less half the curvature, of the paper's score."""

    def __init__(self, model: nn.Module, target_layers: Any = None, reshape_transform: Any = None) -> None:
        last = target_layers[-1:] if isinstance(target_layers, (list, tuple)) else target_layers
        super().__init__(model, last, reshape_transform)


ANCHOR = "gradcam"
FIRST: dict[str, type[BaseCAM]] = {
    ANCHOR: GradCAMLast,
    "gradcam, stages": GradCAMStages,
    "hirescam, stages": HiResStages,
    "layercam, stages": LayerCAMStages,
    "elementwise, stages": ElementWiseStages,
    "score units": ScoreUnits,
    "balanced": Balanced,
    "halves": Halves,
    "geometric": Geometric,
    "harmonic": Harmonic,
    "boosted": Boosted,
    "sharpened": Sharpened,
    "cells": Cells,
    "gradcam, log odds": GradCAMLastRest,
    "hirescam, stages, log odds": HiResStagesRest,
    "sharpened, log odds": SharpenedRest,
    "cells, log odds": CellsRest,
    "shapleycam": ShapleyLast,
}
# Thought of when the first round had been seen on the development half: ShapleyCAM's score seemed to be what helps.
SECOND: dict[str, type[BaseCAM]] = {
    "gradcam, ReST": GradCAMLastReST,
    "boosted, ReST": BoostedReST,
}
CANDIDATES = FIRST | SECOND
ROUNDS = (tuple(FIRST), (ANCHOR, *SECOND))  # each is measured beside GradCAM
