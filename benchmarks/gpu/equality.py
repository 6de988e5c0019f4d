"""Part b: every method's map is the CPU's, in float64 and float32, and in half precision as near as the outputs are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from benchmarks.gpu.bench import Bench, Item, Part, Row
from benchmarks.gpu.networks import CONV, TRANSFORMER, Network
from benchmarks.passes import RUNS
from pytorch_grad_cam.methods import METHODS

EXACT = {"float64": 1e-6, "float32": 1e-4}
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
COARSER = 10  # a map may be so many times coarser than the network's own outputs in the same precision
FEWER = {"sess": {"num_scales": 2}}  # what RUNS does not have


@contextmanager
def without_tf32() -> Iterator[None]:
    """Let products be as precise as their type says, and then as the process had it."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def explained(
    name: str, network: Network, device: torch.device, dtype: torch.dtype, half: torch.dtype | None
) -> tuple[Tensor, Tensor]:
    """Return the maps and the outputs of a method on two pictures, on the CPU."""
    options = RUNS.get(name, ({}, 0, 0))[0] | FEWER.get(name, {})
    model, x = network.build(device, dtype), network.pictures(2, device, dtype)
    cam = METHODS[name].load()(model, network.layer, **options)
    with warnings.catch_warnings(), nullcontext() if half is None else torch.autocast(device.type, half):
        warnings.simplefilter("ignore")  # of maps that mean nothing, as weights are random
        found = cam.explain(x, [1, 2])
    return found.maps.cpu().double(), found.outputs.detach().cpu().double()


def _compared(name: str, device: torch.device) -> list[Row]:
    network = TRANSFORMER if METHODS[name].needs == "attention" else CONV
    cpu, row = torch.device("cpu"), {"method": name}
    with without_tf32():
        for kind, tolerance in EXACT.items():
            dtype = getattr(torch, kind)
            want, found = (explained(name, network, place, dtype, None)[0] for place in (cpu, device))
            away = float((found - want).abs().max())
            row |= {kind: away, f"{kind} met": away <= tolerance}
        maps, outputs = explained(name, network, device, torch.float32, None)
        for kind, half in HALVES.items():
            if device.type == "cpu":  # products in half precision end the process on some virtual processors
                continue
            coarse_maps, coarse_outputs = explained(name, network, device, torch.float32, half)
            away = float((coarse_maps - maps).abs().max())
            of_outputs = float((coarse_outputs - outputs).abs().max() / outputs.abs().max())
            row |= {kind: away, f"outputs {kind}": of_outputs, f"{kind} met": away <= COARSER * of_outputs}
    return [row]


def items(bench: Bench) -> Iterator[Item]:
    for name in ("gradcam", "attentionrollout") if bench.smoke else METHODS:
        yield Item(name, lambda name=name: _compared(name, bench.device))


PART = Part(
    "b",
    "Every method's map beside the CPU's",
    60,
    items,
    notes=(
        f"The largest difference of two pictures' maps, in [0, 1], {CONV.name} and for attention {TRANSFORMER.name}, "
        f"random weights. Aims: float64 {EXACT['float64']:g}, float32 {EXACT['float32']:g} (TF32 off); under autocast, "
        f"beside the same device's float32 map, {COARSER} times the relative difference of the network's own outputs.",
    ),
)
