"""Small .nnp files for tests, written without the reader: network text, and weights of each kind."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def dims(name: str, sizes: Sequence[int]) -> str:
    return f"{name} {{ {' '.join(f'dim: {size}' for size in sizes)} }}"


def variable(name: str, sizes: Sequence[int], kind: str = "Buffer", more: str = "") -> str:
    return f'variable {{ name: "{name}" type: "{kind}" {more} {dims("shape", sizes)} }}\n'


def function(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], param: str = "", name: str = "", more: str = ""
) -> str:
    links = " ".join([*(f'input: "{each}"' for each in inputs), *(f'output: "{each}"' for each in outputs)])
    return f'function {{ name: "{name or outputs[0]}" type: "{kind}" {more} {links} {param} }}\n'


def executor(output: str = "y", source: str = "x", more: str = "") -> str:
    return (
        'executor { name: "Executor" network_name: "Main" '
        f'data_variable {{ variable_name: "{source}" data_name: "x" }} '
        f'output_variable {{ variable_name: "{output}" data_name: "y\'" }} {more} }}\n'
    )


def network(body: str, batch_size: int = 4, more: str = "") -> str:
    return f'network {{ name: "Main" batch_size: {batch_size} {more}\n{body} }}\n'


def one_function(
    kind: str,
    shape: Sequence[int],
    param: str = "",
    weights: Sequence[NDArray[Any]] = (),
    *,
    outputs: int = 1,
    declared: Sequence[int] = (),
    batch_size: int = 4,
) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return text and weights of a network of one function; its outputs are y, y1, ..., its weights w0, w1, ..."""
    named = {f"w{place}": array for place, array in enumerate(weights)}
    made = ["y", *(f"y{place}" for place in range(1, outputs))]
    body = variable("x", [-1, *shape])
    body += "".join(variable(name, array.shape, "Parameter") for name, array in named.items())
    body += "".join(variable(name, declared) for name in made)
    body += function(kind, ["x", *named], made, param)
    others = " ".join(f'output_variable {{ variable_name: "{name}" data_name: "{name}" }}' for name in made[1:])
    return network(body, batch_size) + executor(more=others), named


def as_h5(weights: Arrays) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as group:
        for index, (name, array) in enumerate(weights.items()):
            group.create_dataset(name, data=array)
            group[name].attrs["need_grad"] = True
            group[name].attrs["index"] = index
    return file.getvalue()


def varint(number: int) -> bytes:
    groups = []
    while True:
        groups.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(groups)


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def as_protobuf(weights: Arrays, packed: bool = True) -> bytes:
    data = b""
    for name, array in weights.items():
        values = [struct.pack("<f", value) for value in array.ravel()]
        sizes = [varint(size) for size in array.shape]
        parameter = field(1, name.encode())
        if packed:
            parameter += field(20, field(1, b"".join(sizes))) + field(100, b"".join(values))
        else:
            parameter += field(20, b"".join(varint(1 << 3) + size for size in sizes))
            parameter += b"".join(varint(100 << 3 | 5) + value for value in values)
        data += field(200, parameter + field(101, 1))
    return data


def as_text(weights: Arrays) -> str:
    return "".join(
        f'parameter {{ variable_name: "{name}" {dims("shape", array.shape)} '
        f"{' '.join(f'data: {float(value)!r}' for value in array.ravel())} need_grad: true }}\n"
        for name, array in weights.items()
    )


def write_nnp(path: Path, text: str | bytes, weights: Arrays | None = None, how: str = "protobuf") -> Path:
    """Write a .nnp file; ``how``: "protobuf", "h5" or "text"."""
    members: dict[str, str | bytes] = {"nnp_version.txt": "0.1\n", "network.nntxt": text}
    if weights and how == "protobuf":
        members["parameter.protobuf"] = as_protobuf(weights)
    elif weights and how == "h5":
        members["parameter.h5"] = as_h5(weights)
    elif weights:
        assert isinstance(text, str)
        members["network.nntxt"] = text + as_text(weights)
    return write_zip(path, members)


def write_zip(path: Path, members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def classifier(seed: int = 0) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return a small classifier with a skip, pooling, normalization and two affine layers: (1, 8, 8) to 3 classes."""
    draw = np.random.default_rng(seed)
    weights = {
        "Convolution/conv/W": draw.normal(0, 0.5, (4, 1, 3, 3)),
        "Convolution/conv/b": draw.normal(0, 0.1, 4),
        "BN/bn/beta": draw.normal(0, 0.1, (1, 4, 1, 1)),
        "BN/bn/gamma": draw.uniform(0.5, 1.5, (1, 4, 1, 1)),
        "BN/bn/mean": draw.normal(0, 0.1, (1, 4, 1, 1)),
        "BN/bn/var": draw.uniform(0.5, 1.5, (1, 4, 1, 1)),
        "Convolution_2/conv/W": draw.normal(0, 0.3, (4, 4, 3, 3)),
        "Affine/affine/W": draw.normal(0, 0.3, (64, 3)),
        "Affine/affine/b": draw.normal(0, 0.1, 3),
    }
    activations = {
        "x": [1, 8, 8],
        "Convolution": [4, 8, 8],
        "BN": [4, 8, 8],
        "ReLU": [4, 8, 8],
        "Convolution_2": [4, 8, 8],
        "Add2": [4, 8, 8],
        "MaxPooling": [4, 4, 4],
        "Affine": [3],
        "Softmax": [3],
    }
    body = "".join(variable(name, [-1, *shape]) for name, shape in activations.items())
    body += "".join(variable(name, array.shape, "Parameter") for name, array in weights.items())
    same = f"convolution_param {{ base_axis: 1 {dims('pad', [1, 1])} group: 1 }}"
    pool = f"max_pooling_param {{ {dims('kernel', [2, 2])} {dims('stride', [2, 2])} ignore_border: true }}"
    body += function("Convolution", ["x", "Convolution/conv/W", "Convolution/conv/b"], ["Convolution"], same)
    statistics = [f"BN/bn/{name}" for name in ("beta", "gamma", "mean", "var")]
    body += function(
        "BatchNormalization", ["Convolution", *statistics], ["BN"], "batch_normalization_param { axes: 1 eps: 1e-05 }"
    )
    body += function("ReLU", ["BN"], ["ReLU"], "relu_param { inplace: True }")
    body += function("Convolution", ["ReLU", "Convolution_2/conv/W"], ["Convolution_2"], same)
    body += function("Add2", ["Convolution_2", "ReLU"], ["Add2"])
    body += function("MaxPooling", ["Add2"], ["MaxPooling"], pool)
    body += function(
        "Affine", ["MaxPooling", "Affine/affine/W", "Affine/affine/b"], ["Affine"], "affine_param { base_axis: 1 }"
    )
    body += function("Softmax", ["Affine"], ["Softmax"], "softmax_param { axis: 1 }")
    return network(body) + executor("Softmax"), {name: array.astype(np.float32) for name, array in weights.items()}
