"""The readers of files that the fuzzer feeds, with sound files for each."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.fuzz_inputs import signed_line


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        suffix: of the files that it reads.
        read: is given a path.
        seeds: sound files, which are damaged.
        member: of archives: what the name of the member that is damaged contains; empty to damage the whole file.
        signed: two files in three get new digests at the ends of their lines when they have been damaged.
    """

    suffix: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    member: str = ""
    signed: bool = False


def _read_nnp(path: Path) -> object:
    from pytorch_grad_cam.models.nnp import load_nnp

    return load_nnp(path)


def _read_exported(path: Path) -> object:
    from pytorch_grad_cam.models.from_exported import load_exported

    return load_exported(str(path))


def _read_weights(path: Path) -> object:
    from torch import nn

    from pytorch_grad_cam.models.weights_file import copy_weights, read_weights

    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    return copy_weights(net, read_weights(path), path)


def _read_image(path: Path) -> object:
    from pytorch_grad_cam.data.images import read_image

    return read_image(path)


def _read_categories(path: Path) -> object:
    from pytorch_grad_cam.models.categories import read_categories

    return read_categories(path)


def _read_dataset(path: Path) -> object:
    from pytorch_grad_cam.nnc.dataset_csv import DatasetCsv, Labels

    dataset = DatasetCsv(path)
    dataset.positions("x")
    labels = Labels(dataset, "y", 3)
    problems = []
    for row in dataset.rows():
        try:
            labels(dataset.checked(row))
        except (ValueError, OSError) as error:
            problems.append(error)
    return list(dataset.copied(path.parent / "other")), problems


def _read_journal(path: Path) -> object:
    from pytorch_grad_cam.runs.journal import Journal

    journal = Journal(path, {"model": "net", "rows": 9})
    if journal.changed or journal.unreadable:
        raise ValueError(journal.unreadable or f"other settings: {journal.changed}")
    return list(journal.batches())


def _nnp(how: str) -> list[bytes]:
    from helpers.nnp_files import classifier, dims, executor, function, network, variable, write_nnp

    start, inside = 'repeat_param { repeat_id: "R" times: 3 }', 'repeat_id: "R"'
    body = "".join(variable(name, [-1, 2], more=inside * (name in "ab")) for name in "xaby")
    body += function("RepeatStart", ["x", "b"], ["a"], start, more=inside) + function("RepeatEnd", ["b"], ["y"], start)
    body += function("Pad", ["a"], ["b"], 'pad_param { pad_width: 0 pad_width: 0 mode: "reflect" }', more=inside)
    repeated = network(body, more=f'repeat_info {{ id: "R" times: 3 {dims("shape", [1])} }}') + executor()
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_nnp(Path(folder) / "a", *classifier(), how)]
        if how == "text":
            paths.append(write_nnp(Path(folder) / "b", repeated))
        return [_without_time(path) for path in paths]


def _without_time(path: Path) -> bytes:
    result = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(result, "w") as new:
        for member in old.namelist():
            new.writestr(zipfile.ZipInfo(member), old.read(member), zipfile.ZIP_DEFLATED)
    return result.getvalue()


def _exported() -> list[bytes]:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    seeds = []
    for shapes in (None, ({0: torch.export.Dim("batch"), 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)):
        file = io.BytesIO()
        torch.export.save(torch.export.export(net, (torch.zeros(2, 2, 9, 8),), dynamic_shapes=shapes), file)
        seeds.append(file.getvalue())
    return seeds


def _pickled() -> list[bytes]:
    import torch
    from torch import nn

    state = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).state_dict()
    # All in one storage: those of a file of before torch 1.6 are named, and sorted, by where they lie in memory.
    whole = torch.rand(sum(tensor.numel() for tensor in state.values() if tensor.is_floating_point()))
    state = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    parts = whole.split([tensor.numel() for tensor in state.values()])
    state = {name: part.view_as(tensor) for (name, tensor), part in zip(state.items(), parts, strict=True)}
    seeds = []
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"state_dict": state, "epoch": 3}, file, _use_new_zipfile_serialization=zipped)
        seeds.append(_without_addresses(file.getvalue()))
    return seeds


def _without_addresses(data: bytes) -> bytes:
    return re.sub(rb"X[\x08-\x14]\0\0\0\d{8,20}", b"X\x0e\0\0\0" + b"7" * 14, data)


def _safetensors() -> list[bytes]:
    import safetensors.torch
    from torch import nn

    return [safetensors.torch.save(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).state_dict())]


def _images() -> list[bytes]:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (24, 33, 4), dtype=np.uint8)
    seeds = []
    kinds = {"JPEG": "RGB", "PNG": "RGBA", "GIF": "P", "BMP": "RGB", "TIFF": "RGB", "WEBP": "RGB", "PPM": "L"}
    for kind, mode in kinds.items():
        file = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(file, kind)
        seeds.append(file.getvalue())
    file = io.BytesIO()
    Image.fromarray(pixels.view(np.uint16)[:, :, 0]).save(file, "PNG")
    return [*seeds, file.getvalue()]


def _categories() -> list[bytes]:
    forms = (["cat", "dog"], {"0": ["n1", "cat"], "1": "dog"}, {"cat": 1, "dog": 0}, [{"name": "cat"}])
    return [json.dumps(form).encode() for form in forms]


def _dataset() -> list[bytes]:
    return [
        b"x:image,y:label\na.png,0\nb.png,2\n./c.png,1\n",
        b'\xef\xbb\xbfx,y__0:cat,y__1:dog,y__2,#note\r\na.png,0,1,0,hi\r\n"b,c.png",1,0,0,\r\n',
    ]


def _journal() -> list[bytes]:
    row = ["a", [7, 9, "b"], None]
    said = {"failed": [[1, "unlucky"]], "notes": [[2, "flat"]], "saturated": [3], "rows": [row] * 4}
    head = {"format": 2, "settings": {"model": "net", "rows": 9}}
    lines = [head, {"start": 0, "stop": 4, **said}, {"start": 4, "stop": 8, **said, "failed": []}]
    return [b"".join(signed_line(json.dumps(line).encode()) for line in lines)]


READERS = {
    "nnp": Reader(".nnp", _read_nnp, lambda: _nnp("h5")),
    "nnp-text": Reader(".nnp", _read_nnp, lambda: _nnp("text"), "network.nntxt"),
    "nnp-protobuf": Reader(".nnp", _read_nnp, lambda: _nnp("protobuf"), "parameter.protobuf"),
    "nnp-h5": Reader(".nnp", _read_nnp, lambda: _nnp("h5"), "parameter.h5"),
    "pt2": Reader(".pt2", _read_exported, _exported),
    "pt2-program": Reader(".pt2", _read_exported, _exported, "models/"),
    "pt2-tensors": Reader(".pt2", _read_exported, _exported, "_config.json"),
    "pth": Reader(".pth", _read_weights, _pickled),
    "pth-pickle": Reader(".pth", _read_weights, lambda: _pickled()[:1], "data.pkl"),
    "safetensors": Reader(".safetensors", _read_weights, _safetensors),
    "image": Reader(".img", _read_image, _images),
    "categories": Reader(".json", _read_categories, _categories),
    "dataset": Reader(".csv", _read_dataset, _dataset),
    "journal": Reader(".jsonl", _read_journal, _journal, signed=True),
}
