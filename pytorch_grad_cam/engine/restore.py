"""Borrow a model and give it back: everything that is changed for one call is undone here, whatever happens.

No other file of the package registers a hook or sets a training flag (a test reads the sources and holds this).

Before anything is changed, a step that undoes it is noted, see ``engine/ledger.py``. A block that ends takes the steps
noted inside it. Where an interrupt hits just that, the function around it, which is ``giving_back``, takes what is
left: so Ctrl-C at any instant leaves nothing.
"""

from __future__ import annotations

import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from types import SimpleNamespace, TracebackType
from typing import Any, ParamSpec, TypeVar

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from pytorch_grad_cam.engine.layers import refuse_uninitialized
from pytorch_grad_cam.engine.ledger import Block, note, taking_turns
from pytorch_grad_cam.engine.switches import without_cudnn

Hook = Callable[[nn.Module, Any, Any], Any]
_P = ParamSpec("_P")
_T = TypeVar("_T")


def giving_back(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let a function give back what is still borrowed inside it when it ends, also where an interrupt ends a block.

    Whoever borrows is called, at whatever depth, by a function with this decorator. The gradient mode is given back
    too, and the interceptions of torch's functions that are left over.
    """

    @wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        block = Block(_note_modes)
        try:
            try:
                try:
                    block.__enter__()
                    return function(*args, **kwargs)
                finally:
                    block.end()
            finally:  # an interrupt may have hit the line above,
                block.end()
        finally:  # and a second one that line; ending what has ended does nothing
            block.end()

    return guarded


def evaluating(modules: Iterable[nn.Module]) -> Block:
    """Put modules in evaluation mode, then give each its own flag back.

    The flags are written one by one: ``model.eval()`` may be overridden to do more than that (merge adapters, fuse
    layers), and one flag for all would lose a frozen batch norm's. A model already in evaluation is not touched.
    """

    def borrow() -> None:
        training = [module for module in modules if module.training]
        if training:
            note(partial(_set_training, training, True))
            _set_training(training, False)

    return Block(borrow)


def own_statistics(modules: Iterable[nn.Module]) -> Block:
    """Let modules in training mode count in copies of their buffers, then give each its own buffers back."""

    def borrow() -> None:
        for module in modules:
            if not module.training or len(module._buffers) == 0:
                continue
            buffers = module._buffers
            if not isinstance(buffers, dict):
                raise ValueError(
                    "a part of the network that TorchScript made is in training mode, where a pass changes its buffers "
                    "for good; put it in evaluation mode, or leave out keep_mode"
                )
            note(partial(buffers.update, dict(buffers)))
            buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})

    return Block(borrow)


def _set_training(modules: Iterable[nn.Module], flag: bool) -> None:
    for module in modules:
        attributes = vars(module)
        if "training" in attributes:  # past the setter of nn.Module, which is slow
            attributes["training"] = flag
        else:  # of a scripted or a compiled module
            module.training = flag


def hooked(modules: Iterable[nn.Module], hook: Hook) -> Block:
    """Run ``hook(module, inputs, output)`` after each of ``modules``, in this thread only, while the block runs.

    Another thread that uses the model meanwhile gets the model's own output.
    """

    def borrow() -> None:
        only_here = _OnlyHere(hook)
        set_hooks: list[tuple[dict[int, Any], int]] = []
        note(partial(_remove, set_hooks))
        for module in modules:
            hooks = module._forward_hooks
            number = RemovableHandle(hooks).id
            set_hooks.append((hooks, number))
            hooks[number] = only_here

    return Block(borrow)


def hooked_until_released(modules: Iterable[nn.Module], owner: object, names: Sequence[str]) -> list[RemovableHandle]:
    """Run the owner's methods of these names after each of ``modules``, until the handles are removed.

    Nothing keeps the owner alive: once it is gone, the hooks do nothing. For records that a user makes; no call of ours
    leaves a hook behind.
    """
    return [module.register_forward_hook(_OfOwner(owner, name)) for module in modules for name in names]


def _remove(set_hooks: list[tuple[dict[int, Any], int]]) -> None:
    for hooks, number in set_hooks:
        hooks.pop(number, None)


class _Hook:
    """A hook of which a copy, as in a copy of the model, does nothing. Its pickle needs no package of ours."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")  # takes three arguments and returns None


class _OfOwner(_Hook):
    """A hook that is a method of an object, looked up at each call, as long as the object lives."""

    def __init__(self, owner: object, name: str) -> None:
        self._owner, self._name = weakref.ref(owner), name

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        owner = self._owner()
        return None if owner is None else getattr(owner, self._name)(module, inputs, output)


class _OnlyHere(_Hook):
    """A hook that acts in the thread that made it."""

    def __init__(self, hook: Hook) -> None:
        self._hook, self._owner = hook, threading.get_ident()

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        return self._hook(module, inputs, output) if threading.get_ident() == self._owner else None


def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Block:
    """Let ``module`` compute ``forward(original, *args, **kwargs)`` while the block runs, in this thread only."""
    return replaced_attribute(module, "forward", _ForwardHere(module, forward))


