"""Runs on real clusters of Ray, on this machine: the same files, whoever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import missing
from helpers.paths import ROOT
from helpers.run_pictures import BATCH, GIVEN, PICTURES, PLAIN, results, run, write_pictures

from pytorch_grad_cam.cli.run.options import parse
from pytorch_grad_cam.cli.run.work import explainer_of, prepared
from pytorch_grad_cam.runs import ray_engine
from pytorch_grad_cam.runs.run_index import Row

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]  # Ray's own
MANY = 15 * BATCH


@pytest.fixture(scope="module", autouse=True)
def _here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    missing.package("ray")
    folder, before = tmp_path_factory.mktemp("ray"), Path.cwd()
    write_pictures(folder / "photos", MANY)
    os.chdir(folder)
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def whole() -> dict[str, str]:
    assert run("whole") == 0
    return results("whole")


def ray_run(folder: str, report: Any, **options: Any) -> list[int]:
    """A run on the cluster that this process is connected to; return the positions in the order in which they came."""
    options_of_run = parse("cam run", ["photos", *GIVEN, "--output-dir", folder])
    this = prepared(options_of_run, None)
    came: list[int] = []

    def told(rows: Sequence[Row]) -> None:
        came.extend(row["position"] for row in rows)
        report(came)

    with this.folder.writing(None):
        this.folder.claim(this.settings())
        ray_engine.run_on_ray(this, this.on(explainer_of(options_of_run)), told, gpu=False, **options)
    return came


def workers() -> list[dict[str, Any]]:
    """The actors that hold a network and are alive, as the cluster knows them; its public list needs a dashboard."""
    from ray._private.state import actors

    return [each for each in actors().values() if each["State"] == "ALIVE" and "_Actor" in each["ActorClassName"]]


def test_the_command_in_a_program_of_its_own(whole: dict[str, str]) -> None:
    command = [sys.executable, str(ROOT / "cam.py"), *PLAIN, "--output-dir", "own", "--engine", "ray"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert f"pictures:   {MANY} explained" in done.stdout
    assert results("own") == whole


@pytest.fixture(scope="module")
def ray(whole: dict[str, str]) -> Iterator[Any]:
    """Ray with a cluster of two machines, with two processors each, one of which can be lost."""
    import ray
    from ray.cluster_utils import Cluster

    paths = {"PYTHONPATH": ray_engine._path()}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    ray.init(address=cluster.address, log_to_driver=False, runtime_env={"env_vars": paths})
    ray.cluster = cluster
    yield ray
    ray.shutdown()
    cluster.shutdown()


def test_a_run_goes_on_with_what_is_missing(ray: Any, whole: dict[str, str]) -> None:
    shutil.copytree("whole", "on")
    Path("on/overlays/0005.jpg").unlink()
    assert ray_run("on", lambda came: None) == [4, 5, 6, 7]
    assert results("on") == whole


def test_a_worker_is_killed(ray: Any, whole: dict[str, str]) -> None:
    killed = []

    def kill(came: list[int]) -> None:
        if not killed:
            killed.append(workers()[0]["Pid"])
            os.kill(killed[0], signal.SIGKILL)

    came = ray_run("worker", kill)
    assert killed
    assert sorted(came) == list(range(MANY))
    assert results("worker") == whole


def test_a_machine_is_lost(ray: Any, whole: dict[str, str]) -> None:
    node = ray.cluster.add_node(num_cpus=2)
    ray.cluster.wait_for_nodes()
    there = []

    def lose(came: list[int]) -> None:
        if len(there) < 2 and not any(each == "lost" for each in there):
            on_node = [each for each in workers() if each["Address"]["NodeID"] == node.node_id]
            if on_node or len(came) >= MANY // 2:
                there.extend([len(on_node), "lost"])
                ray.cluster.remove_node(node, allow_graceful=False)

    came = ray_run("machine", lose)
    assert there[0] > 0  # workers were there
    assert sorted(came) == list(range(MANY))
    assert results("machine") == whole


def test_a_picture_that_cannot_be_read_and_a_network_that_does_not_fit(ray: Any) -> None:
    good = Path("photos/0009.png").read_bytes()
    Path("photos/0009.png").write_bytes(b"no picture")
    try:
        assert run("bad", "--engine", "ray", "--limit", str(PICTURES)) == 1
        assert run("bad again", "--limit", str(PICTURES)) == 1
    finally:
        Path("photos/0009.png").write_bytes(good)
    assert results("bad") == results("bad again")


def test_an_error_in_a_worker_is_said_once(ray: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("error", "--target", "99") == 1
    said = capsys.readouterr().err
    assert run("error on ray", "--engine", "ray", "--target", "99") == 1
    assert capsys.readouterr().err == said
    assert said.count("error:") == 1


def test_gpus_that_are_not_there(ray: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gpu", "--engine", "ray", "--device", "cuda") == 1
    assert "the cluster has no GPU; leave out --device cuda" in capsys.readouterr().err


def test_more_batches_than_tasks(ray: Any, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "_MOST_TASKS", 4)
    assert sorted(ray_run("tasks", lambda came: None)) == list(range(MANY))
    assert results("tasks") == whole
