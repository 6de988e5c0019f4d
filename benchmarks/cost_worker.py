"""Times and memory of one side, `ours` or `peers`, in a process of its own.

    with peers.remote("benchmarks.cost_worker", "peers", "resnet50", "layer4.2") as worker:
        worker.ask({"do": "round", "batch": 8, "order": 3, "items": ["grad-cam GradCAM"]})
        # {item: [seconds of the plain pass before, of the item, of the plain pass after]}
        worker.ask({"do": "peak", "batch": 16, "item": "grad-cam GradCAM"})  # bytes

Every item is preceded and followed by a plain forward pass (`torch.inference_mode`, evaluation mode) on
the same input, so that a drift of the machine's speed hits both.
"""

from __future__ import annotations

import gc
import importlib
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.networks import build
from benchmarks.remote_process import serve

Work = Callable[[Tensor], Any]
Prepared = tuple[Work, Callable[[], None]]  # the explanation, and what undoes its hooks
Items = dict[str, Callable[[], Prepared]]
GRAD_CAM = (
    "GradCAM",
    "HiResCAM",
    "GradCAMPlusPlus",
    "XGradCAM",
    "LayerCAM",
    "GradCAMElementWise",
    "EigenCAM",
    "EigenGradCAM",
    "RandomCAM",
    "ScoreCAM",
    "AblationCAM",
    "FullGrad",
)


def ours(model: nn.Module, layer: str) -> Items:
    """Every method of our table, by its name on the command line."""
    methods = importlib.import_module("pytorch_grad_cam.methods")

    def prepare(name: str) -> Prepared:
        return methods.method_class(name)(model, layer), lambda: None

    return {name: lambda name=name: prepare(name) for name in methods.METHODS}


def peers(model: nn.Module, layer: str) -> Items:
    """grad-cam's methods, and GradCAM of torchcam and captum; each with what undoes its hooks."""
    module = model.get_submodule(layer)

    def grad_cam(name: str) -> Prepared:
        package = importlib.import_module("pytorch_grad_cam")
        cam = getattr(package, name)(model=model, target_layers=[module])
        return lambda x: cam(input_tensor=x, targets=None), cam.activations_and_grads.release

    def torchcam() -> Prepared:
        cam = importlib.import_module("torchcam.methods").GradCAM(model, module)

        def run(x: Tensor) -> list[Tensor]:
            scores = model(x)
            return cam(scores.argmax(1).tolist(), scores)

        return run, cam.remove_hooks

    def captum() -> Prepared:
        attribution = importlib.import_module("captum.attr")
        cam = attribution.LayerGradCam(model, module)

        def run(
            x: Tensor,
        ) -> Tensor:  # the class is given: captum would need another forward pass to choose it
            small = cam.attribute(x, target=0, relu_attributions=True)
            return attribution.LayerAttribution.interpolate(small, x.shape[2:], "bilinear")

        return run, lambda: None

    table = {f"grad-cam {name}": lambda name=name: grad_cam(name) for name in GRAD_CAM}
    return {**table, "torchcam GradCAM": torchcam, "captum GradCAM": captum}


class Worker:
    """Answers the messages of `benchmarks.cost`."""

    def __init__(self, side: str, network: str, layer: str) -> None:
        self.model = build(network)
        self.items = {"ours": ours, "peers": peers}[side](self.model, layer)

    def plain(self, x: Tensor) -> None:
        with torch.inference_mode():
            self.model(x)

    def run(self, name: str, x: Tensor) -> float:
        """Seconds of one explanation. Making the object is not counted; its hooks are gone afterwards."""
        work, undo = self.items[name]()
        try:
            return seconds(work, x)
        finally:
            undo()

    def round(self, x: Tensor, order: int, names: list[str]) -> dict[str, list[float]]:
        """Each item once, in an order that follows from the number: [plain before, item, plain after]."""
        random.Random(order).shuffle(names)
        times = {}
        for name in names:
            gc.collect()  # what a peer left in reference cycles is charged to nobody, and neither are the cold caches
            times[name] = [seconds(self.plain, x), self.run(name, x), seconds(self.plain, x)]
        return times

    def peak(self, x: Tensor, item: str) -> int:
        """Peak resident memory of this process in bytes, after a plain pass and, unless "plain", the item."""
        self.plain(x)
        if item != "plain":
            self.run(item, x)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def __call__(self, message: dict[str, Any]) -> Any:
        x = torch.randn(message["batch"], 3, 224, 224, generator=torch.Generator().manual_seed(0))
        device = torch.device(message.get("device", "cpu"))
        x = x.to(device)
        self.model.to(device)
        if message["do"] == "round":
            return self.round(x, message["order"], [name for name in self.items if name in message["items"]])
        if message["do"] == "peak":
            return self.peak(x, message["item"])
        return list(self.items)


def seconds(work: Work, x: Tensor) -> float:
    """How long one call takes, with all that it leaves a GPU to do."""
    settle = torch.cuda.synchronize if x.is_cuda else lambda: None
    settle()
    start = time.perf_counter()
    work(x)
    settle()
    return time.perf_counter() - start


if __name__ == "__main__":
    serve(Worker(*sys.argv[1:]))
