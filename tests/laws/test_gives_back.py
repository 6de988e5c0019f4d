"""Nobody notices that a model was explained: not its owner, not its optimiser, not another thread."""

from __future__ import annotations

import copy
import pickle
import re
import threading
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import again, now
from helpers.failures import BrokenError, raising
from helpers.methods_for_any_network import ANY_NETWORK, ONE_OF_A_KIND, few_steps  # noqa: F401 - the fixture
from helpers.paths import ROOT
from helpers.tiny_nets import DictNet, ResidualNet, build, inputs
from helpers.unchanged_model import assert_same_state, assert_unchanged, state_of
from torch import Tensor, nn

from pytorch_grad_cam import BaseCAM, GradCAM
from pytorch_grad_cam.bases.wrapper_cam import WrapperCAM
from pytorch_grad_cam.engine import restore

SOURCES = ROOT / "pytorch_grad_cam"
every_method = pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)

# Some maps of random networks are empty, and saying so is right.
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


@pytest.fixture
def net() -> nn.Module:
    """A network in the middle of a training: mixed flags, a frozen layer, gradients waiting to be applied."""
    net = build(ResidualNet)
    net.train()
    net.norm.eval()
    net.stem.weight.requires_grad = False
    with torch.random.fork_rng(devices=[]):
        net(inputs()).square().sum().backward()
    net.tail.register_forward_hook(lambda module, args, output: None)  # the owner's own hook
    return net


@pytest.mark.parametrize(
    ("name", "smooth"),
    now(
        [(name, smooth) for smooth in (False, True) for name in ANY_NETWORK],
        lambda name, smooth: not smooth or name in ONE_OF_A_KIND,
    ),
)
def test_a_call_changes_nothing(name: str, smooth: bool, net: nn.Module) -> None:
    x, call = inputs().requires_grad_(), {"eigen_smooth": smooth, "aug_smooth": smooth}
    with assert_unchanged(net, x):
        cam = ANY_NETWORK[name].load()(net, [net.norm, net.tail])
        with cam as same:
            assert same is cam
            same(x, [0, 1], **call)


@every_method
def test_the_automatic_layer_changes_nothing(method: Any, net: nn.Module) -> None:
    x = inputs()
    with assert_unchanged(net, x):
        method.load()(net)(x)


FAILURES = {
    "target": BrokenError(),
    "model": IndexError(),  # which is looked into, and raised again
    "layer": KeyboardInterrupt(),
    "reshape_transform": KeyboardInterrupt(),
}


def can_fail(method: Any, where: str) -> bool:
    return {"target": method.load().uses_targets, "reshape_transform": method.load().uses_layers}.get(where, True)


def fails_now(name: str, where: str) -> bool:
    return where == "layer" or name in ONE_OF_A_KIND


@pytest.mark.parametrize(
    ("method", "where"),
    [
        pytest.param(method, where, id=f"{name}-{where}", marks=[] if fails_now(name, where) else [pytest.mark.again])
        for name, method in ANY_NETWORK.items()
        for where in FAILURES
        if can_fail(method, where)
    ],
)
def test_a_failure_changes_nothing(method: Any, where: str, net: nn.Module) -> None:
    x, error = inputs(), FAILURES[where]
    cam = method.load()(net, net.norm, raising(error) if where == "reshape_transform" else None)
    handle = None
    if where in ("model", "layer"):
        handle = (net.head if where == "model" else net.norm).register_forward_pre_hook(raising(error))
    with assert_unchanged(net, x), pytest.raises(type(error)), cam:
        cam(x, raising(error) if where == "target" else None)
    if handle is not None:
        handle.remove()
        assert cam(x, 1).shape == x.shape[:1] + x.shape[2:]  # the same object works again


def calls_its_overrides(method: Any) -> bool:
    others = method.name == "guidedgradcam" or issubclass(
        method.load(), WrapperCAM
    )  # the overrides are another class's
    return method.load().uses_layers and not others


OVERRIDES = {name: method for name, method in ANY_NETWORK.items() if calls_its_overrides(method)}


