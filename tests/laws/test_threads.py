"""Several threads, several models that share modules, switches of the whole process, forks and copies meanwhile."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, ResidualNet, build, inputs
from helpers.unchanged_model import assert_same_state, state_of
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM
from pytorch_grad_cam.engine import ledger, restore, switches

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


class Headed(nn.Module):
    """One of several heads on a backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.drop, self.head = backbone, nn.Dropout(0.5), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.backbone(x)))


def side_by_side(*calls: Callable[[], object], seconds: float = 60) -> None:
    """Run calls in threads of their own, and raise what they raise."""
    failed: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # handed on below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"
    if failed:
        raise failed[0]


@pytest.mark.parametrize("roots", ["two heads", "data parallel", "a part"])
@pytest.mark.parametrize("method", [GradCAM, *again(AblationCAM)], ids=lambda each: each.__name__)
def test_models_that_share_modules_take_turns(method: Any, roots: str) -> None:
    backbone, x = build(ResidualNet), inputs()
    models = {
        "two heads": [build(Headed, backbone), build(Headed, backbone, seed=1)],
        "data parallel": [backbone, nn.DataParallel(backbone)],
        "a part": [backbone, build(Headed, backbone)],
    }[roots]
    for model in models:
        model.train()
    before = state_of(backbone)
    cams = [method(model, backbone.norm) for model in models]
    expected = [cam(x, 1) for cam in cams]
    wrong: list[str] = []

    def explain(model: nn.Module, want: Any) -> None:
        for turn in range(15):
            if not np.array_equal(method(model, backbone.norm)(x, 1), want):
                wrong.append(f"{roots} {turn}")

    side_by_side(*(lambda pair=pair: explain(*pair) for pair in zip(models, expected, strict=True)))
    assert not wrong
    assert_same_state(before, state_of(backbone))
    assert not ledger._queue


def test_models_that_share_nothing_run_side_by_side() -> None:
    nets, x = [build(ConvNet), build(ConvNet)], inputs()
    together = threading.Barrier(2)

    def target(output: Tensor) -> Tensor:
        together.wait(20)  # both are in the middle of their calls
        return output[1]

    side_by_side(*(lambda net=net: GradCAM(net, net.conv2)(x[:1], target) for net in nets))


def nested(outer: nn.Module, inner: nn.Module, between: Callable[[], object]) -> Callable[[], object]:
    """Return a call that explains ``inner`` inside a call about ``outer``."""

    def target(output: Tensor) -> Tensor:
        between()
        GradCAM(inner, "conv2")(inputs(batch=1), 1)
        return output[1]

    return lambda: GradCAM(outer, "conv2")(inputs(batch=1), target)


def test_two_that_wait_for_each_other_are_told() -> None:
    one, other, both = build(ConvNet), build(ConvNet), threading.Barrier(2)
    with pytest.raises(RuntimeError, match="in opposite order"):
        side_by_side(nested(one, other, lambda: both.wait(20)), nested(other, one, lambda: both.wait(20)))
    assert not ledger._queue
    assert GradCAM(one, "conv2")(inputs(), 1).any()


def test_who_waits_for_this_thread_is_not_waited_for() -> None:
    """A call inside a call goes before one that came meanwhile and wants both models."""
    one, other = build(ConvNet), build(ConvNet)

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = one, other

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) + self.other(x)

    begun = threading.Event()

    def third_has_come() -> None:
        begun.set()
        for _ in range(1000):
            if len(ledger._queue) > 1:
                return
            threading.Event().wait(0.01)
        raise AssertionError("nobody came")

    def third() -> None:
        begun.wait(20)
        GradCAM(Both(), one.conv2)(inputs(batch=1), 1)

    side_by_side(nested(one, other, third_has_come), third)


@pytest.mark.parametrize("order", ["first in, first out", "first in, last out"])
def test_a_switch_of_the_process_is_given_back_by_the_last(order: str) -> None:
    stands = [True]

    def write(value: bool) -> None:
        stands[0] = value

    switch = switches._Switch(lambda: stands[0], write, False)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with switch.used():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(20)
    with switch.used():
        if order == "first in, first out":
            leave.set()
            thread.join()
        assert stands == [False]
    assert stands == [order == "first in, first out"]
    leave.set()
    thread.join()
    assert stands == [True]


@pytest.mark.skipif(not hasattr(torch.compiler, "set_stance"), reason="torch has no stances before 2.6")
@pytest.mark.slow  # loads the compiler; the switch alone is tested above
def test_the_compiler_is_on_again_after_two_threads() -> None:
    from torch._dynamo import eval_frame

    before = eval_frame._stance
    one, other, x = build(ConvNet), build(ConvNet), inputs(batch=1)
    inside, leave = threading.Event(), threading.Event()

    def waiting(output: Tensor) -> Tensor:
        inside.set()
        leave.wait(20)
        return output[1]

    def second() -> None:
        inside.wait(20)

        def target(output: Tensor) -> Tensor:
            leave.set()
            thread.join(20)  # the first call ends inside the second one
            return output[1]

        GradCAM(other, "conv2")(x, target)

    thread = threading.Thread(target=lambda: GradCAM(one, "conv2")(x, waiting))
    thread.start()
    second()
    assert eval_frame._stance == before


