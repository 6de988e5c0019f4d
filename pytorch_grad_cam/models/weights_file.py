"""Read a file of weights, and copy weights into a network that has been built already."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.models.archives import open_archive
from pytorch_grad_cam.models.pickle_names import PICKLED, check_saved, pickle_protocol

# Where training programs put the weights inside a checkpoint, the usual first.
NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
RANDOM = "random"  # in the place of a file: the numbers that a new network is made with
_SHOWN = 3  # names per kind in a message


def read_weights(path: str | Path, trust_pickle: bool = False) -> Mapping[str, Tensor]:
    """Read a file of weights: a state dict (.pth, .pt, ...), bare or inside a checkpoint, or .safetensors.

    Args:
        path: the file.
        trust_pickle: also unpickle arbitrary Python objects. That can run any code the file's author chose.

    Returns:
        Names and tensors, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, holds no weights, or holds objects that only unpickling would give.
    """
    path = Path(path)
    check_file(path, "file of weights")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    with open(path, "rb") as file:
        if not file.read(4).startswith(PICKLED):
            raise ValueError(
                f"{path} is not a file of weights: torch.save did not write it (a failed download?); fetch it again"
            )
        try:
            check_saved(file, str(path))
        except BadZipFile as error:
            raise ValueError(
                f"{path} is damaged or incomplete, or not a file of weights ({error}); fetch it again"
            ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is said below, in one sentence
            content = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # a damaged file makes the reader raise almost anything
        raise ValueError(f"{path} {_why_unreadable(path, error, trust_pickle)}") from error
    return _weights_in(content, path)


def check_file(path: Path, kind: str) -> None:
    """Raise FileNotFoundError if there is no file; ``kind`` says in words what it should be."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"the {kind} {path} {what}; check the path")


def copy_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> None:
    """Copy weights into a network, name by name; half precision becomes the network's precision.

    A prefix that a wrapper left on the names ("module.", "model.", "backbone.", ...) is found and taken off; what
    lies outside it (an optimiser's or a loss's numbers) is left out.

    Args:
        model: a network that was made for this.
        weights: as `read_weights` returns them.
        source: where they came from, for the message.

    Raises:
        ValueError: if a name is missing, left over or differs in shape; the message lists the first of each kind.
    """
    weights = without_prefix(weights, model)
    own = model.state_dict()
    misshaped = [
        f"{name} {_shape_text(weights[name])} instead of {_shape_text(own[name])}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    complex_ones = [
        name for name, value in own.items() if name in weights and weights[name].is_complex() > value.is_complex()
    ]
    if complex_ones:
        raise ValueError(
            f"the weights of {source} are complex numbers, those of {type(model).__name__} are not: "
            f"{_first_few(complex_ones)}; save real ones"
        )
    # Shapes are judged above: load_state_dict would raise for them before telling which names are missing.
    fitting = _like(
        weights, {name: value for name, value in weights.items() if name not in own or value.shape == own[name].shape}
    )
    if not _is_metadata(
        getattr(fitting, "_metadata", None)
    ):  # some networks insist on a version; that of today is the best guess
        fitting._metadata = {"": {"version": model._version}}  # type: ignore[attr-defined]
    try:
        missing, unexpected = model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # tensors of a kind that cannot be copied: sparse, quantised, of no device
        raise ValueError(
            f"the weights of {source} cannot be copied into {type(model).__name__}: {first_line(error)}"
        ) from error
    missing = [name for name in missing if name not in weights]
    if missing or unexpected or misshaped:
        kinds = {"missing": missing, "not in the network": unexpected, "of another shape": misshaped}
        problems = "; ".join(f"{kind}: {_first_few(names)}" for kind, names in kinds.items() if names)
        raise ValueError(f"the weights of {source} do not fit {type(model).__name__}: {problems}")


