"""Metrics of the peers: runs where torchcam, captum, Quantus and grad-cam are, and never imports ours.

    with peers.remote("benchmarks.metric_worker") as peer:
        answer = peer.ask(request)

A *request* is a dict: `metric` (a function below), `network` (a name of `benchmarks.networks`), `input`, `maps`
(B, H, W), `targets` (class indices), and what the function takes. The score is the softmax probability. The answer is a
dict with `values` (what the peer returns) and `seconds` (of the processor); or with `error`, one line.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import build
from benchmarks.remote_process import serve

Request = dict[str, Any]


@lru_cache(maxsize=2)
def network(name: str) -> nn.Module:
    """The two networks asked for last are kept."""
    return build(name)


class Given:
    """What torchcam asks for maps: the model, and maps that are there already."""

    def __init__(self, model: nn.Module, maps: Tensor) -> None:
        self.model, self.maps = model, maps

    def __call__(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self) -> Any:
        return nullcontext()


def torchcam(request: Request, model: nn.Module) -> Callable[[], Any]:
    """A metric of torchcam, by the name of its class; its summary, over the batch."""
    module = importlib.import_module("torchcam.metrics")
    softmax = partial(torch.softmax, dim=-1)
    metric = getattr(module, request["name"])(Given(model, request["maps"]), softmax, **request.get("options", {}))

    def run() -> Any:
        metric.update(request["input"], request["targets"])
        return metric.summary()

    return run


def probabilities(model: nn.Module, targets: list[int]) -> Callable[[Tensor], Tensor]:
    """Of the targets, for a batch that may hold every image several times in a row."""

    def forward(x: Tensor) -> Tensor:
        index = torch.tensor(targets).repeat_interleave(len(x) // len(targets))
        return model(x).softmax(1).gather(1, index[:, None])[:, 0]

    return forward


def infidelity(request: Request, model: nn.Module) -> Callable[[], Any]:
    """Captum's; `changes` (K, B, C, H, W) are what it shall subtract."""
    function = importlib.import_module("captum.metrics").infidelity
    x, changes = request["input"], request["changes"]
    maps = request["maps"][:, None].expand_as(x)

    def change(inputs: Tensor) -> tuple[Tensor, Tensor]:
        several = changes.transpose(0, 1).flatten(0, 1)  # each image's changes in a row
        return several, inputs - several

    return lambda: function(
        probabilities(model, request["targets"]),
        change,
        x,
        maps,
        n_perturb_samples=len(changes),
        max_examples_per_batch=None,
        normalize=request.get("normalize", False),
    )


def sensitivity(request: Request, model: nn.Module) -> Callable[[], Any]:
    """Captum's largest change of a saliency map; `changes` (K, B, C, H, W) are what it shall add."""
    function = importlib.import_module("captum.metrics").sensitivity_max
    changes = request["changes"]

    def saliency(inputs: Any) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            x = (inputs[0] if isinstance(inputs, tuple) else inputs).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(probabilities(model, request["targets"])(x).sum(), x)
        return (gradient.abs().sum(1, keepdim=True),)

    def change(inputs: Tensor, radius: float) -> Tensor:
        return inputs + changes.transpose(0, 1).flatten(0, 1)

    return lambda: function(saliency, request["input"], change, n_perturb_samples=len(changes))


