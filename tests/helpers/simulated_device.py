"""A device that is none: tensors that say they lie on ``simulated:0``, and are computed on the CPU.

What would fail on a GPU fails here, on any machine: an operator that is given tensors of two devices, a tensor that is
made on the CPU and used beside one of the device, NumPy that is given a tensor of the device. And what makes a program
wait for a GPU is counted: numbers that are read, copies to the host, operators whose result's shape depends on values.
Not simulated are kernels, streams, memory and the device's random generator.

    with simulated_device() as traffic:
        cam(x.to(DEVICE), 1)
    traffic.reads  # a Counter by operator
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing

from pytorch_grad_cam.engine.maps import _has_float64

AVAILABLE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
WHY_NOT = f"needs a torch with devices that are written in Python, which {torch.__version__} is not; take the newest"
TYPE = "simulated"
# Operators that a GPU runs and then waits for: their result, or its shape, is needed on the host.
READING = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")  # take places from the CPU too


@dataclass
class Traffic:
    """What crossed between host and device, by operator.

    Attributes:
        reads: what made the host wait for the device.
        uploads: what was copied to the device.
    """

    reads: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        self.reads.clear()
        self.uploads.clear()


_traffic = Traffic()


class DeviceTensor(Tensor):
    """A tensor of the simulated device; ``values`` has its numbers."""

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> DeviceTensor:
        if values.dtype == torch.float64 and not _module.float64:
            raise TypeError(f"{DEVICE} has no float64")
        made: DeviceTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device=DEVICE,
        )
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"DeviceTensor({self.values!r}, device={self.device})"

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError(f"a tensor of {self.device} cannot be made a NumPy array; use Tensor.cpu() first")
        return self.detach().cpu().numpy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.numpy(), dtype)


def _run(function: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator of which a tensor lies on the device, or which is asked to make one there."""
    name = function._schema.name.partition("::")[2]
    if name == "_to_copy":
        return _copied(args[0], kwargs)
    if name == "copy_" and isinstance(args[0], DeviceTensor) != isinstance(args[1], DeviceTensor):
        (_traffic.reads if isinstance(args[1], DeviceTensor) else _traffic.uploads)[name] += 1
        _values(args[0]).copy_(_values(args[1]))
        return args[0]
    _refuse_other_devices(name, args, kwargs)
    by_mask = name in _INDEXING and any(
        isinstance(leaf, Tensor) and leaf.dtype is torch.bool for leaf in pytree.tree_leaves(args[1])
    )
    if name in READING or by_mask or (name == "repeat_interleave" and kwargs.get("output_size") is None):
        _traffic.reads[name] += 1
    inner = {key: "cpu" if key == "device" else value for key, value in kwargs.items() if key != "pin_memory"}
    found = function(*pytree.tree_map(_values, args), **pytree.tree_map(_values, inner))
    wrapped = pytree.tree_map(lambda leaf: DeviceTensor(leaf) if isinstance(leaf, Tensor) else leaf, found)
    return return_and_correct_aliasing(function, args, kwargs, wrapped)


def _copied(tensor: Tensor, kwargs: Any) -> Tensor:
    """Copy a tensor to another type or device, and count it where that crosses the border."""
    device = tensor.device if kwargs.get("device") is None else torch.device(kwargs["device"])
    there, here = device.type == TYPE, isinstance(tensor, DeviceTensor)
    if here and not there:
        _traffic.reads["_to_copy"] += 1
    elif there and not here:
        _traffic.uploads["_to_copy"] += 1
    inner = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    values = torch.ops.aten._to_copy.default(_values(tensor), **inner)
    return DeviceTensor(values) if there else values


def _refuse_other_devices(name: str, args: Any, kwargs: Any) -> None:
    """Refuse tensors of the device and of the CPU together, as a GPU does; it takes single numbers, and some places."""
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    here = any(isinstance(leaf, DeviceTensor) for leaf in tensors)
    if here and name not in _INDEXING and any(not isinstance(leaf, DeviceTensor) and leaf.ndim for leaf in tensors):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found {DEVICE} and cpu")


def _values(leaf: Any) -> Any:
    return leaf.values if isinstance(leaf, DeviceTensor) else leaf


class _MadeHere(TorchFunctionMode):
    """Makes tensors of the device on the CPU first: torch's own ways are past what Python sees, or change sizes."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function is Tensor.new_tensor and isinstance(args[0], DeviceTensor):
            kwargs.setdefault("dtype", args[0].dtype)
            return torch.tensor(args[1], **kwargs).to(args[0].device)
        if function is Tensor.__getitem__ and isinstance(args[0], DeviceTensor):
            return function(args[0], _with_places(args[1], args[0].device))
        device = kwargs.get("device")
        if device is None or torch.device(device).type != TYPE or isinstance(next(iter(args), None), DeviceTensor):
            return function(*args, **kwargs)
        del kwargs["device"]
        if function in (torch.tensor, torch.as_tensor, torch.asarray):
            return function(*args, **kwargs).to(device)
        if function in (torch.arange, torch.linspace, torch.eye):
            return DeviceTensor(function(*args, **kwargs))
        return function(*args, device=device, **kwargs)


def _with_places(index: Any, device: torch.device) -> Any:
    """Turn lists of places inside an index into tensors of the device, as torch does."""
    if isinstance(index, tuple):
        return tuple(_with_places(part, device) for part in index)
    return torch.tensor(index).to(device) if isinstance(index, list) else index


class _Module:
    """What torch asks a kind of device. It is there for the tests that use it, and for nobody else in the process."""

    in_use = False
    float64 = True

    def is_initialized(self) -> bool:
        return self.in_use

    def is_available(self) -> bool:
        return self.in_use

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return int(self.in_use)

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Nothing here draws."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


_module = _Module()
if AVAILABLE:
    backend_registration._setup_privateuseone_for_python_backend(TYPE, backend_module=_module)
    _library = torch.library.Library("_", "IMPL")
    _library.fallback(lambda function, *args, **kwargs: _run(function, args, kwargs), "PrivateUse1")
DEVICE = torch.device(TYPE, 0) if AVAILABLE else torch.device("cpu")  # then no test uses it


@contextmanager
def simulated_device(float64: bool = True) -> Iterator[Traffic]:
    """Let tensors be moved to ``DEVICE`` while the block runs, and count what crosses the border.

    Args:
        float64: False: the device has no such numbers, as Apple's.
    """
    _traffic.clear()
    _has_float64.cache_clear()
    _module.in_use, _module.float64 = True, float64
    try:
        with _MadeHere():
            yield _traffic
    finally:
        _module.in_use, _module.float64 = False, True
        _has_float64.cache_clear()
