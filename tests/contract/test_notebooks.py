"""The notebooks are those of their sources, and run from the first cell to the last, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.paths import ROOT

from tools.write_notebooks import NOTEBOOKS, notebook

SOURCES = sorted(NOTEBOOKS.glob("*.py"))
SUBJECTS = {"one_picture", "choosing_a_method", "vision_transformer", "segmentation", "detection", "three_dimensions"}
SUBJECTS |= {"training", "data_sets"}
WIDGET = "application/vnd.jupyter.widget-view+json"
WITH_WIDGET = {"one_picture"}
WITHOUT_PICTURE = {"choosing_a_method", "data_sets"}  # which show tables


def test_every_notebook_is_that_of_its_source() -> None:
    """Else run ``python -m tools.write_notebooks``."""
    assert {path.stem for path in SOURCES} == {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == SUBJECTS
    for source in SOURCES:
        stored = source.with_suffix(".ipynb").read_text(encoding="utf-8")
        assert stored == notebook(source.read_text(encoding="utf-8")), source.name


def test_cells() -> None:
    made = json.loads(notebook("# %% [markdown]\n# # Title\n# text\n# %%\na = 1\n\nb = 2\n"))
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]] == [
        ("markdown", "# Title\ntext"),
        ("code", "a = 1\n\nb = 2"),
    ]


def test_the_page_names_every_notebook() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert [
        path.name for path in NOTEBOOKS.glob("*.ipynb") if f"](../examples/notebooks/{path.name})" not in page
    ] == []


def executed(path: Path) -> Any:
    """Execute a notebook where it lies; an error in a cell is one here."""
    nbformat, nbclient = missing.package("nbformat"), missing.package("nbclient")
    missing.package("ipykernel")
    missing.package("ipywidgets")
    read = nbformat.read(path, as_version=4)
    nbformat.validate(read)
    client = nbclient.NotebookClient(read, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    return client.execute()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_a_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    cells = executed(NOTEBOOKS / f"{name}.ipynb").cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert outputs
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []  # no warning in red
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert ("image/png" in shown or "text/html" in shown) or name in WITHOUT_PICTURE
    assert (WIDGET in shown) == (name in WITH_WIDGET)
