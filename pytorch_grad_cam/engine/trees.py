"""Tensors inside tuples, lists and dicts, as layers and models return them, and their rows for each image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested value, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif _is_record(value):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name))


def is_tree(value: Any) -> bool:
    """Say whether `map_tensors` reaches all that there is: no object of a class of its own hides tensors."""
    if isinstance(value, Mapping):
        return all(map(is_tree, value.values()))
    if isinstance(value, (tuple, list)):
        return all(map(is_tree, value))
    if _is_record(value):
        return all(is_tree(getattr(value, field.name)) for field in dataclasses.fields(value))
    return value is None or isinstance(value, (Tensor, bool, int, float, str))


def map_tensors(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Return ``value`` with every tensor replaced by ``change(tensor)``; the containers keep their types."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return type(value)((key, map_tensors(item, change)) for key, item in value.items())  # type: ignore[call-arg]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, change) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(map_tensors(item, change) for item in value)
    if _is_record(value):
        parts = {field.name: map_tensors(getattr(value, field.name), change) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def detached(value: Any) -> Any:
    """Return ``value`` with every tensor cut from its graph."""
    return map_tensors(value, torch.Tensor.detach)


def one_image(outputs: Any, index: int, batch: int) -> Any:
    """Take one image's part of a model's outputs.

    Args:
        outputs: a tensor with a leading batch axis, a tuple, list, dict or record of such tensors, or, as detectors
            return it, a list with one entry per image. Tensors beside these that have no such axis (a loss, the
            embeddings of texts) belong to every image.
        index: which image, 0 to ``batch - 1``.
        batch: number of images ``B``.

    Raises:
        ValueError: if the outputs have no axis or list of length ``batch``.
    """
    if isinstance(outputs, (tuple, list)) and len(outputs) == batch and not isinstance(outputs[0], Tensor):
        return outputs[index]
    shapes = [tuple(tensor.shape) for tensor in tensors_in(outputs)]
    if not any(shape and shape[0] == batch for shape in shapes):
        raise ValueError(
            f"the model's output cannot be split into {batch} images: its tensors have the shapes "
            f"{shapes}; one needs the batch as its first axis, or return one entry per image (a single "
            "picture needs a batch axis of its own: input_tensor[None])"
        )
    return map_tensors(outputs, lambda tensor: tensor[index] if tensor.ndim and len(tensor) == batch else tensor)


def select_rows(value: Any, rows: Tensor, batch: int, blocks: bool = False) -> Any:
    """Select some of ``batch`` images in every tensor that has a row for each, with ``blocks`` also one or more."""

    def selected(tensor: Tensor) -> Tensor:
        if not tensor.ndim or len(tensor) % batch or not (blocks or len(tensor) == batch):
            return tensor
        return tensor.reshape(batch, -1, *tensor.shape[1:])[rows.to(tensor.device)].flatten(0, 1)

    return map_tensors(value, selected)


def unflattened(value: Any, flat: Tensor) -> Any:
    """Return ``value`` with its numbers taken from ``K`` flat rows ``(K, N)``: with ``K`` times as many rows each."""
    parts = iter(torch.split(flat, [tensor.numel() for tensor in tensors_in(value)], dim=1))
    return map_tensors(value, lambda tensor: next(parts).reshape(len(flat) * len(tensor), *tensor.shape[1:]))


def concatenate(values: Sequence[Any]) -> Any:
    """Join values of one structure along the first axis of their tensors; those without axes are the first's."""
    tensors = zip(*map(tensors_in, values), strict=True)
    return map_tensors(values[0], lambda tensor: torch.cat(next(tensors)) if tensor.ndim else next(tensors)[0])
