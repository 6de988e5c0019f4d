"""The table of sources: names find their row, texts follow from it, and a new source is a file and a row."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pytorch_grad_cam.models import sources, unknown
from pytorch_grad_cam.models.load import is_downloaded, load_model
from pytorch_grad_cam.models.sources import SOURCES, Source, source_of


@pytest.mark.parametrize(
    ("spec", "loader"),
    [
        ("Shapes", "load_built_in"),
        ("resnet50", "load_torchvision"),
        ("FCN_ResNet50", "load_torchvision"),
        ("timm/resnet18", "load_timm"),
        ("hf-hub:timm/resnet18.a1_in1k", "load_timm"),
        ("local-dir:net", "load_timm"),
        ("hf/net/config.json", "load_huggingface"),
        ("package.module:factory", "load_factory"),
        ("C:\\results.NNP", "load_nnp"),
        ("timm/results.nnp", "load_nnp"),
        ("hf/net.pt2", "load_exported"),
        ("resnet51", None),
        ("TIMM/resnet18", None),
        ("net.pth", "load_pickled"),
        ("net.onnx", None),
    ],
)
def test_names_find_their_source(spec: str, loader: str | None) -> None:
    source = source_of(spec)
    assert (None if source is None else source.loader.partition(":")[2]) == loader


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.offer)
def test_loaders_have_one_signature(source: Source) -> None:
    module, _, name = source.loader.partition(":")
    parameters = list(inspect.signature(getattr(import_module(f"pytorch_grad_cam.{module}"), name)).parameters.values())
    assert [parameter.name for parameter in parameters[1:]] == ["weights", "trust_pickle"]
    assert [parameter.default for parameter in parameters] == [inspect.Parameter.empty, None, False]


def test_weights_are_downloaded_only_where_there_are_random_ones_instead(tmp_path: Path) -> None:
    assert is_downloaded("resnet50")
    assert is_downloaded("timm/resnet18")
    (tmp_path / "config.json").write_text("{}")
    for spec in (f"timm/{tmp_path}", "shapes", "net.nnp", "net.pt2", "package.module:factory", "hf/net"):
        assert not is_downloaded(spec)


def test_the_message_on_an_unknown_name_lists_every_source() -> None:
    with pytest.raises(ValueError, match="unknown") as caught:
        load_model("???")
    assert str(caught.value).startswith("the model '???' is unknown; known are shapes, torchvision's networks for ")
    assert all(source.offer in str(caught.value) for source in SOURCES)


def test_reading_the_table_imports_no_other_package() -> None:
    code = (
        "import sys, pytorch_grad_cam.models.sources; assert not {'torch', 'numpy', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_new_source_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Source("models.shapes:load_built_in", offer="zoo/NAME", help="zoo/NAME", prefixes=("zoo/",))
    for module in (sources, unknown):
        monkeypatch.setattr(module, "SOURCES", (*SOURCES, row))
    assert load_model("zoo/lion").source == "shapes, the built-in network"
    with pytest.raises(ValueError, match=r", and zoo/NAME$"):
        load_model("???")
