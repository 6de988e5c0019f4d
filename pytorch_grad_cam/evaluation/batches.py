"""Images of an evaluation, batch after batch, with what is known of them; never more than one batch in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorch_grad_cam.runs.file_state import digest
from pytorch_grad_cam.targets.classification import Targets


@dataclass(frozen=True)
class ImageBatch:
    """Some images, and what is known of each.

    Attributes:
        inputs: ``(B, C, *S)``, as the model takes them.
        targets: what is explained, as methods take it: None for each image's top class.
        masks: bool ``(B, *S)``, where the object is.
        boxes: per image ``(K, 4)``: x1, y1, x2, y2 in positions of the input, the last exclusive.
        ids: what each image is called; None: its number.
    """

    inputs: Tensor
    targets: Targets = None
    masks: Any = None
    boxes: Sequence[Any] | None = None
    ids: Sequence[str] | None = None

    def digest(self) -> str:
        """Return what tells these images, their targets and annotations from others."""
        parts: list[bytes] = []
        for value in (self.inputs, self.masks, *(self.boxes or [])):
            array = None if value is None else np.ascontiguousarray(_array(value))
            parts.append(b"-" if array is None else f"{array.dtype} {array.shape}".encode() + array.tobytes())
        described = self.targets if isinstance(self.targets, Sequence) else [self.targets]
        return digest(b"\0".join([*parts, repr([_described(target) for target in described]).encode()]))


Images = Tensor | Iterable[Any]


def batches_of(
    images: Images, batch_size: int, *, targets: Any = None, masks: Any = None, boxes: Sequence[Any] | None = None
) -> Iterator[ImageBatch]:
    """Yield the images in batches, each with its part of what was given for all of them.

    Args:
        images: ``(N, C, *S)``, which is cut into batches; or batches, one after the other, as they are: tensors, pairs
            of a tensor and targets (as a data loader yields images and labels), or `ImageBatch`.
        batch_size: images of a batch that is cut from a tensor.
        targets: None, one for all, or one per image.
        masks, boxes: one per image, in the order of the images.

    Raises:
        TypeError: for a batch of another kind.
        ValueError: for no images, or another number of targets, masks or boxes than images.
    """
    given: Iterable[Any] = images
    if isinstance(images, Tensor):
        given = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    per_image = {"targets": _one_each(targets), "masks": masks, "boxes": boxes}
    rest = {name: iter(values) for name, values in per_image.items() if values is not None}
    done = 0
    for item in given:
        batch = _batch(item)
        count = len(batch.inputs)
        own = {name: list(islice(values, count)) for name, values in rest.items()}
        for name, values in own.items():
            if len(values) != count:
                raise ValueError(f"{name} were given for {done + len(values)} images only; give one for each")
        yield ImageBatch(
            batch.inputs,
            own.get("targets", batch.targets if targets is None else targets),
            _stacked(own["masks"]) if "masks" in own else batch.masks,
            own.get("boxes", batch.boxes),
            batch.ids or [str(index) for index in range(done, done + count)],
        )
        done += count
    for name, values in rest.items():
        if next(values, None) is not None:
            raise ValueError(f"more {name} were given than there are images, which are {done}")
    if not done:
        raise ValueError("there is no image to evaluate")


def _batch(item: Any) -> ImageBatch:
    if isinstance(item, ImageBatch):
        return item
    if isinstance(item, Tensor):
        return ImageBatch(item)
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], Tensor):
        return ImageBatch(item[0], item[1])
    raise TypeError(
        f"a batch of images must be a tensor (B, C, *S), a pair of it and targets, or an ImageBatch, not "
        f"{type(item).__name__}"
    )


def _one_each(targets: Any) -> Any:
    """Return targets that are one per image; None for those that hold for all."""
    if isinstance(targets, (Tensor, np.ndarray)):
        return targets.tolist() if targets.ndim else None
    return targets if isinstance(targets, Sequence) else None


def _stacked(values: Sequence[Any]) -> Tensor:
    return torch.stack([torch.as_tensor(_array(value)) for value in values])


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _described(target: Any) -> Any:
    """Write a target so that two that ask the same look alike; no addresses, which differ from run to run."""
    if target is None or isinstance(target, (int, np.integer)):
        return target if target is None else int(target)
    if isinstance(target, Tensor):
        return target.tolist()
    simple = {name: value for name, value in getattr(target, "__dict__", {}).items() if isinstance(value, (int, str))}
    return type(target).__qualname__, getattr(target, "__qualname__", ""), sorted(simple.items())
