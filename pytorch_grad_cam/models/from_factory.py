"""Somebody's own network, made by a function of theirs: ``package.module:factory``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel


def load_factory(spec: str) -> LoadedModel:
    """Import a module, also from the working folder, and call what makes the network, without arguments.

    Args:
        spec: ``package.module:name``; the name is a function or class, dotted if it lies deeper, or a finished network.

    Returns:
        What the factory returned if that is a LoadedModel; else its network, with ImageNet's preprocessing. The
        network keeps the training mode that the factory gave it.

    Raises:
        ImportError: if the module or the name cannot be imported.
        TypeError: if the result is neither a network nor a LoadedModel.
        RuntimeError: if the factory raises.
    """
    module_name, _, path = spec.partition(":")
    if not module_name or not path:
        raise ValueError(f"{spec!r} does not name a factory; write package.module:function")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removeprefix("./").removesuffix(".py").replace("/", ".")
        raise ValueError(f"{spec!r} names a file; write it as a module: {dotted}:{path}")
    made: Any = _imported(module_name, path)
    if not isinstance(made, (nn.Module, LoadedModel)):
        if not callable(made):
            raise TypeError(f"{spec} is a {type(made).__name__}; name a function that returns a network")
        try:
            made = made()
        except Exception as error:
            raise RuntimeError(
                f"{spec}() raised {type(error).__name__}: {error}; it is called without arguments"
            ) from error
    if isinstance(made, LoadedModel):
        return made
    if isinstance(made, nn.Module):
        return LoadedModel(made, Preprocessing(), source=spec)
    raise TypeError(f"{spec}() returned a {type(made).__name__}; return a torch.nn.Module or a LoadedModel")


def _imported(module_name: str, path: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:  # as python -m does; a console script does not
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ImportError(
                f"there is no module {module_name!r}; it is looked for in {here} and among the installed packages"
            ) from error
        raise ImportError(f"the module {module_name!r} cannot be imported: {error}") from error
    except Exception as error:  # somebody's module may raise anything
        raise ImportError(f"the module {module_name!r} raised {type(error).__name__}: {error}") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            known = [name for name, value in vars(found).items() if callable(value) and not name.startswith("_")]
            more = f", ... ({len(known)} in all)" if len(known) > 12 else ""
            hint = f"; it has {', '.join(known[:12])}{more}" if known else ""
            raise ImportError(f"the module {module_name!r} has no {path!r}{hint}") from error
    return found
