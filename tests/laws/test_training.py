"""Maps while a network learns: after every epoch, under checkpointing, and in one of several processes."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pytorch_grad_cam import AblationCAM, EigenCAM, EpochMaps, FullGrad, GradCAM, GuidedGradCAM, ShapleyCAM, SmoothGrad

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


class TestEpochMaps:
    def test_in_a_loop(self) -> None:
        written: list[Any] = []
        maps = EpochMaps(inputs(), None, [1, 2], lambda *given: written.append(given), every=2, relu=False, tag="why")
        net = build(ConvNet).train()
        sheets = [maps(net, epoch) for epoch in range(3)]
        assert net.training
        assert [sheet is None for sheet in sheets] == [False, True, False]
        assert [(tag, epoch) for tag, _, epoch in written] == [("why", 0), ("why", 2)]
        assert written[1][1] is sheets[2]
        assert sheets[0] is not None
        assert (sheets[0].dtype, sheets[0].shape[2]) == (np.uint8, 3)
        with torch.no_grad():
            net.head.weight.neg_()
        changed = maps(net, 4)
        assert changed is not None
        assert not np.array_equal(changed, sheets[2])  # other weights, other maps

    def test_a_writer_of_tensorboard(self) -> None:
        calls: list[Any] = []
        writer = SimpleNamespace(add_image=lambda *given, **how: calls.append((*given, how)))
        pictures = [np.zeros((40, 50, 3), np.uint8)] * 2
        sheet = EpochMaps(inputs(), pictures, writer=writer, method=EigenCAM, target_layers="conv2")(build(ConvNet), 3)
        ((tag, image, epoch, how),) = calls
        assert (tag, epoch, how) == ("maps", 3, {"dataformats": "HWC"})
        assert image is sheet

    def test_mistakes(self) -> None:
        with pytest.raises(ValueError, match="1 pictures for 2 inputs; give one for each, or None"):
            EpochMaps(inputs(), [np.zeros((4, 4, 3), np.uint8)])
        with pytest.raises(ValueError, match="every=0 is no number of epochs"):
            EpochMaps(inputs(), every=0)

    def test_a_trainer_that_calls_it(self, caplog: pytest.LogCaptureFixture) -> None:
        images: list[Any] = []
        board = SimpleNamespace(experiment=SimpleNamespace(add_image=lambda *given, **how: images.append(given)))
        weights = SimpleNamespace(log_image=lambda tag, sheets: images.append((tag, *sheets)))
        trainer = SimpleNamespace(current_epoch=5, is_global_zero=True, loggers=[board, SimpleNamespace(), weights])
        maps, net = EpochMaps(inputs(), targets=1), build(ConvNet)
        maps.on_train_epoch_end(trainer, net)
        assert [(each[0], each[1].ndim) for each in images] == [("maps", 3)] * 2
        assert images[0][2] == 5
        trainer.is_global_zero = False  # another process of several
        maps.on_train_epoch_end(trainer, net)
        assert len(images) == 2
        assert not caplog.records
        maps.on_train_epoch_end(SimpleNamespace(current_epoch=0, loggers=[]), net)
        assert "no logger of the trainer takes pictures" in caplog.text

    def test_a_callback_of_lightning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lightning: Any = ModuleType("pytorch_lightning")
        lightning.Callback = type("Callback", (), {})
        monkeypatch.delitem(sys.modules, "lightning.pytorch", raising=False)
        monkeypatch.setitem(sys.modules, "pytorch_lightning", lightning)
        written: list[Any] = []
        callback = EpochMaps(inputs(), targets=1, writer=lambda *given: written.append(given)).callback()
        assert isinstance(callback, lightning.Callback)
        callback.on_train_epoch_end(SimpleNamespace(current_epoch=7), build(ConvNet))
        assert [epoch for _, _, epoch in written] == [7]

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore")
    def test_lightning_itself(self, tmp_path: Path) -> None:
        lightning: Any = pytest.importorskip("lightning.pytorch", reason="needs the package lightning")

        class Module(lightning.LightningModule):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.net = build(ConvNet)

            def forward(self, x: Tensor) -> Tensor:
                return self.net(x)

            def training_step(self, batch: Any, index: int) -> Tensor:
                return nn.functional.cross_entropy(self(batch[0]), batch[1])

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), 0.1)

        data = torch.utils.data.TensorDataset(inputs(batch=4), torch.tensor([0, 1, 2, 0]))
        states, written = [], []
        for callbacks in ([], [EpochMaps(inputs(), writer=lambda *given: written.append(given)).callback()]):
            lightning.seed_everything(0)
            module = Module()
            trainer = lightning.Trainer(
                max_epochs=2, callbacks=callbacks, logger=False, enable_checkpointing=False, accelerator="cpu",
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
            )  # fmt: skip
            trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=2, shuffle=True))
            states.append(module.state_dict())
        assert [epoch for _, _, epoch in written] == [0, 1]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Checkpointed(nn.Module):
    """Keeps no activations of its blocks, and runs them again in the backward pass."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3), nn.ReLU())
        self.head = nn.Linear(6, 3)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        for block in (self.first, self.second):
            plain = self.reentrant is None
            x = block(x) if plain else checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x.mean((2, 3)))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # says torch of re-entrant ones
@pytest.mark.parametrize("layer", ["first", "first.0", "second.0", "second"])
@pytest.mark.parametrize(
    "method", [GradCAM, ShapleyCAM, AblationCAM, GuidedGradCAM, FullGrad, SmoothGrad], ids=lambda each: each.__name__
)
def test_checkpointing(method: Any, layer: str) -> None:
    plain, x = build(Checkpointed, None), inputs()
    net, old = copy.deepcopy(plain), copy.deepcopy(plain)
    net.reentrant, old.reentrant = False, True
    given = [] if method is SmoothGrad else [layer]
    expected = method(plain, *given).explain(x, 1, relu=False)
    found = method(net, *given).explain(x, 1, relu=False)
    torch.testing.assert_close(found.maps, expected.maps)
    if method is AblationCAM:  # needs no gradient
        torch.testing.assert_close(method(old, layer).explain(x, 1, relu=False).maps, expected.maps)
        return
    with pytest.raises(RuntimeError, match=r"re-?entrant.*use_reentrant=False"):
        method(old, *given).explain(x, 1, relu=False)


@pytest.mark.slow
def test_one_of_two_processes_explains(tmp_path: Path) -> None:
    """The other does not wait, and both learn the same as without a map."""
    program = [sys.executable, "-m", "helpers.distributed_worker"]
    places = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    running = [
        subprocess.Popen([*program, str(rank), str(tmp_path)], env=places, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    zero, one = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for name, value in zero["explaining"].items():
        assert torch.equal(value, one["explaining"][name])
        assert torch.equal(value, zero["plain"][name])
    torch.testing.assert_close(zero["maps"], zero["expected"])
