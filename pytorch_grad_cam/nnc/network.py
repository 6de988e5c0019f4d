"""The network of a plug-in: the part of it that ends in what is explained, and what explains it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.nnp import NnpNetwork
from pytorch_grad_cam.nnc.explainers import (
    BatchExplainer,
    DrawnMap,
    GradCAMExplainer,
    MapRequest,
    Pixels,
    SmoothGradExplainer,
)
from pytorch_grad_cam.nnc.options import NncOptions
from pytorch_grad_cam.runs.inputs import USUAL_SIDE, BatchPreprocessing, trial_input

SATURATED = 0.999999  # beyond this a probability's gradient is mostly rounding
SATURATED_ADVICE = "its gradient vanishes there and the map shows rounding; --score logit explains the score behind it"
ROWS, MOST_ROWS = 32, 128  # per forward pass, of pictures of the usual size and of small ones


@dataclass(frozen=True)
class ConsoleNetwork:
    """A network that is ready to be explained."""

    loaded: LoadedModel
    classes: int  # number of outputs
    probability: bool  # whether they are probabilities, whose gradient may vanish
    explainer: BatchExplainer
    rows: int  # how many pictures, or noisy copies of one, to run at once

    def is_saturated(self, drawn: DrawnMap) -> bool:
        """Say whether the score is a probability so close to 1 that its gradient vanishes."""
        return self.probability and drawn.score > SATURATED

    def request(self, image: Pixels, category: int) -> MapRequest:
        """Ask for the map of one picture.

        Raises:
            IndexError: for a class that the network does not have.
        """
        if category >= self.classes:
            raise IndexError(
                f"class {category} does not exist: the network has {self.classes} outputs, 0 to {self.classes - 1}"
            )
        return MapRequest(0, image, BatchPreprocessing(self.loaded.preprocessing).resized(image), category)


@giving_back
def console_network(
    loaded: LoadedModel, options: NncOptions, device: torch.device, progress: bool = False
) -> ConsoleNetwork:
    """Prepare what explains a network, on its device, as the options ask for; ``progress`` lets slow ones show a bar.

    Raises:
        ValueError: if the options ask for something that this network does not have.
    """
    part = _explained_part(loaded, options)
    trial = trial_input(loaded, device)
    # The smaller the pictures, the more of the time goes to what a pass costs whatever it computes.
    rows = options.batch_size or max(ROWS, min(MOST_ROWS, ROWS * USUAL_SIDE**2 // trial[0, 0].numel()))
    layers = part.layers
    with undisturbed(part.model, device):
        classes = _count_classes(part.model(trial))
        if layers is None and not options.smooth:  # once and for all, not again on the first pictures of each run
            layers = [automatic_layer(part.model, lambda: part.model(trial), trial).module]
    console = options.style == "nnc"
    explainer: BatchExplainer
    if options.smooth:
        explainer = SmoothGradExplainer(
            part.model,
            loaded.preprocessing,
            console,
            part.variable,
            progress,
            noise_level=options.noise_level,
            num_samples=options.num_samples,
            batch_size=rows,
            seed=options.seed,
        )
    else:
        explainer = GradCAMExplainer(
            part.model, layers, loaded.reshape_transform, loaded.preprocessing, console, options.contains_crop
        )
    return ConsoleNetwork(loaded, classes, part.probability, explainer, rows)


def _count_classes(outputs: Any) -> int:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        form = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"the network returns {form}, not one score per class (B, M); these commands take classifiers")
    return outputs.shape[1]


@dataclass(frozen=True)
class _ExplainedPart:
    """The part of a network that ends in what is explained, and where it is looked at."""

    model: nn.Module
    layers: Sequence[nn.Module | str] | None
    variable: nn.Module | None = None
    probability: bool = False


def _explained_part(loaded: LoadedModel, options: NncOptions) -> _ExplainedPart:
    if isinstance(loaded.model, NnpNetwork):
        return _explained_part_of_nnp(loaded.model, options)
    for value, name in ((options.output_variable, "output_variable"), (options.layer_index, "layer_index")):
        if value:
            raise ValueError(f"--{name} means a variable of a .nnp file, and {options.model} is none; leave it out")
    if options.score == "logit":
        raise ValueError(
            f"--score logit means what the last Softmax or Sigmoid of a .nnp file takes, and {options.model} is none: "
            "its outputs are explained as they are, and mostly they are logits; leave it out"
        )
    return _ExplainedPart(loaded.model, options.target_layers or loaded.target_layers)


def _explained_part_of_nnp(model: NnpNetwork, options: NncOptions) -> _ExplainedPart:
    """Find output, layers and variables by the names and numbers that Neural Network Console uses."""
    if options.output_variable is not None:
        is_output = options.output_variable in model.output_names
        # The column of one element, y'__3, belongs to the output y'.
        model = model.output(options.output_variable if is_output else re.sub(r"__\d+$", "", options.output_variable))
    probability = model.closing is not None and options.score == "output"
    if options.score == "logit":
        model = model.logits()
    if options.smooth:
        return _ExplainedPart(model, None, _variable(model, options.layer_index), probability)
    if options.target_layers is not None:
        known = model.functions | model.variables
        return _ExplainedPart(model, [known.get(name, name) for name in options.target_layers], None, probability)
    if model.last_convolution is None:
        raise ValueError("the network has no convolution, at which Grad-CAM looks; name a layer with --target-layers")
    return _ExplainedPart(model, [model.last_convolution], None, probability)


def _variable(model: NnpNetwork, index: int) -> nn.Module | None:
    """Return the module that makes variable number ``index``; None for the input, number 0."""
    names = list(model.variables)
    if index > len(names):
        raise ValueError(f"the network has no variable {index}; they are numbered 0 to {len(names)}, 0 is the input")
    return model.get_submodule(model.variables[names[index - 1]]) if index else None
