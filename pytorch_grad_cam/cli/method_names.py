"""Names of methods as people type and read them."""

from __future__ import annotations

from collections.abc import Collection

from pytorch_grad_cam.methods import METHODS, method_name

ALL = "all"


def method_or_all(text: str) -> str:
    """Return the name of a method as the table has it, or ``all``.

    Raises:
        ValueError: if there is no such method.
    """
    return ALL if text.lower() == ALL else method_name(text)


def chosen_methods(names: list[str] | None) -> list[str]:
    """Return the names of the methods to run, each once, in the order given; ``all`` stands for the general ones."""
    names = names or ["gradcam"]
    return (
        [name for name, method in METHODS.items() if not method.needs or name in names]
        if ALL in names
        else list(dict.fromkeys(names))
    )


def special_methods(but: Collection[str] = ()) -> str:
    """Name the methods, but for those named, that do not go with every network, and what they need."""
    names: dict[str, list[str]] = {}
    for method in METHODS.values():
        if method.needs and method.name not in but:
            names.setdefault(method.needs, []).append(method.name)
    return "; ".join(f"{', '.join(methods)} ({need})" for need, methods in names.items())
