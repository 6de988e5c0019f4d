"""Pictures of any data set of PyTorch: an object with ``len`` and ``[index]``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from functools import lru_cache
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from pytorch_grad_cam.common.importing import made_by
from pytorch_grad_cam.data.images import read_image, too_large
from pytorch_grad_cam.data.sources.ids import id_of_row, readable

_PICTURES, _LABELS = ("image", "img"), ("label", "labels")  # keys, where an item is a dict


class DatasetItem:
    """A picture of a data set; see `sources.item.Item`.

    Args:
        shared: the data set.
        index: of the picture, from 0.
    """

    __slots__ = ("_index", "_label", "_shared")

    def __init__(self, shared: _Shared, index: int) -> None:
        self._shared, self._index = shared, index
        self._label = shared.label_beside(index)  # None: known when the picture has been read

    @property
    def id(self) -> str:
        """The number of the picture."""
        return id_of_row(self._index)

    @property
    def origin(self) -> str:
        """Where it lies, for people."""
        return f"item {self._index} of {self._shared.name}"

    @property
    def label(self) -> str | int | None:
        """The name of its class, if the data set has names, ``classes``; else the index.

        Raises:
            ValueError: if the data set has to be asked for the picture, and raises an error.
        """
        return (self._label or self._with_label(self._parts()[1]))[0]

    @property
    def target(self) -> None:
        """Nothing that the data set says."""
        return None

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        """Return the picture, uint8 RGB ``(H, W, 3)``.

        A data set may be made for one reader at a time; so it is used: within a process one picture after the other.
        """
        with self._shared.lock:
            picture, label = self._parts()
            self._with_label(label)
            try:
                return _pixels(picture, max_pixels)
            except Exception as error:  # a picture that was opened, but not yet decoded, may be damaged
                raise ValueError(f"{self.origin}: {error}") from error

    def _with_label(self, beside: Any) -> tuple[str | int | None]:
        """Keep what stands beside the picture, unless the data set has said it."""
        self._label = self._label or (self._shared.label_of(beside),)
        return self._label

    def _parts(self) -> tuple[Any, Any]:
        """Return what the data set has as the picture, and what as its label."""
        try:
            with self._shared.lock:
                item: Any = self._shared.data[self._index]
        except Exception as error:  # somebody's data set may raise anything
            raise ValueError(f"{self.origin} cannot be read: {type(error).__name__}: {error}") from error
        if isinstance(item, Mapping):
            if not any(key in item for key in _PICTURES):
                raise ValueError(f"{self.origin} has no picture under 'image', only {', '.join(map(str, item))}")
            return _first(item, _PICTURES), _first(item, _LABELS)
        if isinstance(item, (tuple, list)):
            return (*item, None, None)[:2]
        return item, None


def _first(item: Mapping[Any, Any], keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if key in item), None)


class DatasetSource:
    """The pictures of a data set, in its order.

    Args:
        data: a `torch.utils.data.Dataset` or anything else with ``len`` and ``[index]``; a ``DataLoader``, of which
            the data set alone is used: neither its sampler nor its batches, so the order is that of the data set; or
            the name of one, or of a function that makes one, as ``package.module:factory``. Its items are pictures, or
            begin with a picture and its label, or are dicts with ``image`` and ``label``. A picture is a PIL image, a
            uint8 array ``(H, W, 3)``, or a tensor ``(C, H, W)``, uint8 or floats in [0, 1]; not normalized, which the
            network's own preprocessing does. It must give the same picture each time. To be read in another process,
            an object is pickled with each picture, a name is not: there, the factory is called once.

    Raises:
        ValueError: if it has no length, or cannot be asked for one picture.
        ImportError, RuntimeError: if the name cannot be imported, or the factory raises.
    """

    def __init__(self, data: Any) -> None:
        if isinstance(data, str):
            self._shared = _made.__wrapped__(data)
        else:
            own = data.dataset if isinstance(data, DataLoader) else data
            self._shared = _Shared(data, type(own).__name__)
        self._count = len(self._shared.data)

    @property
    def description(self) -> str:
        """What it is, for people."""
        how = ", in the order of the loader's data set" if self._shared.was_loader else ""
        return f"data set: {self._shared.name}{how}"

    def __iter__(self) -> Iterator[DatasetItem]:
        """Yield the pictures by their numbers."""
        return (DatasetItem(self._shared, index) for index in range(self._count))

    def __len__(self) -> int:
        return self._count


class _Shared:
    """A data set that the items of one source have in common: in each process once.

    Attributes:
        name: for people; that of its factory, if it has one.
        lock: held by whoever asks it for a picture.
        was_loader: it is that of a loader, whose order and batches do not count.
    """

    def __init__(self, data: Any, name: str, spec: str | None = None, key: str | None = None) -> None:
        self.was_loader = isinstance(data, DataLoader)
        self.data = _checked(data.dataset if isinstance(data, DataLoader) else data, name)
        self.name, self.lock = name, RLock()
        self._spec, self._key = spec, key or uuid.uuid4().hex
        self._targets, self._names = _targets(self.data), _class_names(self.data)
        _shared_here[self._key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._spec is not None:
            return _made_once, (self._spec, self._key)
        return _unpickled, (self.data, self.name, self._key)

    def label_beside(self, index: int) -> tuple[str | int | None] | None:
        """Return the label of a picture, if the data set says it without reading the picture; else None."""
        return None if self._targets is None else (self.label_of(self._targets[index]),)

    def label_of(self, value: Any) -> str | int | None:
        """Turn what stands beside a picture into the name of a class, its index, or None where it is neither."""
        if isinstance(value, (Tensor, np.ndarray, np.generic)) and value.shape in ((), (1,)):
            value = value.item()
        if isinstance(value, str):
            return readable(value) or None
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return self._names[value] if self._names is not None and 0 <= value < len(self._names) else value


_shared_here: WeakValueDictionary[str, _Shared] = WeakValueDictionary()
_making = Lock()


def _unpickled(data: Any, name: str, key: str) -> _Shared:
    return _shared_here.get(key) or _Shared(data, name, key=key)


def _made_once(spec: str, key: str) -> _Shared:
    """Return the data set of a factory, which is called when this process reads its first picture."""
    with _making:
        return _shared_here.get(key) or _made(spec, key)


@lru_cache(maxsize=4)  # between two pictures nobody else may hold it
def _made(spec: str, key: str | None = None) -> _Shared:
    return _Shared(made_by(spec, _is_data_set, "a data set"), spec, spec, key)


def _is_data_set(thing: Any) -> bool:
    indexed = hasattr(thing, "__len__") and hasattr(thing, "__getitem__")
    return isinstance(thing, (Dataset, DataLoader)) or (indexed and not isinstance(thing, (type, str, bytes)))


def _checked(data: Any, name: str) -> Any:
    wanted = "give a data set with len and [index], or write its pictures into tar shards"
    if isinstance(data, IterableDataset):
        raise ValueError(f"{name} can only be read from its beginning on, as an IterableDataset; {wanted}")
    if not _is_data_set(data):
        raise ValueError(f"{name} is a {type(data).__name__}, no data set; {wanted}")
    try:
        len(data)
    except Exception as error:  # somebody's data set may raise anything
        raise ValueError(f"{name} does not say how many pictures it has: {error}; {wanted}") from error
    return data


def _targets(data: Any) -> Any:
    """Return the labels of all pictures by their numbers, as data sets of torchvision have them; None if it has not."""
    if isinstance(data, Subset):
        targets = _targets(data.dataset)
        return None if targets is None else [targets[index] for index in data.indices]
    targets = getattr(data, "targets", None)
    listed = isinstance(targets, (list, tuple, Tensor, np.ndarray)) and len(targets) == len(data)
    return targets if listed and getattr(data, "target_transform", None) is None else None


def _class_names(data: Any) -> tuple[str, ...] | None:
    """Return the names of a data set's classes by index, as data sets of torchvision have them."""
    if isinstance(data, Subset):
        return _class_names(data.dataset)
    names = getattr(data, "classes", None)
    if not isinstance(names, (list, tuple)) or getattr(data, "target_transform", None) is not None:
        return None
    first = [name[0] if isinstance(name, (list, tuple)) and name else name for name in names]  # of synonyms
    return tuple(map(readable, first)) if all(isinstance(name, str) for name in first) else None


