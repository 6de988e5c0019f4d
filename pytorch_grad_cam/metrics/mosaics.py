"""Metrics that put several pictures together into one and ask in which of them the evidence for a class is found.

They need no annotation: a picture that the network knows says itself where its class is. What explains is given mosaics
``n`` times as large along each axis, which the network must take: it needs a global pooling before its linear layers.
Pictures of the same case are put together, so a case must hold enough of them. Of many pictures, more than memory
holds, make the groups first (`grid_groups`, of each picture's class and probability) and a case of each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.targets.classification import category_of
from pytorch_grad_cam.targets.spec import class_scores

Group = tuple[int, ...]  # which pictures a mosaic has, in the order of its cells


class _Pile:
    """The pictures that are left, by class, the most confident first; classes are drawn by the seed."""

    def __init__(self, classes: Sequence[int], confidences: Sequence[float], least: float, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.left: dict[int, list[int]] = {}
        for index in sorted(range(len(classes)), key=lambda index: -confidences[index]):
            if confidences[index] >= least:
                self.left.setdefault(classes[index], []).append(index)

    def drawn(self, items: Sequence[int]) -> list[int]:
        return [items[place] for place in torch.randperm(len(items), generator=self.generator, device="cpu").tolist()]

    def fullest(self) -> list[int]:
        """Return the classes, those with most pictures left first, so that as many mosaics as possible can be made."""
        return sorted(self.drawn(sorted(self.left)), key=lambda name: -len(self.left[name]))

    def take(self, name: int) -> int:
        index = self.left[name].pop(0)
        if not self.left[name]:
            del self.left[name]
        return index


def grid_groups(
    classes: Sequence[int],
    confidences: Sequence[float],
    cells: int,
    *,
    least: float = 0.5,
    most: int = 500,
    seed: int = 0,
) -> list[Group]:
    """Choose pictures of different classes for each mosaic; each picture is used once at most.

    Args:
        classes: of each picture, the one that the network finds.
        confidences: its probability, 0 for pictures that must not be used.
        cells: pictures in a mosaic.
        least: confidence of pictures that are used.
        most: mosaics.
        seed: of the order of classes and cells.

    Returns:
        For each mosaic the indices of its pictures, cell by cell.
    """
    pile = _Pile(classes, confidences, least, seed)
    groups: list[Group] = []
    while len(pile.left) >= cells and len(groups) < most:
        groups.append(tuple(pile.drawn([pile.take(name) for name in pile.fullest()[:cells]])))
    return groups


def focus_groups(
    classes: Sequence[int],
    confidences: Sequence[float],
    cells: int,
    *,
    least: float = 0.5,
    most: int = 500,
    seed: int = 0,
) -> list[Group]:
    """Choose half of the pictures of one class, and the others each of another class; see `grid_groups`."""
    pile = _Pile(classes, confidences, least, seed)
    groups: list[Group] = []
    own = cells // 2
    while len(groups) < most:
        fullest = pile.fullest()
        others = fullest[1:][own - cells :]  # the smallest piles: the large ones are for mosaics of their own
        if len(others) < cells - own or len(pile.left[fullest[0]]) < own:
            break
        chosen = [pile.take(fullest[0]) for _ in range(own)] + [pile.take(name) for name in others]
        groups.append(tuple(pile.drawn(chosen)))
    return groups


def known_classes(case: Case) -> tuple[list[int | None], list[float]]:
    """Return the class that is asked of each image, and its probability where no other one has a larger one, else 0.

    Raises:
        ValueError: if the network has no scores for the classes of an image, as one for segmentation or detection.
    """
    scores, _ = class_scores(case.outputs, "pictures are put together by the network's class of each")
    shares = scores.double() if case.score == "raw" else scores.double().softmax(1)
    classes = [category_of(target) for target in case.explained_targets]
    asked = [None if category is None else category % scores.shape[1] for category in classes]
    tops = scores.argmax(1).tolist()
    sure = [
        float(shares[index, top]) if category == top else 0.0
        for index, (top, category) in enumerate(zip(tops, asked, strict=True))
    ]
    return asked, sure


def mosaic_of(images: Tensor, side: int) -> Tensor:
    """Put ``side ** axes`` images ``(cells, C, *S)`` together, row by row: ``(1, C, *(side * S))``."""
    axes = images.ndim - 2
    grid = images.reshape(*[side] * axes, *images.shape[1:])  # (side, ..., C, *S)
    order = [axes, *itertools.chain.from_iterable((axis, axes + 1 + axis) for axis in range(axes))]
    return grid.permute(order).reshape(1, images.shape[1], *(side * length for length in images.shape[2:]))


def cell_shares(maps: Tensor, side: int) -> Tensor:
    """Return the share of each map's positive values in each cell: ``(Q, *(side * S))`` to ``(Q, cells)``, float64.

    NaN for a map without positive values, and for one with NaN.
    """
    axes = maps.ndim - 1
    split = [part for length in maps.shape[1:] for part in (side, length // side)]
    sums = maps.double().clamp_min(0).reshape(len(maps), *split).sum(dim=[2 + 2 * axis for axis in range(axes)])
    return sums.flatten(1) / sums.flatten(1).sum(1, keepdim=True)


@dataclass(frozen=True)
class _OfMosaics(Metric):
    """What `GridPG` and `Focus` share.

    Args:
        side: pictures along each axis.
        least: probability of pictures that are used; the authors take 0.99. The most confident come first.
        most: mosaics.
    """

    side: int = 2
    least: float = 0.5
    most: int = 500

    joint = True

    def of(self, case: Case) -> Tensor:
        return self.measure(case).float()  # the maps of the pictures themselves are not looked at

    def measure(self, case: Case) -> Tensor:
        """Return a number for each picture that stands in a mosaic, NaN for the others.

        Raises:
            ValueError: if no mosaic can be made, the targets are no classes, or the network does not take mosaics.
        """
        if self.side < 2:
            raise ValueError(f"side={self.side} must be 2 or more pictures along each axis of a mosaic")
        groups = self.groups(case)
        values = torch.full((len(case.inputs),), torch.nan, dtype=torch.float64, device=case.inputs.device)
        self._refuse_small_networks(case, groups[0])
        for index, value in self._values(case, groups):
            values[index] = value
        return values

    def groups(self, case: Case) -> list[Group]:
        """Return which of the case's pictures are put together."""
        raise NotImplementedError(f"{type(self).__name__} must override groups")

    def _values(self, case: Case, groups: list[Group]) -> Iterator[tuple[int, float]]:
        raise NotImplementedError(f"{type(self).__name__} must override _values")

    def _known(self, case: Case) -> tuple[list[int], list[float], int]:
        """Return the pictures' classes, their probabilities, 0 where another class has a larger one, and the cells."""
        classes, sure = known_classes(case)
        asked = [category for category in classes if category is not None]
        if len(asked) < len(classes):
            raise ValueError(f"{self.name} asks for classes; give class indices as targets, or None for the top class")
        return asked, sure, self.side ** (case.inputs.ndim - 2)

    def _refuse(self, case: Case, needed: str, classes: list[int], sure: list[float]) -> ValueError:
        known = [name for name, confidence in zip(classes, sure, strict=True) if confidence >= self.least]
        return ValueError(
            f"{self.name} puts pictures together that the network knows, and needs {needed}; of the {len(classes)} "
            f"pictures of this case {len(known)}, of {len(set(known))} classes, have their class as the top one with a "
            f"probability of {self.least:g} or more; give more pictures in one case"
        )

    def _refuse_small_networks(self, case: Case, group: Group) -> None:
        mosaic = mosaic_of(case.inputs[list(group)], self.side)
        try:
            case.run(mosaic)
        except Exception as error:
            shapes = f"{tuple(mosaic.shape[2:])} instead of {tuple(case.inputs.shape[2:])}"
            raise ValueError(
                f"{self.name} shows the network mosaics of the size {shapes}, which it does not take ("
                f"{type(error).__name__}: {error}); leave this metric out, or give a network that pools over all "
                "positions before its linear layers"
            ) from error

    def _shares(self, case: Case, group: Group, asked: Sequence[int]) -> Tensor:
        """Explain the classes of some pictures of a mosaic; return the share of each in each cell ``(Q, cells)``."""
        mosaic = mosaic_of(case.inputs[list(group)], self.side).expand(len(asked), *[-1] * (case.inputs.ndim - 1))
        maps = case.explain_others(mosaic, [case.explained_targets[index] for index in asked])
        return cell_shares(maps, self.side)


