"""A replay equals the whole network, falls back where it cannot, and is given back like everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.again import again
from helpers.detectors import LAYER, TORCHVISION, detector
from helpers.tiny_nets import ConvNet, DictNet, InPlaceNet, ResidualNet, SharedReluNet, TinyViT, UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, ReciproCAM
from pytorch_grad_cam.engine.replay import Recording, Replay
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

CASES = [
    (ConvNet, "conv2"),
    (ConvNet, "act3"),
    (InPlaceNet, "conv2"),
    (ResidualNet, "norm"),
    (ResidualNet, "stem"),
    (SharedReluNet, "act"),
    (DictNet, "conv3"),
    (UNet, "middle"),
    (UNet, "head"),
    (TinyViT, "blocks.1.norm1"),
    (TinyViT, "blocks.0"),
]


def image_for(net: nn.Module) -> Tensor:
    return inputs(batch=1, size=TinyViT.size if isinstance(net, TinyViT) else None)


def whole(net: nn.Module, layer: nn.Module, image: Tensor, change: Callable[[Any], Any], count: int) -> Any:
    """Run the whole network on ``count`` images, the layer's last output changed by a hook."""
    calls = []
    with torch.no_grad():
        counting = layer.register_forward_hook(lambda *args: calls.append(1))
        net(image)
        counting.remove()
        left = len(calls)

        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            nonlocal left
            left -= 1
            return change(output) if left == 0 else None

        handle = layer.register_forward_hook(hook)
        outputs = net(image.expand(count, *image.shape[1:]))
        handle.remove()
    return outputs


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_a_replay_equals_the_whole_network(kind: Any, name: str) -> None:
    net = build(kind)
    layer, image = net.get_submodule(name), image_for(net)
    replay = Replay(net, layer, image)
    assert replay.exact
    factors = torch.tensor([0.0, 0.5, -2.0])

    def change(output: Tensor) -> Tensor:
        return (output[:1] * factors.reshape(-1, *[1] * (output.ndim - 1))).clone()

    expected = whole(net, layer, image, change, 3)
    for _ in range(2):  # a replay leaves its records as they were
        found = replay(change(replay.activations))
        for one, other in zip(tensors_in(expected), tensors_in(found), strict=True):
            torch.testing.assert_close(other, one)
    assert not any("forward" in vars(module) for module in net.modules())