def without_prefix(weights: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """Take off the prefix under which most of the network's names are found, if there is one."""
    wanted = list(model.state_dict())
    first = wanted[0] if wanted else ""
    prefixes = {name[: len(name) - len(first)] for name in weights if name == first or name.endswith(f".{first}")}
    if not prefixes:
        return weights
    best = max(prefixes, key=lambda prefix: (sum(prefix + name in weights for name in wanted), -len(prefix)))
    if not best:
        return weights
    return _like(
        weights, {name.removeprefix(best): value for name, value in weights.items() if name.startswith(best)}, best
    )


def _like(weights: Mapping[str, Tensor], chosen: dict[str, Tensor], prefix: str = "") -> OrderedDict[str, Tensor]:
    """Return the chosen weights with the layers' version numbers, which some layers need to read old files."""
    result = OrderedDict(chosen)
    versions = getattr(weights, "_metadata", None)
    if versions is not None and _is_metadata(versions):
        result._metadata = {  # type: ignore[attr-defined]
            f"{name}.".removeprefix(prefix).removesuffix("."): value for name, value in versions.items()
        }
    return result


def _is_metadata(metadata: Any) -> bool:
    """Say whether what a file has in the place of the layers' version numbers are such."""
    return isinstance(metadata, Mapping) and all(isinstance(value, Mapping) for value in metadata.values())


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    reader = need("safetensors.torch")
    try:
        weights: dict[str, Tensor] = reader.load_file(path)
    except Exception as error:  # the reader has errors of its own kind
        raise ValueError(f"{path} is not a safetensors file, or is damaged ({error}); fetch it again") from error
    return weights


def _weights_in(content: Any, path: Path, depth: int = 0) -> Mapping[str, Tensor]:
    if depth > len(NESTED):
        raise ValueError(f"{path} holds dictionaries that hold one another, and no state dict; save model.state_dict()")
    if isinstance(content, nn.Module):
        return content.state_dict()
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__} instead of a state dict of names and tensors")
    for key in NESTED:
        if isinstance(content.get(key), (Mapping, nn.Module)):
            return _weights_in(content[key], path, depth + 1)
    if not content or not all(isinstance(value, Tensor) for value in content.values()):
        keys = _first_few([f"{key!s:.100}" for key in content]) or "nothing"
        raise ValueError(f"{path} holds no state dict of names and tensors, but {keys}")
    unnamed = [key for key in content if not isinstance(key, str)]
    if unnamed:
        raise ValueError(
            f"{path} holds tensors under {unnamed[0]!r:.100}, a {type(unnamed[0]).__name__}, where names must stand; "
            "save model.state_dict()"
        )
    return content


def first_line(error: Exception) -> str:
    """Return the first line of an error's text; its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def forbidden_object(error: Exception) -> str | None:
    """Return what the safe reader of ``torch.load`` would not unpickle; None if an error has another reason."""
    # Only torch's text names the object, and torch.export.load may wrap the error: it has no class or attribute for it.
    match = re.search(r"GLOBAL ([\w.]+)", str(error))
    return match[1] if match else None


def _why_unreadable(path: Path, error: Exception, trust_pickle: bool) -> str:
    forbidden = forbidden_object(error)
    if not trust_pickle and _is_torchscript(path):
        return "is a TorchScript archive; save model.state_dict() with torch.save and give that file"
    if forbidden:
        return (
            f"holds Python objects beside tensors ({forbidden}), and reading those can run any code; save "
            "model.state_dict() instead, or, if you trust its author, allow it with --trust-pickle (trust_pickle=True)"
        )
    protocol = pickle_protocol(path)
    if protocol is None or protocol <= 2:
        return "is damaged or incomplete, or not a file of weights; fetch it again"
    if not trust_pickle:
        return (
            f"was pickled with protocol {protocol}, and only up to 2 can be read without running what a file says; "
            "save the weights again with torch.save(model.state_dict(), path), or, if you trust its author, allow it "
            "with --trust-pickle (trust_pickle=True)"
        )
    return (
        f"is a pickle of protocol {protocol} that torch.load does not read, as pickle.dump writes it, or is damaged; "
        "save the weights with torch.save(model.state_dict(), path)"
    )


def _is_torchscript(path: Path) -> bool:
    """Say whether a file is what ``torch.jit.save`` writes, by the member that torch itself knows such files by."""
    try:
        with open_archive(path) as archive:
            return any(PurePosixPath(name).match("*/constants.pkl") for name in archive.namelist())
    except BadZipFile:  # of before torch 1.6
        return False


def _first_few(names: Iterable[str]) -> str:
    names = list(names)
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shape_text(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
