"""Borrow a model and give it back: everything that is changed for one call is undone here, whatever happens.

No other file of the package registers a hook or sets a training flag (a test reads the sources and holds this).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

Hook = Callable[[nn.Module, Any, Any], Any]

# One lock per model, kept beside the model and never on it: a lock would stop deepcopy and pickle.
_turns: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_turns_guard = threading.Lock()

# How many recurrent modules run without cuDNN now, and its flag before the first of them began.
_off: dict[str, int] = {"count": 0, "flag": True}
_off_guard = threading.Lock()


@contextmanager
def taking_turns(model: nn.Module) -> Iterator[None]:
    """Let one thread at a time explain ``model``; the same thread may enter again (a method inside a method)."""
    with _turns_guard:
        lock = _turns.setdefault(model, threading.RLock())
    with lock:
        yield


@contextmanager
def evaluating(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put modules in evaluation mode, then give each its own flag back.

    The flags are written one by one: ``model.eval()`` may be overridden to do more than that (merge adapters, fuse
    layers), and one flag for all would lose a frozen batch norm's. A model already in evaluation is not touched.
    """
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def hooked(modules: Iterable[nn.Module], hook: Hook) -> Iterator[None]:
    """Run ``hook(module, inputs, output)`` after each of ``modules``, in this thread only, while the block runs.

    Another thread that uses the model meanwhile gets the model's own output.
    """
    owner = threading.get_ident()

    def only_here(module: nn.Module, inputs: Any, output: Any) -> Any:
        return hook(module, inputs, output) if threading.get_ident() == owner else None

    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(only_here).remove)
        yield


@contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let ``module`` compute ``forward(original, *args, **kwargs)`` while the block runs, in this thread only."""
    owner = threading.get_ident()
    original = module.forward
    own = "forward" in vars(module)  # an instance may carry its own forward already

    def only_here(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != owner:
            return original(*args, **kwargs)
        return forward(original, *args, **kwargs)

    module.forward = only_here
    try:
        yield
    finally:
        if own:
            module.forward = original
        else:
            del module.forward


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Turn cuDNN off while the block runs.

    Its flag is one for the whole process: meanwhile other threads run without cuDNN too, with the same results but
    slower. Blocks may overlap in any order in several threads: the first saves the flag, the last gives it back.
    """
    with _off_guard:
        if not _off["count"]:
            _off["flag"] = torch.backends.cudnn.enabled
            torch.backends.cudnn.enabled = False
        _off["count"] += 1
    try:
        yield
    finally:
        with _off_guard:
            _off["count"] -= 1
            if not _off["count"]:
                torch.backends.cudnn.enabled = bool(_off["flag"])


@contextmanager
def differentiable_rnns(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let the recurrent ones among ``modules``, and nothing else, run without cuDNN while the block runs.

    In evaluation mode cuDNN keeps nothing that a gradient through an RNN would need; PyTorch's own kernels do. Only
    this thread's calls are changed, see ``replaced_forward``.
    """

    def forward(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with without_cudnn():
            return original(*args, **kwargs)

    with ExitStack() as stack:
        for module in modules:
            if isinstance(module, nn.RNNBase):
                stack.enter_context(replaced_forward(module, forward))
        yield


@contextmanager
def uncompiled() -> Iterator[None]:
    """Let everything that ``torch.compile`` made run as plain Python while the block runs.

    A compiled graph calls no hooks that came after it was made. Nothing is compiled anew or forgotten. Where nothing
    can have been compiled, because the compiler was never loaded, this costs nothing.
    """
    able = hasattr(torch.compiler, "set_stance")  # since torch 2.6
    with torch.compiler.set_stance("force_eager") if able and "torch._dynamo" in sys.modules else nullcontext():
        yield


@contextmanager
def undisturbed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Explain ``model`` so that nobody notices: its flags, the random state and the gradient mode are as before.

    Inside, inference mode is off, whatever the caller's mode, because a map needs tensors that autograd accepts.
    """
    devices = [device] if device.type == "cuda" else []
    modules = list(model.modules())
    with (
        taking_turns(model),
        evaluating(modules),
        differentiable_rnns(modules),
        torch.random.fork_rng(devices=devices),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        yield
