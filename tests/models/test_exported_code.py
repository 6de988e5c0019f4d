"""What a .pt2 file may hold: programs, and nothing that torch would run as code."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import nn
from torch.export import Dim

from pytorch_grad_cam.models.exported_formulas import is_formula, is_guard
from pytorch_grad_cam.models.load import load_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's exporter
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
# Where the program and the weights stand, second in what torch before 2.8 writes. Later ones read every member in some
# folders, and describe weights in members of their own.
PROGRAM = ("models/model.json", "serialized_exported_program.json")
WEIGHTS = ("weight_0", "serialized_state_dict.pt")
HAS_FOLDERS = find_spec("torch.export.pt2_archive") is not None
WRITE = "torch.ops.image.write_file.default"  # of torchvision: it overwrites any file
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    sizes = {0: Dim("batch"), 2: Dim.AUTO, 3: Dim.AUTO}
    torch.export.save(torch.export.export(build(ConvNet), (inputs(),), dynamic_shapes=(sizes,)), path)
    return path


def changed(honest: Path, path: Path, change: Change) -> str:
    """Write the program with another description."""
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(PROGRAM):
                content = json.loads(data)
                change(content)
                data = json.dumps(content).encode()
            new.writestr(name, data)
    return str(path)


def replaced(old: str, new: str) -> Change:
    """Return what replaces a text wherever it is a value of the description."""

    def change(content: dict[str, Any]) -> None:
        text = json.dumps(content)
        assert json.dumps(old) in text
        content.clear()
        content.update(json.loads(text.replace(json.dumps(old), json.dumps(new))))

    return change


def graph(content: dict[str, Any]) -> dict[str, Any]:
    return content["graph_module"]["graph"]  # type: ignore[no-any-return]


def first_formula(content: dict[str, Any], formula: str) -> None:
    for tensor in graph(content)["tensor_values"].values():
        for size in tensor["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = formula


def tree_of_arguments(content: dict[str, Any], context: str, kind: str = "builtins.dict") -> None:
    signature = content["graph_module"]["module_call_graph"][0]["signature"]
    protocol, tree = json.loads(signature["in_spec"])
    tree["children_spec"][1] |= {"type": kind, "context": context}
    signature["in_spec"] = json.dumps([protocol, tree])


def hostile_changes(proof: Path) -> dict[str, Change]:
    code = f"__import__('pathlib').Path({str(proof)!r}).touch()"
    return {
        "formula": lambda content: first_formula(content, code),
        "formula in a symbol": lambda content: first_formula(content, f"Symbol({code})"),
        "guard": lambda content: content.update(guards_code=[f"L['x'].size()[{code}] == 2"]),
        "name of a node": replaced("conv2d", f"conv2d = {code}; y"),
        "name of an input": replaced("x", f"x=[{code}]"),
        "path of a weight": replaced("conv1.weight", f'conv1.weight", {code}, "'),
        "operator": lambda content: graph(content)["nodes"][0].update(target="torch.os.system"),
        "operator on files": lambda content: graph(content)["nodes"][0].update(target=WRITE),
        "keyword": lambda content: tree_of_arguments(content, json.dumps([f"a={code}"])),
        "import": lambda content: tree_of_arguments(
            content, json.dumps({"__enum__": True, "fqn": "antigravity:X", "name": "x"})
        ),
        "import of a factory": lambda content: tree_of_arguments(
            content,
            {"default_factory_module": "os", "default_factory_name": "x", "dict_context": []},  # type: ignore[arg-type]
            "collections.defaultdict",
        ),
    }


@pytest.mark.parametrize("kind", hostile_changes(Path("proof")))
def test_code_in_a_program_is_refused_before_torch_reads_it(
    kind: str, honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("torch has been given the file")

    proof = tmp_path / "ran"
    path = changed(honest, tmp_path / "hostile.pt2", hostile_changes(proof)[kind])
    monkeypatch.setattr(torch.export, "load", never)
    with pytest.raises(ValueError, match=r"torch would run it as code; if you trust its author.*--trust-pickle"):
        load_model(path)
    assert not proof.exists()


def test_the_hostile_file_is_as_hostile_as_it_is_meant_to_be(honest: Path, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    path = changed(honest, tmp_path / "hostile.pt2", hostile_changes(proof)["formula"])
    with pytest.raises(ValueError, match="cannot be read as an exported program"):
        load_model(path, trust_pickle=True)
    assert proof.exists()


def test_the_members_that_torch_reads_are_those_that_are_checked(honest: Path, tmp_path: Path) -> None:
    """A second member of the same name, and a program that is not called one."""
    proof = tmp_path / "ran"
    hostile = changed(honest, tmp_path / "hostile.pt2", hostile_changes(proof)["formula"])
    with zipfile.ZipFile(hostile) as archive:
        name = next(name for name in archive.namelist() if name.endswith(PROGRAM))
        evil = archive.read(name)
    for number, other in enumerate([name, name.upper(), *([name.replace("json", "text")] if HAS_FOLDERS else [])]):
        path = tmp_path / f"{number}.pt2"
        path.write_bytes(honest.read_bytes())
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as new:
            warnings.simplefilter("ignore")  # zipfile's, on the second name
            new.writestr(other, evil)
        with pytest.raises(ValueError, match=r"the same name|run it as code"):
            load_model(str(path))
    assert not proof.exists()


@pytest.mark.parametrize("kind", ["packed", "claimed"] if HAS_FOLDERS else ["packed"])
def test_sizes_are_bounded(kind: str, honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if kind == "packed" and name.endswith(WEIGHTS):
                data = bytes(100 << 20)
            if kind == "claimed" and name.endswith("weights_config.json"):
                content = json.loads(data)
                next(iter(content["config"].values()))["tensor_meta"]["sizes"] = [{"as_int": 1 << 20}] * 2
                data = json.dumps(content).encode()
            new.writestr(name, data)
    with pytest.raises(ValueError, match=r"would grow|not believed"):
        load_model(str(path))


class Sizes(nn.Module):
    """Computes with the sizes of its input, in ways that give formulas of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        self.layers.add_module("conv-1 a/b", nn.Conv2d(2, 4, 3, padding=1))

    def forward(self, x: torch.Tensor, *, scale: float = 1.0, mode: str = "none") -> dict[str, torch.Tensor]:
        y = self.layers(x)
        half = x.shape[2] // 2
        y = nn.functional.interpolate(y, size=(half * 2 - 1, x.shape[3] % 7 + 3))[:, :, : (half + 1) // 2]
        y = y * max(x.shape[2], x.shape[3]) + torch.sym_float(x.shape[2]) ** 0.5 * x.shape[0] / 3
        y = nn.functional.gelu(y, approximate=mode) * scale
        return {"a": torch.einsum("bchw,bchw->bc", y, y), "b": y}


@pytest.mark.again
def test_honest_programs_need_no_trust(honest: Path, tmp_path: Path) -> None:
    load_model(str(honest))
    torch.manual_seed(0)
    net, x = Sizes().eval(), torch.rand(2, 2, 20, 24)
    sizes = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},)
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=sizes), tmp_path / "net.pt2")
    torch.testing.assert_close(load_model(str(tmp_path / "net.pt2")).model(x), net(x))


