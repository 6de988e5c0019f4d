"""One process of two that train a network together; the first also explains it. Run by test_training."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from helpers.tiny_nets import ConvNet, build, inputs
from pytorch_grad_cam import GradCAM


def trained(rank: int, explain: bool) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Return the state after three steps, and the maps of the distributed network and of what is inside it."""
    net = nn.parallel.DistributedDataParallel(build(ConvNet))
    optimizer, maps = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9), []
    for step in range(3):
        batch = inputs(batch=4)[2 * rank : 2 * rank + 2] + step
        nn.functional.cross_entropy(net(batch), torch.tensor([rank, 2])).backward()
        if explain:
            maps += [GradCAM(each, "conv2").explain(inputs(), 1).maps for each in (net, net.module)]
        optimizer.step()
        optimizer.zero_grad()
    return net.module.state_dict(), maps


def main(rank: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    place = f"file://{Path(folder).absolute()}/meeting"
    patience = datetime.timedelta(seconds=60)
    distributed.init_process_group("gloo", place, patience, world_size=2, rank=int(rank))
    plain, _ = trained(int(rank), explain=False)
    explaining, maps = trained(int(rank), explain=rank == "0")
    found = {"plain": plain, "explaining": explaining}
    if maps:
        found |= {"maps": torch.stack(maps[::2]), "expected": torch.stack(maps[1::2])}
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
