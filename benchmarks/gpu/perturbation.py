"""Part d: methods of many passes, by precision, memory layout and compilation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import Bench, Item, Part, Row
from benchmarks.gpu.cost import plain
from benchmarks.gpu.equality import without_tf32
from benchmarks.gpu.networks import CONV, RESNET, main_network
from benchmarks.gpu.timing import Work, beside, seconds
from pytorch_grad_cam.engine.chunks import chunks_of, free_memory
from pytorch_grad_cam.methods import method_class

ABLATION, SCORE = "AblationCAM, last layer", "ScoreCAM"
BEFORE = {RESNET: "layer4.1", CONV: "layer3.1"}  # the layer before the one that is looked at
MANY, FEW = 256, 8  # masks, in a try few


@dataclass(frozen=True)
class Method:
    """A method as it is measured: how many images go through the whole network, forward, in a call."""

    name: str
    layer: str | None
    options: dict[str, Any]
    passes: int | None = None


def methods(bench: Bench) -> dict[str, Method]:
    network, many = main_network(bench), FEW if bench.smoke else MANY
    return {
        ABLATION: Method("ablationcam", network.layer, {"batch_size": None}),
        SCORE: Method("scorecam", network.layer, {"channels": many}, many),
        "AblationCAM, layer before": Method("ablationcam", BEFORE[network], {"batch_size": None, "channels": many}),
        "FullGrad": Method("fullgrad", None, {}),
        "RISE": Method("rise", None, {"num_samples": many}, many),
        "SmoothGrad": Method("smoothgrad", None, {"num_samples": many // 8 + 1}),
    }


@contextmanager
def with_tf32() -> Iterator[None]:
    """Let products of float32 be made of TF32 ones."""
    with without_tf32():  # which gives back what the process had
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        yield


PRECISIONS: dict[str, Callable[[str], AbstractContextManager[Any]]] = {
    "float32": lambda kind: without_tf32(),
    "TF32": lambda kind: with_tf32(),
    "bfloat16": lambda kind: torch.autocast(kind, torch.bfloat16) if kind == "cuda" else nullcontext(),
}
# How the passes are made: what becomes of the network, and how its pictures lie in memory.
WAYS: dict[str, tuple[Callable[[nn.Module], Any], torch.memory_format]] = {
    "eager": (lambda model: model, torch.contiguous_format),
    "channels last": (lambda model: model.to(memory_format=torch.channels_last), torch.channels_last),
    "compiled": (torch.compile, torch.contiguous_format),
}


def in_precision(precision: str, device: torch.device, work: Work) -> Work:
    """Return a work that enters autocast by itself: what one work keeps there of the weights is not for the next."""

    def run() -> object:
        with PRECISIONS[precision](device.type):
            return work()

    return run


def best_throughput(model: nn.Module, pictures: Callable[[int], Tensor], precision: str, bench: Bench) -> float:
    """Images per second of plain passes over as many at once as ours takes, and over half and a quarter of them."""
    most = chunks_of(None, pictures(1)[0]).size
    found = []
    for batch in sorted({max(1, most // part) for part in (1, 2, 4)}):
        work = in_precision(precision, bench.device, partial(plain, model, pictures(batch)))
        work()
        found.append(batch / min(seconds(work, bench.device) for _ in range(bench.rounds)))
    return max(found)


def _measured(way: str, precision: str, bench: Bench, only: str | None) -> list[Row]:
    network, device = main_network(bench), bench.device
    change, layout = WAYS[way]
    model = change(network.build(device))

    def pictures(batch: int) -> Tensor:
        return network.pictures(batch, device).contiguous(memory_format=layout)

    picture, rows = pictures(1), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of maps that mean nothing, as weights are random
        throughput = best_throughput(model, pictures, precision, bench)
        forward = in_precision(precision, device, partial(plain, model, picture))
        for label, method in methods(bench).items():
            if only not in (None, label):
                continue
            cam = method_class(method.name)(model, method.layer, **method.options)
            call = in_precision(precision, device, partial(cam, picture, 1))
            times = beside(forward, call, device, bench.rounds)
            speed = None if method.passes is None else method.passes / times.work
            rows.append(
                {
                    "method": label,
                    "precision": precision,
                    "passes are": way,
                    "pass ms": 1000 * times.plain,
                    "call ms": 1000 * times.work,
                    "one passes": times.ratio,
                    "images/s": speed,
                    "plain images/s": throughput,
                    "of plain": speed and speed / throughput,
                    "at once": speed and chunks_of(None, picture[0]).size,
                    "free MB": (free_memory(device) or 0) / 1e6 or None,
                }
            )
    return rows


def items(bench: Bench) -> Iterator[Item]:
    ways: list[tuple[str, str, str | None]] = [("eager", precision, None) for precision in PRECISIONS]
    ways += [("channels last", "bfloat16", None), ("channels last", "TF32", SCORE), ("compiled", "bfloat16", SCORE)]
    for way, precision, only in ways[:1] if bench.smoke else ways:
        yield Item(f"{way}, {precision}", partial(_measured, way, precision, bench, only))


PART = Part(
    "d",
    "Methods of many passes",
    80,
    items,
    notes=(
        "One picture. `one passes`: the call's time as a multiple of a pass of one picture in the same precision. "
        "`of plain`: images per second through the whole network beside plain passes of the best batch size in the "
        "same precision. Of a compiled network a call runs the original, whose layers can be looked at: that row says "
        "what compiled plain passes would gain.",
    ),
)