class CopyOf:
    """Ways to copy a model that another thread explains at this moment."""

    @staticmethod
    def deepcopy(net: nn.Module) -> nn.Module:
        return copy.deepcopy(net)

    @staticmethod
    def pickle(net: nn.Module) -> nn.Module:
        return pickle.loads(pickle.dumps(net))

    @staticmethod
    def torch_save(net: nn.Module) -> nn.Module:
        buffer = io.BytesIO()
        torch.save(net, buffer)
        buffer.seek(0)
        return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("way", [CopyOf.deepcopy, CopyOf.pickle, CopyOf.torch_save], ids=lambda each: each.__name__)
@pytest.mark.parametrize("own", [False, True], ids=["", "own forward"])
def test_a_model_can_be_copied_while_it_is_explained(way: Any, own: bool) -> None:
    net, x = build(ResidualNet), inputs(batch=1)
    if own:
        net.tail.forward = nn.Conv2d(4, 4, 1, bias=False).forward
    with torch.no_grad():
        expected = net(x)
    copies: list[nn.Module] = []

    def meanwhile(module: nn.Module, args: Any, output: Any) -> None:
        side_by_side(lambda: copies.append(way(net)))

    with (
        restore.hooked([net.norm], meanwhile),
        restore.replaced_forward(net.tail, lambda original, x: original(x) + 1),
        restore.replaced_forward(net.norm, lambda original, x: original(x) * 2),
        torch.no_grad(),
    ):
        assert not torch.equal(net(x), expected)
    (twin,) = copies
    with torch.no_grad():
        assert torch.equal(twin(x), expected)
        assert torch.equal(net(x), expected)
    assert b"pytorch_grad_cam" not in pickle.dumps(twin)
    twin.norm.weight.data.zero_()
    with torch.no_grad():
        assert not torch.equal(twin(x), expected), "the copy runs the original's modules"


FORKING = """
import os, sys, threading, warnings
sys.path.insert(0, "tests")
from helpers.tiny_nets import ResidualNet, build, inputs
from pytorch_grad_cam import GradCAM
import torch
warnings.simplefilter("ignore")
torch.set_num_threads(1)
net, x = build(ResidualNet).train(), inputs(batch=1)
inside, leave = threading.Event(), threading.Event()
def target(output):
    inside.set()
    leave.wait(30)
    return output[1]
thread = threading.Thread(target=lambda: GradCAM(net, net.norm)(x, target))
waiting = threading.Thread(target=lambda: GradCAM(net, net.norm)(x, 0))
thread.start()
inside.wait()
waiting.start()
grad = torch.is_grad_enabled()
child = os.fork()
if not child:
    assert all(module.training for module in net.modules()), "the flags are still borrowed"
    assert not net.norm._forward_hooks and torch.is_grad_enabled() == grad
    assert GradCAM(net, net.norm)(x, 1).any()
    os._exit(0)
leave.set()
thread.join(); waiting.join()
assert all(module.training for module in net.modules())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.slow
def test_the_child_of_a_fork_can_explain() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="the system has no fork")
def test_a_child_gives_back_what_other_threads_had_borrowed() -> None:
    """What runs in the child of a fork, without one: another thread is in the middle of a call."""
    net = build(ResidualNet).train()
    inside, leave = threading.Event(), threading.Event()

    def borrow() -> None:
        with restore.undisturbed(net, torch.device("cpu")), restore.hooked([net.norm], print):
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=borrow)
    thread.start()
    inside.wait(20)
    assert not net.training
    ledger._forget_other_threads()
    ledger._give_back_for_dead_threads()
    assert torch.is_grad_enabled()
    assert net.training
    assert not net.norm._forward_hooks
    with restore.undisturbed(net, torch.device("cpu")):
        assert not net.training
    leave.set()
    thread.join()
    assert net.training


def test_who_draws_in_another_thread_is_not_rewound() -> None:
    net, x = build(ConvNet), inputs(batch=1)
    cam = GradCAM(net, net.conv2)
    drawn: list[int] = []
    done = threading.Event()

    def draw() -> None:
        while not done.is_set():
            drawn.append(int(torch.randint(2**62, ())))

    thread = threading.Thread(target=draw)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        thread.start()
        for _ in range(40):
            cam(x, 1)
        done.set()
        thread.join()
    assert len(set(drawn)) == len(drawn)
