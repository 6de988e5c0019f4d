"""All weights of a .nnp file, from wherever they lie in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.models.nnp.binary import read_protobuf, shaped
from pytorch_grad_cam.models.nnp.container import Contents
from pytorch_grad_cam.models.nnp.hdf5 import read_h5
from pytorch_grad_cam.models.nnp.limits import MAX_ELEMENTS, MAX_PARAMETERS
from pytorch_grad_cam.models.nnp.text import Message

Weights = Mapping[str, NDArray[np.float32]]


def read_weights(contents: Contents, texts: Sequence[Message], path: str | Path) -> Weights:
    """Return the parameters by name: those of the network texts, then those of .h5 and .protobuf members.

    Args:
        contents: the container.
        texts: its network texts, parsed.
        path: of the file, for messages.

    Raises:
        ImportError: if there is a .h5 member and h5py is missing.
        ValueError: if a member is damaged or too large.
    """
    found: dict[str, NDArray[np.float32]] = {}
    try:
        for text in texts:
            found |= _in_text(text)
    except ValueError as error:
        raise ValueError(f"the weights in the network text of {path} cannot be used: {error}") from error
    for name, data in contents.weights:
        read = read_h5 if name.lower().endswith(".h5") else read_protobuf
        try:
            found |= read(data)
        except ValueError as error:
            raise ValueError(f"the weights {name} in {path} cannot be used: {error}") from error
    if sum(array.size for array in found.values()) > MAX_ELEMENTS:
        raise ValueError(f"{path} holds more than {MAX_ELEMENTS} weights")
    return found


def _in_text(text: Message) -> dict[str, NDArray[np.float32]]:
    parameters = text.messages("parameter")
    if len(parameters) > MAX_PARAMETERS:
        raise ValueError(f"there are more than {MAX_PARAMETERS}")
    found = {}
    for parameter in parameters:
        name = parameter.text("variable_name")
        values = np.array(parameter.numbers("data"), dtype=np.float64)
        with np.errstate(over="ignore"):
            found[name] = shaped(values.astype(np.float32), parameter.shape("shape"), name)
    return found
