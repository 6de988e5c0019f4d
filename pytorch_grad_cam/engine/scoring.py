"""Outputs and targets to scores, and the one loop for every perturbation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.engine.trees import one_image

Target = Callable[[Any], Tensor]


def scores_of(outputs: Any, targets: Sequence[Target]) -> Tensor:
    """Ask each image's target for its score.

    Args:
        outputs: the model's outputs for ``B`` images.
        targets: ``B`` callables from one image's output to a tensor with one element.

    Returns:
        ``(B,)`` scores, carrying the graph if the outputs do.

    Raises:
        TypeError: if a target returns no tensor.
        ValueError: if a target returns more than one number.
    """
    scores = []
    for index, target in enumerate(targets):
        score = target(one_image(outputs, index, len(targets)))
        if not isinstance(score, Tensor):
            raise TypeError(
                f"the target of image {index} returned {type(score).__name__}, not a tensor; return a scalar tensor "
                "computed from the model's output (no .item(), no NumPy), so that its gradient can be taken"
            )
        if score.numel() != 1:
            raise ValueError(
                f"the target of image {index} returned a tensor of shape {tuple(score.shape)}; "
                "a target must return one number: pick an element or sum"
            )
        scores.append(score.reshape(()))
    return torch.stack(scores)  # (B,)


def scores_of_variants(
    count: int,
    make: Callable[[slice], Any],
    run: Callable[[Any], Any],
    target: Target,
    batch_size: int,
    advance: Callable[[int], None],
) -> Tensor:
    """Score ``count`` changed versions of one image in chunks, so that memory does not grow with their number.

    Args:
        count: number of variants.
        make: from a range of variants to what ``run`` takes.
        run: from that to the model's outputs, one row per variant.
        target: what is scored.
        batch_size: variants per chunk.
        advance: told after each chunk how many variants it had.

    Returns:
        ``(count,)`` scores.
    """
    scores = []
    with torch.no_grad():
        for start in range(0, count, batch_size):
            chunk = slice(start, min(start + batch_size, count))
            size = chunk.stop - chunk.start
            scores.append(scores_of(run(make(chunk)), [target] * size))
            advance(size)
    return torch.cat(scores)  # (count,)


@contextmanager
def progress_bar(total: int, label: str, show: bool) -> Iterator[Callable[[int], None]]:
    """Show one bar on stderr if asked for; yield what advances it."""
    if not show:
        yield lambda count: None
        return
    from tqdm import tqdm  # only whoever wants to see a bar needs it

    with tqdm(total=total, desc=label) as bar:
        yield lambda count: bar.update(count) and None
