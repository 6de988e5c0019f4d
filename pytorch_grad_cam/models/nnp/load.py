"""The .nnp files of Neural Network Console as a source of networks: a ZIP file, whose members count by extension."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.archives import open_archive
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.nnp.build import build
from pytorch_grad_cam.models.nnp.limits import FREE_RATIO, MAX_MEMBERS, MAX_RATIO, MAX_TEXT, MAX_WEIGHTS
from pytorch_grad_cam.models.nnp.network import NnpNetwork
from pytorch_grad_cam.models.nnp.parameters import read_parameters
from pytorch_grad_cam.models.nnp.plan import make_plan
from pytorch_grad_cam.models.nnp.text import parse_text
from pytorch_grad_cam.models.weights_file import check_file

_TEXT = (".nntxt", ".prototxt")
_WEIGHTS = (".h5", ".protobuf")  # "x.h5.optimizer" is the state of a solver, not weights
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


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
    sources, members = _read_container(Path(path))
    try:
        size = Path(path).stat().st_size
        texts = [parse_text(source, size) for source in sources]
        plan = make_plan(texts)
    except ValueError as error:
        raise ValueError(f"the network in {path} cannot be read: {error}") from error
    parameters = read_parameters(texts, members, path, size)
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
        scores="multi-label" if model.closing == "Sigmoid" else None,
    )


def _preprocessing_for_network(model: NnpNetwork) -> Preprocessing:
    shape = model.input_shape
    channels = shape[0] if len(shape) == 3 and shape[0] in (1, 3) else 3
    size = (shape[1], shape[2]) if len(shape) == 3 else None  # what is no picture is left to the network to refuse
    std = 1.0 if model.normalizes else 1 / 255
    return Preprocessing(resize=size, crop=None, mean=(0.0,) * channels, std=(std,) * channels)


def _read_container(path: Path) -> tuple[list[str], list[tuple[str, bytes]]]:
    """Return the network texts, and name and bytes of each file of weights; nothing is unpacked to the disk."""
    check_file(path, "network file")
    try:
        with open_archive(path) as archive:
            return _read_members(archive, path)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(
            f"{path} is not a ZIP file, which a .nnp file is, or is damaged ({error}); export it again"
        ) from error
    except (RuntimeError, UnicodeError, OverflowError) as error:  # odd flags, names and sizes in a damaged directory
        raise ValueError(f"{path} has a damaged list of members ({error}); export it again") from error


def _read_members(archive: zipfile.ZipFile, path: Path) -> tuple[list[str], list[tuple[str, bytes]]]:
    members = archive.infolist()
    if not all(member.filename for member in members):
        raise ValueError(f"{path} has a member without a name; export it again")
    members = [member for member in members if not member.filename.endswith("/")]
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{path} has {len(members)} members; a .nnp file has a handful, {MAX_MEMBERS} at most")
    texts: list[str] = []
    weights: list[tuple[str, bytes]] = []
    left = {_TEXT: MAX_TEXT, _WEIGHTS: MAX_WEIGHTS}
    # For all members together: they may share their bytes, and many small ones grow to as much as one large one.
    believed = max(FREE_RATIO, MAX_RATIO * path.stat().st_size)
    for member in members:
        suffix = PurePosixPath(member.filename).suffix.lower()
        kind = next((kind for kind in left if suffix in kind), None)
        if kind is None:
            continue
        data = _read_member(archive, member, min(left[kind], believed), path)
        left[kind] -= len(data)
        believed -= len(data)
        if kind is _WEIGHTS:
            weights.append((member.filename, data))
            continue
        try:
            texts.append(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: {member.filename} is not text in UTF-8; export the network again") from error
    if not texts:
        raise ValueError(f"{path} holds no network text (.nntxt or .prototxt); export it from the Console again")
    return texts, weights


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int, path: Path) -> bytes:
    name = f"{path}: {member.filename}"
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{name} is encrypted; export it without a password")
    if member.compress_type not in _METHODS:
        raise ValueError(f"{name} is compressed by method {member.compress_type}; only stored and deflated are read")
    with archive.open(member) as file:
        if member.file_size > limit:
            raise ValueError(f"{name} would grow to {member.file_size} bytes; at most {limit} are believed")
        data = file.read(limit + 1)  # the size in the directory may lie
    if len(data) > limit:
        raise ValueError(f"{name} grows beyond {limit} bytes, more than its directory says; it is not read")
    return data
