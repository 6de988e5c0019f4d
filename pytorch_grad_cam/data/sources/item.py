"""One picture of a source, which can be read later and elsewhere, and what a source is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Item(Protocol):
    """One picture of a source. It can be pickled, and is small: pixels are read when they are asked for.

    Attributes:
        id: tells it from the other pictures of the source, and stays the same from run to run.
        origin: where it lies, for people: a path, "shard.tar: 0001.jpg", "row 7 of photos.parquet".
        label: what the source says that it shows, the name or index of a class; None if nothing says it.
        target: the class that is to be explained of it; None: what is asked of all.
    """

    @property
    def id(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def label(self) -> str | int | None: ...
    @property
    def target(self) -> str | int | None: ...

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 RGB ``(H, W, 3)``.

        Raises:
            OSError, ValueError: if there is none, or none that can be read; the message says why.
        """


class Source(Protocol):
    """A number of pictures in an order that stays.

    Attributes:
        description: what it is, for people.
    """

    @property
    def description(self) -> str: ...

    def __iter__(self) -> Iterator[Item]:
        """Yield the pictures, always the same ones in the same order.

        Raises:
            ValueError: for what two pictures have as the same id; the message names both.
        """
        ...

    def __len__(self) -> int: ...
