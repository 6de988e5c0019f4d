"""Write examples/notebooks/*.ipynb from the files beside them, whose cells begin with ``# %%``.

    python -m tools.write_notebooks

The notebooks have no outputs: a test executes them, another one holds that they are what this writes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pytorch_grad_cam.data.files import write_bytes

NOTEBOOKS = Path(__file__).resolve().parents[1] / "examples" / "notebooks"
MARKDOWN = " [markdown]"


def notebook(source: str) -> str:
    """Return a notebook as JSON, of cells that begin with ``# %%``, or ``# %% [markdown]`` and are then comments."""
    cells = []
    for number, cell in enumerate(re.split(r"^# %%", source, flags=re.MULTILINE)[1:]):
        kind, _, text = cell.partition("\n")
        text = text.strip("\n")
        if kind == MARKDOWN:
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        lines = text.splitlines(keepends=True)
        made = {"cell_type": "code", "execution_count": None, "id": f"cell-{number}", "metadata": {}, "outputs": []}
        if kind == MARKDOWN:
            made = {"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}}
        cells.append({**made, "source": lines})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all notebooks."""
    for source in sorted(NOTEBOOKS.glob("*.py")):
        write_bytes(source.with_suffix(".ipynb"), notebook(source.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()
