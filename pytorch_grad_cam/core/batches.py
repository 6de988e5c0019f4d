"""Batches of one size, for a network that takes no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pytorch_grad_cam.core.explanation import Explanation, joined
from pytorch_grad_cam.engine.fixed_batch import pieces
from pytorch_grad_cam.engine.image_model import Network
from pytorch_grad_cam.targets.classification import target_count_error


def explained(
    size: int | None,
    inputs: Tensor,
    targets: Any,
    network: Network,
    several: bool,
    explain: Callable[[Tensor, Any, Network], Explanation],
) -> Explanation:
    """Explain images so many at a time; the last piece is filled up with copies of the last image.

    Args:
        size: images per piece; None: all at once.
        inputs: ``(B, C, *S)``.
        targets: what the user gave for all of them.
        network: runs the model on ``inputs``.
        several: ``targets`` are several questions about each image.
        explain: explains one piece: its inputs, its targets, and the network for it.

    Returns:
        The explanation of all ``B`` images.

    Raises:
        ValueError: for another number of targets than images.
    """
    if size is None or size == len(inputs):
        return explain(inputs, targets, network)
    parts, batch = [], len(inputs)
    for rows, count in pieces(batch, size):
        wanted = [_of_rows(each, rows, batch) for each in targets] if several and targets else targets
        piece = explain(inputs[rows], wanted if several else _of_rows(targets, rows, batch), network.of_rows(rows))
        parts.append((piece, count))
    return joined(parts)


def _of_rows(targets: Any, rows: Tensor, batch: int) -> Any:
    """Choose what belongs to some of the images, if there is something for each."""
    if dataclasses.is_dataclass(targets) and hasattr(targets, "targets"):  # what a method has to add goes around them
        return dataclasses.replace(targets, targets=_of_rows(targets.targets, rows, batch))  # type: ignore[type-var]
    listed = isinstance(targets, Sequence) and not isinstance(targets, str)
    if not listed and not (isinstance(targets, (Tensor, np.ndarray)) and targets.ndim):
        return targets
    if len(targets) != batch:
        raise target_count_error(len(targets), batch)
    return [targets[row] for row in rows.tolist()] if listed else targets[rows.tolist()]