@pytest.mark.parametrize("kind", TORCHVISION)
@pytest.mark.parametrize("name", [LAYER, *again("backbone")])
def test_a_replay_in_a_detector(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns a list with an entry per image, and its transform an object of a class of its own."""
    net, image = detector(kind), torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    layer = net.get_submodule(name)
    replay = Replay(net, layer, image)
    assert replay.exact

    def change(output: Tensor) -> Tensor:
        return output[:1] * torch.tensor([1.0, 0.5])[:, None, None, None]

    expected, ran = whole(net, layer, image, change, 2), []
    convolve = net.backbone[0]._conv_forward
    monkeypatch.setattr(net.backbone[0], "_conv_forward", lambda *args: ran.append(1) or convolve(*args))
    found = replay(change(replay.activations))
    assert not ran
    assert len(found) == len(expected) == 2
    for one, other in zip(tensors_in(expected), tensors_in(found), strict=True):
        torch.testing.assert_close(other, one)


def test_what_comes_before_the_layer_does_not_run_again() -> None:
    net, image, ran = build(ConvNet), inputs(batch=1), []
    net.conv1.register_forward_pre_hook(lambda *args: ran.append("before"))
    inner = nn.Identity()
    inner.register_forward_pre_hook(lambda *args: ran.append("inside"))
    net.act1 = nn.Sequential(net.act1, inner)  # beside the path as a whole: its inside must not run
    net.conv3.register_forward_pre_hook(lambda *args: ran.append("after"))
    replay = Replay(net, net.conv2, image)
    ran.clear()
    replay(replay.activations.clone())
    assert ran == ["before", "after"]  # hooks of a replaced module still fire; its forward and its inside do not run


def test_rows_that_are_not_images() -> None:
    class Windows(nn.Module):
        """Cuts the map into windows, as Swin does: a module inside sees several rows per image."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 1)
            self.before, self.inside = nn.Linear(4, 4), nn.Linear(4, 4)
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            windows = self.conv(x).unflatten(3, (2, 7)).movedim(3, 1).flatten(0, 1).movedim(1, -1)  # (2 B, H, 7, C)
            windows = self.inside(self.before(windows).relu()).tanh()
            return self.head(windows.unflatten(0, (len(x), 2)).mean((1, 2, 3)))

    net, image = build(Windows), inputs(batch=1)
    replay = Replay(net, net.inside, image)
    assert replay.exact
    assert len(replay.activations) == 2
    both = torch.cat([replay.activations, replay.activations * 0])
    expected = whole(net, net.inside, image, lambda output: both.clone(), 2)
    torch.testing.assert_close(replay(both), expected)


class Awkward(nn.Module):
    """Uses a tensor that a module before the layer wrote over, so that its record alone is not enough."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.write, self.layer = nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        self.write(x)  # what it returns is dropped
        return (self.layer(x) * x).mean((2, 3))


def test_a_replay_that_differs_is_not_used(logged: list[str]) -> None:
    net, image = build(Awkward), inputs(batch=1)
    replay = Replay(net, net.layer, image)
    assert not replay.exact
    assert "replay from layer layer differs; using whole passes" in "".join(logged)
    changed = torch.cat([replay.activations, replay.activations * 2])
    torch.testing.assert_close(replay(changed.clone()), whole(net, net.layer, image, lambda output: changed, 2))


def test_a_replay_that_fails_is_not_used(logged: list[str]) -> None:
    class Choosy(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            features = self.act1(self.conv1(x))
            if features.stride()[0] == 0:
                raise RuntimeError("no views, please")
            return self.head(self.act3(self.conv3(self.conv2(features))).flatten(2).mean(2))

    net, image = build(Choosy), inputs(batch=1)
    replay = Replay(net, net.conv2, image)
    assert not replay.exact
    assert "fails (no views, please); using whole passes" in "".join(logged)
    assert replay(map_tensors(replay.activations, lambda tensor: tensor.repeat(3, 1, 1, 1))).shape == (3, 3)


def test_a_model_with_a_forward_of_its_own_keeps_it() -> None:
    net, image = build(ConvNet), inputs(batch=1)
    mine = net.conv1.forward
    net.conv1.forward = mine
    Replay(net, net.conv2, image)
    assert vars(net.conv1)["forward"] is mine


def test_another_thread_gets_the_models_own_output() -> None:
    net, image = build(ConvNet), inputs(batch=1)
    other_image = inputs(batch=1, seed=9)
    with torch.no_grad():
        expected = net(other_image)
    replay = Replay(net, net.conv2, image)
    wrong, done = [], threading.Event()

    def predict() -> None:
        with torch.no_grad():
            while not done.is_set():
                if not torch.equal(net(other_image), expected):
                    wrong.append(1)

    other = threading.Thread(target=predict)
    other.start()
    for _ in range(50):
        replay(replay.activations.clone())
    done.set()
    other.join()
    assert not wrong


@pytest.mark.parametrize("method", [AblationCAM, ReciproCAM])
@pytest.mark.parametrize("batch", [1, 3])
def test_maps_of_one_image_take_one_whole_pass(method: Any, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, images, ran = build(ConvNet), inputs(batch=batch), []
    convolve = net.conv1._conv_forward
    monkeypatch.setattr(net.conv1, "_conv_forward", lambda *args: ran.append(len(args[0])) or convolve(*args))
    cam = method(net, ["conv2", "act3"])
    cam(images, 1, relu=False)
    assert ran == ([1] if batch == 1 else [3] + 2 * [1, 1, 1])  # of several images, each again for each layer
    ran.clear()
    cam.explain_each(images, [0, 1], relu=False)
    assert ran == ([1] if batch == 1 else [3] + 4 * [1, 1, 1])
    assert not [name for name, value in vars(cam).items() if isinstance(value, Recording)]
