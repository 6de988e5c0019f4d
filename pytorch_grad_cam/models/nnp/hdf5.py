"""Read the weights in a .h5 file: one dataset per parameter, whose path is the parameter's name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.models.nnp.limits import MAX_AXES, MAX_DEPTH, MAX_ELEMENTS, MAX_PARAMETERS

_NUMBERS = "fiu"  # kinds of dtype
# deflate, shuffle, fletcher32, lzf: what h5py itself brings. Any other would make HDF5 look for a plug-in to load.
_FILTERS = {1, 2, 3, 32000}


def read_h5(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the parameters of a .h5 file by name.

    Links to other places or files, virtual datasets and data kept in other files are refused: an HDF5 file can name
    any file of the machine that reads it.

    Raises:
        ImportError: if h5py is missing.
        ValueError: if it is damaged, too large, or refers to other files.
    """
    h5py = need("h5py")
    parameters: dict[str, NDArray[np.float32]] = {}
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _DatasetReader(h5py, parameters).group(file, "", 0)
    except ValueError:
        raise
    except Exception as error:  # a damaged file makes HDF5 raise almost anything
        raise ValueError(f"it is not an HDF5 file, or is damaged ({error!s:.200})") from error
    return parameters


class _DatasetReader:
    """Reads the datasets below a group, and gives up beyond reason: groups may hold one another."""

    def __init__(self, h5py: Any, parameters: dict[str, NDArray[np.float32]]) -> None:
        self._h5py, self._parameters = h5py, parameters
        self._objects, self._elements = 0, 0

    def group(self, group: Any, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"its groups are nested deeper than {MAX_DEPTH}")
        for key in group:
            self._objects += 1
            if self._objects > MAX_PARAMETERS:
                raise ValueError(f"it has more than {MAX_PARAMETERS} groups and parameters")
            name = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), self._h5py.HardLink):
                raise ValueError(f"{name!r:.200} is a link to another place, which is not followed")
            item = group[key]
            if isinstance(item, self._h5py.Group):
                self.group(item, f"{name}/", depth + 1)
            elif isinstance(item, self._h5py.Dataset):
                self._parameters[name] = self._values(item, name)

    def _values(self, dataset: Any, name: str) -> NDArray[np.float32]:
        settings = dataset.id.get_create_plist()
        filters = {settings.get_filter(index)[0] for index in range(settings.get_nfilters())}
        if dataset.is_virtual or settings.get_external_count():
            raise ValueError(f"the values of {name!r:.200} lie in another file, which is not read")
        if not filters <= _FILTERS:
            raise ValueError(f"{name!r:.200} is packed by the filters {sorted(filters)}; save it with gzip or unpacked")
        if dataset.dtype.kind not in _NUMBERS or dataset.shape is None or len(dataset.shape) > MAX_AXES:
            raise ValueError(f"{name!r:.200} is no array of numbers, but {dataset.dtype} {dataset.shape}")
        self._elements += dataset.size  # chunks that were never written cost no bytes in the file, but memory here
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"it holds more than {MAX_ELEMENTS} numbers")
        return np.asarray(dataset[()], dtype=np.float32)
