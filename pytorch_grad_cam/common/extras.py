"""Optional packages: import one where it is needed, or say how to get it."""

from __future__ import annotations

import importlib
from types import ModuleType

# Packages that are installed under another name than they are imported by.
_INSTALLED_AS = {"skimage": "scikit-image"}


def need(module: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: a name to import, e.g. "timm" or "safetensors.torch".

    Returns:
        The module.

    Raises:
        ImportError: if the package is missing (the message says how to install it) or broken (and what broke).
    """
    package = module.partition(".")[0]
    name = _INSTALLED_AS.get(package, package)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise ImportError(f"{name} is installed but cannot be imported: {error}") from error
        raise ImportError(f"this needs the package {name}, which is missing: pip install {name}") from error
    except Exception as error:  # an installed package that fails while it is imported may raise anything
        raise ImportError(f"{name} is installed but cannot be imported: {error}") from error
