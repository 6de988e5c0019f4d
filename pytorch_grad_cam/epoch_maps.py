"""Draw the maps of the same pictures epoch after epoch, in a training loop or by a trainer like Lightning's."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import Targets
from pytorch_grad_cam.visualization.overlay import show_cam_on_image, show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import contact_sheet

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
_LIGHTNING = (
    "lightning.pytorch",
    "pytorch_lightning",
)  # one takes no callback of the other


class EpochMaps:
    """Draws how the maps of the same pictures change while a network is trained, without changing the training.

    In a loop of your own, call it after each epoch: ``epoch_maps(model, epoch)``. For a trainer of Lightning, hand over
    ``epoch_maps.callback()``.

    Args:
        inputs: ``(B, C, H, W)``, as the network takes them.
        pictures: what the maps are laid over, ``B`` of any kind that `show_cam_on_image` takes; None: the inputs,
            each stretched to its own range.
        targets: as for ``BaseCAM.explain``. None explains what is predicted, which changes.
        writer: an object with ``add_image``, such as TensorBoard's ``SummaryWriter``, or a callable that is given tag,
            picture (uint8 RGB ``(H, W, 3)``) and epoch. None: with Lightning, the trainer's own loggers.
        method: the class that makes the maps.
        target_layers: as for ``BaseCAM``; names are those inside the model that is handed over.
        every: draw each so many epochs, the first included.
        tag: the name under which the pictures are written.
        **options: as for ``BaseCAM.explain``.

    Raises:
        ValueError: for another number of pictures than inputs, or ``every`` below 1.
    """

    def __init__(
        self,
        inputs: Tensor,
        pictures: Sequence[Any] | None = None,
        targets: Targets = None,
        writer: Any = None,
        *,
        method: Callable[..., BaseCAM] = GradCAM,
        target_layers: Any = None,
        every: int = 1,
        tag: str = "maps",
        **options: Any,
    ) -> None:
        if pictures is not None and len(pictures) != len(inputs):
            raise ValueError(f"{len(pictures)} pictures for {len(inputs)} inputs; give one for each, or None")
        if every < 1:
            raise ValueError(f"every={every} is no number of epochs; give 1 or more")
        self.inputs, self.targets, self.writer = inputs, targets, writer
        self.pictures = [_as_picture(image) for image in inputs] if pictures is None else list(pictures)
        self.method, self.target_layers, self.every, self.tag = method, target_layers, every, tag
        self.options = options

    def __call__(self, model: nn.Module, epoch: int) -> Picture | None:
        """Draw and write the maps of this epoch.

        Args:
            model: the network as it is now, in training or not.
            epoch: its number, from 0.

        Returns:
            The sheet with all pictures, uint8 RGB ``(H, W, 3)``; None in an epoch that is left out.
        """
        return self._draw(model, epoch, [] if self.writer is None else [self.writer])

    def on_train_epoch_end(self, trainer: Any, module: nn.Module) -> None:
        """Draw and write the maps for a trainer that calls this after every epoch, in its main process only."""
        if not getattr(trainer, "is_global_zero", True):
            return
        writers = [self.writer] if self.writer is not None else _writers(trainer)
        if not writers:
            log.warning("no logger of the trainer takes pictures; give EpochMaps a writer")
        self._draw(module, trainer.current_epoch, writers)

    def callback(self) -> Any:
        """Return a ``Callback`` of Lightning that draws and writes the maps.

        Raises:
            ImportError: without lightning.
        """
        draw = self.on_train_epoch_end
        used = next((name for name in _LIGHTNING if name in sys.modules), _LIGHTNING[0])

        class Callback(need(used).Callback):  # type: ignore[misc]
            def on_train_epoch_end(self, trainer: Any, pl_module: nn.Module) -> None:
                draw(trainer, pl_module)

        return Callback()

    def _draw(self, model: nn.Module, epoch: int, writers: Sequence[Any]) -> Picture | None:
        if epoch % self.every:
            return None
        explanation = self.method(model, self.target_layers).explain(self.inputs, self.targets, **self.options)
        cells = [
            (show_signed_cam_on_image if map.min() < 0 else show_cam_on_image)(picture, map, use_rgb=True)
            for picture, map in zip(self.pictures, explanation.numpy(), strict=True)
        ]
        scores = [""] * len(cells)
        if explanation.scores is not None:
            scores = [f"{score:.3g}" for score in explanation.scores.tolist()]
        names = ["" if index is None else f"class {index}  " for index in explanation.classes]
        sheet = contact_sheet(cells, [f"{name}{score}" for name, score in zip(names, scores, strict=True)])
        for writer in writers:
            if hasattr(writer, "add_image"):
                writer.add_image(self.tag, sheet, epoch, dataformats="HWC")
            else:
                writer(self.tag, sheet, epoch)
        return sheet


def _writers(trainer: Any) -> list[Any]:
    """Return the trainer's loggers that take pictures, as TensorBoard's and that of Weights & Biases do."""
    writers: list[Any] = []
    for logger in getattr(trainer, "loggers", ()):
        if hasattr(getattr(logger, "experiment", None), "add_image"):
            writers.append(logger.experiment)
        elif hasattr(logger, "log_image"):
            writers.append(lambda tag, sheet, epoch, logger=logger: logger.log_image(tag, [sheet]))
    return writers


def _as_picture(image: Tensor) -> Picture:
    values = image.detach().float().cpu()
    low, high = values.min(), values.max()
    pixels = 255 * (values - low) / (high - low).clamp_min(1e-12)
    shown = pixels if len(pixels) in (1, 3) else pixels.mean(0, keepdim=True)
    return shown.round().byte().permute(1, 2, 0).numpy()
