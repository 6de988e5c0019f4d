"""The pictures of an evaluation, batch after batch, with what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.evaluate.options import EvaluateOptions
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.samples import Sample
from pytorch_grad_cam.evaluation.annotations import (
    Box,
    boxes_in_input,
    find_mask,
    mask_in_input,
    of_picture,
    read_boxes,
    read_labels,
)
from pytorch_grad_cam.evaluation.batches import ImageBatch
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.targets.class_names import find_class


@dataclass(frozen=True)
class _Picture:
    """One picture as the network takes it, ``(C, h, w)``, and what is known of it."""

    id: str
    inputs: Tensor
    target: int | None
    boxes: NDArray[np.float64] | None
    mask: NDArray[np.bool_] | None


@dataclass
class Pictures:
    """Reads pictures when they are asked for; what goes wrong with one is kept, and the others go on.

    Attributes:
        problems: a sentence for each picture that is left out, and for each without an annotation.
        left_out: how many pictures could not be read.
    """

    samples: Sequence[Sample]
    loaded: LoadedModel
    options: EvaluateOptions
    device: torch.device
    problems: list[str] = field(default_factory=list)
    left_out: int = 0

    def __post_init__(self) -> None:
        options, categories = self.options, self.loaded.categories
        self._boxes = None if options.boxes is None else read_boxes(options.boxes)
        self._labels = None if options.labels is None else read_labels(options.labels)
        self._target = None if options.target is None else find_class(options.target, categories)
        if options.masks is not None and not Path(options.masks).is_dir():
            raise FileNotFoundError(f"there is no folder of masks {options.masks}; check the path")

    def __iter__(self) -> Iterator[ImageBatch]:
        """Yield batches of pictures of one size, in their order."""
        batch: list[_Picture] = []
        for sample in self.samples:
            try:
                picture = self._read(sample)
            except Exception as error:  # a damaged file; the next one may well do
                self.problems.append(f"{sample.path}: {in_one_line(error)}")
                self.left_out += 1
                continue
            if batch and (len(batch) == self.options.batch_size or picture.inputs.shape != batch[0].inputs.shape):
                yield self._batch(batch)
                batch = []
            batch.append(picture)
        if batch:
            yield self._batch(batch)

    def _read(self, sample: Sample) -> _Picture:
        image = read_image(sample.path, max_pixels=self.options.max_pixels, page=self.options.page)
        inputs = self.loaded.preprocessing(image)
        size, seen = (image.shape[0], image.shape[1]), (inputs.shape[1], inputs.shape[2])
        target, boxes, mask = self._asked(sample), None, None
        if self._boxes is not None:
            known = of_picture(self._boxes, sample.path) or []
            target, known = self._of_class(target, known)
            boxes = boxes_in_input(known, self.loaded.preprocessing, size, seen)
            if not known:
                self.problems.append(f"{sample.path}: there is no box of it in {self.options.boxes}")
        if self.options.masks is not None:
            found = find_mask(self.options.masks, sample.path, self.options.max_pixels)
            if found is not None and found.shape != size:
                raise ValueError(
                    f"its mask has {found.shape[1]} x {found.shape[0]} pixels, the picture {size[1]} x {size[0]}"
                )
            if found is None:
                self.problems.append(f"{sample.path}: there is no mask of it in {self.options.masks}")
            mask = np.zeros(seen, bool) if found is None else mask_in_input(found, self.loaded.preprocessing)
        return _Picture(sample.id, inputs, target, boxes, mask)

    def _asked(self, sample: Sample) -> int | None:
        """Return the class that --target or --labels say.

        Raises:
            ValueError: if the labels leave the picture out, or name no class.
        """
        if self._labels is None:
            return self._target
        label = of_picture(self._labels, sample.path)
        if label is None:
            raise ValueError(f"{self.options.labels} has no label of it")
        return find_class(label, self.loaded.categories)

    def _of_class(self, target: int | None, boxes: Sequence[Box]) -> tuple[int | None, list[Box]]:
        """Return what is explained and its boxes: those of the class, where labels are classes of the network."""
        classes = [self._class_of(box) for box in boxes]
        if target is None:
            target = next((each for each in classes if each is not None), None)
        own = [box for box, each in zip(boxes, classes, strict=True) if each == target and each is not None]
        return target, own or list(boxes)

    def _class_of(self, box: Box) -> int | None:
        try:
            return None if box.label is None else find_class(box.label, self.loaded.categories)
        except ValueError:  # a name of another set of classes
            return None

    def _batch(self, pictures: Sequence[_Picture]) -> ImageBatch:
        targets: Any = [picture.target for picture in pictures]
        masks = [picture.mask for picture in pictures if picture.mask is not None]
        return ImageBatch(
            torch.stack([picture.inputs for picture in pictures]).to(self.device),
            None if all(target is None for target in targets) else targets,
            torch.from_numpy(np.stack(masks)) if masks else None,
            None if self._boxes is None else [picture.boxes for picture in pictures],
            [picture.id for picture in pictures],
        )
