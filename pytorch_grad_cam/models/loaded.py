"""A network together with all that is needed to explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.image_model import OutputSelector, select_output

TASKS = ("classification", "segmentation", "detection")


@dataclass(frozen=True)
class LoadedModel:
    """A network with its preprocessing, categories and layers: what every source returns and every run needs.

    Attributes:
        model: the network: one input ``(B, C, h, w)``, as ``preprocessing`` makes it.
        preprocessing: from a picture to that input, and from a map back to the picture.
        categories: class names in the order of the outputs; None if they are not known.
        target_layers: the layers to look at, modules or dotted names; None for the automatic choice.
        reshape_transform: from a target layer's output to ``(B, C, *S)``; None if it has that form.
        source: where it came from, for people, e.g. "resnet50, weights IMAGENET1K_V1".
        scores: what the outputs of a classifier are, where the source knows it: one of ``targets.score_kinds``; None:
            it is found out.
        task: "classification", "segmentation" or "detection": what the outputs are, one of `TASKS`.
        read: how a detector's outputs are laid out, one of `targets.detector_layouts.LAYOUTS`; None if they say it.
        output: the part of the network's output that is meant: an index, a key or an attribute; None: all of it.
        forward_kwargs: further keyword arguments of the network.
    """

    model: nn.Module
    preprocessing: Preprocessing
    categories: tuple[str, ...] | None = None
    target_layers: tuple[nn.Module | str, ...] | None = None
    reshape_transform: Callable[[Tensor], Tensor] | None = None
    source: str = ""
    scores: str | None = None
    task: str = "classification"
    read: str | None = None
    output: OutputSelector | None = None
    forward_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def run(self, inputs: Tensor) -> Any:
        """Return the network's outputs for inputs ``(B, C, h, w)``: the part of them that is meant."""
        outputs = self.model(inputs, **self.forward_kwargs)
        return outputs if self.output is None else select_output(outputs, self.output)


def in_evaluation(model: nn.Module) -> nn.Module:
    """Put a network that we have just built into evaluation mode, and return it.

    For networks made here only: somebody else's is borrowed with `engine.restore.evaluating`, which gives it back.
    """
    for module in model.modules():
        module.training = False
    return model
