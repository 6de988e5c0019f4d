"""What a call costs, without a clock: forward and backward passes by the method table, and operators of torch.

A refactoring that adds a pass, or that computes something twice, fails here.
"""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from helpers.counted_networks import counted_call, operators_of, passes_by_formula, passes_counted
from helpers.paths import ROOT

from pytorch_grad_cam.methods import METHODS, Method

TABLE = json.loads((ROOT / "tests" / "helpers" / "operator_counts.json").read_text(encoding="utf-8"))
# Shares of a call's operators, and two more. Versions of torch differ: 2.6 runs 6 to 16 % more than 2.15.
SLACK, SLACK_OF_ANOTHER_TORCH = 0.02, 0.2
REWRITE = "if that is meant, run `python -m tools.count_operators` and commit the table"
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


@every_method
def test_passes_of_one_image(method: Method) -> None:
    cam, x, counter = counted_call(method)
    for _ in range(2):  # the first call of an object, which may look around, and a later one
        counter.clear()
        cam(x, 1)
        assert passes_counted(counter) == passes_by_formula(method.passes, method), f"is to take {method.passes}"


@every_method
@pytest.mark.filterwarnings("default:.*count_operators")
def test_operators_of_one_image(method: Method) -> None:
    """An operator is a call into torch that computes or views something, as a ``TorchDispatchMode`` sees it."""
    slack = SLACK if TABLE["torch"] == torch.__version__.split("+")[0] else SLACK_OF_ANOTHER_TORCH
    assert method.name in TABLE["operators"], f"a new method: {REWRITE}"
    known, count = TABLE["operators"][method.name], operators_of(method)
    room = slack * known + 2
    assert count <= known + room, f"{method.name} runs {count} operators, the table says {known}: {REWRITE}"
    if count < known - room:
        warnings.warn(
            f"{method.name} runs {count} operators, fewer than the {known} of the table: {REWRITE}", stacklevel=1
        )


def test_the_table_has_no_other_rows() -> None:
    assert set(TABLE["operators"]) == set(METHODS), f"the methods have changed: {REWRITE}"
