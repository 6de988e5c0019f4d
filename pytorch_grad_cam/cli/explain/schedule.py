"""How many passes the maps of a run take, and how many each may take where passes or time are limited."""

from __future__ import annotations

import time
from collections.abc import Sequence

from torch import Tensor

from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer
from pytorch_grad_cam.cli.network import advising
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.runs.map_cost import MapCost, NetworkCost, Settings, fewer_samples, measure, passes_of
from pytorch_grad_cam.runs.picture_targets import ImageTarget
from pytorch_grad_cam.runs.precision import cast_passes

LONG = 15.0  # seconds from which on work is announced
CHEAP = 10.0  # passes that a map may take as long as there is any time
_TELLING = 20.0  # passes of a map from which on its time says how long a pass takes

Request = tuple[str, ImageTarget]


class Schedule:
    """The maps of a run, picture by picture.

    Args:
        explainer: of the run.
        pictures: how many there are.
    """

    def __init__(self, explainer: ImageExplainer, pictures: int) -> None:
        self._explainer, self._options = explainer, explainer.options
        self._pictures = pictures
        self._network: NetworkCost | None = None
        self._seconds = 0.0  # of a pass
        self._end: float | None = None
        self._left: list[float] = []  # passes of the maps of this picture that are to be made, uncut
        self._size: tuple[int, ...] = ()

    def begin_picture(self, inputs: Tensor, requests: Sequence[Request]) -> list[Request]:
        """Find out what the maps of the next picture take, if one of them takes many passes or passes are limited.

        Returns:
            The maps in the order in which they are to be made: where time is limited the cheap ones first.
        """
        if self._end is None and self._options.budget is not None:
            self._end = time.monotonic() + self._options.budget
        self._left = []
        if not self._is_limited() and not any(set("KNn") & set(METHODS[name].passes) for name, _ in requests):
            return list(requests)
        if self._network is None:
            cast = cast_passes(self._options.dtype, inputs.device)  # in which nearly all of the many passes run
            with advising(self._explainer.loaded, self._options, inputs), cast:
                self._network = measure(self._explainer.loaded, self._explainer.layers, inputs)
            self._seconds = self._network.seconds
        self._size = tuple(inputs.shape[2:])
        ordered = list(requests)
        if self._end is not None:
            ordered.sort(key=lambda request: self._passes(request[0]))  # stable
        self._left = [self._passes(name) for name, _ in ordered]
        return ordered

    def end_picture(self) -> None:
        """Count a picture as done, whether it was explained or failed."""
        self._pictures -= 1

    @property
    def passes(self) -> float | None:
        """Of the maps of this picture that are to be made, as far as they are allowed; None if nobody counts."""
        cap = self._cap()
        return sum(min(passes, cap) for passes in self._left) if self._left else None

    def estimate(self) -> str:
        """Say how long this picture takes, and those after it; empty if that is not long."""
        passes = self.passes
        if passes is None or passes * self._seconds * self._pictures < LONG:
            return ""
        what = f"about {passes:,.0f} passes, {duration(passes * self._seconds)}"
        if self._pictures > 1:
            what += (
                f" for each of {self._pictures} pictures, {duration(passes * self._seconds * self._pictures)} in all"
            )
        advice = (
            ""
            if self._is_limited()
            else "; --budget 60s or --max-passes 500 make it shorter, Ctrl-C keeps what is done"
        )
        return f"{len(self._left)} map{'s' if len(self._left) != 1 else ''}, {what}{advice}"

    def next_map(self, name: str) -> MapCost:
        """Say what the next of the requested maps takes, and whether and how it is to be made."""
        if not self._left:
            return MapCost()
        cap, usual = self._cap(), self._passes(name)
        if usual <= cap:
            return MapCost(usual, {})
        cam = self._explainer.cams[name]
        changes = fewer_samples(name, cam, lambda changes: self._passes(name, changes), cap)
        if changes is None and not cap:
            return MapCost(left_out=f"the time that {self._limit()} is over")
        if changes is None:
            return MapCost(
                left_out=f"it takes {usual:,.0f} passes and cannot do with the {cap:,.0f} that {self._limit()}"
            )
        return MapCost(self._passes(name, changes), changes)

    def end_map(self, cost: MapCost, seconds: float) -> None:
        """Take note of a map that was made or left out: what it took says how long the next ones take."""
        if self._left:
            self._left.pop(0)
        if cost.passes is not None and cost.passes >= _TELLING:
            self._seconds = seconds / cost.passes

    def _passes(self, name: str, changes: Settings | None = None) -> float:
        assert self._network is not None
        views = 6 if self._options.aug_smooth else 1
        return views * passes_of(name, self._explainer.cams[name], self._network, self._size, changes or {})

    def _is_limited(self) -> bool:
        return self._options.max_passes is not None or self._options.budget is not None

    def _limit(self) -> str:
        if self._end is None or (self._options.max_passes or float("inf")) <= self._cap():
            return f"--max-passes {self._options.max_passes} allows"
        return f"--budget {duration(self._options.budget or 0.0)} leaves"

    def _cap(self) -> float:
        """Return how many passes each of the remaining maps may take, so that all together keep to the limits."""
        cap = float("inf") if self._options.max_passes is None else float(self._options.max_passes)
        if self._end is None or not self._left:
            return cap
        left = (self._end - time.monotonic()) / max(self._pictures, 1) / self._seconds
        return min(cap, max(even_share(self._left, left), CHEAP)) if left > 0 else 0.0


def even_share(costs: Sequence[float], total: float) -> float:
    """Return the limit for each by which all together cost at most ``total``: what cheap ones leave is for the dear."""
    if sum(costs) <= total:
        return float("inf")
    share = 0.0
    for index, cost in enumerate(sorted(costs)):
        share = total / (len(costs) - index)
        if cost > share:
            break
        total -= cost
    return share


def duration(seconds: float) -> str:
    """Write a time for people: ``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