def quantus(request: Request, model: nn.Module) -> Callable[[], Any]:
    """A metric of Quantus by the name of its class; `chosen` are the subsets that it shall draw, (K, B, n)."""
    module = importlib.import_module("quantus")
    options = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
    metric = getattr(module, request["name"])(**options, **request.get("options", {}))
    given = {
        "model": model,
        "x_batch": request["input"].numpy(),
        "y_batch": np.array(request["targets"]),
        "a_batch": request["maps"][:, None].numpy(),
        "softmax": True,
        "device": "cpu",
    }
    drawn = iter(request["chosen"].flatten(0, 1).numpy()) if "chosen" in request else None
    kept: list[Any] = []

    def area(values: Any, *args: Any, **kwargs: Any) -> Any:
        kept.append(torch.from_numpy(np.array(values)))
        return np.trapezoid(np.array(values), axis=-1)

    def run() -> Any:
        draws = patch.object(np.random, "choice", lambda *args, **kwargs: next(drawn)) if drawn else nullcontext()
        # NumPy 2.4 no longer has the function that Quantus integrates with.
        with draws, patch.object(module.helpers.utils, "calculate_auc", area):
            found = metric(**given)
        found = list(found.values()) if isinstance(found, dict) else found  # ROAD: by percentage
        return {"found": torch.tensor(np.array(found, dtype=np.float64)), "curves": kept}

    return run


def quantus_again(request: Request, model: nn.Module) -> Callable[[], Any]:
    """A metric of Quantus that explains again, by a saliency map; `changes` (K, B, C, H, W) are what it shall add.

    `others` are the classes that it shall draw, each as its place among the other classes.
    """
    module = importlib.import_module("quantus")
    options = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": False}
    given = dict(request.get("options", {}))
    if given.pop("by_ranks", False):
        given["similarity_func"] = module.correlation_spearman
    changes = iter(request["changes"].flatten(2).numpy()) if "changes" in request else None
    if changes is not None:
        given["perturb_func"] = lambda arr, indices, **kwargs: arr + next(changes).reshape(arr.shape)
    metric = getattr(module, request["name"])(**options, **given)

    def explain(model: nn.Module, inputs: Any, targets: Any, **kwargs: Any) -> Any:
        with torch.enable_grad():
            x = torch.as_tensor(inputs, dtype=torch.float32).requires_grad_()
            scores = model(x).softmax(1)[range(len(x)), [int(target) for target in targets]]
            (gradient,) = torch.autograd.grad(scores.sum(), x)
        return gradient.abs().sum(1, keepdim=True).numpy()

    others = np.array(request.get("others", [0] * len(request["targets"])))

    def run() -> Any:
        with patch.object(np.random, "randint", lambda *args, **kwargs: others):
            found = metric(
                model=model,
                x_batch=request["input"].numpy(),
                y_batch=np.array(request["targets"]),
                a_batch=None,
                explain_func=explain,
                softmax=True,
                device="cpu",
            )
        return torch.tensor(np.array(found, dtype=np.float64))

    return run


def imputed(request: Request, model: nn.Module) -> Callable[[], Any]:
    """One image whose missing pixels Quantus and grad-cam have filled, without noise."""
    theirs = importlib.import_module("quantus.functions.perturb_func").noisy_linear_imputation
    other = importlib.import_module("pytorch_grad_cam.metrics.road").NoisyLinearImputer(noise=0.0)
    image, missing = request["input"][0], request["missing"]
    places = missing.flatten().nonzero()[:, 0].numpy()
    return lambda: {
        "quantus": torch.from_numpy(theirs(image.double().numpy(), places, noise=0.0)),
        "grad-cam": other(image, (~missing).float()).detach(),
    }


def road(request: Request, model: nn.Module) -> Callable[[], Any]:
    """ROAD of grad-cam, combined."""
    package = importlib.import_module("pytorch_grad_cam.metrics.road")
    target = importlib.import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputSoftmaxTarget
    metric = package.ROADCombined(percentiles=request["percentiles"])
    targets = [target(category) for category in request["targets"]]
    return lambda: torch.from_numpy(np.array(metric(request["input"], request["maps"].numpy(), targets, model)))


METRICS = {each.__name__: each for each in (torchcam, infidelity, sensitivity, quantus, quantus_again, imputed, road)}


def answer(request: Request) -> dict[str, Any]:
    """The peer's failure is an answer too."""
    try:
        run = METRICS[request["metric"]](request, network(request["network"]))
        start = time.process_time()
        values = run()
        return {"values": values, "seconds": time.process_time() - start}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    serve(answer)
