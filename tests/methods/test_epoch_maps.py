"""EpochMaps: maps after every epoch, in a loop of one's own, TensorBoard and Lightning."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.tiny_nets import ConvNet, build, inputs
from PIL import Image
from torch import Tensor, nn

from pytorch_grad_cam import EigenCAM, EpochMaps
from pytorch_grad_cam.visualization import sheet as sheet_module

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")


def test_in_a_loop() -> None:
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


def sheet_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is written onto sheets from now on."""
    texts: list[str] = []
    monkeypatch.setattr(sheet_module, "write_text", lambda sheet, x, y, text, *how, **more: texts.append(text))
    return texts


def test_names_shares_and_whether_it_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = sheet_texts(monkeypatch)
    net, x = build(ConvNet), inputs()
    with torch.no_grad():
        shares, chances = net(x).softmax(1), net(x).sigmoid()
    predicted = shares.argmax(1).tolist()
    wrong = (predicted[1] + 1) % 3
    names = ["Füchse", "b", "c"]
    EpochMaps(x, targets=[0, 1], categories=names, labels=torch.tensor([predicted[0], wrong]))(net, 7)
    assert texts == [
        "epoch 7",
        f"Füchse, {100 * float(shares[0, 0]):.1f} %",
        "right",
        f"b, {100 * float(shares[1, 1]):.1f} %",
        f"wrong: takes {names[wrong]} for {names[predicted[1]]}",
    ]
    texts.clear()
    with torch.no_grad():
        net.head.bias += torch.tensor([-100.0, 100.0, 0.0])
    EpochMaps(x, targets=[0, 1], labels=[0, 1], multi_label=True)(net, 0)
    assert texts[1:] == ["class 0, 0.0 %", "wrong: misses class 0", "class 1, 100.0 %", "right"]
    assert float(chances.min()) > 0
    texts.clear()
    EpochMaps(x, targets=lambda output: output[0] - output[1])(net, 0)
    assert texts[1].startswith("score ")


def test_the_plain_picture_lies_beside_its_map() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    sheet = EpochMaps(inputs(), [picture] * 2, [0, 1])(build(ConvNet), 0)
    assert sheet is not None
    large = np.repeat(np.repeat(picture, 6, 0), 6, 1)  # 192 pixels: squares, no blur
    top = next(row for row in range(60) if np.array_equal(sheet[row, 6 : 6 + 192], large[0]))
    assert np.array_equal(sheet[top : top + 192, 6 : 6 + 192], large)
    assert not np.array_equal(sheet[top : top + 192, 198 : 198 + 192], large)


def test_the_animation_shows_every_epoch(tmp_path: Path) -> None:
    maps, net = EpochMaps(inputs(), targets=[1, 2], every=2), build(ConvNet)
    with pytest.raises(ValueError, match="no epoch was drawn yet"):
        maps.save_animation(tmp_path / "maps.gif")
    sheets = []
    for epoch in range(5):
        with torch.no_grad():
            net.head.weight.mul_(-1.5)
        sheets.append(maps(net, epoch))
    maps.save_animation(tmp_path / "maps.gif", fps=4)
    with Image.open(tmp_path / "maps.gif") as gif:
        assert gif.n_frames == 3
        for frame, sheet in enumerate(sheets[::2]):
            gif.seek(frame)
            assert gif.info["duration"] == 250
            assert sheet is not None
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert shown.shape == sheet.shape
            assert np.abs(shown - sheet).mean() < 12  # 256 colours


def test_a_writer_of_tensorboard() -> None:
    calls: list[Any] = []
    writer = SimpleNamespace(add_image=lambda *given, **how: calls.append((*given, how)))
    pictures = [np.zeros((40, 50, 3), np.uint8)] * 2
    sheet = EpochMaps(inputs(), pictures, writer=writer, method=EigenCAM, target_layers="conv2")(build(ConvNet), 3)
    ((tag, image, epoch, how),) = calls
    assert (tag, epoch, how) == ("maps", 3, {"dataformats": "HWC"})
    assert image is sheet


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="1 pictures for 2 inputs; give one for each, or None"):
        EpochMaps(inputs(), [np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(ValueError, match="3 labels for 2 inputs; give one for each, or None"):
        EpochMaps(inputs(), labels=[0, 1, 2])
    with pytest.raises(ValueError, match="every=0 is no number of epochs"):
        EpochMaps(inputs(), every=0)


def test_a_trainer_that_calls_it(logged: list[str]) -> None:
    images: list[Any] = []
    board = SimpleNamespace(experiment=SimpleNamespace(add_image=lambda *given, **how: images.append(given)))
    weights = SimpleNamespace(log_image=lambda key, images_, step=None, **kwargs: images.append((key, *images_)))
    trainer = SimpleNamespace(current_epoch=5, is_global_zero=True, loggers=[board, SimpleNamespace(), weights])
    maps, net = EpochMaps(inputs(), targets=1), build(ConvNet)
    maps.on_train_epoch_end(trainer, net)
    assert [(each[0], each[1].ndim) for each in images] == [("maps", 3)] * 2
    assert images[0][2] == 5
    trainer.is_global_zero = False  # another process of several
    maps.on_train_epoch_end(trainer, net)
    assert len(images) == 2
    assert not any("no logger" in each for each in logged)
    maps.on_train_epoch_end(SimpleNamespace(current_epoch=0, loggers=[]), net)
    assert "no logger of the trainer takes pictures" in "".join(logged)


def test_a_callback_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_lightning_itself(tmp_path: Path) -> None:
    lightning: Any = missing.package("lightning.pytorch")

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
