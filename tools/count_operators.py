"""Write tests/helpers/operator_counts.json: how many operators of torch one call of each method runs.

    python -m tools.count_operators

`tests/laws/test_passes.py` holds that no call runs more. Run this where a call runs fewer, so that it stays so, or
more, where that is meant; what has changed is printed.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch

from pytorch_grad_cam.methods import METHODS

TESTS = Path(__file__).resolve().parents[1] / "tests"
TABLE = TESTS / "helpers" / "operator_counts.json"


def main() -> None:
    sys.path.insert(0, str(TESTS))
    from helpers.counted_networks import operators_of

    warnings.filterwarnings("ignore", message=".*not every map means something")
    before = json.loads(TABLE.read_text(encoding="utf-8"))["operators"] if TABLE.exists() else {}
    counts = {name: operators_of(method) for name, method in METHODS.items()}
    table = {"torch": torch.__version__.split("+")[0], "operators": counts}
    TABLE.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    for name, count in counts.items():
        if count != before.get(name):
            print(f"{name}: {before.get(name, 'not known')} -> {count}")


if __name__ == "__main__":
    main()
