"""The built-in network: a small classifier that finds ten shapes in the scenes of `data.scenes`, without a download.

305,000 parameters, 0.6 MB, input 128 x 128, one yes or no per shape. On the 1,000 scenes of `TEST_SEEDS`, which
neither the training nor any choice about it saw, at a probability of 0.5: recall 98.5 %, precision 98.5 %. Objects
there measure 30 to 64 pixels; with objects down to 14 pixels recall falls to about 90 %. `tools/train_shapes.py` trains
it anew, with the objects' masks as a second task, so what the network looks at is known to be the object.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.data.scenes import SIZE
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import copy_weights, read_weights

MEAN = (0.5, 0.5, 0.5)  # RGB in 0..1
STD = (0.25, 0.25, 0.25)
WEIGHTS = Path(__file__).parent / "assets" / "shapes.pth"


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: (B, C_in, H, W) -> (B, C_out, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            conv = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels_out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)) + self.shortcut(x))
        return out


class Head(nn.Module):
    """A classifier of the mean and maximum over space by two linear layers: (B, C, H, W) -> logits (B, classes).

    With a mean and one linear layer, GradCAM, HiResCAM, XGradCAM and CAM would all draw the same map. Here
    the maximum gives the gradient a place, and the hidden layer makes it depend on the picture.
    """

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * channels, hidden)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)  # (B, 2 C)
        logits: Tensor = self.classifier(self.relu(self.hidden(pooled)))
        return logits


class ShapesNet(nn.Module):
    """A residual network with 16 x 16 maps at the end, so that a map can tell neighbouring objects apart."""

    def __init__(self, classes: int = len(SHAPES)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.stage1 = ResidualBlock(16, 32, stride=2)
        self.stage2 = ResidualBlock(32, 64, stride=2)
        self.stage3 = ResidualBlock(64, 64)
        self.stage4 = ResidualBlock(64, 96)
        self.head = Head(96, 64, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the activations of the last layer with positions, `stage4`, for normalised RGB (B, 3, 128, 128)."""
        x = self.stem(x)  # (B, 16, 64, 64)
        x = self.stage1(x)  # (B, 32, 32, 32)
        x = self.stage3(self.stage2(x))  # (B, 64, 16, 16)
        x = self.stage4(x)  # (B, 96, 16, 16)
        return x

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def preprocess(images: np.ndarray) -> Tensor:
    """Turn uint8 RGB (H, W, 3) or (B, H, W, 3) into the network's input, float32 (B, 3, H, W), on the CPU."""
    mean, std = (np.array(values, dtype=np.float32) for values in (MEAN, STD))
    scaled = (np.asarray(images, dtype=np.float32) / 255 - mean) / std
    return torch.from_numpy(scaled.reshape(-1, *scaled.shape[-3:])).permute(0, 3, 1, 2)


def load_shapes(device: torch.device | str | None = None, weights: Path = WEIGHTS) -> ShapesNet:
    """Return the trained network in evaluation mode; it gives one logit per shape, in the order of `SHAPES`.

    Args:
        device: where to put it; None is the CPU.
        weights: another file of the same network.

    Returns:
        The network, from (B, 3, 128, 128) to logits (B, 10), each for a sigmoid of its own.
    """
    with torch.device("meta"):  # no random initialisation: the global random state stays as it was
        model = ShapesNet()
    stored = torch.load(weights, map_location=device or "cpu", weights_only=True)
    # half precision in the file, float32 in memory
    state = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
    model.load_state_dict(state, assign=True)
    in_evaluation(model)
    return model


def load_built_in(spec: str, weights: str | None = None, trust_pickle: bool = False) -> LoadedModel:
    """Build the built-in network as a source, in evaluation mode.

    Args:
        spec: "shapes"; there is no other.
        weights: a file of weights instead of those that come along.
        trust_pickle: see `models.weights_file.read_weights`.

    Raises:
        ValueError: if a file's weights are no such network's.
    """
    if weights is None:
        model, source = load_shapes(), "shapes, the built-in network"
    else:
        with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
            model, source = ShapesNet(), f"shapes, weights from {weights}"
        copy_weights(in_evaluation(model), read_weights(weights, trust_pickle), weights)
    preprocessing = Preprocessing(resize=SIZE, crop=SIZE, mean=MEAN, std=STD)
    return LoadedModel(model, preprocessing, SHAPES, source=source, scores="multi-label")
