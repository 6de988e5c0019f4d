"""The command evaluate, killed again and again while it works on real photos: nothing is lost, and nothing differs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam.cli.evaluate.run import JOURNAL

PHOTOS, KILLS = 8, 4


def command(shared: Path, out: Path) -> list[str]:
    data = shared / "data"
    photos = sorted((data / "imagenet_samples").glob("*.jpg"))[:PHOTOS]
    assert len(photos) == PHOTOS
    weights = data / "models" / "squeezenet1_0_imagenet.pth"
    asked = ["--method", "gradcam", "eigencam", "--metric", "average_drop", "gridpg", "entropy", "--batch-size", "2"]
    network = ["--model", "squeezenet1_0", "--weights", str(weights)]
    return [sys.executable, "cam.py", "evaluate", *map(str, photos), *network, *asked, "--output-dir", str(out)]


@pytest.mark.slow
def test_killed_and_continued(shared: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(shared, whole), cwd=ROOT, env=environment, check=True, capture_output=True)
    draw = random.Random(0)
    journal, lengths = killed / JOURNAL, [0]
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(shared, killed), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # In the middle of the work: once the journal has grown, and then a random moment later.
        while process.poll() is None and (not journal.exists() or journal.stat().st_size <= lengths[-1]):
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.wait()
        lengths.append(journal.stat().st_size)
        assert not (killed / "scores.json").exists()
    assert lengths == sorted(set(lengths))  # each time it had gone on
    subprocess.run(command(shared, killed), cwd=ROOT, env=environment, check=True, capture_output=True)
    for name in ("scores.csv", "scores.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
