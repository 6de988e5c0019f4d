"""Explain in several threads at once and count wrong maps, wrong copies, and what is left in models and process.

    python -m tools.stress_threads --rounds 400

Mixes: two heads on one backbone; a network and its DataParallel; networks that share nothing; threads that copy, pickle
and save the network meanwhile; a thread that draws random numbers. All networks are in training mode.
"""

from __future__ import annotations

import argparse
import copy
import io
import pickle
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM
from pytorch_grad_cam.engine import ledger

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.tiny_nets import ResidualNet, build, inputs  # noqa: E402 - a folder that is no package of ours

Job = Callable[[Counter[str]], None]


class Headed(nn.Module):
    """One of several heads on a backbone."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.drop, self.head = backbone, nn.Dropout(0.5), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.drop(self.backbone(x)))
        return scores


def explaining(model: nn.Module, layer: nn.Module, rounds: int) -> Job:
    """Return a job that explains a model over and over, and counts maps that differ from the first."""
    x = inputs()
    methods: list[Any] = [GradCAM, AblationCAM]
    expected = [method(model, layer)(x, 1) for method in methods]

    def job(count: Counter[str]) -> None:
        for turn in range(rounds):
            found = methods[turn % 2](model, layer)(x, 1)
            count["maps"] += 1
            count["wrong maps"] += not np.array_equal(found, expected[turn % 2])

    return job


def saved(model: nn.Module) -> nn.Module:
    """Save a model whole and load it."""
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    loaded: nn.Module = torch.load(buffer, weights_only=False)
    return loaded


def copying(model: nn.Module, rounds: int) -> Job:
    """Return a job that copies a model over and over, and counts copies that fail or predict something else."""
    x = inputs()
    ways: list[Callable[[nn.Module], nn.Module]] = [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), saved]
    with torch.no_grad():
        expected = model.eval()(x)
    model.train()

    def job(count: Counter[str]) -> None:
        for turn in range(rounds):
            count["copies"] += 1
            try:
                twin = ways[turn % 3](model)
            except RuntimeError as error:
                count[f"copies that fail ({error})"] += 1
                continue
            with torch.no_grad():
                count["wrong copies"] += not torch.equal(twin.eval()(x), expected)

    return job


def drawing(seconds: float) -> Job:
    """Return a job that draws random numbers, and counts those that come twice."""

    def job(count: Counter[str]) -> None:
        drawn = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            drawn.append(int(torch.randint(2**62, ())))
        count["draws"] += len(drawn)
        count["draws that came twice"] += len(drawn) - len(set(drawn))

    return job


def run(name: str, jobs: list[Job], models: list[nn.Module]) -> bool:
    """Run jobs in threads, print what they counted, and say whether all is as it should be."""
    before = [
        (module.training, dict(vars(module)), len(module._forward_hooks)) for net in models for module in net.modules()
    ]
    values = [value.clone() for net in models for value in net.state_dict().values()]
    counts = [Counter[str]() for _ in jobs]
    begin = time.monotonic()
    threads = [threading.Thread(target=job, args=(count,)) for job, count in zip(jobs, counts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = sum(counts, Counter[str]())
    after = [
        (module.training, dict(vars(module)), len(module._forward_hooks)) for net in models for module in net.modules()
    ]
    left = sum(one != other for one, other in zip(before, after, strict=True)) + len(ledger._queue)
    kept = [value for net in models for value in net.state_dict().values()]
    changed = sum(not torch.equal(one, other) for one, other in zip(values, kept, strict=True))
    print(f"{name}: {dict(count)}, traces {left}, changed values {changed}, {time.monotonic() - begin:.0f} s")
    return not left and not changed and not any(count[what] for what in count if "wrong" in what or "twice" in what)


def main() -> int:
    """Run every mix; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="calls of each thread (default %(default)s)")
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore", message=".*not every map means something")
    torch.set_num_threads(1)
    good = []
    body = build(ResidualNet)
    heads = [build(Headed, body, seed=seed).train() for seed in (0, 1)]
    good.append(run("two heads", [explaining(head, body.norm, rounds) for head in heads], heads))
    net = build(ResidualNet).train()
    both = [net, nn.DataParallel(net)]
    good.append(run("DataParallel", [explaining(each, net.norm, rounds) for each in both], both))
    apart = [build(ResidualNet, seed=seed).train() for seed in range(3)]
    good.append(run("apart", [explaining(each, each.norm, rounds) for each in apart], apart))
    good.append(run("copies", [explaining(net, net.norm, 2 * rounds), copying(net, rounds)], [net]))
    net = build(ResidualNet).train()
    good.append(run("draws", [explaining(net, net.norm, rounds), drawing(rounds / 150)], [net]))
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
