"""A network as the demo offers it: which layers it has, what a map costs, and one map at a time."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.executed_layers import LayerReport, report_layers
from pytorch_grad_cam.engine.inputs import device_of
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.inputs import trial_input
from pytorch_grad_cam.runs.map_cost import NetworkCost, measure, passes_of
from pytorch_grad_cam.runs.ready_network import ExplainerOptions, ReadyNetwork
from pytorch_grad_cam.targets.score_kinds import NONE

MAX_PASSES = 200  # that a map may take where nobody says it


@dataclass(frozen=True)
class Question:
    """What somebody wants to know of a picture.

    Attributes:
        method: its name in the table of methods.
        category: a class, by index or name; empty: the top class.
        rather: a class with which that is compared; empty: none.
        layer: a target layer, by its dotted name; empty: the automatic choice.
    """

    method: str = "gradcam"
    category: str = ""
    rather: str = ""
    layer: str = ""


class Desk:
    """Answers questions to one network, one after the other, and no dearer ones than it may.

    Args:
        loaded: the network.
        max_passes: that a map may take; one pass is the work of one forward pass.
        scores: what a classifier's scores are, see ``targets.score_kinds``; None: it is found out.

    Attributes:
        layers: what can be a target layer.
        gives_shares: whether what it predicts are shares, in [0, 1]; known once it has answered.

    Raises:
        ValueError, RuntimeError: if the network does not run on a picture.
    """

    def __init__(self, loaded: LoadedModel, max_passes: int = MAX_PASSES, scores: str | None = None) -> None:
        self.loaded, self.max_passes, self._scores = loaded, max_passes, scores
        self.gives_shares = loaded.task != "classification"
        self._turn = Lock()
        self._inputs = trial_input(loaded, device_of(loaded.model))
        self.layers: tuple[LayerReport, ...] = self._usable_layers()
        self._costs: dict[str, NetworkCost] = {"": self._measured("")}

    def explain(self, image: NDArray[np.uint8], question: Question) -> ExplainedPicture:
        """Answer a question about a picture, when it is this question's turn.

        Args:
            image: uint8 RGB ``(H, W, 3)``.
            question: what is asked.

        Raises:
            ValueError: for a class or layer that the network does not have, a method that does not suit it, or one
                that takes more passes than are allowed.
            Exception: as the methods and the network do, with a message for people.
        """
        if question.method not in METHODS:
            raise ValueError(f"there is no method {question.method!r}; choose one of the list")
        if question.layer and question.layer not in {report.name for report in self.layers}:
            raise ValueError(
                f"the layer {question.layer!r} cannot be looked at in this network; choose one of the list"
            )
        with self._turn:
            explainer = Explainer(self.loaded, self._options(image, question))
            self._check_cost(question, explainer.ready.cams[0])
            found: ExplainedPicture = explainer(image)
            self.gives_shares = _gives_shares(explainer.ready)
        return found

    def passes(self, question: Question, cam: BaseCAM) -> float:
        """Return how many passes the map of a method's object takes."""
        if question.layer not in self._costs:
            self._costs[question.layer] = self._measured(question.layer)
        return passes_of(question.method, cam, self._costs[question.layer], tuple(self._inputs.shape[2:]), {})

    def _options(self, image: NDArray[np.uint8], question: Question) -> ExplainerOptions:
        layers = (question.layer,) if question.layer else None
        known = ExplainerOptions((question.method,), layers=layers, scores=self._scores, batch_size=1)
        if not question.rather:
            classes = (question.category,) if question.category else ()
            return ExplainerOptions(known.methods, classes, layers=layers, scores=self._scores, batch_size=1)
        first: int | str = question.category or self._top_class(image, known)
        pair = (first, question.rather)
        return ExplainerOptions(known.methods, contrast=pair, layers=layers, scores=self._scores, batch_size=1)

    def _top_class(self, image: NDArray[np.uint8], options: ExplainerOptions) -> int:
        (seen,) = Explainer(self.loaded, options).predict([image])
        if not seen:
            raise ValueError("the network sees nothing in the picture that could be compared; name both classes")
        return seen[0][0]

    def _check_cost(self, question: Question, cam: BaseCAM) -> None:
        passes = self.passes(question, cam)
        if passes > self.max_passes:
            raise ValueError(
                f"{question.method} takes about {passes:,.0f} passes through this network, and {self.max_passes:,} are "
                "allowed here (--max-passes of cam demo); choose another method, such as gradcam"
            )

    def _measured(self, layer: str) -> NetworkCost:
        return measure(self.loaded, (layer,) if layer else self.loaded.target_layers, self._inputs)

    @giving_back
    def _usable_layers(self) -> tuple[LayerReport, ...]:
        loaded = self.loaded
        with undisturbed(loaded.model, self._inputs.device):
            reports = report_layers(
                loaded.model, lambda: loaded.run(self._inputs), self._inputs, loaded.reshape_transform
            )
        return tuple(report for report in reports if not report.problem)


def _gives_shares(ready: ReadyNetwork) -> bool:
    return ready.loaded.task != "classification" or (ready.kind is not None and ready.kind.name != NONE)
