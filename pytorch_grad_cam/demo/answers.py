"""From what somebody did on the page to what is shown there; errors become sentences. Knows nothing of the page."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.data.images import decode_image
from pytorch_grad_cam.demo.desk import Desk, Question
from pytorch_grad_cam.demo.words import NO_CLASS, TOP_CLASS, Choice, bars, caption, class_list, problem
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
LONGEST_SIDE = 1280  # pixels of a picture that is explained and shown
ASK_FOR_PICTURE = "Drop a picture, or take one of the examples."
_FOR_PEOPLE = (ValueError, TypeError, IndexError, OSError, ImportError, NotImplementedError)


@dataclass(frozen=True)
class Answer:
    """What is shown.

    Attributes:
        found: what was found out; None where there is no map.
        overlay, heatmap: uint8 RGB; None where there is no map.
        bars, caption: HTML.
        classes, others: what the lists of classes offer.
    """

    found: ExplainedPicture | None
    overlay: Pixels | None
    heatmap: Pixels | None
    bars: str
    caption: str
    classes: list[Choice]
    others: list[Choice]


class Answers:
    """Answers what is asked on the page.

    Args:
        desks: the networks, by the names that the page offers.
        max_pixels: that a picture's file may have.
    """

    def __init__(self, desks: Mapping[str, Desk], max_pixels: int = MAX_PIXELS) -> None:
        self.desks, self._max_pixels = dict(desks), max_pixels
        self._reading = Lock()  # a large picture takes memory while it is read: one at a time

    def answer(self, path: str | None, network: str, question: Question, opacity: float) -> Answer:
        """Explain the picture in a file; whatever goes wrong is said in the answer."""
        start = time.monotonic()
        try:
            if not path:
                return _empty(f'<p class="cam-quiet">{ASK_FOR_PICTURE}</p>')
            desk = self._desk(network)
            found = desk.explain(self._read(path), question)
        except Exception as error:
            if not isinstance(error, _FOR_PEOPLE):
                log.exception("%s on %s failed", question, network)
            return _empty(problem(in_one_line(error)))
        drawn = found.maps[0].map is not None
        return Answer(
            found=found if drawn else None,
            overlay=overlay(found, opacity) if drawn else None,
            heatmap=found.heatmap() if drawn else None,
            bars=bars(found, desk.gives_shares),
            caption=caption(found, time.monotonic() - start),
            classes=class_list(found, TOP_CLASS),
            others=class_list(found, NO_CLASS),
        )

    def _desk(self, network: str) -> Desk:
        if network not in self.desks:
            raise ValueError(f"there is no network {network!r} here; choose one of the list")
        return self.desks[network]

    def _read(self, path: str) -> Pixels:
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:  # its time was over; where it lay is nobody's business
            raise ValueError("the picture is no longer here: none is kept for long; drop it again") from None
        with self._reading:
            return shrunk(decode_image(data, "the picture", self._max_pixels))


def overlay(found: ExplainedPicture, opacity: float) -> Pixels:
    """Draw the map over the picture, with an opacity of the map in [0, 1]."""
    return found.overlay(image_weight=1 - opacity)


def shrunk(image: Pixels) -> Pixels:
    """Return a picture whose sides are at most `LONGEST_SIDE` pixels: networks see less, and a page shows no more."""
    height, width = image.shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _empty(caption: str) -> Answer:
    return Answer(None, None, None, "", caption, class_list(None, TOP_CLASS), class_list(None, NO_CLASS))