FORMULAS = (
    "s0",
    "2*s0 + 1",
    "(s0 - 1)//2",
    "Pow(Symbol('s0', positive=True, integer=True), Integer(-1))",
    "Mul(Float('0.5', precision=53), ToFloat(Symbol('s77', positive=True, integer=True)))",
    "Max(Integer(1), Add(Integer(-1), Mul(Integer(2), FloorDiv(Symbol('s77', integer=True), Integer(2)))))",
)
NO_FORMULAS = (
    "__import__('os')",
    "s0.func",
    "(lambda: 0)()",
    "[s0 for s0 in s1]",
    "9**9**9",
    "Pow(Integer(9), Integer(999))",
    "Pow(Integer(9), Symbol('s0'))",
    "LShift(Integer(1), Integer(1000000))",
    "1e999",
    "99999999999999999999999",
    "S('code')",
    "Symbol('x y')",
    "Symbol('s0', cls=S)",
    "Float('1', precision=10000000)",
    "s0\n+1",
    "ｓ0",  # noqa: RUF001 - Python takes it for an s
    "(" * 5000 + "s0" + ")" * 5000,
    "-" * 5000 + "s0",
    "",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize("text", NO_FORMULAS)
def test_no_formulas(text: str) -> None:
    assert not is_formula(text)
    assert not is_guard(text)


GUARDS = ("(-1) + 2*(L['x'].size()[2] // 2) >= 2", "L['mode'] == 'tanh'", "s0 > torch.sym_max(1, 2)")


@pytest.mark.parametrize("text", GUARDS)
def test_guards(text: str) -> None:
    assert is_guard(text)


@pytest.mark.parametrize("text", ["L['x'].__class__", "torch.load('x')", "L['x'].size(a=1)", "L[code()]", "math.os"])
def test_no_guards(text: str) -> None:
    assert not is_guard(text)
