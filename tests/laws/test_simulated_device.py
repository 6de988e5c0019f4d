"""On a device that is simulated: the CPU's maps, nothing made beside the device, and how often the host waits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.again import now
from helpers.counted_networks import LAYERS, SETTINGS, SIZES
from helpers.methods_for_any_network import ONE_OF_A_KIND
from helpers.simulated_device import AVAILABLE, DEVICE, WHY_NOT, DeviceTensor, simulated_device
from helpers.tiny_nets import ConvNet, TinyViT, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import KPCA_CAM, GradCAM, LayerCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.engine.maps import widest
from pytorch_grad_cam.methods import METHODS, Method

pytestmark = [
    pytest.mark.skipif(not AVAILABLE, reason=WHY_NOT),
    pytest.mark.filterwarnings("ignore:.*not every map means something"),
]
# Methods that run each image by itself, in very many passes, and how often the host may wait for each image.
OF_AN_IMAGE = {
    "ablationcam": 6,
    "scorecam": 5,
    "sscam": 5,
    "iscam": 5,
    "gscorecam": 5,
    "reciprocam": 3,
    "vitreciprocam": 3,
    "sess": 2,
}


def network(method: Method) -> nn.Module:
    return build(TinyViT if method.needs == "attention" else ConvNet, seed=1)


def ready(method: Method, net: nn.Module, **more: Any) -> BaseCAM:
    options, _ = SETTINGS.get(method.name, ({}, {}))
    return method.load()(net, LAYERS[method.needs], **options | more)


@pytest.mark.parametrize("name", now(METHODS, lambda name: name in ONE_OF_A_KIND))
def test_the_map_of_the_cpu_and_how_often_the_host_waits(name: str) -> None:
    method, waits = METHODS[name], []
    for batch in (1, 3):
        net, x = network(method), inputs(batch=batch, size=SIZES[method.needs])
        want = ready(method, net).explain(x, 1)
        with simulated_device() as traffic:
            cam = ready(method, net.to(DEVICE))
            cam(x, 1)  # the first call may look around
            x = x.to(DEVICE)
            traffic.clear()
            found = cam.explain(x, 1)
            waits.append(traffic.reads.total())
            assert found.maps.device == DEVICE
            assert all(raw.device == DEVICE for raw in found.raw)
            torch.testing.assert_close(found.maps.cpu(), want.maps, atol=1e-5, rtol=0)
    assert waits[1] - waits[0] <= 2 * OF_AN_IMAGE.get(method.name, 0), waits


@pytest.mark.parametrize("layers", [["conv2"], ["conv1", "act1", "conv2", "conv3"]])
@pytest.mark.parametrize("classes", [1, [0, 1, 2, 0, 1]])
def test_gradcam_waits_four_times(layers: list[str], classes: Any) -> None:
    """For the check of the input, what is known of the layers, what is known of the maps, and the maps."""
    with simulated_device() as traffic:
        cam, x = GradCAM(build(ConvNet).to(DEVICE), layers), inputs(batch=5).to(DEVICE)
        traffic.clear()
        cam(x, classes)
        assert traffic.reads.total() == 4, traffic.reads


def test_more_passes_wait_no_more() -> None:
    waits = []
    for count in (20, 60):
        with simulated_device() as traffic:
            cam = ready(METHODS["rise"], build(ConvNet).to(DEVICE), num_samples=count, batch_size=5)
            x = inputs(batch=1).to(DEVICE)
            traffic.clear()
            cam(x, 1)
            waits.append(traffic.reads.total())
    assert waits[0] == waits[1]


@pytest.mark.parametrize("name", now(METHODS, lambda name: name in ("gradcam", "ablationcam", "eigencam")))
def test_a_device_without_float64(name: str) -> None:
    """As Apple's are: what is computed in it elsewhere is computed in float32, or on the CPU."""
    method = METHODS[name]
    net, x = network(method), inputs(batch=2, size=SIZES[method.needs])
    if not method.needs:
        net.head = nn.Linear(6, 1000)  # outputs so long are looked at: they might be an embedding
    want = ready(method, net).explain(x)
    with simulated_device(float64=False):
        assert widest(DEVICE) == torch.float32
        with pytest.raises(TypeError, match="has no float64"):
            torch.ones(1, device=DEVICE).double()
        found = ready(method, net.to(DEVICE)).explain(x)
        torch.testing.assert_close(found.maps.cpu(), want.maps, atol=1e-5, rtol=0)
    with simulated_device():
        assert widest(DEVICE) == torch.float64


class Spread(nn.Module):
    """A network whose second half lies on another device, and which moves what it hands over, as a device map does."""

    def __init__(self, first: torch.device, second: torch.device) -> None:
        super().__init__()
        net = build(ConvNet, seed=1)
        self.first = nn.Sequential(net.conv1, net.act1, net.conv2, net.act2).to(first)
        self.second = nn.Sequential(net.conv3, net.act3).to(second)
        self.head = net.head.to(second)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(self.second(x.to(self.head.weight.device)).flatten(2).mean(2))


SPREADABLE = [name for name, method in METHODS.items() if not method.needs]
ACROSS = ["first.2", "second.0"]
CPU = torch.device("cpu")
HALVES = {"device, CPU": (DEVICE, CPU), "CPU, device": (CPU, DEVICE)}


def explained(kind: Any, devices: tuple[torch.device, torch.device], layers: Any, **options: Any) -> Explanation:
    return kind(Spread(*devices), layers, **options).explain(inputs(), [1, 2])


@pytest.mark.parametrize("name", now(SPREADABLE, lambda name: name in ONE_OF_A_KIND))
@pytest.mark.parametrize("layer", ACROSS)
@pytest.mark.parametrize("halves", HALVES)
def test_a_network_on_two_devices(name: str, layer: str, halves: str) -> None:
    options, _ = SETTINGS.get(name, ({}, {}))
    want = explained(METHODS[name].load(), (CPU, CPU), layer, **options)
    with simulated_device():
        found = explained(METHODS[name].load(), HALVES[halves], layer, **options)
        torch.testing.assert_close(found.maps.cpu(), want.maps, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [GradCAM, LayerCAM, KPCA_CAM])
@pytest.mark.parametrize("halves", HALVES)
def test_layers_on_two_devices(kind: Any, halves: str) -> None:
    want = explained(kind, (CPU, CPU), ACROSS)
    with simulated_device():
        found = explained(kind, HALVES[halves], ACROSS)
        torch.testing.assert_close(found.maps.cpu(), want.maps, atol=1e-5, rtol=0)


def test_what_a_gpu_refuses_is_refused() -> None:
    with simulated_device() as traffic:
        x = torch.ones(3).to(DEVICE)
        for wrong in (lambda: x + torch.ones(3), x.numpy):
            with pytest.raises((RuntimeError, TypeError), match=r"device|NumPy"):
                wrong()
        assert isinstance(x + torch.tensor(1.0), DeviceTensor)  # one number of the CPU is taken everywhere
        assert x.sum().item() == 3
        assert x.tolist() == [1, 1, 1]
        assert traffic.reads == {"_local_scalar_dense": 1, "_to_copy": 1}
