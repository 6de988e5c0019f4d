"""The .nnp files of Neural Network Console as a source of networks."""

from __future__ import annotations

from pathlib import Path

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.nnp.build import build
from pytorch_grad_cam.models.nnp.container import read_container
from pytorch_grad_cam.models.nnp.network import NnpNetwork
from pytorch_grad_cam.models.nnp.parameters import read_parameters
from pytorch_grad_cam.models.nnp.plan import make_plan
from pytorch_grad_cam.models.nnp.text import parse_text


def load_nnp(path: str | Path, weights: None = None, trust_pickle: bool = False) -> LoadedModel:
    """Read a network of Neural Network Console.

    A .nnp file is a ZIP with the network as text and its weights (.h5, .protobuf, or in the text). It is read without
    nnabla, without running or unpickling anything, and may come from anybody: sizes are bounded, and nothing but the
    file itself is opened.

    Args:
        path: the file, e.g. "results.nnp" in a Console training's folder.
        weights: None: the file holds them.
        trust_pickle: makes no difference, as nothing is unpickled.

    Returns:
        The network, an `NnpNetwork` in evaluation mode; preprocessing that squashes the whole picture to its input size
        (gray for one channel) and divides by 255 unless the file says otherwise; the last convolution as target layer.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if its weights are .h5 and h5py is missing.
        ValueError: if it is damaged, incomplete, too large, or has a function that cannot be read.
    """
    contents = read_container(path)
    try:
        texts = [parse_text(text) for text in contents.texts]
        plan = make_plan(texts)
    except ValueError as error:
        raise ValueError(f"the network in {path} cannot be read: {error}") from error
    parameters = read_parameters(contents, texts, path)
    try:
        model = NnpNetwork(plan, build(plan, parameters, NnpNetwork.is_reserved))
    except ValueError as error:
        raise ValueError(f"the network in {path} cannot be built: {error}") from error
    in_evaluation(model)
    return LoadedModel(
        model,
        _preprocessing_for_network(model),
        target_layers=None if model.last_convolution is None else (model.last_convolution,),
        source=f"{path}, network {plan.network.name}",
        multi_label=model.closing == "Sigmoid",
        probabilities=model.closing in ("Sigmoid", "Softmax"),
    )


def _preprocessing_for_network(model: NnpNetwork) -> Preprocessing:
    shape = model.input_shape
    channels = shape[0] if len(shape) == 3 and shape[0] in (1, 3) else 3
    size = (shape[1], shape[2]) if len(shape) == 3 else None  # what is no picture is left to the network to refuse
    std = 1.0 if model.normalizes else 1 / 255
    return Preprocessing(resize=size, crop=None, mean=(0.0,) * channels, std=(std,) * channels)
