"""Maps of the peer `grad-cam`: runs where `pytorch_grad_cam` is the peer, and never imports ours.

    with peers.remote("benchmarks.peer_worker") as peer:
        answer = peer.ask(request)

A *request* is a dict: `network` (a name of `benchmarks.networks`), `layers` (dotted names), `method`
(class name), `input` (tensor), `targets` (list of class indices, or None), and optionally `scale` (factor
on the target), `eigen_smooth`, `aug_smooth`, and `weights` (per layer (B, C): what a random method shall
draw). The answer is a dict with `maps` (B, *S), `raw` (per layer (B, *s), signed, before any scaling) and
`outputs`; or with `error`, one line.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import ROOT, build
from benchmarks.remote_process import serve

grad_cam = importlib.import_module("pytorch_grad_cam")
if (ROOT / "pytorch_grad_cam").samefile(grad_cam.__path__[0]):
    raise ImportError("this process found our own package; start it through benchmarks.peers")
# The built-in network lives in sub-packages that the peer does not have; the peer's own modules still come
# first.
grad_cam.__path__.append(str(ROOT / "pytorch_grad_cam"))


def scaled_target(category: int, scale: float) -> Callable[[Tensor], Tensor]:
    """The score of a class times a factor, from one image's output."""
    return lambda output: output[category] * scale


@contextmanager
def drawing(weights: list[Tensor]) -> Iterator[None]:
    """While it lasts, NumPy's uniform draws are these, in turn."""
    original, rest = np.random.uniform, iter(weights)
    np.random.uniform = lambda *args, **kwargs: next(rest).numpy()
    try:
        yield
    finally:
        np.random.uniform = original


@lru_cache(maxsize=2)
def network(name: str) -> nn.Module:
    """The two networks asked for last are kept."""
    return build(name)


def explain(request: dict[str, Any]) -> dict[str, Any]:
    """The peer's maps for a batch, with what they looked like before scaling."""
    model = network(request["network"])
    cam = getattr(grad_cam, request["method"])(
        model=model, target_layers=[model.get_submodule(name) for name in request["layers"]]
    )
    raw: list[Tensor] = []
    image_of = cam.get_cam_image

    def recording(*args: Any, **kwargs: Any) -> np.ndarray:
        image = image_of(*args, **kwargs)
        raw.append(torch.from_numpy(np.array(image, dtype=np.float32)))
        return image

    cam.get_cam_image = recording
    targets = request["targets"]
    if targets is not None:
        targets = [scaled_target(category, request.get("scale", 1.0)) for category in targets]
    flags = {name: request[name] for name in ("eigen_smooth", "aug_smooth") if name in request}
    try:
        with drawing(request["weights"]) if "weights" in request else nullcontext():
            maps = cam(input_tensor=request["input"].clone(), targets=targets, **flags)
        return {"maps": torch.from_numpy(maps), "raw": raw, "outputs": cam.outputs.detach()}
    finally:
        cam.activations_and_grads.release()
        del cam.get_cam_image  # a cycle, through which the whole graph would be kept until some later collection


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The peer's failure is an answer too."""
    try:
        return explain(request)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    serve(answer)
