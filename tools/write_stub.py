"""Write pytorch_grad_cam/__init__.pyi: the lazy names of the package, for type checkers and editors.

    python tools/write_stub.py

A test holds that the file is what this writes.
"""

from __future__ import annotations

from pathlib import Path

import pytorch_grad_cam

STUB = Path(__file__).resolve().parents[1] / "pytorch_grad_cam" / "__init__.pyi"


def stub() -> str:
    """Return the text of the stub."""
    homes = sorted(pytorch_grad_cam._HOME.items(), key=lambda item: (item[1], item[0]))
    lines = ["# Written by tools/write_stub.py from METHODS and _HOME.", ""]
    lines += [f"from pytorch_grad_cam.{module} import {name} as {name}" for name, module in homes]
    return "\n".join([*lines, "", "__version__: str", "__all__: list[str]", ""])


if __name__ == "__main__":
    STUB.write_text(stub(), encoding="utf-8")
