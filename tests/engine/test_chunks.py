"""How many versions of an image run at once: by the free memory, and half as many where it is too small after all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.again import now
from helpers.counted_networks import SETTINGS
from helpers.tiny_nets import ConvNet, build, inputs
from helpers.unchanged_model import assert_unchanged
from torch import Tensor

from pytorch_grad_cam.engine import chunks as chunks_module
from pytorch_grad_cam.engine.chunks import Chunks, chunks_of
from pytorch_grad_cam.methods import METHODS

# Methods that run a network on chunks of changed versions, with how many that are more than the memory holds below.
IN_CHUNKS = {
    "scorecam": {"batch_size": 5},
    "ablationcam": {"batch_size": 5},
    "rise": {"batch_size": 8},
    "smoothgrad": {"batch_size": 8, "num_samples": 7},
    "integratedgradients": {"batch_size": 8},
    "sess": {"batch_size": 5},
    "reciprocam": {"batch_size": 8},
    "sscam": {"batch_size": 8},
    "iscam": {"batch_size": 8},
    "gscorecam": {"batch_size": 3},
    "vargrad": {"batch_size": 8, "num_samples": 7},
}
HELD = 2  # images
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


class Small(ConvNet):
    """A network of whose passes the memory holds so many images at once."""

    held = 10**9

    def forward(self, x: Tensor) -> Tensor:
        outputs = super().forward(x)
        if len(outputs) > self.held:
            raise torch.OutOfMemoryError(f"tried to allocate memory for {len(outputs)} images")
        return outputs


def explained(name: str, held: int, **more: Any) -> Tensor:
    options, _ = SETTINGS.get(name, ({}, {}))
    net, x = build(Small, seed=1), inputs(batch=2, size=(12, 8))
    net.held = held
    with assert_unchanged(net, x):
        return METHODS[name].load()(net, "conv2", **options | more).explain(x, 1).maps


@pytest.mark.parametrize("name", now(IN_CHUNKS, lambda name: name in ("scorecam", "ablationcam", "smoothgrad")))
def test_halved_where_the_memory_is_too_small(name: str, logged: list[str]) -> None:
    want = explained(name, 10**9, **IN_CHUNKS[name])
    del logged[:]
    found = explained(name, HELD, **IN_CHUNKS[name])
    torch.testing.assert_close(found, want, atol=1e-6, rtol=1e-5)
    told = [line for line in logged if "do not fit into the memory" in line]
    assert len(told) == 1, logged
    assert told[0].endswith(("going on with 2", "going on with 1"))


def test_what_holds_no_single_one_is_an_error_that_leaves_nothing() -> None:
    net, x = build(Small, seed=1), inputs(batch=2, size=(12, 8))
    net.held = 0
    for name in ("gradcam", "scorecam"):
        with assert_unchanged(net, x), pytest.raises(torch.OutOfMemoryError):
            METHODS[name].load()(net, "conv2")(x, 1)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.94 GB, other allocations: 53.74 MB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
)
def test_the_work_is_done_once_for_each(error: Exception) -> None:
    asked: list[tuple[int, int]] = []

    def work(chunk: slice) -> list[int]:
        asked.append((chunk.start, chunk.stop))
        if chunk.stop - chunk.start > 3:
            raise error
        return list(range(chunk.start, chunk.stop))

    chunks = Chunks(8)
    assert [number for _, found in chunks(10, work) for number in found] == list(range(10))
    assert asked == [(0, 8), (0, 4), (0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert chunks.size == 2
    del asked[:]
    assert [found for _, found in chunks(2, work)] == [[0, 1]]  # the next image begins with what is known by now
    assert asked == [(0, 2)]


def test_another_error_is_one() -> None:
    def work(chunk: slice) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        list(Chunks(8)(10, work))


@pytest.mark.parametrize(
    ("free", "with_graph", "size"),
    [
        (None, False, 256),  # nothing is known
        (10**12, False, 256),
        (40 * 128 * 4 * 3 * 64, False, 40),  # bytes of 40 passes of an image (3, 8, 8) as they are estimated
        (40 * 128 * 4 * 3 * 64, True, 10),
        (0, False, 1),
    ],
)
def test_the_free_memory_decides(
    free: int | None, with_graph: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks_module, "free_memory", lambda device: free)
    image = torch.empty(3, 8, 8, device="meta")
    assert chunks_of(None, image, with_graph=with_graph).size == size
    assert chunks_of(7, image, with_graph=with_graph).size == 7  # what is asked for is taken


def test_on_a_cpu_large_chunks_are_slower() -> None:
    assert [chunks_of(size, torch.empty(3, 224, 224)).size for size in (None, 3, 32)] == [8, 3, 8]
    assert [chunks_of(size, torch.empty(3, 8, 8)).size for size in (None, 16, 512)] == [32, 16, 512]


def test_on_a_cpu_small_chunks_are_slower_behind_a_late_layer() -> None:
    """What follows reads its weights for each: AblationCAM of a ResNet-50's last block took half more at 12."""
    late = torch.empty(2048, 7, 7)
    assert [chunks_of(size, late, is_activation=True).size for size in (None, 3, 32)] == [32, 3, 32]
