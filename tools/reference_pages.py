"""The reference: every public name, on the page of its room; the site shows the documentation of each."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pytorch_grad_cam.methods import METHODS

PACKAGE = "pytorch_grad_cam"
METHOD_CLASSES = {method.path.replace(":", ".") for method in METHODS.values()}
WRITTEN = "<!-- Written by tools/write_pages.py from the public names; the site fills in their documentation. -->"
# Page, its title, and the modules whose names it has; the first page that fits takes a name.
ROOMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("targets", "Targets: what is asked", ("targets", "utils.model_targets")),
    ("drawing", "Drawing", ("visualization", "utils.image", "utils.video", "utils.volumes", "utils.signals")),
    ("metrics", "Metrics", ("metrics",)),
    ("evaluation", "Evaluation", ("evaluation",)),
    ("networks", "Networks and pictures", ("models", "data")),
    ("runs", "Many pictures", ("runs",)),
    ("inside", "Layers and activations", ("engine", "utils", "feature_factorization", "ablation_layer")),
    ("explaining", "Explaining", ("base_cam", "core", "epoch_maps", "methods", "")),
)
MODULE = "\n    options:\n      members: false\n      show_root_full_path: true"  # whose names stand by themselves
TITLES = {"methods": "Methods", **{name: title for name, title, _ in ROOMS}}


@dataclass
class Named:
    """A public thing: where it is defined, and all paths under which it is public."""

    thing: Any
    home: str
    paths: list[str] = field(default_factory=list)


def pages(public: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the text of each page by its file name."""
    found = _things(public)
    rooms: dict[str, list[Named]] = {name: [] for name in TITLES}
    for named in found.values():
        rooms[_room(named)].append(named)
    texts = {f"{name}.md": _page(TITLES[name], sorted(rooms[name], key=_order)) for name in TITLES}
    return {"README.md": _index(found), **texts}


def documented(public: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return by every public path the path under which the reference documents it."""
    return {path: named.home for named in _things(public).values() for path in named.paths}


def _things(public: Mapping[str, tuple[str, ...]]) -> dict[str, Named]:
    """Return the public things by where they are defined: what has several paths once."""
    found: dict[str, Named] = {}
    for module, names in public.items():
        for name in names:
            thing = getattr(importlib.import_module(module), name)
            home = _home(thing, f"{module}.{name}")
            found.setdefault(home, Named(thing, home)).paths.append(f"{module}.{name}")
    return found


def _home(thing: Any, path: str) -> str:
    if inspect.ismodule(thing):
        return thing.__name__
    module, name = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")
    defined = isinstance(module, str) and module.startswith(PACKAGE) and name and "<" not in name
    if defined:
        return f"{module}.{name}"
    held, _, name = path.rpartition(".")
    if re.search(
        rf"^(from .+ import .*|\s*)\b{name}\b", inspect.getsource(importlib.import_module(held)), re.MULTILINE
    ):
        return path
    # A value that its room loads late: the module that has it.
    return next(f"{other}.{name}" for other, held in sorted(sys.modules.items()) if _has(held, other, name, thing))


def _has(module: ModuleType, name: str, attribute: str, thing: Any) -> bool:
    return name.startswith(f"{PACKAGE}.") and vars(module).get(attribute) is thing


def _order(named: Named) -> tuple[bool, bool, str]:
    """Classes and functions by where they are defined, then modules, and numbers such as the version last."""
    return not callable(named.thing) and not inspect.ismodule(named.thing), inspect.ismodule(named.thing), named.home


def _room(named: Named) -> str:
    if named.home in METHOD_CLASSES:
        return "methods"
    below = named.home.removeprefix(PACKAGE).removeprefix(".")
    return next(name for name, _, modules in ROOMS if any(below.startswith(module) for module in modules))


def _page(title: str, things: list[Named]) -> str:
    blocks = [_block(named) for named in things]
    return f"# {title}\n\n" + "\n\n".join(blocks) + f"\n\n{WRITTEN}\n"


def _block(named: Named) -> str:
    options = MODULE if inspect.ismodule(named.thing) else ""
    anchor = f'<a id="{named.home}"></a>'  # for readers on GitHub; the site has its own, and leaves this line out
    return f"{anchor}\n\n::: {named.home}{options}\n\n{_import(named.paths)}"


def _import(paths: list[str]) -> str:
    """Return the line that says how a thing is imported; the shortest path first."""
    (module, _, name), *others = (path.rpartition(".") for path in sorted(paths, key=lambda path: path.count(".")))
    also = f"; also in {', '.join(f'`{other}`' for other, _, _ in others)}" if others else ""
    return f"Import: `from {module} import {name}`{also}."


def _index(found: Mapping[str, Named]) -> str:
    rows = {path: named for named in found.values() for path in named.paths}
    order = sorted(rows, key=lambda path: (path.rpartition(".")[2].lower(), path))
    listed = [
        f"| `{path}` | [{TITLES[_room(rows[path])]}]({_room(rows[path])}.md#{rows[path].home}) |" for path in order
    ]
    return f"""# Reference

Every public name, and the page that documents it. What is not here may change at any time;
[how a public name is deprecated](../../CONTRIBUTING.md#public-names).

| name | page |
| --- | --- |
{chr(10).join(listed)}

{WRITTEN}
"""
