"""Open a file that users named, or say why it cannot be read."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: str | Path, wanted: str) -> BufferedReader:
    """Open a file for reading, but no device, which never ends, and no pipe, which waits for somebody who writes.

    Args:
        path: the file.
        wanted: what to give instead of something that is no file, e.g. "a picture".

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: if there is no such file to read.
        ValueError: if it is a device, pipe or socket, or no path at all.
    """
    path = Path(path)
    try:
        kind = os.stat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ValueError(f"{path} is no file, but a device, pipe or socket; give {wanted}")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no file {path}; check the path") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{path} is a folder; give {wanted} in it") from error
    except OSError as error:
        raise type(error)(f"cannot read {path}: {reason_of(error)}") from error


def reason_of(error: OSError) -> str:
    """Return what the system says about a failure, in lower case, to stand inside a sentence."""
    return (error.strerror or str(error)).lower()
