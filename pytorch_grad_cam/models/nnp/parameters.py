"""Read all weights of a .nnp file: those in the network text and those in .h5 and .protobuf members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.models.nnp.container import Contents
from pytorch_grad_cam.models.nnp.hdf5 import read_h5
from pytorch_grad_cam.models.nnp.limits import MAX_ELEMENTS, MAX_PARAMETERS
from pytorch_grad_cam.models.nnp.protobuf import read_protobuf, shaped
from pytorch_grad_cam.models.nnp.text import Message

Parameters = Mapping[str, NDArray[np.float32]]


def read_parameters(contents: Contents, texts: Sequence[Message], path: str | Path) -> Parameters:
    """Return the parameters by name: those of the network texts, then those of .h5 and .protobuf members.

    Args:
        contents: the container.
        texts: its network texts, parsed.
        path: of the file, for messages.

    Raises:
        ImportError: if there is a .h5 member and h5py is missing.
        ValueError: if a member is damaged or too large.
    """
    parameters: dict[str, NDArray[np.float32]] = {}
    try:
        for text in texts:
            parameters |= _parameters_in(text)
    except ValueError as error:
        raise ValueError(f"the weights in the network text of {path} cannot be used: {error}") from error
    for name, data in contents.weights:
        read = read_h5 if name.lower().endswith(".h5") else read_protobuf
        try:
            parameters |= read(data)
        except ValueError as error:
            raise ValueError(f"the weights {name} in {path} cannot be used: {error}") from error
    if sum(array.size for array in parameters.values()) > MAX_ELEMENTS:
        raise ValueError(f"{path} holds more than {MAX_ELEMENTS} weights")
    return parameters


def _parameters_in(text: Message) -> dict[str, NDArray[np.float32]]:
    messages = text.messages("parameter")
    if len(messages) > MAX_PARAMETERS:
        raise ValueError(f"there are more than {MAX_PARAMETERS}")
    parameters = {}
    for parameter in messages:
        name = parameter.text("variable_name")
        values = np.array(parameter.numbers("data"), dtype=np.float64)
        with np.errstate(over="ignore"):
            parameters[name] = shaped(values.astype(np.float32), parameter.shape("shape"), name)
    return parameters
