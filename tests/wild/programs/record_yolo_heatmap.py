"""The scheme of the many YOLO heat map scripts: a record of the user's own sorts the predictions before the target."""

from typing import Any

import torch

from pytorch_grad_cam import GradCAM
from wild.networks import Grids, images, seeded


class Record:
    def __init__(self, model: Any, layers: Any) -> None:
        self.model, self.activations, self.gradients, self.handles = model, [], [], []
        for layer in layers:
            self.handles.append(layer.register_forward_hook(self.keep))

    def keep(self, module: Any, inputs: Any, output: Any) -> None:
        self.activations.append(output.detach().cpu())
        output.register_hook(lambda grad: self.gradients.insert(0, grad.detach().cpu()))

    def __call__(self, x: Any) -> Any:
        self.activations.clear()
        self.gradients.clear()
        flat = self.model(x)[0]
        scores, boxes = flat[:, 4:], flat[:, :4]
        order = scores.amax(1)[0].argsort(descending=True)
        return [[scores[0][:, order].T, boxes[0][:, order].T]]

    def release(self) -> None:
        for handle in self.handles:
            handle.remove()


class Confident:
    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, data: Any) -> Any:
        scores, boxes = data
        parts = []
        for index in range(int(len(scores) * 0.25)):
            if float(scores[index].max()) < self.least:
                break
            parts.append(scores[index].max())
            parts.extend(boxes[index])
        return sum(parts)


def main() -> dict[str, Any]:
    net, x = seeded(Grids()), images(1)
    cam = GradCAM(net, [net.block, net.act])
    cam.activations_and_grads.release()
    cam.activations_and_grads = record = Record(net, [net.block, net.act])
    found = cam(x, [Confident(0.2)])
    shapes = [list(each.shape) for each in record.activations]
    record.release()
    return {"map": found, "shapes": shapes, "gradients": len(record.gradients), "grad": torch.is_grad_enabled()}
