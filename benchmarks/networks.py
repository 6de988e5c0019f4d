"""The networks of the benchmarks and of the parity tests, by name.

A peer runs in a process of its own, so the same network is built twice: from the same file, or from the same
seed. Nothing here imports the package at the top: in the peers' process its name belongs to another one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.task_networks import DeepLab, FastestDet

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"  # trained networks and real photos; absent on most machines


class OutOfPlaceDenseNet(torchvision.models.DenseNet):
    """DenseNet whose last ReLU is not done in place: what was recorded at the norm before it stays."""

    def forward(self, x: Tensor) -> Tensor:
        features = F.relu(self.features(x))  # (B, C, H, W)
        return self.classifier(features.mean((2, 3)))


class SharedReLU(nn.Module):
    """Two convolutions, each followed by the same ReLU module, which is therefore called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(6 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.relu(self.conv1(x))
        return self.head(F.adaptive_avg_pool2d(self.last(self.conv2(first)), 2).flatten(1))

    def last(self, x: Tensor) -> Tensor:
        return self.relu(x)


class TwoReLUs(SharedReLU):
    """The same computation with a second ReLU module for the second call."""

    def __init__(self) -> None:
        super().__init__()
        self.relu2 = nn.ReLU()

    def last(self, x: Tensor) -> Tensor:
        return self.relu2(x)


class Cancelling(nn.Module):
    """(B, 3, 8, 8) -> (B, 3). Two of the four feature channels average to 0 in every picture, up to rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.features = nn.Identity()
        self.head = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 6 * 6, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        cancelling = x[:, :2] - x[:, :2].mean((2, 3), keepdim=True)
        return self.head(self.features(torch.cat([cancelling, x[:, 2:]], 1)))


class Gray(nn.Module):
    """(B, 1, H, W) -> (B, 5) logits that differ: some metrics of the peers take no more than one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2, bias=False), nn.Tanh(), nn.Conv2d(8, 8, 3, bias=False))
        self.head = nn.Linear(8 * 4, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return 40 * self.head(F.adaptive_avg_pool2d(self.conv(x), 2).flatten(1))


class Volume(nn.Module):
    """(B, 1, D, H, W) -> (B, 4) logits. `conv` keeps the size of the input, `pooled` halves it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ReLU())
        self.pooled = nn.Sequential(nn.MaxPool3d(2), nn.Conv3d(6, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(8 * 8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool3d(self.pooled(self.conv(x)), 2).flatten(1))


class _Block(nn.Module):
    """Two convolutions beside a shortcut without parameters."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.stride = width // before
        self.conv1 = nn.Conv2d(before, width, 3, self.stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.spare = (width - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.spare, self.spare))
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNet20(nn.Module):
    """(B, 3, H, W) -> (B, 10): the ResNet of CIFAR-10, also for larger pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(_Block(16, 16) for _ in range(3)))
        self.layer2 = nn.Sequential(_Block(16, 32), *(_Block(32, 32) for _ in range(2)))
        self.layer3 = nn.Sequential(_Block(32, 64), *(_Block(64, 64) for _ in range(2)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Keywords(nn.Module):
    """(B, 1, 49, 10) MFCC, time down -> (B, 12) logits. `convs` alternates depthwise and 1x1 after the first."""

    def __init__(self) -> None:
        super().__init__()
        later = ((nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 64, 1)) for _ in range(4))
        self.convs = nn.ModuleList([nn.Conv2d(1, 64, (10, 4), stride=2), *(conv for pair in later for conv in pair)])
        self.fc = nn.Linear(64, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 4, 5))
        for conv in self.convs:
            x = F.relu(conv(x))  # (B, 64, 25, 5)
        return self.fc(x.mean((2, 3)))


def _meshnet() -> nn.Module:
    """(B, 1, D, H, W) T1 MRI in [0, 1] -> (B, 3, D, H, W): background, white matter, grey matter."""
    layers: list[nn.Module] = []
    for index, dilation in enumerate((1, 2, 4, 8, 4, 2, 2, 1)):
        layers += [nn.Conv3d(11 if index else 1, 11, 3, padding=dilation, dilation=dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv3d(11, 3, 1))


def _fcn1d() -> nn.Module:
    """(B, 1, 150) -> (B, 2): drawing a gun, pointing a finger."""
    widths = ((1, 32, 7), (32, 64, 5), (64, 32, 3))
    blocks = ((nn.Conv1d(a, b, k, padding=k // 2), nn.BatchNorm1d(b), nn.ReLU()) for a, b, k in widths)
    return nn.Sequential(
        *(layer for block in blocks for layer in block), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 2)
    )


def _vit() -> nn.Module:
    """(B, 3, 32, 32) -> (B, 10): a class token and 8 x 8 patches through six blocks."""
    stem = [torchvision.models.vision_transformer.ConvStemConfig(c, 3, s) for c, s in ((32, 1), (64, 2), (96, 2))]
    return torchvision.models.VisionTransformer(32, 4, 6, 3, 96, 192, num_classes=10, conv_stem_configs=stem)


def _with_a_head(model: nn.Module) -> nn.Module:
    """Draw the head of one of torchvision's transformers, which begins with zeros: all its maps would be zero."""
    nn.init.normal_(model.heads.head.weight, std=0.05)
    return model


def _from_file(make: Callable[[], nn.Module], file: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        model = make()
        model.load_state_dict(torch.load(SHARED / "models" / file, weights_only=True))
        return model

    return build


def _shapes() -> nn.Module:
    module = importlib.import_module("pytorch_grad_cam.models.shapes")
    model = module.ShapesNet()
    model.load_state_dict(torch.load(module.WEIGHTS, weights_only=True))
    return model


_MODELS = torchvision.models
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "squeezenet": _from_file(_MODELS.squeezenet1_0, "squeezenet1_0_imagenet.pth"),
    "mobilenet_v2": _from_file(_MODELS.mobilenet_v2, "mobilenet_v2_imagenet.pth"),
    "resnet20_cifar10": _from_file(ResNet20, "resnet20_cifar10.pth"),
    "keywords": _from_file(Keywords, "dscnn_keywords.pth"),
    "meshnet": _from_file(_meshnet, "meshnet11_brain.pth"),
    "fcn1d": _from_file(_fcn1d, "fcn1d_gunpoint.pth"),
    "vit_cifar10": _from_file(_vit, "vit_cifar10.pth"),
    "shapes": _shapes,
    "deeplab": _from_file(DeepLab, "deeplabv3_mnv2_05_voc.pth"),
    "fastestdet": _from_file(FastestDet, "fastestdet_coco.pth"),
    "resnet18": _MODELS.resnet18,
    "resnet50": _MODELS.resnet50,
    "vgg11": _MODELS.vgg11,
    "convnext_tiny": _MODELS.convnext_tiny,
    "vit_b_16": lambda: _with_a_head(_MODELS.vit_b_16()),
    "vit_32": lambda: _with_a_head(_MODELS.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10)),
    "resnet20": ResNet20,
    "densenet121": _MODELS.densenet121,
    "densenet121_out_of_place": lambda: OutOfPlaceDenseNet(32, (6, 12, 24, 16), 64),
    "shared_relu": SharedReLU,
    "two_relus": TwoReLUs,
    "cancelling": Cancelling,
    "gray": Gray,
    "volume": Volume,
}
TRAINED = (
    "squeezenet",
    "mobilenet_v2",
    "resnet20_cifar10",
    "shapes",
    "deeplab",
    "fastestdet",
    "keywords",
    "meshnet",
    "fcn1d",
    "vit_cifar10",
)


def build(name: str, seed: int = 0) -> nn.Module:
    """The network of that name in evaluation mode; random weights follow from the seed alone.

    Args:
        name: A key of `NETWORKS`.
        seed: Of the random weights. The statistics of batch norms are drawn as well: no norm is the identity.

    Returns:
        The network on the CPU, float32. The global random state is as before.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NETWORKS[name]()
        if name not in TRAINED:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.bias, 0, 0.2)
                    nn.init.normal_(module.running_mean, 0, 0.2)
                    nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()
