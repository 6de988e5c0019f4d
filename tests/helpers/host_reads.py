"""Counts how often a program asks for numbers of tensors: what makes it wait for a GPU, seen on any machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from helpers.simulated_device import READING


class HostReads(TorchDispatchMode):
    """Counts the operators whose result the host reads while the block runs; ``tolist`` and ``numpy`` are none."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.partition("::")[2]
        if name in READING:
            self.counted[name] += 1
        return function(*args, **(kwargs or {}))
