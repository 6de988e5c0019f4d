"""Case: some images with their maps, and every changed version of them that a metric asks for, run once.

Symbols of all metrics: ``x`` an image, ``M`` its map scaled to [0, 1], ``s`` the score that is explained, ``N`` the
number of positions, ``G`` the positions of the object. The target is fixed on the unchanged images.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.arrays import to_numpy
from pytorch_grad_cam.engine.maps import is_constant, unit_range
from pytorch_grad_cam.engine.scoring import on_faster_layout, scores_of
from pytorch_grad_cam.metrics.questions import SCORINGS, Scoring, as_probability
from pytorch_grad_cam.metrics.scores import Model, inputs_for, outputs_of, say_themselves
from pytorch_grad_cam.targets.classification import Target, Targets
from pytorch_grad_cam.targets.spec import resolve_targets

# From the indices of some images (n,) and of a version of each (n,) to the changed images (n, C, *S).
Change = Callable[[Tensor, Tensor], Tensor]


class Explain(Protocol):
    """What explains again: maps ``(B, *S)`` of images, for targets that are fixed."""

    def __call__(self, inputs: Tensor, targets: Sequence[Target], model: Any) -> Any: ...


class Case:
    """What a metric is given. Several metrics that are given the same case share its passes.

    Args:
        inputs: ``(B, C, *S)``, as the model takes them.
        maps: ``(B, *S)``, array or tensor, as large as the images.
        targets: what is scored: None (each image's top class), class indices, or callables from one image's output to
            a number. A class stands for its probability, see ``score``; ``ClassifierOutputTarget(c)`` for its logit.
        model: a network, which stays as it is, or any callable from a batch to outputs; None where nothing runs.
        masks: bool ``(B, *S)``, where the object is.
        boxes: per image the object's boxes ``(K, 4)``: x1, y1, x2, y2 in positions of the map, the last exclusive.
        explain: makes maps of other images, or of another network; see `Explain`.
        batch_size: changed images per forward pass.
        seed: of everything that is drawn: the order of equal values, noise, subsets.
        score: what the probability of a class is, see ``metrics.questions``: "softmax" or "sigmoid" of its logit, of a
            segmentation network the mean of it where the class is predicted in the unchanged image; or "raw", the
            number itself.
        networks: copies of the model with random weights, of earlier cases; None: none are known.

    Attributes:
        passes: how many images have gone through the model so far.

    Raises:
        ValueError: for maps, masks or targets that do not go with the images.
    """

    def __init__(
        self,
        inputs: Tensor,
        maps: Any,
        targets: Targets = None,
        model: Model | None = None,
        *,
        masks: Any = None,
        boxes: Sequence[Any] | None = None,
        explain: Explain | None = None,
        batch_size: int = 32,
        seed: int = 0,
        score: Scoring = "softmax",
        networks: dict[Hashable, nn.Module] | None = None,
    ) -> None:
        if score not in SCORINGS:
            raise ValueError(f"score={score!r} is unknown; give one of {', '.join(map(repr, SCORINGS))}")
        self.model, self.explain, self.batch_size, self.seed, self.score = model, explain, batch_size, seed, score
        self.inputs = inputs.detach() if model is None else inputs_for(model, inputs)
        self.maps = _fitting(maps, self.inputs, "maps").to(torch.float64 if _is_double(maps) else torch.float32)
        self.masks = None if masks is None else _fitting(masks, self.inputs, "masks").bool()
        self.boxes = None if boxes is None else [_box_rows(rows, index) for index, rows in enumerate(boxes)]
        if self.boxes is not None and len(self.boxes) != len(self.inputs):
            raise ValueError(f"{len(self.boxes)} lists of boxes were given for {len(self.inputs)} images")
        self.passes = 0
        self._outputs_of = None if model is None else on_faster_layout(partial(outputs_of, model))
        self._asked = targets
        self._scores: dict[Hashable, Tensor] = {}
        self.networks = {} if networks is None else networks

    def with_maps(self, maps: Any, explain: Explain | None = None) -> Case:
        """Return the case of other maps of the same images: what does not depend on the maps is not run again."""
        other = Case(
            self.inputs,
            maps,
            self._asked,
            self.model,
            explain=explain,
            batch_size=self.batch_size,
            seed=self.seed,
            score=self.score,
            networks=self.networks,
        )
        other.masks, other.boxes = self.masks, self.boxes
        if self.model is not None:
            other.__dict__.update({name: getattr(self, name) for name in ("outputs", "explained_targets", "targets")})
        return other

    @cached_property
    def outputs(self) -> Any:
        """What the model returns for the unchanged images."""
        return self.run(self.inputs)

    @cached_property
    def explained_targets(self) -> list[Target]:
        """What the maps explain, one callable per image: of a class its logit."""
        outputs = None if say_themselves(self._asked) else self.outputs  # no need to run the model
        return resolve_targets(self._asked, outputs, len(self.inputs))

    @cached_property
    def targets(self) -> list[Target]:
        """What is scored, one callable per image: of a class that was not given as a callable its probability."""
        given = self._asked if isinstance(self._asked, Sequence) else [self._asked] * len(self.inputs)
        return [
            target if callable(asked) and not isinstance(asked, Tensor) else as_probability(target, self.score)
            for target, asked in zip(self.explained_targets, given, strict=True)
        ]

    @cached_property
    def scores(self) -> Tensor:
        """The scores of the unchanged images ``(B,)``, float64."""
        return scores_of(self.outputs, self.targets).detach().double()

    @cached_property
    def unit_maps(self) -> Tensor:
        """``M``: each map in [0, 1]. A constant map has no range: within [0, 1] it stays as it is."""
        inside = (self.maps.flatten(1) >= 0).all(1) & (self.maps.flatten(1) <= 1).all(1)
        kept = (self.constant & inside).reshape(-1, *[1] * (self.maps.ndim - 1))
        return torch.where(kept, self.maps, unit_range(self.maps))

    @cached_property
    def constant(self) -> Tensor:
        """Which maps have one value everywhere: bool ``(B,)``."""
        return is_constant(self.maps)

    @cached_property
    def unusable(self) -> Tensor:
        """Which maps say nothing at all: those with NaN or infinity, and those that are 0 everywhere."""
        flat = self.maps.flatten(1)
        return ~flat.isfinite().all(1) | (flat == 0).all(1)

    @cached_property
    def ranks(self) -> Tensor:
        """The place of each position in descending order of the map, from 0: ``(B, *S)``.

        Equal values, of which a map behind a ReLU has many, are put in a random order that the seed fixes.
        """
        flat = self.maps.flatten(1)
        generator = torch.Generator().manual_seed(self.seed)
        shuffled = torch.randperm(flat.shape[1], generator=generator, device="cpu").to(flat.device)
        order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]  # (B, N)
        places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
        return torch.empty_like(order).scatter_(1, order, places).reshape(self.maps.shape)

    def run(self, images: Tensor) -> Any:
        """Run the model on some images, in evaluation mode and without a graph."""
        if self._outputs_of is None:
            raise ValueError("this metric runs the model; give it: metric(inputs, maps, targets, model)")
        self.passes += len(images)
        return self._outputs_of(images)

    def scores_of_versions(self, kind: Hashable, versions: Sequence[Hashable], change: Change) -> Tensor:
        """Score changed versions of every image; a version that has been scored before is not run again.

        Args:
            kind: of change; with the version it says all that ``change`` depends on beside the case.
            versions: ``K`` of them.
            change: from indices of images and of versions to the changed images.

        Returns:
            ``(B, K)`` float64.
        """
        new = [index for index, version in enumerate(versions) if (kind, version) not in self._scores]
        if new:
            found = self._run_versions(torch.tensor(new, device=self.inputs.device), change)
            self._scores.update({(kind, versions[index]): found[:, place] for place, index in enumerate(new)})
        return torch.stack([self._scores[kind, version] for version in versions], 1)

    def _run_versions(self, versions: Tensor, change: Change) -> Tensor:
        count, scores = len(self.inputs) * len(versions), []
        for start in range(0, count, self.batch_size):
            pairs = torch.arange(start, min(start + self.batch_size, count), device=versions.device)
            rows = pairs // len(versions)
            changed = change(rows, versions[pairs % len(versions)]).to(self.inputs)
            asked = [self.targets[row] for row in rows.tolist()]
            scores.append(scores_of(self.run(changed), asked).detach().double())
        return torch.cat(scores).reshape(len(self.inputs), len(versions))

    def explained(
        self, kind: Hashable, inputs: Tensor, model: Any = None, targets: Sequence[Target] | None = None
    ) -> Tensor:
        """Explain changed images, another network or other targets: ``(B, *S)``; once for each ``kind``.

        Args:
            kind: says all that the maps depend on beside the case.
            inputs: ``(B, C, *S)``.
            model: None: that of the case.
            targets: None: ``explained_targets``.
        """
        asked = self.explained_targets if targets is None else targets
        return self.once(("explained", kind), lambda: self.explain_others(inputs, asked, model))

    def explain_others(self, inputs: Tensor, targets: Sequence[Target], model: Any = None) -> Tensor:
        """Explain any images of any size, one target for each: ``(B, *S)``. They are not kept."""
        if self.explain is None:
            raise ValueError(
                "this metric explains again; give it what made the maps: explain=lambda inputs, targets, model: ..."
            )
        maps = self.explain(inputs, list(targets), self.model if model is None else model)
        return _fitting(maps, inputs, "maps that explain() made").to(self.maps)

    def once(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """Return what several metrics need of these images and maps, made when it is first asked for."""
        if key not in self._scores:
            self._scores[key] = make()
        return self._scores[key]


def _is_double(values: Any) -> bool:
    return getattr(values, "dtype", None) in (torch.float64, np.float64)


def _fitting(values: Any, inputs: Tensor, what: str) -> Tensor:
    """Return maps or masks as a tensor on the images' device.

    Raises:
        ValueError: if their number or size is not that of the images.
    """
    tensor = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    expected = (len(inputs), *inputs.shape[2:])
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"the {what} have the shape {tuple(tensor.shape)}; for an input {tuple(inputs.shape)} they must "
            f"be {expected}: one per image, of its size"
        )
    return tensor.to(inputs.device)


def _box_rows(rows: Any, index: int) -> Tensor:
    table = np.asarray(to_numpy(rows), dtype=np.float64)
    boxes = torch.as_tensor(table).reshape(-1, 4) if table.size % 4 == 0 else None
    if boxes is None or bool((boxes[:, 2:] <= boxes[:, :2]).any()):
        raise ValueError(f"the boxes of image {index} must be rows x1 < x2, y1 < y2 (x1, y1, x2, y2), not {rows!r}")
    return boxes
