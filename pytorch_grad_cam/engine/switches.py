"""Switches of the whole process that a call turns and gives back: cuDNN, and whether compiled code runs as such."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from pytorch_grad_cam.engine.ledger import Block, note, taking_turns


class _Switch:
    """One switch of the whole process: the first user turns it, the last gives it back, whoever that is.

    Args:
        read: returns how it stands.
        write: sets it.
        needed: how its users need it.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], object], needed: Any) -> None:
        self._read, self._write, self._needed = read, write, needed
        self._users: dict[object, None] = {}
        self._before: list[Any] = []  # how it stood: one entry while there are users

    def used(self) -> Block:
        """Use it while the block runs."""

        def borrow() -> None:
            user = object()
            note(partial(self._leave, user))
            with taking_turns([self]):
                self._users[user] = None
                if not self._before:
                    self._before.append(self._read())
                self._write(self._needed)

        return Block(borrow)

    def _leave(self, user: object) -> None:
        with taking_turns([self]):
            self._users.pop(user, None)
            if self._before and not self._users:
                self._write(self._before[0])
                self._before.clear()


def _set_cudnn(enabled: bool) -> None:
    torch.backends.cudnn.enabled = enabled


def _stance() -> Any:
    return sys.modules["torch._dynamo.eval_frame"]._stance


def _set_stance(stance: Any) -> None:
    if stance is _EAGER:
        torch.compiler.set_stance("force_eager")
    else:
        sys.modules["torch._dynamo.eval_frame"]._set_stance(stance)


_EAGER = object()  # what this package needs the compiler's stance to be
_cudnn = _Switch(lambda: torch.backends.cudnn.enabled, _set_cudnn, False)
_compiler = _Switch(_stance, _set_stance, _EAGER)


def without_cudnn() -> Block:
    """Turn cuDNN off while the block runs.

    Its flag is one for the whole process: meanwhile other threads run without cuDNN too, with the same results but
    slower. Blocks may overlap in any order in several threads: the first saves the flag, the last gives it back.
    """
    return _cudnn.used()


def uncompiled() -> Block:
    """Let everything that ``torch.compile`` made run as plain Python while the block runs.

    A compiled graph calls no hooks that came after it was made. Nothing is compiled anew or forgotten. Where nothing
    can have been compiled, because the compiler was never loaded, this costs nothing. As with cuDNN this is so for the
    whole process, and blocks may overlap.
    """
    able = hasattr(sys.modules.get("torch._dynamo.eval_frame"), "_set_stance")  # since torch 2.6
    return _compiler.used() if able else Block(_nothing)


def _nothing() -> None:
    """Borrow nothing."""
