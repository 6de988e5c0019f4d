"""The verb ``nnc``: what the XAI plug-ins of Neural Network Console do, for one picture or a dataset CSV."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.cli.classes import named
from pytorch_grad_cam.cli.explain.options import NncOptions
from pytorch_grad_cam.cli.network import SIDE, described, device_of, load, trial_input
from pytorch_grad_cam.common.errors import MeaninglessMapWarning
from pytorch_grad_cam.data.images import FORMATS, check_writable, encoded_image, read_image, write_bytes
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.nnp import NnpNetwork
from pytorch_grad_cam.nnc.pictures import Explainer, GradCamPictures, Question, SmoothGradPictures
from pytorch_grad_cam.runs.inputs import Inputs

SATURATED = 0.999999  # beyond this a probability's gradient is mostly rounding
ADVICE = "its gradient vanishes there and the map shows rounding; --score logit explains the score behind it"
ROWS, MOST_ROWS = 32, 128  # per forward pass, of pictures of that size and of small ones


@dataclass(frozen=True)
class Network:
    """What is asked, and how.

    Attributes:
        loaded: the network with its preprocessing.
        classes: number of outputs.
        probability: whether they are probabilities, whose gradient may vanish.
        explainer: draws the pictures.
        rows: how many pictures, or noisy copies of one, to run at once.
    """

    loaded: LoadedModel
    classes: int
    probability: bool
    explainer: Explainer
    rows: int


def nnc(options: NncOptions) -> int:
    """Run one of the four commands.

    Returns:
        0; 1 if a row failed; 130 if Ctrl-C ended the work on many.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    with warnings.catch_warnings():  # out here: filters are shared by all threads
        warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
        if not options.batch:
            return _single(options)
        from pytorch_grad_cam.cli.nnc.batch import batch

        return batch(options)


def _single(options: NncOptions) -> int:
    output = Path(options.output)
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"{output.name} does not say which format to write; end it in {', '.join(FORMATS)}")
    check_writable(output.parent)
    assert options.image is not None
    picture = read_image(options.image)  # before the network is loaded, which takes longer
    network = make_network(options, bars=sys.stderr.isatty())
    if options.class_index >= network.classes:
        raise IndexError(
            f"class {options.class_index} does not exist: the network has {network.classes} outputs, "
            f"0 to {network.classes - 1}"
        )
    question = Question(0, picture, Inputs(network.loaded.preprocessing).alone(picture), options.class_index)
    (answer,) = network.explainer([question])
    write_bytes(output, encoded_image(output, answer.draw()))
    print(f"picture:    {options.image}")
    height, width = picture.shape[:2] if question.inputs is None else question.inputs.shape[1:]
    print(f"model:      {described(network.loaded, (height, width))}")
    print(f"explained:  {named(options.class_index, network.loaded.categories)}, {options.score} {answer.score:.6g}")
    print(f"written:    {output}")
    for note in answer.notes:
        print(f"note: the map means nothing: {note}", file=sys.stderr)
    if network.probability and answer.score > SATURATED:
        print(f"warning: the probability is {answer.score:.7g}: {ADVICE}", file=sys.stderr)
    return 0


def make_network(options: NncOptions, bars: bool) -> Network:
    """Load the network and prepare what draws.

    Raises:
        ValueError: if the options ask for something that this network does not have; others from loading it.
    """
    device = device_of(options)
    loaded = load(options, device)
    question = _question(loaded, options)
    preprocessing = loaded.preprocessing
    trial, layers = trial_input(loaded, device), question.layers
    # The smaller the pictures, the more of the time goes to what a pass costs whatever it computes.
    rows = options.batch_size or max(ROWS, min(MOST_ROWS, ROWS * SIDE**2 // trial[0, 0].numel()))
    with undisturbed(question.model, device):
        outputs: Any = question.model(trial)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            form = f"a tensor {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"the network returns {form}, not one score per class (B, M); these commands take classifiers"
            )
        if layers is None and not options.smooth:  # once and for all, not again on the first pictures of each run
            layers = [automatic_layer(question.model, lambda: question.model(trial), trial).module]
    console = options.style == "nnc"
    explainer: Explainer
    if options.smooth:
        explainer = SmoothGradPictures(
            question.model,
            preprocessing,
            console,
            noise_level=options.noise_level,
            num_samples=options.num_samples,
            batch_size=rows,
            seed=options.seed,
            layer=question.variable,
            progress=bars,
        )
    else:
        explainer = GradCamPictures(
            question.model,
            layers,
            loaded.reshape_transform,
            preprocessing,
            console,
            options.contains_crop,
        )
    return Network(loaded, outputs.shape[1], question.probability, explainer, rows)


@dataclass(frozen=True)
class _Asked:
    """The part of a network that ends in what is explained, and where it is looked at."""

    model: nn.Module
    layers: Sequence[nn.Module | str] | None
    variable: nn.Module | None = None
    probability: bool = False


def _question(loaded: LoadedModel, options: NncOptions) -> _Asked:
    model = loaded.model
    if isinstance(model, NnpNetwork):
        return _question_to_console(model, options)
    for given, name in ((options.output_variable, "output_variable"), (options.layer_index, "layer_index")):
        if given:
            raise ValueError(f"--{name} means a variable of a .nnp file, and {options.model} is none; leave it out")
    if options.score == "logit":
        raise ValueError(
            f"--score logit means what the last Softmax or Sigmoid of a .nnp file takes, and {options.model} is none: "
            "its outputs are explained as they are, and mostly they are logits; leave it out"
        )
    return _Asked(model, options.target_layers or loaded.target_layers)


def _question_to_console(model: NnpNetwork, options: NncOptions) -> _Asked:
    """Find output, layers and variables by the names and numbers that Neural Network Console uses."""
    if options.output_variable is not None:
        named_so = options.output_variable in model.output_names
        # The column of one element, y'__3, belongs to the output y'.
        model = model.output(options.output_variable if named_so else re.sub(r"__\d+$", "", options.output_variable))
    probability = model.closing is not None and options.score == "output"
    if options.score == "logit":
        model = model.logits()
    if options.smooth:
        return _Asked(model, None, _variable(model, options.layer_index), probability)
    if options.target_layers is not None:
        known = model.functions | model.variables
        return _Asked(model, [known.get(name, name) for name in options.target_layers], None, probability)
    if model.last_convolution is None:
        raise ValueError("the network has no convolution, at which Grad-CAM looks; name a layer with --target-layers")
    return _Asked(model, [model.last_convolution], None, probability)


def _variable(model: NnpNetwork, index: int) -> nn.Module | None:
    """Return the module that makes variable number ``index``; None for the input, number 0."""
    names = list(model.variables)
    if index > len(names):
        raise ValueError(f"the network has no variable {index}; they are numbered 0 to {len(names)}, 0 is the input")
    return model.get_submodule(model.variables[names[index - 1]]) if index else None