@dataclass(frozen=True)
class GridPG(_OfMosaics):
    """The share of the positive values that lies in the picture of the class, in mosaics of pictures of other classes.

    Each picture of a mosaic is asked for once. Of what ignores the class the mean is that of chance, one over the
    number of cells: 0.25 for 2 x 2 pictures. Other pictures may hold evidence for a class, so a sound method need not
    reach 1; compare methods at the same layer.
    """

    name, higher_is_better, range, needs = "gridpg", True, (0.0, 1.0), ("model", "explain")
    source = "M. Böhle et al., 2021, CoDA-Nets, arXiv:2104.00032"

    def groups(self, case: Case) -> list[Group]:
        classes, sure, cells = self._known(case)
        groups = grid_groups(classes, sure, cells, least=self.least, most=self.most, seed=case.seed)
        if not groups:
            raise self._refuse(case, f"{cells} of different classes", classes, sure)
        return groups

    def _values(self, case: Case, groups: list[Group]) -> Iterator[tuple[int, float]]:
        for group in groups:
            yield from zip(group, self._shares(case, group, group).diagonal().tolist(), strict=True)


@dataclass(frozen=True)
class Focus(_OfMosaics):
    """The share of the positive values that lies in the pictures of the class, which are half of a mosaic's.

    A mosaic's number stands at the first of them. Of what ignores the class it is 0.5 in the mean, where the number of
    cells is even.
    """

    name, higher_is_better, range, needs = "focus", True, (0.0, 1.0), ("model", "explain")
    source = "A. Arias-Duart et al., 2022, arXiv:2109.15035"

    def groups(self, case: Case) -> list[Group]:
        classes, sure, cells = self._known(case)
        groups = focus_groups(classes, sure, cells, least=self.least, most=self.most, seed=case.seed)
        if not groups:
            own = cells // 2
            raise self._refuse(case, f"{own} of one class and {cells - own} of others", classes, sure)
        return groups

    def _values(self, case: Case, groups: list[Group]) -> Iterator[tuple[int, float]]:
        classes, _, _ = self._known(case)
        for group in groups:
            names = [classes[index] for index in group]
            own = max(names, key=names.count)
            places = [place for place, name in enumerate(names) if name == own]
            first = group[places[0]]
            yield first, float(self._shares(case, group, [first])[0, places].sum())
