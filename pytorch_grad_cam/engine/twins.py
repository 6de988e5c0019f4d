"""Compiled models: for one call they run as they were written, so that their layers can be watched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def uncompiled() -> Iterator[None]:
    """Let everything that ``torch.compile`` made run as plain Python while the block runs.

    A compiled graph calls no hooks that came after it was made. Nothing is compiled anew or forgotten. Where nothing
    can have been compiled, because the compiler was never loaded, this costs nothing.
    """
    able = hasattr(torch.compiler, "set_stance")  # since torch 2.6
    with torch.compiler.set_stance("force_eager") if able and "torch._dynamo" in sys.modules else nullcontext():
        yield
