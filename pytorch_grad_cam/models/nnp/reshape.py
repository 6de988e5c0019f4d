"""Find the shape that a Reshape means, whatever batch size it was saved with.

The file may say (-1, 300), (32, 300) with the batch size baked in, or, from the Console, (300) without the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def axes_per_image(shape: Sequence[int], per_image: int, batch_size: int, declared: int) -> tuple[int, ...]:
    """Return the sizes of the axes behind the batch.

    Args:
        shape: as in the file.
        per_image: how many numbers an image has.
        batch_size: that the file was saved with.
        declared: number of axes that the file declares for the result, 0 if it declares none. Decides where a shape can
            be read with and without the batch.

    Raises:
        ValueError: if the shape does not fit, or mixes images.
    """
    shape = list(shape)
    if not shape or 0 in shape or sum(size < 0 for size in shape) > 1:
        raise ValueError(f"its shape {shape} must have positive sizes, and one -1 at most")
    whole, rest = _with_size_inferred(shape, per_image), _with_size_inferred(shape[1:], per_image)
    with_batch = [rest] if shape[0] < 0 or shape[0] == batch_size else []
    # Another batch size than the file's own; then parts of images as rows of their own, as in (8, 6) for 4 x 12.
    unusual = [rest, shape[1:] if math.prod(shape) == batch_size * per_image or shape[0] < 0 else None]
    orders = {
        len(shape): [*with_batch, *unusual, whole],
        len(shape) + 1: [whole, *with_batch, *unusual],
    }
    for axes in orders.get(declared, [*with_batch, whole, *unusual]):
        if axes is not None and min(axes, default=1) > 0 and per_image % math.prod(axes) == 0:
            return tuple(axes)
    raise ValueError(f"its shape {shape} does not fit {per_image} values for an image, at any batch size")


def _with_size_inferred(shape: list[int], count: int) -> list[int] | None:
    """Return sizes that hold exactly ``count`` numbers, with -1 filled in; None if they cannot."""
    known = math.prod(size for size in shape if size > 0)
    if all(size > 0 for size in shape):
        return shape if known == count else None
    return [size if size > 0 else count // known for size in shape] if count % known == 0 else None
