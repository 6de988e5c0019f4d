"""Write tests/helpers/drop_in_contract.py: the public names of an installed ``grad-cam`` and their arguments.

Run it where that package is installed, or unpacked on the path; it has the import name of this one:

    PYTHONPATH=folder/with/grad-cam python tools/list_contract.py > tests/helpers/drop_in_contract.py
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import version
from textwrap import wrap
from types import ModuleType
from typing import Any

import numpy as np
import torch

NAME = "pytorch_grad_cam"
SPECIAL = ("__init__", "__call__", "__enter__", "__exit__")


def modules() -> Iterator[ModuleType]:
    """Yield the package and every module in it."""
    package = importlib.import_module(NAME)
    yield package
    for found in sorted(pkgutil.walk_packages(package.__path__, f"{NAME}."), key=lambda each: each.name):
        yield importlib.import_module(found.name)


def written(value: Any) -> str:
    """Write a default value so that it can be compared as text."""
    if inspect.isclass(value):
        return value.__name__
    if isinstance(value, torch.nn.Module):
        return f"{type(value).__name__}()"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return repr(value)


def arguments(function: Any) -> str:
    """Write the arguments of a function, of a method without ``self``."""
    parts = []
    for name, parameter in inspect.signature(function).parameters.items():
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        default = "" if parameter.default is parameter.empty else f"={written(parameter.default)}"
        if name != "self":
            parts.append(f"{star}{name}{default}")
    return ", ".join(parts)


def entries(module: ModuleType) -> Iterator[tuple[str, str | None]]:
    """Yield the public names that a module defines, with arguments, and those it offers of other modules, without."""
    offers = hasattr(module, "__path__")
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or name == NAME or (inspect.ismodule(value) and not offers):
            continue
        if getattr(value, "__module__", None) != module.__name__:
            own = getattr(value, "__module__", getattr(value, "__name__", "")) or ""
            if (offers and own.startswith(NAME)) or (not callable(value) and name.isupper()):
                yield name, None
            continue
        yield name, arguments(value)
        if inspect.isclass(value):
            for member, function in sorted(vars(value).items()):
                if inspect.isfunction(function) and (not member.startswith("_") or member in SPECIAL[1:]):
                    yield f"{name}.{member}", arguments(function)


def main() -> None:
    """Print the list."""
    print('"""What the package grad-cam offers: written by tools/list_contract.py, not by hand."""\n')
    print("from __future__ import annotations\n")
    print(f"VERSION = {version('grad-cam')!r}\n".replace("'", '"'))
    print("# (module, name, arguments); None: a name without arguments of its own, or one of another module.")
    print("CONTRACT: list[tuple[str, str, str | None]] = [")
    for module in modules():
        if hasattr(module, "__path__") and module.__name__ != NAME:
            print(f'    ("{module.__name__}", "", None),')
        for name, found in entries(module):
            text = "None" if found is None else '"' + found.replace('"', "'") + '"'
            line = f'    ("{module.__name__}", "{name}", {text}),'
            print(line if len(line) <= 120 else broken(module.__name__, name, text))
    print("]")


def broken(module: str, name: str, text: str) -> str:
    """Lay a long entry out over several lines."""
    pieces = wrap(text.strip('"'), 108, drop_whitespace=False, break_on_hyphens=False)
    if len(pieces) > 1:
        lines = ["        (", *(f'            "{piece}"' for piece in pieces), "        ),"]
    else:
        lines = [f"        {text},"]
    return "\n".join(["    (", f'        "{module}",', f'        "{name}",', *lines, "    ),"])


if __name__ == "__main__":
    main()
