"""The same program gives the same maps with the package grad-cam and with this one. Run with `pytest -m peers`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import drop_in_program, missing

from benchmarks import peers

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:.*not every map means something")]


def test_the_same_program_finds_the_same(tmp_path: Path) -> None:
    if "grad-cam" not in peers.versions():
        pytest.skip(missing.reason("grad-cam"))
    program, results = Path(drop_in_program.__file__), tmp_path / "theirs.npz"
    paths = os.pathsep.join([str(peers.folder()), str(program.parent.parent)])
    command = [sys.executable, "-W", "ignore", "-P", str(program), str(results)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path, capture_output=True)
    ours = drop_in_program.main()
    with np.load(results) as theirs:
        assert set(theirs) == set(ours)
        for name, want in theirs.items():
            found = np.asarray(ours[name], np.float64)
            if name.startswith("up to sign"):  # which is free, and chosen otherwise here
                found = found * np.sign((found * want).sum((1, 2), keepdims=True))
            np.testing.assert_allclose(found, want, atol=1e-4 * np.abs(want).max(), rtol=0, err_msg=name)
            assert np.abs(want).max() > 0, name