def replaced_attribute(owner: object, name: str, value: object) -> Block:
    """Let an object have another value under a name while the block runs, and then what it had, or nothing, again."""

    def borrow() -> None:
        attributes = vars(owner)
        if name in attributes:
            note(partial(attributes.__setitem__, name, attributes[name]))
        else:  # what the class says shows again
            note(partial(attributes.pop, name, None))
        attributes[name] = value

    return Block(borrow)


class _ForwardHere:
    """A module's forward that is another in the thread that made it. A copy of it is the original's."""

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        self._module, self._own = module, "forward" in vars(module)
        self._original, self._forward = module.forward, forward
        self._owner = threading.get_ident()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != self._owner:
            return self._original(*args, **kwargs)
        return self._forward(self._original, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        holder = SimpleNamespace(forward=self._original) if self._own else self._module
        return getattr, (holder, "forward")


def differentiable_rnns(modules: Iterable[nn.Module]) -> Block:
    """Let the recurrent ones among ``modules``, and nothing else, run without cuDNN while the block runs.

    In evaluation mode cuDNN keeps nothing that a gradient through an RNN would need; PyTorch's own kernels do. Only
    this thread's calls are changed, see ``replaced_forward``.
    """

    def borrow() -> None:
        for module in modules:
            if isinstance(module, nn.RNNBase):
                replaced_forward(module, _run_without_cudnn).__enter__()

    return Block(borrow)


def _run_without_cudnn(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with without_cudnn():
        return original(*args, **kwargs)


def undisturbed(model: nn.Module, device: torch.device, keep_mode: bool = False) -> Block:
    """Explain ``model`` so that nobody notices: its flags, the random state and the gradient mode are as before.

    Inside, gradient mode is off, and so is inference mode, whatever the caller's, because a map needs tensors that
    autograd accepts.

    With ``keep_mode`` it runs as it stands instead of in evaluation mode: what it draws is drawn for good, so that the
    next pass draws anew, and what modules in training mode count (running means) is counted in copies.
    """

    def borrow() -> None:
        modules = list(model.modules())
        taking_turns(modules).__enter__()  # ends with the block around it, as all that follows
        (own_statistics if keep_mode else evaluating)(modules).__enter__()
        if any(isinstance(module, LazyModuleMixin) for module in modules):
            refuse_uninitialized(model)
        differentiable_rnns(modules).__enter__()
        if not keep_mode:
            _note_random_state(device)
        _note_modes()
        if torch.is_inference_mode_enabled():
            guard: Any = torch._C._InferenceMode(False)
            note(partial(_if_in_thread, threading.get_ident(), guard.__exit__, None, None, None))
            guard.__enter__()
        torch._C._set_grad_enabled(False)

    return Block(borrow)


def own_gradients(model: nn.Module) -> Block:
    """Let ``backward`` write parameters' ``.grad`` while the block runs, and give each what it had before."""

    def borrow() -> None:
        for parameter in model.parameters():
            note(partial(setattr, parameter, "grad", parameter.grad))
            parameter.grad = None

    return Block(borrow)


def _note_modes() -> None:
    """Note how the thread computes: whether with a graph, and who intercepts torch's functions."""
    length = torch._C._len_torch_function_stack()
    note(partial(_if_in_thread, threading.get_ident(), _set_modes, torch.is_grad_enabled(), length))


class _Interception(Block):
    """Lets an object intercept torch's functions while the block runs."""

    __slots__ = ()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            # torch takes the object off the stack around each call of it, by a generator. One that an interrupt keeps
            # from ending puts it back whenever it is collected: let that be now.
            traceback.clear_frames(where)
        self.end()


def intercepting(interceptor: TorchFunctionMode) -> Block:
    """Let ``interceptor`` see every function of torch that this thread calls while the block runs."""

    def borrow() -> None:
        _note_modes()
        push: Callable[[], object] = interceptor.__enter__
        push()  # left by the step noted above, which knows whether an interrupt was faster

    return _Interception(borrow)


def _set_modes(grad: bool, interceptions: int) -> None:
    while torch._C._len_torch_function_stack() > interceptions:
        torch._C._pop_torch_function_stack()
    torch._C._set_grad_enabled(grad)


def _if_in_thread(owner: int, step: Callable[..., object], *arguments: Any) -> None:
    """Take a step that concerns one thread, which in the child of a fork may not exist."""
    if threading.get_ident() == owner:
        step(*arguments)


def _note_random_state(device: torch.device) -> None:
    """Note the state of the global random generators of the CPU and the device."""
    state = torch.get_rng_state()
    note(partial(_if_in_thread, threading.get_ident(), _rewind, torch.get_rng_state, torch.set_rng_state, state))
    if device.type == "cuda":
        read, write = partial(torch.cuda.get_rng_state, device), partial(torch.cuda.set_rng_state, device=device)
        note(partial(_if_in_thread, threading.get_ident(), _rewind, read, write, read()))


def _rewind(read: Callable[[], torch.Tensor], write: Callable[[torch.Tensor], object], before: torch.Tensor) -> None:
    """Put a generator back where it stood, unless nobody has drawn from it, or somebody else may have.

    Whoever draws in another thread would be given the same numbers twice, which is worse than that a network which
    draws moves the generator on, as any prediction by it does.
    """
    if read().numpy().tobytes() != before.numpy().tobytes() and len(sys._current_frames()) == 1:
        write(before)
