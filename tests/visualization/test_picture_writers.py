"""Where EpochMaps keeps pictures: Weights & Biases and MLflow, as stand-ins with the real signatures and, where they
are installed, themselves, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import missing
from helpers.tiny_nets import ConvNet, build, inputs
from PIL import Image

from pytorch_grad_cam import EpochMaps
from pytorch_grad_cam.visualization.writers import picture_writer

PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


class Client:
    """The method of ``mlflow.MlflowClient`` that keeps a picture under a key and a step."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        self.calls.append((run_id, key, image, step, artifact_file))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for the package, which keeps what a run logs in ``calls``."""
    module: Any = ModuleType("wandb")

    class WandbImage:
        def __init__(self, data_or_path: Any, mode: str | None = None, caption: str | None = None) -> None:
            self.picture, self.caption = data_or_path, caption

    class Run:
        def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
            module.calls.append((data, step))

    Run.__module__ = "wandb.sdk.wandb_run"
    module.calls, module.Image, module.Run = [], WandbImage, Run
    module.log = Run().log
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases(wandb: Any) -> None:
    for place in (wandb, wandb.Run()):
        picture_writer(place)("maps", PICTURE, 3)
        data, step = wandb.calls.pop()
        assert list(data) == ["maps"]
        assert data["maps"].picture is PICTURE
        assert data["maps"].caption == "epoch 3"
        assert step is None  # their steps only grow, and count what the program logs


def test_mlflow() -> None:
    client, module = Client(), ModuleType("mlflow")
    module.log_image = lambda *given, **how: client.log_image("active", *given, **how)  # type: ignore[attr-defined]
    picture_writer(module)("maps", PICTURE, 3)
    assert client.calls == [("active", "maps", PICTURE, 3, None)]


def test_loggers_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "__module__", "mlflow.tracking.client")
    client, pictures = Client(), list[Any]()

    def log_image(key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        pictures.append((key, *images, *kwargs["caption"]))

    loggers = [SimpleNamespace(experiment=client, run_id="run"), SimpleNamespace(log_image=log_image)]
    trainer = SimpleNamespace(current_epoch=5, loggers=[*loggers, SimpleNamespace(experiment=None)])
    EpochMaps(inputs(), targets=1).on_train_epoch_end(trainer, build(ConvNet))
    assert [call[:2] + call[3:4] for call in client.calls] == [("run", "maps", 5)]
    assert [(key, picture.ndim, caption) for key, picture, caption in pictures] == [("maps", 3, "epoch 5")]


def test_what_keeps_no_pictures_is_refused_before_the_training() -> None:
    with pytest.raises(TypeError, match="keeps no pictures; give a SummaryWriter, wandb or a run of it, mlflow"):
        EpochMaps(inputs(), writer="runs/1")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow: Any = missing.package("mlflow")
    mlflow.set_tracking_uri(f"file://{tmp_path}/runs")
    with mlflow.start_run():
        sheet = EpochMaps(inputs(), targets=1, writer=mlflow)(build(ConvNet), 0)
    mlflow.flush_artifact_async_logging()
    (found,) = (tmp_path / "runs").rglob("images/maps*.png")
    with Image.open(found) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), sheet)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb: Any = missing.package("wandb")
    run = wandb.init(mode="offline", dir=str(tmp_path), project="maps")
    sheet = EpochMaps(inputs(), targets=1, writer=run)(build(ConvNet), 0)
    run.finish()
    (found,) = tmp_path.rglob("media/images/*.png")
    with Image.open(found) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), sheet)
