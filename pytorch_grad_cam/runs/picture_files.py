"""What a run keeps of a picture on disk: which files, what they are called, and what is in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.engine.boxes import Threshold, boxes_from_map
from pytorch_grad_cam.runs.explained_picture import CLIPPED, ExplainedPicture, PictureMap
from pytorch_grad_cam.runs.file_state import digest
from pytorch_grad_cam.visualization.colormaps import DIVERGING, clip_outliers, colormap_number
from pytorch_grad_cam.visualization.overlay import draw_boxes, heat_map, overlay_map

KINDS = {
    "overlay": "the map over the picture (JPEG)",
    "heatmap": "the map alone (PNG)",
    "npy": "the map's values, float16, of what the network saw",
    "boxes": "boxes around what the map points at (JPEG; their numbers are in the index)",
    "json": "the picture's line of the index in a file of its own",
}
_FOLDERS = {"overlay": "overlays", "heatmap": "heatmaps", "npy": "maps", "boxes": "boxes", "json": "records"}
_ENDINGS = {"overlay": ".jpg", "heatmap": ".png", "npy": ".npy", "boxes": ".jpg"}
THUMBS = "thumbs"
_THUMB_SIDE = 160  # pixels of the longer side
_LONGEST = 80  # characters of a part of a name


class FileNames:
    """Names of files for ids, which may hold anything: safe on every system, and no two are the same.

    Args:
        ids: all of a run. An id that is a good name stays as it is; another one is made such, with a part of its
            digest behind it.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        counts = Counter(_slug(id).lower() for id in ids)  # some file systems do not tell cases apart
        self._shared = {slug for slug, count in counts.items() if count > 1}

    def __getitem__(self, id: str) -> str:
        """Return the name, which may hold folders, without an ending."""
        slug = _slug(id)
        return slug if slug == id and slug.lower() not in self._shared else f"{slug}-{digest(_bytes(id))[:8]}"


@dataclass(frozen=True)
class PictureFiles:
    """Makes the files of a picture.

    Attributes:
        kinds: what to keep, of `KINDS`; none: no files at all.
        colormap: name of the colours.
        image_weight: share of the picture in an overlay.
        box_threshold: of boxes, see `engine.boxes.boxes_from_map`.
    """

    kinds: tuple[str, ...]
    colormap: str = "jet"
    image_weight: float = 0.5
    box_threshold: Threshold = 0.5

    def of(self, name: str, found: ExplainedPicture) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Return the files of a picture, by path in the run's folder, and what the index says of them.

        Args:
            name: of the picture's files, of `FileNames`.
            found: what was found out about it.
        """
        files: dict[str, bytes] = {}
        if not self.kinds:
            return files, {}
        thumb = _small(found.image)
        files[f"{THUMBS}/{name}.jpg"] = encoded_image("a.jpg", thumb)
        maps = []
        for each, suffix in zip(found.maps, _suffixes(found.maps), strict=True):
            own = self._of_map(f"{name}{suffix}", found, each, (thumb.shape[0], thumb.shape[1]))
            files |= {path: content for path, content in own.values() if content}
            maps.append({"files": {kind: path for kind, (path, _) in own.items()}} | self._boxes(found, each))
        return files, {"thumb": f"{THUMBS}/{name}.jpg", "maps": maps}

    def _of_map(
        self, name: str, found: ExplainedPicture, each: PictureMap, size: tuple[int, int]
    ) -> dict[str, tuple[str, bytes]]:
        if each.map is None:
            return {}
        colormap = DIVERGING if each.signed else colormap_number(self.colormap)
        shown = clip_outliers(each.map, CLIPPED) if each.fine_grained else each.map
        small = heat_map(found.preprocessing.to_picture(shown, size), colormap)
        made = {"heat": (f"{THUMBS}/{name}.heat.jpg", encoded_image("a.jpg", small))}
        whole = (found.image.shape[0], found.image.shape[1])
        for kind in self.kinds:
            if kind not in _ENDINGS:
                continue
            path = f"{_FOLDERS[kind]}/{name}{_ENDINGS[kind]}"
            if kind == "npy":
                made[kind] = (path, _array(each.map.astype(np.float16)))
                continue
            values = found.preprocessing.to_picture(shown, whole)
            made[kind] = (path, encoded_image(f"a{_ENDINGS[kind]}", self._drawn(kind, found, values, colormap)))
        return made

    def _drawn(
        self, kind: str, found: ExplainedPicture, values: NDArray[np.float32], colormap: int
    ) -> NDArray[np.uint8]:
        if kind == "overlay":
            return overlay_map(found.image, values, True, colormap, self.image_weight)
        if kind == "heatmap":
            return heat_map(values, colormap)
        return draw_boxes(found.image, boxes_from_map(np.maximum(values, 0), self.box_threshold, "all"))

    def _boxes(self, found: ExplainedPicture, each: PictureMap) -> dict[str, Any]:
        if "boxes" not in self.kinds or each.map is None:
            return {}
        values = found.preprocessing.to_picture(each.map, (found.image.shape[0], found.image.shape[1]))
        return {"boxes": [asdict(box) for box in boxes_from_map(np.maximum(values, 0), self.box_threshold, "all")]}


def record_path(name: str) -> str:
    """Return where the record of a picture is kept."""
    return f"{_FOLDERS['json']}/{name}.json"


def _suffixes(maps: Iterable[PictureMap]) -> list[str]:
    """Return what tells the files of one picture's maps apart: the method and the class, where there are several."""
    listed = list(maps)
    methods = {each.method for each in listed}
    labels = {each.label for each in listed if each.label}
    texts = []
    for each in listed:
        parts = [each.method] * (len(methods) > 1)
        parts += [re.sub(r"[^\w]+", "_", each.label).strip("_")[:40]] * (len(labels) > 1 and bool(each.label))
        texts.append("".join(f".{part}" for part in parts))
    return [text if texts.count(text) == 1 else f"{text}.{place}" for place, text in enumerate(texts)]


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    height, width = image.shape[:2]
    share = min(_THUMB_SIDE / max(height, width), 1.0)
    size = (max(round(width * share), 1), max(round(height * share), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _array(values: NDArray[Any]) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def _slug(id: str) -> str:
    parts = [re.sub(r"[^\w.\- ]+", "_", part).strip(" .")[:_LONGEST] for part in id.split("/")]
    return "/".join(part for part in parts if part) or "_"


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
