"""The networks that are measured, with random weights; tiny ones for a try."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import Bench
from benchmarks.networks import build


@dataclass(frozen=True)
class Network:
    """A network, the side of its pictures, and the layer that is looked at; None: the automatic choice."""

    name: str
    side: int
    layer: str | None

    def build(self, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return it in evaluation mode."""
        return build(self.name).to(device, dtype)

    def pictures(self, batch: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return noise ``(batch, 3, side, side)``, the same on every device."""
        noise = torch.randn(batch, 3, self.side, self.side, generator=torch.Generator().manual_seed(batch))
        return noise.to(device, dtype)


CONV, TRANSFORMER = Network("resnet20", 32, "layer3.2"), Network("vit_32", 32, None)
RESNET = Network("resnet50", 224, "layer4.2")
REAL = (RESNET, Network("vit_b_16", 224, None), Network("convnext_tiny", 224, None))


def networks(bench: Bench) -> tuple[Network, ...]:
    """Return those whose cost is measured, the most important first."""
    return (CONV, TRANSFORMER) if bench.smoke else REAL


def main_network(bench: Bench) -> Network:
    """Return the one that the aims are for."""
    return CONV if bench.smoke else RESNET
