"""On a CUDA device: the same maps, tensors that stay there, a random state that is left alone, and little waiting.

What can be seen without one is in `test_simulated_device.py` and `test_host_reads.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.colour_net import described
from helpers.methods_for_any_network import ANY_NETWORK, few_steps  # noqa: F401 - the fixture
from helpers.tiny_nets import SIZES, ConvNet, InPlaceNet, build, inputs

from pytorch_grad_cam import RISE, GradCAM, GuidedBackpropReLUModel, ScoreCAM
from pytorch_grad_cam.engine.chunks import chunks_of, free_memory
from pytorch_grad_cam.runs.explainer import Explainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:.*not every map means something"),
]


@pytest.mark.parametrize("method", ANY_NETWORK.values(), ids=ANY_NETWORK)
@pytest.mark.parametrize("ndim", SIZES)
@pytest.mark.parametrize("kind", [ConvNet, InPlaceNet])
def test_the_map_of_the_cpu(method: Any, ndim: int, kind: Any) -> None:
    net, x = build(kind, ndim).double(), inputs(ndim)
    expected = method.load()(net, "conv2")(x, 1)
    explanation = method.load()(net.cuda(), "conv2").explain(x, 1)  # the input is moved
    assert explanation.maps.is_cuda
    assert all(raw.is_cuda for raw in explanation.raw)
    np.testing.assert_allclose(explanation.numpy(), expected, atol=1e-4)


def test_the_random_state_of_the_device_is_left_alone() -> None:
    net, x = build(ConvNet).cuda(), inputs()
    before = torch.cuda.get_rng_state()
    GradCAM(net, "conv2")(x, lambda output: output[1] + 0 * torch.rand((), device="cuda"))
    assert torch.equal(torch.cuda.get_rng_state(), before)


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """Collect what torch says each time that the host waits for the device."""
    found: list[str] = []
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield found
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found += [str(each.message) for each in said if "synchroniz" in str(each.message)]


@pytest.mark.parametrize("layers", [["conv2"], ["conv1", "act1", "conv2", "conv3"]])
def test_a_call_waits_as_often_whatever_the_batch_and_the_layers(layers: list[str]) -> None:
    cam, counts = GradCAM(build(ConvNet).cuda(), layers), []
    for batch in (1, 8):
        x = inputs(batch=batch).cuda()
        cam(x, [1] * batch)
        with counted_waits() as waits:
            cam(x, [1] * batch)
        counts.append(len(waits))
    assert counts[0] == counts[1]
    assert 1 <= counts[0] <= 6  # four copies to the host, and those of the classes to the device


def test_nothing_waits_between_the_passes_of_a_method() -> None:
    counts = []
    for size in (2, 3):
        cam, x = ScoreCAM(build(ConvNet).cuda(), "conv2", batch_size=size), inputs(batch=1).cuda()
        cam(x, 1)
        with counted_waits() as waits:
            cam(x, lambda output: output[1])
        counts.append(len(waits))
    assert counts[0] == counts[1]


def test_the_free_memory_is_known() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    free = free_memory(device)
    assert free is not None
    assert 0 < free <= torch.cuda.get_device_properties(device).total_memory
    held = torch.empty(free // 2, dtype=torch.uint8, device=device)
    assert (free_memory(device) or 0) <= free - held.numel() + 2**20
    assert 1 <= chunks_of(None, torch.empty(3, 224, 224, device=device)).size <= 256


def test_memory_that_is_too_small_is_met_with_smaller_chunks(logged: list[str]) -> None:
    """A limit on what the process may allocate, which 64 images do not keep to and a few do."""
    net, x = build(ConvNet).cuda(), inputs(batch=1, size=(256, 256)).cuda()
    want = RISE(net, num_samples=64, batch_size=1)(x, 1)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 96 * 2**20) / total)
    try:
        found = RISE(net, num_samples=64, batch_size=64)(x, 1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(found, want, atol=1e-4)
    assert any("do not fit into the memory" in line for line in logged)


def test_pictures_are_copied_from_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = []
    pin = torch.Tensor.pin_memory
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self, *args: pinned.append(self) or pin(self, *args))
    loaded = described()
    explainer = Explainer(replace(loaded, model=loaded.model.cuda()))
    pictures = [np.full((16, 16, 3), value, np.uint8) for value in (10, 200)]
    assert len(explainer(pictures)) == 2
    assert pinned


def test_autocast() -> None:
    net, x = build(ConvNet).cuda(), inputs()
    expected = GradCAM(net, "conv2")(x, 1)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        np.testing.assert_allclose(GradCAM(net, "conv2")(x, 1), expected, atol=0.1)


def test_guided_backprop() -> None:
    net, x = build(ConvNet), inputs()
    expected = GuidedBackpropReLUModel(net)(x, 1)
    np.testing.assert_allclose(GuidedBackpropReLUModel(net.cuda())(x, 1), expected, atol=1e-5)
