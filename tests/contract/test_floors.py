"""Who may import whom (design: floors), what lies in a file, and that what is written twice agrees."""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from helpers.paths import ROOT

import pytorch_grad_cam
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.methods import METHODS

PACKAGE = "pytorch_grad_cam"
SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))

# The floor of a module is that of the longest prefix that is listed; it may import from its own floor and below.
FLOORS = {
    "": 5,  # __init__: the names of every method
    "__main__": 8,
    "cli": 7,
    "nnc": 6.5,
    "evaluation": 6.5,
    "demo": 6.5,
    "runs": 6,
    "methods": 5,
    "epoch_maps": 5,
    "integrations": 5,
    **{method.module: 4 for method in METHODS.values()},
    **dict.fromkeys(("finer_cam", "refine_cam", "guided_grad_cam", "sess", "ablation_cam_multilayer"), 4.5),
    **dict.fromkeys(("gscore_cam", "is_cam", "ss_cam", "vit_recipro_cam"), 4.5),  # made of another method
    "sobel_cam": 4,
    "guided_backprop": 4.5,  # made of another method
    **dict.fromkeys(("base_cam", "bases", "feature_factorization", "models", "metrics", "utils"), 3),
    **dict.fromkeys(("core", "visualization"), 2.5),
    **dict.fromkeys(("targets", "data"), 2),
    "activations_and_gradients": 1,
    "ablation_layer": 1,
    "engine": 1,
    "common": 0,
}
# Beyond the floors: pairs that must not know each other although the floors would let them.
FORBIDDEN = [
    ("models", "base_cam"),
    ("models", "bases"),
    ("models", "core"),
    ("metrics", "base_cam"),
    ("nnc", "evaluation"),
    ("evaluation", "nnc"),
    ("demo", "nnc"),
    ("demo", "evaluation"),
    ("nnc", "demo"),
    ("evaluation", "demo"),
    ("core", "visualization"),
    ("visualization", "core"),
    ("targets", "data"),
    ("data", "targets"),
    ("engine", "activations_and_gradients"),
]
TABLES = {"methods"}  # a table may be long
LIGHT = {"torch", "numpy", PACKAGE} | set(sys.stdlib_module_names)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in SOURCES}


def floor(name: str) -> float:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in FLOORS:
            return FLOORS[".".join(parts[:end])]
    raise AssertionError(f"{name} has no floor: add it to FLOORS and to the design")


@functools.cache
def imports(path: Path, *, top_only: bool = False) -> tuple[str, ...]:
    """Return the full names that a file imports, those inside functions too; not those for type checkers.

    With ``top_only`` what is imported together with the file.
    """
    return tuple(_imports(path, top_only))


def _imports(path: Path, top_only: bool) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(tree.body) if top_only else list(walked(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            yield node.module
            if node.module.startswith(PACKAGE):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def walked(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run in a file: all but the blocks for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue  # most of a file, and no place for an import
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from walked(child)


def own(names: Iterable[str]) -> list[str]:
    """Keep the modules of the package, without its name in front."""
    shortened = [name.removeprefix(PACKAGE).removeprefix(".") for name in names if name.split(".")[0] == PACKAGE]
    return [name for name in shortened if name in MODULES and name]


def test_nobody_imports_from_above() -> None:
    arrows = [(name, imported) for name, path in MODULES.items() for imported in own(imports(path))]
    assert len(arrows) > 100
    assert [
        f"{name} ({floor(name)}) imports {other} ({floor(other)})"
        for name, other in arrows
        if floor(other) > floor(name)
    ] == []
    assert [
        f"{name} imports {other}"
        for name, other in arrows
        for above, below in FORBIDDEN
        if name.startswith(above) and other.startswith(below)
    ] == []
    assert [
        f"a method imports a method: {name}, {other}"
        for name, other in arrows
        if floor(name) == floor(other) == 4 and name != other
    ] == []


@pytest.mark.parametrize("path", [path for path in SOURCES if "cli" in path.parts], ids=module_name)
def test_commands_do_not_import_one_another(path: Path) -> None:
    """What several commands need lies in cli/ itself, and nothing there knows a command but by the table's names."""
    name = f"{module_name(path)}."
    for imported in own(imports(path)):
        for command in COMMANDS:
            room = f"cli.{command}."
            assert name.startswith(room) or not f"{imported}.".startswith(room), f"{name[:-1]} imports {imported}"


def test_there_is_no_circle() -> None:
    """No module needs itself, also not by an import inside a function."""
    graph = {name: {*own(imports(path))} - {name} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for imported in sorted(graph[name]):
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_core_needs_torch_and_numpy_only() -> None:
    """All that is no module which only users of pictures or of other packages' models import."""
    others = ("utils.", "data.", "visualization.", "models.from_")
    modules = {name: path for name, path in MODULES.items() if floor(name) <= 5 and not name.startswith(others)}
    assert len(modules) > 100
    outside = {name: {part.split(".")[0] for part in imports(path, top_only=True)} for name, path in modules.items()}
    found = {name: packages - LIGHT for name, packages in outside.items() if packages - LIGHT}
    assert found == {"ablation_cam": {"tqdm"}, "score_cam": {"tqdm"}}  # where code for grad-cam patches it


def test_files_are_short() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 400 and name not in TABLES} == {}


def test_init_defines_nothing() -> None:
    """But for that of the package, whose names are lazy."""
    rooms = [path for path in SOURCES if path.name == "__init__.py" and path.parent.name != PACKAGE]
    assert len(rooms) > 10
    for path in rooms:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert not [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))], path


def test_every_public_name_is_there() -> None:
    for name in pytorch_grad_cam.__all__:
        assert getattr(pytorch_grad_cam, name) is not None
        assert name in dir(pytorch_grad_cam)
    assert {method.load().__name__ for method in METHODS.values()} <= set(pytorch_grad_cam.__all__)
    with pytest.raises(AttributeError, match="no attribute 'GradCam'"):
        pytorch_grad_cam.GradCam  # noqa: B018


def test_the_stub_says_what_the_table_says() -> None:
    spec = importlib.util.spec_from_file_location("write_stub", ROOT / "tools" / "write_stub.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.STUB.read_text(encoding="utf-8") == tool.stub(), "run: python tools/write_stub.py"


def test_the_requirements_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").split() == project["dependencies"]
