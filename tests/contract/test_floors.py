"""Who may import whom (design: floors), what an import costs, and that the two lists of requirements agree."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytorch_grad_cam
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "pytorch_grad_cam"
SOURCES = sorted((ROOT / PACKAGE).rglob("*.py"))

# The floor of a module is that of the longest prefix that is listed; it may import from its own floor and below.
FLOORS = {
    "": 5,  # __init__: the names of every method
    "__main__": 8,
    "cli": 7,
    "nnc": 6.5,
    "runs": 6,
    "methods": 5,
    "epoch_maps": 5,
    **{method.module: 4 for method in METHODS.values()},
    **dict.fromkeys(("finer_cam", "refine_cam", "guided_grad_cam", "sess", "ablation_cam_multilayer"), 4.5),
    **dict.fromkeys(("gscore_cam", "is_cam", "ss_cam", "vit_recipro_cam"), 4.5),  # made of another method
    "sobel_cam": 4,
    "guided_backprop": 4,
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


def floor(name: str) -> float:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in FLOORS:
            return FLOORS[".".join(parts[:end])]
    raise AssertionError(f"{name} has no floor: add it to FLOORS and to the design")


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """Yield the full names that a file imports, those inside functions too; not those for type checkers.

    With ``top_only`` what is imported together with the file.
    """
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
    """Yield all that runs in a file: everything but the blocks for type checkers."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from walked(child)


def own(names: Iterator[str]) -> list[str]:
    """Keep the modules of the package, without its name in front."""
    modules = {module_name(path) for path in SOURCES}
    shortened = [name.removeprefix(PACKAGE).removeprefix(".") for name in names if name.split(".")[0] == PACKAGE]
    return [name for name in shortened if name in modules and name]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_nobody_imports_from_above(path: Path) -> None:
    name = module_name(path)
    for imported in own(imports(path)):
        assert floor(imported) <= floor(name), f"{name} (floor {floor(name)}) imports {imported} ({floor(imported)})"
        for above, below in FORBIDDEN:
            assert not (name.startswith(above) and imported.startswith(below)), f"{name} imports {imported}"
        if floor(name) == 4:
            assert floor(imported) < 4, f"a method imports a method: {name}, {imported}"


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
    graph = {module_name(path): {*own(imports(path))} - {module_name(path)} for path in SOURCES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for imported in sorted(graph[name]):
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", [p for p in SOURCES if floor(module_name(p) or "methods") <= 5], ids=module_name)
def test_the_core_needs_torch_and_numpy_only(path: Path) -> None:
    name = module_name(path)
    if name.startswith(("utils.", "data.", "visualization.", "models.from_")):
        pytest.skip("a module that only users of pictures or of other packages' models import")
    outside = {imported.split(".")[0] for imported in imports(path, top_only=True)}
    assert outside <= LIGHT


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_files_are_short_and_init_defines_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400 or module_name(path) in TABLES
    if path.name == "__init__.py" and path.parent.name != PACKAGE:
        assert not [node for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def loaded_by(statement: str, beside: str = "") -> set[str]:
    """Return the top-level packages that a statement loads in a fresh interpreter, ``beside`` those of another."""
    packages = "{name.partition('.')[0] for name in sys.modules}"
    code = f"import sys\n{beside}\nbefore = {packages}\n{statement}\nprint(*{packages} - before)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(result.stdout.split())


def test_importing_the_package_is_nearly_free() -> None:
    assert not loaded_by(f"import {PACKAGE}, {PACKAGE}.methods") & {"torch", "numpy", "torchvision", "cv2"}


def test_importing_a_method_loads_torch_and_numpy_only() -> None:
    more = loaded_by(f"from {PACKAGE} import GradCAM, EigenCAM", beside="import torch, numpy") - LIGHT
    assert not {name for name in more if not name.startswith("_")}


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