@pytest.mark.parametrize("method", OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_that_fails_changes_nothing(method: Any, net: nn.Module) -> None:
    class Failing(method.load()):  # type: ignore[misc]
        get_cam_image = get_cam_weights = raising(BrokenError())

    x = inputs()
    with assert_unchanged(net, x), pytest.raises(BrokenError):
        Failing(net, net.norm)(x, 0)


@every_method
@pytest.mark.parametrize("mode", [torch.inference_mode, *again(torch.no_grad)])
def test_the_callers_mode_does_not_matter(method: Any, mode: Any, net: nn.Module) -> None:
    x = inputs()
    expected = method.load()(net, net.norm)(x, 1)
    with mode(), assert_unchanged(net, x):
        found = method.load()(net, net.norm)(inputs(), 1)  # made under the mode: an inference tensor in one case
    np.testing.assert_array_equal(found, expected)


def test_the_next_training_step_is_the_same(net: nn.Module) -> None:
    twin = copy.deepcopy(net)
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        other.grad = None if one.grad is None else one.grad.clone()  # deepcopy drops it
    x = inputs()
    for explained in (net, twin):
        if explained is net:
            for method in ANY_NETWORK.values():
                method.load()(net, net.tail)(x, 1)
        optimiser = torch.optim.SGD([p for p in explained.parameters() if p.requires_grad], lr=0.1)
        torch.manual_seed(3)
        explained(x)[:, 0].sum().backward()  # dropout draws from the global random state
        optimiser.step()
    assert_same_state(state_of(net)["values"], state_of(twin)["values"])
    assert_same_state(state_of(net)["grad"], state_of(twin)["grad"])


def test_the_model_can_still_be_copied_and_pickled() -> None:
    net, x = build(ResidualNet), inputs()
    cam = GradCAM(net, net.norm)
    expected = cam(x, 0)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(GradCAM(twin, twin.norm)(x, 0), expected)
    np.testing.assert_array_equal(copy.deepcopy(cam)(x, 0), expected)


def test_nothing_of_the_graph_outlives_the_call() -> None:
    net = build(DictNet)
    cam = GradCAM(net, net.conv3)
    explanation = cam.explain(inputs(), lambda output: output["logits"][0])
    held = [*cam.outputs.values(), explanation.maps, explanation.scores, *explanation.raw, *explanation.weights]
    assert not any(tensor.requires_grad for tensor in held)


@pytest.mark.parametrize("name", now(ANY_NETWORK, lambda name: name in ONE_OF_A_KIND))
def test_another_thread_may_predict_meanwhile(name: str) -> None:
    net, x = build(ResidualNet), inputs()
    with torch.no_grad():
        expected = net(x)
    cam = ANY_NETWORK[name].load()(net, net.norm)
    reference = cam(x, 1)
    wrong: list[str] = []
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            output = net(x)
            if not torch.equal(output.detach(), expected) or not output.requires_grad:
                wrong.append("prediction")

    other = threading.Thread(target=predict)
    other.start()
    for _ in range(3):
        if not np.array_equal(cam(x, 1), reference):
            wrong.append("map")
    done.set()
    other.join()
    assert not wrong


def test_a_hook_acts_only_in_its_thread() -> None:
    net, seen = nn.ReLU(), []
    with restore.hooked([net], lambda module, args, output: seen.append(threading.get_ident())):
        other = threading.Thread(target=net, args=(torch.zeros(1),))
        other.start()
        other.join()
        assert not seen
        net(torch.zeros(1))
    net(torch.zeros(1))
    assert seen == [threading.get_ident()]


def test_threads_that_explain_one_model_take_turns() -> None:
    net, x = build(ResidualNet), inputs()
    net.train()  # flags are borrowed: without turns one thread would give back the other's
    expected = {category: GradCAM(net, net.norm)(x, category) for category in range(3)}
    found: dict[tuple[int, int], Any] = {}

    def explain(category: int) -> None:
        for turn in range(10):
            found[category, turn] = GradCAM(net, net.norm)(x, category)

    threads = [threading.Thread(target=explain, args=(category,)) for category in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30
    for (category, _), one in found.items():
        np.testing.assert_array_equal(one, expected[category])
    assert all(module.training for module in net.modules())


def test_a_target_may_explain_the_same_model() -> None:
    net, x = build(ResidualNet), inputs()
    inner: list[Any] = []

    def target(output: Tensor) -> Tensor:
        inner.append(GradCAM(net, net.tail)(x, 0))
        return output[1]

    np.testing.assert_array_equal(GradCAM(net, net.norm)(x, target), GradCAM(net, net.norm)(x, 1))
    np.testing.assert_array_equal(inner[0], GradCAM(net, net.tail)(x, 0))


def test_only_restore_touches_models() -> None:
    touch = re.compile(r"register_\w+_hook|\.train\(|\.eval\(|requires_grad_\(|\.backward\(|zero_grad")
    files = [path for path in SOURCES.rglob("*.py") if path.name != "restore.py"]
    assert len(files) > 20
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if touch.search(line) and "``" not in line
    ]
    # What grad-cam's steps are; inside a block that gives the parameters' gradients back.
    allowed = ["older_steps.py: loss = sum", "older_steps.py: torch.autograd.backward(loss, retain_graph=True)"]
    found = [re.sub(r":\d+:", ":", line) for line in found]
    assert not [line for line in found if not line.startswith(tuple(allowed))]


def test_base_cam_says_what_to_override() -> None:
    net = build(ResidualNet)
    with pytest.raises(NotImplementedError, match="BaseCAM must override get_cam_weights"):
        BaseCAM(net, net.norm)(inputs(), 0)
