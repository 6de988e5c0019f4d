"""Progress bars replaced by a function on the module that tqdm is."""

from functools import partial
from typing import Any

from pytorch_grad_cam import ScoreCAM, score_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from wild.networks import Small, images, seeded


def main() -> dict[str, Any]:
    net, x = seeded(Small()), images(1)
    before = score_cam.tqdm.tqdm
    score_cam.tqdm.tqdm = partial(before, disable=True)
    try:
        return {"map": ScoreCAM(net, [net.act])(x, [ClassifierOutputTarget(1)])}
    finally:
        score_cam.tqdm.tqdm = before