def _pixels(picture: Any, max_pixels: int) -> NDArray[np.uint8]:
    """Turn what a data set has as a picture into uint8 RGB ``(H, W, 3)``."""
    if hasattr(picture, "getexif"):
        _check_size(picture.width, picture.height, max_pixels)
        return read_image(picture)
    if isinstance(picture, Tensor):
        picture = _channels_last(picture)
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"a picture must be a PIL image, an array or a tensor, not {type(picture).__name__}")
    if picture.ndim > 1:
        _check_size(picture.shape[1], picture.shape[0], max_pixels)
    if picture.dtype.kind == "f" and picture.size and not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(
            f"its values are floats in {picture.min():g}..{picture.max():g}, so it is normalized or scaled; give "
            "uint8, or floats in 0..1: the transforms without Normalize, which the network's own preprocessing does"
        )
    return read_image(picture)


def _channels_last(picture: Tensor) -> NDArray[Any]:
    shape = tuple(picture.shape)
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[0] not in (1, 3, 4)):
        raise ValueError(f"a tensor must be one picture (C, H, W) with 1, 3 or 4 channels, or (H, W), not {shape}")
    values = picture.detach().cpu()
    values = values.float() if values.is_floating_point() else values
    array: NDArray[Any] = (values.permute(1, 2, 0) if len(shape) == 3 else values).numpy()
    return array


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ValueError(too_large(f"it has {width} x {height} pixels", max_pixels))
