"""Everything about a model, an input and a process that a caller could notice, and that it is as before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def state_of(net: nn.Module) -> dict[str, Any]:
    """Everything about a model that its owner could notice."""
    tensors = [*net.named_parameters(), *net.named_buffers()]
    return {
        "flags": [(name, module.training) for name, module in net.named_modules()],
        "identity": [(name, id(module)) for name, module in net.named_modules()],
        "attributes": [(name, sorted(vars(module))) for name, module in net.named_modules()],
        "hooks": [
            (name, list(module._forward_hooks.values()), list(module._forward_pre_hooks), list(module._backward_hooks))
            for name, module in net.named_modules()
        ],
        "values": [(name, tensor.detach().clone()) for name, tensor in tensors],
        "requires_grad": [(name, tensor.requires_grad, tensor.is_leaf) for name, tensor in tensors],
        "grad": [(name, None if tensor.grad is None else tensor.grad.clone()) for name, tensor in tensors],
        "versions": [(name, tensor._version) for name, tensor in tensors],
    }


def assert_same_state(before: Any, after: Any) -> None:
    if isinstance(before, Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert_same_state(value, after[key])
    elif isinstance(before, (list, tuple)):
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            assert_same_state(one, other)
    else:
        assert before == after


@contextmanager
def assert_unchanged(net: nn.Module, x: Tensor) -> Iterator[None]:
    """Assert that the block leaves the model, the caller's tensor, the random states and the modes alone."""
    before = state_of(net)
    tensor = (x.detach().clone(), x.requires_grad, x.grad, x._version)
    chance, others = torch.get_rng_state(), (np.random.get_state()[1].tolist(), random.getstate())
    modes = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    yield
    assert_same_state(before, state_of(net))
    assert_same_state(tensor, (x.detach(), x.requires_grad, x.grad, x._version))
    assert torch.equal(chance, torch.get_rng_state())
    assert others == (np.random.get_state()[1].tolist(), random.getstate())  # a thousand numbers, at once
    assert modes == (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
