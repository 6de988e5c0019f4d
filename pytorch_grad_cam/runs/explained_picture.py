"""What was found out about one picture: what the network sees in it, and its maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.runs.picture_targets import ImageTarget
from pytorch_grad_cam.targets.class_choices import class_name


@dataclass(frozen=True)
class PictureMap:
    """One map of one picture.

    Attributes:
        method: its name in the table of methods.
        target: what was asked: a class, an object of a detector, a contrast; None for the top class or no class.
        category: the class that is explained; None for a method that looks at no class.
        label: what is explained, for people: index and name of a class, number and class of an object.
        score: the number that the map explains; None where there is none.
        share: of the class in what the network sees, in [0, 1]; None where the network gives no shares.
        map: float32 ``(h, w)``, of what the network sees; in [0, 1], signed ones in [-1, 1]. None if it means nothing.
        notes: what is wrong with it; mostly empty.
        layers: where the method looked.
        signed: whether it shows what speaks for and what speaks against.
        fine_grained: whether it has a value of its own for every pixel.
    """

    method: str
    target: ImageTarget
    category: int | None
    label: str
    score: float | None
    share: float | None
    map: NDArray[np.float32] | None
    notes: tuple[str, ...]
    layers: tuple[str, ...]
    signed: bool
    fine_grained: bool


@dataclass(frozen=True)
class ExplainedPicture:
    """What an `Explainer` found out about one picture.

    Attributes:
        image: uint8 RGB ``(H, W, 3)``.
        maps: one for every method and target, methods in their order.
        predicted: classes with their shares (of a network without shares: its numbers), the highest first, at most
            five; of a segmentation shares of the picture's area, of a detector objects with their scores.
        preprocessing: of the network; it puts maps back onto the picture.
        categories: names of the classes, where they are known.
        source: the network, for people.
    """

    image: NDArray[np.uint8]
    maps: tuple[PictureMap, ...]
    predicted: tuple[tuple[int, float], ...]
    preprocessing: Preprocessing
    categories: tuple[str, ...] | None
    source: str

    def on_picture(self, index: int = 0) -> NDArray[np.float32]:
        """Return a map in the picture's pixels: float32 ``(H, W)``, NaN where the network never looked.

        Raises:
            ValueError: if the map means nothing; its notes say why.
        """
        found = self.maps[index]
        if found.map is None:
            raise ValueError(f"{found.method} has no map here: {'; '.join(found.notes)}")
        return self.preprocessing.to_picture(found.map, (self.image.shape[0], self.image.shape[1]))


def map_records(found: ExplainedPicture) -> list[dict[str, Any]]:
    """Return what is known of each map but its values, as JSON can write it."""
    return [
        {
            "method": each.method,
            "class": None if each.category is None else _class_record(each.category, found.categories),
            "label": each.label,
            "score": _finite(each.score),
            "share": _finite(each.share),
            "energy": None if each.map is None else _finite(float(np.abs(each.map).mean())),
            "layers": list(each.layers),
            "notes": list(each.notes),
        }
        for each in found.maps
    ]


def seen_record(predicted: Sequence[tuple[int, float]], categories: tuple[str, ...] | None) -> list[dict[str, Any]]:
    """Return what the network sees in a picture as JSON can write it."""
    return [_class_record(index, categories) | {"share": _finite(share)} for index, share in predicted]


def _class_record(index: int, categories: tuple[str, ...] | None) -> dict[str, Any]:
    return {"index": index, "name": class_name(index, categories)}


def _finite(number: float | None) -> float | None:
    """Return a number as JSON can write it: rounded to six digits behind the point."""
    return None if number is None or not math.isfinite(number) else round(number, 6)
