"""Small vision transformers of torchvision and timm with random weights, and inputs for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from helpers import missing
from helpers.tiny_nets import CLASSES


def torchvision_vit(**options: Any) -> nn.Module:
    """A vision transformer of torchvision (``nn.MultiheadAttention``), for 32 x 32 pixels in patches of 8."""
    from torchvision.models import VisionTransformer

    sizes = {"image_size": 32, "patch_size": 8, "num_layers": 3, "num_heads": 4, "hidden_dim": 16, "mlp_dim": 24}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = VisionTransformer(num_classes=CLASSES, **{**sizes, **options}).eval()
        nn.init.normal_(net.heads.head.weight)
    return net


def timm_vit(name: str = "vit_tiny_patch16_224", size: tuple[int, int] = (32, 48), **options: Any) -> nn.Module:
    """A vision transformer of timm with two blocks, for pictures of ``size``."""
    timm = missing.package("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = timm.create_model(name, img_size=size, num_classes=CLASSES, depth=2, **options).eval()
    return net


def pictures(*size: int, batch: int = 2) -> Tensor:
    """(batch, 3, *size) standard normal numbers from a generator of their own."""
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(3))
