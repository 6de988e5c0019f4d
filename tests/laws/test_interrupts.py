"""Ctrl-C at any instant leaves nothing: not in the model, nor in the thread, nor in the process."""

from __future__ import annotations

import ast
import gc
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from helpers.again import again
from helpers.paths import ROOT
from helpers.tiny_nets import ResidualNet, TinyViT, build, inputs
from helpers.unchanged_model import assert_unchanged
from torch import nn

from pytorch_grad_cam import AblationCAM, FullGrad, GradCAM, LeGrad
from pytorch_grad_cam.engine import ledger, restore

RESTORE = restore.__file__  # of the package that is tested, which may be an installed one
OURS = str(Path(RESTORE).parents[1])
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


def training(kind: type[nn.Module]) -> nn.Module:
    net = build(kind)
    net.train()
    list(net.modules())[-1].eval()
    return net


def run_until(call: Callable[[], object], line: int | None, files: str = OURS) -> int:
    """Run a call, raise KeyboardInterrupt at its so-manieth line of these files, and return how many it got to."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(files):
            return None
        if event == "line":
            count += 1
            if count == line:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    outer = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(outer)
    return count


CASES: dict[str, tuple[Any, ...]] = {
    "gradcam": (GradCAM, ResidualNet, ["norm"], inputs(batch=1)),
    "ablationcam": (AblationCAM, ResidualNet, ["norm"], inputs(batch=1)),
    "fullgrad": (FullGrad, ResidualNet, [], inputs(batch=1)),
    "legrad": (LeGrad, TinyViT, [], inputs(batch=1, size=TinyViT.size)),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, Any, torch.Tensor]:
    method, kind, layers, x = request.param
    net = training(kind)
    cam = method(net, *layers)
    cam(x, 1)
    return net, cam, x


def interrupted_at(case: tuple[nn.Module, Any, torch.Tensor], line: int, files: str) -> None:
    net, cam, x = case
    record = cam.activations_and_grads
    with assert_unchanged(net, x):
        with pytest.raises(KeyboardInterrupt):
            run_until(lambda: cam(x, 1), line, files)
        assert cam.activations_and_grads is record
        assert not ledger._queue
        assert not any(ledger.ledgers.values())
        assert not torch._C._len_torch_function_stack()


THIRDS = pytest.mark.parametrize("third", [0, *again(1, 2)])  # of the lines that are tried


@THIRDS
def test_at_any_line_that_borrows_or_gives_back(case: tuple[nn.Module, Any, torch.Tensor], third: int) -> None:
    _, cam, x = case
    lines = run_until(lambda: cam(x, 1), None, RESTORE)
    assert lines > 100
    for line in sorted(random.Random(0).sample(range(1, lines + 1), 90))[third::3]:
        interrupted_at(case, line, RESTORE)


@THIRDS
def test_at_any_line_of_ours(case: tuple[nn.Module, Any, torch.Tensor], third: int) -> None:
    _, cam, x = case
    lines = run_until(lambda: cam(x, 1), None)
    assert lines > 500
    for line in random.Random(1).sample(range(1, lines + 1), 40)[third::3]:
        interrupted_at(case, line, OURS)


@THIRDS
def test_the_first_and_last_lines(case: tuple[nn.Module, Any, torch.Tensor], third: int) -> None:
    _, cam, x = case
    lines = run_until(lambda: cam(x, 1), None, RESTORE)
    for line in (*range(1, 25), *range(lines - 25, lines + 1))[third::3]:
        interrupted_at(case, line, RESTORE)


def test_a_second_interrupt_within_the_clean_up_of_the_first(
    case: tuple[nn.Module, Any, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of any block, and of the next, or the next but one, that is ended because of that."""
    net, cam, x = case
    end, count, at = ledger.Block.end, 0, (0, 0)

    def interrupted(block: ledger.Block) -> None:
        nonlocal count
        count += 1
        if count in at:
            raise KeyboardInterrupt
        end(block)

    monkeypatch.setattr(ledger.Block, "end", interrupted)
    cam(x, 1)
    blocks = count
    assert blocks > 5
    for first in sorted({*range(1, blocks + 1, 1 + blocks // 15), *range(blocks - 4, blocks)}):
        for second in (first + 1, first + 2):
            count, at = 0, (first, second)
            with assert_unchanged(net, x):
                with pytest.raises(KeyboardInterrupt):
                    cam(x, 1)
                assert not any(ledger.ledgers.values())
                assert not ledger._queue


def test_what_an_interrupt_left_alone_does_nothing_when_it_is_collected() -> None:
    """A generator whose block was never left ends when it is collected: in the middle of another call, say."""
    net = training(ResidualNet)

    def borrowing() -> Any:
        with restore.evaluating(net.modules()), restore.hooked([net.norm], lambda module, args, output: None):
            yield

    @restore.giving_back
    def call(keep: list[Any]) -> None:
        keep.append(borrowing())
        next(keep[0])

    kept: list[Any] = []
    call(kept)
    assert net.training
    with restore.evaluating(net.modules()), restore.hooked([net.tail], lambda module, args, output: None):
        kept.clear()
        gc.collect()
        assert not any(module.training for module in net.modules())
        assert len(net.tail._forward_hooks) == 1
    assert net.training


def test_a_step_that_fails_keeps_no_other_from_being_taken() -> None:
    class Stubborn(nn.Module):
        @property
        def training(self) -> bool:
            return self.__dict__.get("flag", True)

        @training.setter
        def training(self, value: bool) -> None:
            if value and "flag" in self.__dict__:
                raise ValueError("never again")
            self.__dict__["flag"] = value

    net = training(ResidualNet)
    stubborn = Stubborn()

    @restore.giving_back
    def call() -> None:
        with restore.evaluating(net.modules()), restore.evaluating([stubborn]):
            stubborn.__dict__["flag"] = False

    stubborn.__dict__["flag"] = True
    with pytest.raises(ValueError, match="never again"):
        call()
    assert net.training
    assert not any(ledger.ledgers.values())


def own_calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function, without those in functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from own_calls(child)


def test_who_borrows_a_model_gives_it_back() -> None:
    """Every function that enters a model as a guest is ``giving_back``, or hands the block on to one that is."""
    handing_on = {"guest_of", "run_in_model", "several_in_model", "_guest"}
    entering = {"undisturbed", "guest_of", "_guest"}
    borrowing: dict[str, bool] = {}
    for path in (ROOT / "pytorch_grad_cam").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if not any(name in source for name in entering):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef) or node.name in handing_on or path.name == "restore.py":
                continue
            called = {ast.unparse(call.func).split(".")[-1] for call in own_calls(node)}
            if called & entering:
                decorators = {ast.unparse(each) for each in node.decorator_list}
                borrowing[f"{path.name}: {node.name}"] = "giving_back" in decorators
    assert len(borrowing) > 8
    assert all(borrowing.values()), borrowing
