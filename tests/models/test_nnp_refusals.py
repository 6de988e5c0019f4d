"""Networks in .nnp files that cannot be: the message names the function, its type and the file."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.nnp_files import classifier, dims, executor, function, network, one_function, variable, write_nnp

from pytorch_grad_cam.models.nnp import NnpNetwork, load_nnp


def refused(tmp_path: Path, written: str, weights: Any = None) -> str:
    with pytest.raises(ValueError, match=r"a\.nnp") as caught:
        load_nnp(write_nnp(tmp_path / "a.nnp", written, weights))
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_an_unknown_function_is_named_with_its_type_and_file(tmp_path: Path) -> None:
    said = refused(tmp_path, one_function("DeformableConvolution", (3, 4, 4))[0])
    assert re.search(
        r"a\.nnp cannot be built: the function 'y' of the type 'DeformableConvolution' cannot be read", said
    )


CONVOLUTION = "convolution_param { base_axis: 1 group: 1 }"
ONES = np.ones((2, 3, 2, 2))
KERNEL = dims("kernel", [2, 2])
CASES: list[tuple[str, tuple[int, ...], str, list[Any], str]] = [
    ("Convolution", (3, 4, 4), "convolution_param { group: 1 }", [ONES], "its base_axis is 0; only 1"),
    ("Convolution", (2, 4, 4), CONVOLUTION, [ONES], r"its weights \(2, 3, 2, 2\) do not fit 2 channels in 1 groups"),
    ("Convolution", (3, 4), CONVOLUTION, [ONES], "for 2 spatial axes .* its input has 1"),
    ("Convolution", (3, 4, 4), CONVOLUTION, [], "it has 1 inputs, which is too few"),
    ("Convolution", (3, 4, 4), CONVOLUTION, [ONES, np.ones(3)], "its bias has 3 numbers for 2 channels"),
    ("Convolution", (3, 1, 1), CONVOLUTION, [ONES], "cannot be used"),
    ("Convolution", (3, 4, 4), CONVOLUTION.replace("group", f"{dims('stride', [0, 1])} group"), [ONES], "its stride"),
    ("Convolution", (3, 4, 4), CONVOLUTION.replace("group", "channel_last: true group"), [ONES], "channels come last"),
    (
        "Convolution",
        (3, 4, 4),
        CONVOLUTION.replace("group", f"{dims('pad', [2000000000, 2000000000])} group"),
        [ONES],
        "beyond|cannot be used",
    ),
    ("Affine", (3, 4), "affine_param { base_axis: 1 }", [np.ones((11, 2))], r"do not fit 12 inputs"),
    ("Affine", (3, 4), "", [np.ones((12, 2))], "its base_axis 0 is not one of 1 to 2"),
    ("BatchNormalization", (3, 4), "", [np.ones((1, 3, 1))], "it has 2 inputs, which is too few"),
    ("BatchNormalization", (3, 4), "", [np.ones((1, 2, 1))] * 4, "its parameter 1 has 2 numbers instead of 3"),
    ("MaxPooling", (1, 4, 4), "", [], "must be 2 or 3 positive numbers"),
    ("MaxPooling", (1, 4, 4), f"max_pooling_param {{ {KERNEL} {dims('pad', [2, 2])} }}", [], "is not smaller than its"),
    ("MaxPooling", (1, 1, 1), f"max_pooling_param {{ {KERNEL} ignore_border: true }}", [], "is larger than its input"),
    ("Unpooling", (1, 4, 4), f"unpooling_param {{ {dims('kernel', [99999, 99999])} }}", [], "would give more than"),
    ("Softmax", (3,), "", [], "its axis 0 is not one of the axes 1 to 1"),
    ("Concatenate", (3,), "", [], "images stay apart"),
    ("Sum", (3, 4), "", [], "images stay apart"),
    ("Max", (3, 4), "max_param { axes: 1 only_index: true }", [], "it returns positions"),
    ("Reshape", (3, 4), f"reshape_param {{ {dims('shape', [5, 7])} }}", [], "does not fit 12 values"),
    ("Reshape", (3, 4), f"reshape_param {{ {dims('shape', [-1, -1])} }}", [], "one -1 at most"),
    ("Transpose", (3, 4), "transpose_param { axes: [1, 0, 2] }", [], "the batch stays first"),
    (
        "Slice",
        (3, 4),
        "slice_param { start: [1, 0, 0] stop: [2, 3, 4] step: [1, 1, 1] }",
        [],
        "some images of the batch",
    ),
    ("Slice", (3, 4), "slice_param { start: 3 stop: 3 step: 1 }", [], "it takes nothing of the axis 2"),
    ("Slice", (3, 4), "slice_param { start: 0 stop: 3 step: 0 }", [], "its step is 0"),
    ("Pad", (3, 4), 'pad_param { pad_width: [1, 0, 0, 0, 0, 0] mode: "constant" }', [], "without the batch"),
    ("Pad", (3, 4), 'pad_param { pad_width: [2000000000, 0] mode: "repeat" }', [], "would give more than"),
    ("Pad", (3, 4), 'pad_param { pad_width: [1, 0] mode: "x" }', [], "none of constant, reflect and repeat"),
    ("Broadcast", (3, 4), f"broadcast_param {{ {dims('shape', [-1, 4, 4])} }}", [], "does not fit an input"),
    ("PReLU", (3, 4), "prelu_param { base_axis: 1 }", [np.ones(2)], "it has 2 slopes for the axis 1"),
    ("Add2", (3, 4), "", [], "it has 1 inputs instead of 2"),
    ("Add2", (3, 4), "", [np.ones((5, 3, 4))], "cannot be used: .*(size of tensor|broadcast)"),
    ("Add2", (3, 4), "", [np.ones((2, 3, 4))], "works for one batch size only"),
    ("MeanSubtraction", (3,), "mean_subtraction_param { update_running_mean: true }", [], "updates its mean"),
    ("GlobalAveragePooling", (3,), "", [], "its input has 2 axes"),
    ("ReLU", (3,), "", [np.ones(3)], "it has 2 inputs; 1 at most are known"),
]


@pytest.mark.parametrize(("kind", "shape", "param", "weights", "message"), CASES)
def test_functions_that_do_not_fit(
    kind: str, shape: tuple[int, ...], param: str, weights: list[Any], message: str, tmp_path: Path
) -> None:
    said = refused(tmp_path, *one_function(kind, shape, param, weights))
    assert f"the function 'y' of the type {kind!r}" in said or "batch" in said
    assert re.search(message, said), said


def test_weights_that_are_missing_or_misshaped(tmp_path: Path) -> None:
    written, weights = classifier()
    said = refused(tmp_path, written, {"other": np.ones(1)})
    assert (
        "'Convolution' of the type 'Convolution' cannot be used: its weights 'Convolution/conv/W' are missing" in said
    )
    said = refused(tmp_path, written, {**weights, "Affine/affine/W": np.ones((64, 4))})
    assert "its weights 'Affine/affine/W' have the shape (64, 4) instead of (64, 3)" in said


def test_graphs_that_lead_nowhere(tmp_path: Path) -> None:
    pair = variable("x", [-1, 2]) + variable("y", [-1, 2])
    relu = function("ReLU", ["x"], ["y"])
    ring = variable("a", [-1, 2]) + variable("b", [-1, 2])
    ring += function("Add2", ["a", "x"], ["b"]) + function("Add2", ["b", "x"], ["a"]) + function("ReLU", ["a"], ["y"])
    block = 'repeat_id: "R"'
    cases = {
        network(pair + relu): "has no executor",
        network(pair + relu).replace("Main", "Other") + executor(): "runs the network 'Main', which it does not hold",
        network(pair + relu) + executor("z"): "executor's output 'z' is not in the network",
        network(pair) + executor(): "needs the variable 'y', which no function makes",
        network(pair + relu + relu) + executor(): "the variable 'y' is made twice",
        network(pair + function("ReLU", ["q"], ["y"])) + executor(): "the variable 'q' is used, but not declared",
        network(pair + function("ReLU", ["y"], ["y"])) + executor(): "wait for each other in a circle",
        network(pair + ring) + executor(): "wait for each other in a circle",
        network(variable("x", [-1]) + variable("y", [-1]) + relu) + executor(): "the batch and positive sizes must",
        network(variable("x", [-1, 0]) + variable("y", []) + relu) + executor(): "the batch and positive sizes",
        network(variable("x", [-1, 65536, 65536]) + variable("y", []) + relu) + executor(): "has more than",
        network(variable("x", [-1, 2]) + variable("y", [], more=block) + relu) + executor(): "runs 0 times",
        network(pair + relu, more='repeat_info { id: "R" times: 2000000000 }').replace(
            'name: "y" type: "ReLU"', f'name: "y" {block} {block} {block} type: "ReLU"'
        )
        + executor(): "would give more than",
    }  # fmt: skip
    for written, message in cases.items():
        assert message in refused(tmp_path, written)


def test_names_and_links_without_end(tmp_path: Path) -> None:
    pair = variable("x", [-1, 2]) + variable("y", [-1, 2])
    relu = function("ReLU", ["x"], ["y"])
    for body, message in (
        (variable("v" * 2000, [-1, 2]) + pair + relu, "has more than 1000 characters"),
        (pair + function("ReLU", ["x"], ["y"], name="f" * 2000), "a name of more than 1000 characters"),
        (pair + function("AddN", ["x"] * 2000, ["y"]), "has 2000 inputs or outputs"),
        (pair + function("ReLU", ["x"], ["y"], more='repeat_id: "R" ' * 40), "nested deeper than 32"),
    ):
        assert message in refused(tmp_path, network(body, more='repeat_info { id: "R" times: 1 }') + executor())


def test_many_functions_take_no_long(tmp_path: Path) -> None:
    body = variable("v0", [-1, 2])
    body += "".join(variable(f"v{place}", [-1, 2]) for place in range(1, 501))
    body += "".join(function("ReLU", [f"v{place}"], [f"v{place + 1}"], name="same") for place in range(500))
    began = time.process_time()
    model = load_nnp(write_nnp(tmp_path / "a.nnp", network(body) + executor("v500", "v0"))).model
    assert isinstance(model, NnpNetwork)
    assert model.functions["same"]
    assert time.process_time() - began < 5
