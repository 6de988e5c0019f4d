"""Run the lines that docs/wishes.md has for another library, with that library: ``python wish_program.py LIBRARY``.

The lines come by standard input, as JSON by their wish; what they made is told on standard output. A process of its own
runs this, in which ``pytorch_grad_cam`` is the package grad-cam; nothing of ours may be imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from helpers.tiny_nets import ConvNet, TinyViT, UNet, build, inputs

IMPORTS = {
    "grad-cam": """
import numpy as np
from PIL import Image
from pytorch_grad_cam import GradCAM, LayerCAM
from pytorch_grad_cam.metrics.road import ROADCombined
from pytorch_grad_cam.utils.image import preprocess_image, show_cam_on_image
from pytorch_grad_cam.utils.model_targets import (
    ClassifierOutputSoftmaxTarget, ClassifierOutputTarget, SemanticSegmentationTarget
)
""",
    "torchcam": """
from PIL import Image
from torchcam.methods import GradCAM
from torchcam.utils import overlay_mask
from torchvision.transforms.functional import to_pil_image
""",
    "Captum": """
import numpy as np
from PIL import Image
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam, visualization
""",
}


class DictUNet(nn.Module):
    """A segmentation network that returns a dictionary, as torchvision's do."""

    def __init__(self) -> None:
        super().__init__()
        self.net = build(UNet)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.net(x)}


class OfColours(nn.Module):
    """A classifier of pictures with three channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3, stride=4)
        self.net = build(ConvNet, seed=3)
        self.net.head.weight.data.abs_()  # something speaks for every class: no map is blank

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(self.first(x))
        return scores


def names_of(program: str) -> dict[str, Any]:
    """Return what a program finds: the network that its input goes through, and that network's layer."""
    names: dict[str, Any] = {"x": inputs(size=(6, 10)), "torch": torch, "Path": Path}
    if "segmenter" in program:
        segmenter = DictUNet().eval()
        return {**names, "segmenter": segmenter, "layer": segmenter.net.up}
    if "photos" in program or "scene.png" in program:
        torch.manual_seed(0)
        model = OfColours().eval()
        return {**names, "model": model, "layer": model.net.act2, "preprocess": preprocess}
    model = build(ConvNet, seed=3)
    return {**names, "model": model, "layer": model.act2, "vit": build(TinyViT)}


def preprocess(image: Any) -> Tensor:
    """Turn a picture of PIL into an input ``(3, H, W)``, as transforms of torchvision do."""
    from torchvision.transforms.functional import pil_to_tensor

    return (pil_to_tensor(image) / 255 - 0.5) / 0.25


def made(names: dict[str, Any]) -> float:
    """Return the sum of what a program made, without sign: of maps or values, or of the picture that it wrote."""
    if Path("map.png").exists():
        return float(sum(Image.open("map.png").convert("L").histogram()[1:]))
    return _size(names.get("maps", names.get("values", names.get("found", []))))


def _size(found: Any) -> float:
    if isinstance(found, (list, tuple)):
        return sum(map(_size, found))
    return float(torch.as_tensor(found).detach().abs().sum())


def main() -> None:
    """Run every program of the library; an error in one is one here."""
    results = {}
    for wish, program in json.load(sys.stdin).items():
        Path("map.png").unlink(missing_ok=True)
        names = names_of(program)
        exec(IMPORTS[sys.argv[1]], names)
        exec(compile(program, wish, "exec"), names)
        results[wish] = made(names)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
