"""Part c: what an explanation costs beside a plain forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.cost import ONE_PASS, TIME_LIMIT
from benchmarks.gpu.bench import Bench, Item, Part, Row
from benchmarks.gpu.networks import Network, main_network, networks
from benchmarks.gpu.timing import beside, launches_and_waits, peak_memory
from pytorch_grad_cam.methods import method_class

BATCHES = (64, 1, 8, 256)  # in the order of their worth
OF_OTHERS = ("gradcam", "layercam", "eigencam")  # methods on the other networks
COUNTED = 8  # pictures of the call whose launches are counted


def plain(model: nn.Module, x: Tensor) -> None:
    with torch.inference_mode():
        model(x)


def _measured(network: Network, batch: int, names: tuple[str, ...], bench: Bench) -> list[Row]:
    device = bench.device
    model, x = network.build(device), network.pictures(batch, device)
    forward = partial(plain, model, x)
    rows = []
    for name in names:
        work = partial(method_class(name)(model, network.layer), x, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of maps that mean nothing, as weights are random
            times = beside(forward, work, device, bench.rounds)
            of_pass, of_work = peak_memory(forward, device), peak_memory(work, device)
            counted = launches_and_waits(work, device) if batch == COUNTED else (None, None)
            of_plain = launches_and_waits(forward, device)[0] if batch == COUNTED else None
        rows.append(
            {
                "network": network.name,
                "method": name,
                "batch": batch,
                "pass ms": 1000 * times.plain,
                "call ms": 1000 * times.work,
                "ratio": times.ratio,
                "maps/s": batch / times.work,
                "pass MB": None if of_pass is None else of_pass / 1e6,
                "more memory": None if of_pass is None or of_work is None else max(0, of_work - of_pass) / of_pass,
                "launches": counted[0],
                "launches of a pass": of_plain,
                "waits": counted[1],
            }
        )
    return rows


def items(bench: Bench) -> Iterator[Item]:
    for batch in (1, 2) if bench.smoke else BATCHES:
        for network in networks(bench):
            names = ONE_PASS if network == main_network(bench) and not bench.smoke else OF_OTHERS
            label = f"{network.name}, batch {batch}"
            yield Item(label, partial(_measured, network, batch, names, bench))


PART = Part(
    "c",
    "What an explanation costs beside a plain pass",
    90,
    items,
    notes=(
        "Medians of rounds between two plain passes in inference mode, by CUDA events. The aim at batch 64 is "
        f"{TIME_LIMIT} x. A call's time ends with maps as NumPy arrays. `more memory`: the call's peak beyond the "
        "pass's, as a share of that. Launches and waits are of one call, by torch's profiler.",
    ),
)
