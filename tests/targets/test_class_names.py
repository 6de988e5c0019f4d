"""Targets by name in Python."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.tiny_nets import ConvNet, build, inputs
from torch import nn

from pytorch_grad_cam import FinerCAM, GradCAM, IntegratedGradients, RefineCAM
from pytorch_grad_cam.targets.class_names import names_of_classes

NAMES = ("tench", "tabby cat", "Egyptian_cat")


def test_names_stand_for_indices() -> None:
    net, x = build(ConvNet), inputs()
    cam, plain = GradCAM(net, "conv2", categories=NAMES), GradCAM(net, "conv2")
    assert np.array_equal(cam(x, "Tabby_Cat"), plain(x, 1))
    assert np.array_equal(cam(x, ["egyptian cat", 0]), plain(x, [2, 0]))
    assert np.array_equal(cam(x, contrast=("tabby cat", "tench")), plain(x, contrast=(1, 0)))
    assert np.array_equal(cam(x, "2", against=True), plain(x, 2, against=True))
    assert cam.explain(x, "tench").classes == (0, 0)
    assert cam.explain_each(x, ["tench", ["tabby cat", 2], None]).classes[0][:2] == (0, 1)
    for kind in (RefineCAM, FinerCAM):
        assert np.array_equal(kind(net, "conv2", categories=NAMES)(x, "tabby cat"), kind(net, "conv2")(x, 1))
    pixels = IntegratedGradients(net, categories=NAMES).attributions(x, "tabby cat")
    assert pixels.equal(IntegratedGradients(net).attributions(x, 1))


@pytest.mark.parametrize(
    "own",
    [
        {"names": dict(enumerate(NAMES))},
        {"names": list(NAMES)},
        {"config": SimpleNamespace(id2label={str(index): name for index, name in enumerate(NAMES)})},
    ],
)
def test_a_network_that_knows_its_names(own: dict[str, Any]) -> None:
    net, x = build(ConvNet), inputs()
    expected = GradCAM(net, "conv2")(x, 1)
    for name, value in own.items():
        setattr(net, name, value)
    assert np.array_equal(GradCAM(net, "conv2")(x, "tabby cat"), expected)
    assert np.array_equal(GradCAM(nn.DataParallel(net), "conv2")(x, "tabby cat"), expected)
    assert np.array_equal(GradCAM(net, "conv2", categories=["a", "b", "c"])(x, "b"), expected)


@pytest.mark.parametrize(
    ("categories", "target", "error", "message"),
    [
        (None, "tabby", ValueError, r"'tabby' cannot be found by name: .* \(in Python categories=\)"),
        (NAMES, "cat", ValueError, r"no class is called 'cat'; did you mean 'tabby cat' \(1\), 'Egyptian_cat' \(2\)"),
        (NAMES, "7", ValueError, "index 7 is out of range; this network has 0 to 2"),
        ({0: "a", 2: "b"}, "a", ValueError, "the names of 2 classes must have the indices 0 to 1"),
        ("tabby", "tabby", TypeError, "categories='tabby' is one text"),
        (("a", "A"), "á", ValueError, "no class is called"),
    ],
)
def test_names_that_are_none(categories: Any, target: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        GradCAM(build(ConvNet), "conv2", categories=categories)(inputs(), target)


def test_names_by_index() -> None:
    assert names_of_classes({"1": "b", 0: "a"}, nn.ReLU()) == ("a", "b")  # type: ignore[dict-item]
    assert names_of_classes(None, nn.ReLU()) is None
