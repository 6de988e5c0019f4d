"""What users name in a module of their own: ``package.module:factory``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any


def made_by(spec: str, is_made: Callable[[Any], bool], what: str) -> Any:
    """Import a module, also from the working folder, and call the factory in it without arguments.

    Args:
        spec: ``package.module:name``; the name is a function or class, dotted if it lies deeper, or the thing itself.
        is_made: says of what the name stands for whether it is the thing itself, so that nothing is called.
        what: the thing in words, e.g. "a network".

    Returns:
        The thing itself, or what the factory returned, whatever that is.

    Raises:
        ImportError: if the module or the name cannot be imported.
        TypeError: if the name is neither the thing nor can be called.
        RuntimeError: if the factory raises.
        ValueError: if the spelling is another.
    """
    module_name, _, path = spec.rpartition(":")  # the last: the first may stand behind the letter of a drive
    if not module_name or not path or _is_path(path):
        raise ValueError(f"{spec!r} does not name a factory; write package.module:function")
    if module_name.endswith(".py") or _is_path(module_name):
        file = PureWindowsPath(module_name.removesuffix(".py"))  # which takes / and \ for the same
        dotted = ".".join(file.relative_to(file.anchor).parts)
        raise ValueError(f"{spec!r} names a file; write it as a module: {dotted}:{path}")
    factory: Any = _import_attribute(module_name, path)
    if is_made(factory):
        return factory
    if not callable(factory):
        raise TypeError(f"{spec} is a {type(factory).__name__}; name a function that returns {what}")
    try:
        return factory()
    except Exception as error:
        raise RuntimeError(
            f"{spec}() raised {type(error).__name__}: {error}; it is called without arguments"
        ) from error


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text


def _import_attribute(module_name: str, path: str) -> Any:
    """Import a module, also from the working folder, and return what a dotted path names in it."""
    here = str(Path.cwd())
    if here not in sys.path:  # as python -m does; a console script does not
        sys.path.insert(0, here)
    try:
        attribute: Any = importlib.import_module(module_name)
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
            attribute = getattr(attribute, part)
        except AttributeError as error:
            known = [name for name, value in vars(attribute).items() if callable(value) and not name.startswith("_")]
            more = f", ... ({len(known)} in all)" if len(known) > 12 else ""
            hint = f"; it has {', '.join(known[:12])}{more}" if known else ""
            raise ImportError(f"the module {module_name!r} has no {path!r}{hint}") from error
    return attribute
