"""How many changed versions of an image run at once: by the memory there is, and half as many where it is too small."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

# Chunks of more values are slower on a CPU: they fall out of its caches. 8 pictures of 224 x 224 pixels.
_CPU_VALUES = 8 * 3 * 224 * 224
_MOST_ON_CPU, _MOST = 32, 256  # with more at once a GPU is no faster
_ROOM, _ROOM_WITH_GRAPH = 128, 512  # a pass mostly needs less than so many times the memory of its input
_IN_WORDS = ("MPS backend out of memory", "DefaultCPUAllocator: can't allocate memory")

log = logging.getLogger(__name__)
T = TypeVar("T")


class Chunks:
    """Cuts work on many versions into chunks that the memory holds.

    Where it does not hold one, the work is done again on half as many, and so are all chunks from then on; that is
    said once in the log. What is borrowed of the network is given back by whoever borrowed it before that.

    Args:
        size: versions at once, at most.

    Attributes:
        size: versions at once, at most, as far as is known by now.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._told = False

    def __call__(self, count: int, work: Callable[[slice], T]) -> Iterator[tuple[slice, T]]:
        """Do the work on all of ``count`` versions.

        Args:
            count: how many there are.
            work: does some of them; it may be called again with the first of those that it failed for.

        Yields:
            Which were done, and what came of it.

        Raises:
            RuntimeError, MemoryError: if the memory does not hold a single one, see `is_out_of_memory`; what the work
                raises.
        """
        start, wanted = 0, self.size
        while start < count:
            chunk = slice(start, min(start + self.size, count))
            found = _tried(work, chunk)
            if not found:
                self.size = (chunk.stop - start) // 2
                continue
            if self.size < wanted and not self._told:
                self._told = True
                log.warning("%d versions at once do not fit into the memory; going on with %d", wanted, self.size)
            yield chunk, found[0]
            start = chunk.stop


def _tried(work: Callable[[slice], T], chunk: slice) -> list[T]:
    """Return a list of what came of the work; an empty one if the memory did not hold it, and now holds nothing of it.

    What the error refers to, all that was in memory then, is let go of when this returns.
    """
    try:
        return [work(chunk)]
    except (RuntimeError, MemoryError) as error:
        if chunk.stop - chunk.start == 1 or not is_out_of_memory(error):
            raise
        return []


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error means that the memory is too small, which Apple's GPUs and the CPU say by words alone."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in str(error) for words in _IN_WORDS)


def chunks_of(
    batch_size: int | None, version: Tensor, *, with_graph: bool = False, is_activation: bool = False
) -> Chunks:
    """Return how many changed versions ``(C, *S)`` of an image, or of a layer's output, to run at once.

    Args:
        batch_size: at most so many; None: as many as a GPU's free memory holds, 256 at most. On a CPU, where large
            chunks of images are slower, maybe fewer.
        version: one of them, on the device where they will be.
        with_graph: whether gradients are taken, for which a pass keeps everything.
        is_activation: whether it is a layer's output. What follows a late layer reads its weights for every chunk, so
            that small chunks are slower on a CPU, too.
    """
    if version.device.type == "cpu":
        most = batch_size or _MOST_ON_CPU
        return Chunks(most if is_activation else min(most, max(1, _CPU_VALUES // version.numel())))
    if batch_size is not None:
        return Chunks(batch_size)
    free = free_memory(version.device)
    room = (_ROOM_WITH_GRAPH if with_graph else _ROOM) * version.numel() * 4
    return Chunks(_MOST if free is None else max(1, min(_MOST, free // room)))


def free_memory(device: torch.device) -> int | None:
    """Return how many bytes torch can still use on a device, also those that it keeps for later; None: unknown."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return None
