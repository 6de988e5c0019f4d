"""Draw the maps of the same pictures epoch after epoch, in a training loop or by a trainer like Lightning's."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.data.images import decode_image, encoded_image
from pytorch_grad_cam.data.pixels import unit_picture
from pytorch_grad_cam.grad_cam import GradCAM
from pytorch_grad_cam.targets.classification import Targets
from pytorch_grad_cam.targets.score_kinds import MULTI_LABEL, class_shares
from pytorch_grad_cam.visualization.colormaps import clip_outliers
from pytorch_grad_cam.visualization.explained import class_title
from pytorch_grad_cam.visualization.overlay import show_cam_on_image, show_signed_cam_on_image
from pytorch_grad_cam.visualization.sheet import contact_sheet, scaled_picture
from pytorch_grad_cam.visualization.text import isolated
from pytorch_grad_cam.visualization.video import save_gif
from pytorch_grad_cam.visualization.writers import PictureWriter, known_writer, picture_writer

log = logging.getLogger(__name__)

Picture = NDArray[np.uint8]
_SIDE = 192  # pixels along the longer side of a picture, of which two lie beside each other
_LIGHTNING = (
    "lightning.pytorch",
    "pytorch_lightning",
)  # one takes no callback of the other


class EpochMaps:
    """Draws how the maps of the same pictures change while a network is trained, without changing the training.

    Each picture lies beside its map; below stand the class that is explained and its share and, with ``labels``,
    whether what is predicted is right. `save_animation` shows all epochs one after the other.

    In a loop of your own, call it after each epoch: ``epoch_maps(model, epoch)``. For a trainer of Lightning, hand over
    ``epoch_maps.callback()``.

    Args:
        inputs: ``(B, C, H, W)``, as the network takes them.
        pictures: what the maps are laid over, ``B`` of any kind that `show_cam_on_image` takes; None: the inputs,
            each stretched to its own range.
        targets: as for ``BaseCAM.explain``. None explains what is predicted, which changes.
        writer: TensorBoard's ``SummaryWriter`` or what has its ``add_image``; ``wandb`` or a run of it; ``mlflow``; a
            logger of Lightning; or a callable that is given tag, picture (uint8 RGB ``(H, W, 3)``) and epoch; see
            ``visualization.writers``. None: with Lightning, the trainer's own loggers.
        method: the class that makes the maps.
        target_layers: as for ``BaseCAM``; names are those inside the model that is handed over.
        every: draw each so many epochs, the first included.
        tag: the name under which the pictures are written.
        categories: class names, by index.
        labels: the true class of each image, a list or tensor ``(B,)``.
        multi_label: each output is a yes or no of its own: shares are sigmoids, and right is a true class above 0.5.
        **options: as for ``BaseCAM.explain``.

    Raises:
        TypeError: for a writer that keeps no pictures.
        ValueError: for another number of pictures or labels than inputs, or ``every`` below 1.
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
        categories: Sequence[str] | None = None,
        labels: Any = None,
        multi_label: bool = False,
        **options: Any,
    ) -> None:
        if pictures is not None and len(pictures) != len(inputs):
            raise ValueError(f"{len(pictures)} pictures for {len(inputs)} inputs; give one for each, or None")
        if labels is not None and len(labels) != len(inputs):
            raise ValueError(f"{len(labels)} labels for {len(inputs)} inputs; give one for each, or None")
        if every < 1:
            raise ValueError(f"every={every} is no number of epochs; give 1 or more")
        if writer is not None:
            picture_writer(writer)  # what keeps no pictures is refused before the training
        self.inputs, self.targets, self.writer = inputs, targets, writer
        self.pictures = [_as_picture(image) for image in inputs] if pictures is None else list(pictures)
        self.method, self.target_layers, self.every, self.tag = method, target_layers, every, tag
        self.options, self.categories, self.multi_label = options, categories, multi_label
        self.labels = None if labels is None else [int(label) for label in labels]
        self._sheets: list[tuple[int, bytes]] = []  # epoch and PNG of each that was drawn

    def __call__(self, model: nn.Module, epoch: int) -> Picture | None:
        """Draw and write the maps of this epoch.

        Args:
            model: the network as it is now, in training or not.
            epoch: its number, from 0.

        Returns:
            The sheet with all pictures, uint8 RGB ``(H, W, 3)``; None in an epoch that is left out.
        """
        return self._draw(model, epoch, [] if self.writer is None else [picture_writer(self.writer)])

    def save_animation(self, path: str | Path, fps: float = 2.0) -> None:
        """Write the sheets of all epochs that were drawn, in their order, as an animated GIF.

        Args:
            path: ends in .gif; a missing folder is made.
            fps: epochs per second.

        Raises:
            ValueError: if no epoch was drawn, for another ending, or a rate that is not positive.
            OSError: if the folder cannot be written to.
        """
        if not self._sheets:
            raise ValueError("no epoch was drawn yet; call this after the training")
        sheets = [decode_image(png, f"epoch {epoch}") for epoch, png in self._sheets]
        height, width = (max(sheet.shape[axis] for sheet in sheets) for axis in (0, 1))
        frames = np.full((len(sheets), height, width, 3), 255, np.uint8)
        for frame, sheet in zip(frames, sheets, strict=True):
            frame[: sheet.shape[0], : sheet.shape[1]] = sheet
        save_gif(path, frames, fps)

    def on_train_epoch_end(self, trainer: Any, module: nn.Module) -> None:
        """Draw and write the maps for a trainer that calls this after every epoch, in its main process only."""
        if not getattr(trainer, "is_global_zero", True):
            return
        writers = _writers(trainer) if self.writer is None else [picture_writer(self.writer)]
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

    def _draw(self, model: nn.Module, epoch: int, writers: Sequence[PictureWriter]) -> Picture | None:
        if epoch % self.every:
            return None
        cam = self.method(model, self.target_layers)
        explanation = cam.explain(self.inputs, self.targets, **self.options)
        pairs = [
            _beside_its_map(picture, clip_outliers(map) if cam.fine_grained else map)
            for picture, map in zip(self.pictures, explanation.numpy(), strict=True)
        ]
        sheet = contact_sheet(
            pairs,
            self._captions(explanation),
            side=max(max(pair.shape[:2]) for pair in pairs),
            title=f"epoch {epoch}",
        )
        self._sheets.append((epoch, encoded_image("a.png", sheet)))
        for write in writers:
            write(self.tag, sheet, epoch)
        return sheet

    def _captions(self, explanation: Explanation) -> list[str]:
        """Say of each image what is explained and, where the true class is known, whether the prediction is right."""
        shares = class_shares(explanation.outputs, MULTI_LABEL if self.multi_label else None)
        scores = [None] * len(self.pictures) if explanation.scores is None else explanation.scores.tolist()
        captions = [
            class_title(category, score, shares, index, self.categories)
            for index, (category, score) in enumerate(zip(explanation.classes, scores, strict=True))
        ]
        if self.labels is None or shares is None:
            return captions
        verdicts = map(self._verdict, self.labels, shares)
        return [f"{caption}\n{verdict}" for caption, verdict in zip(captions, verdicts, strict=True)]

    def _verdict(self, label: int, shares: Tensor) -> str:
        """Say whether the true class is predicted, by the shares ``(M,)`` of one image."""
        if self.multi_label:
            return "right" if shares[label] > 0.5 else f"wrong: misses {self._name(label)}"
        predicted = int(shares.argmax())
        return "right" if label == predicted else f"wrong: takes {self._name(label)} for {self._name(predicted)}"

    def _name(self, category: int) -> str:
        known = self.categories is not None and 0 <= category < len(self.categories)
        return isolated(self.categories[category]) if self.categories is not None and known else f"class {category}"


def _beside_its_map(picture: Any, map: NDArray[np.float32]) -> Picture:
    """Return a picture, small ones enlarged to squares, and on its right the same under its map."""
    pixels = np.round(255 * unit_picture(picture)).astype(np.uint8)
    scale = max(1, round(_SIDE / max(pixels.shape[:2])))
    large = np.array(scaled_picture(pixels, scale * pixels.shape[0], scale * pixels.shape[1]))
    overlay = (show_signed_cam_on_image if map.min() < 0 else show_cam_on_image)(large, map, use_rgb=True)
    return np.hstack([large, overlay])


def _writers(trainer: Any) -> list[PictureWriter]:
    """Return what the trainer's loggers write pictures with, of those that take any."""
    found = (known_writer(logger) for logger in getattr(trainer, "loggers", ()))
    return [writer for writer in found if writer is not None]


def _as_picture(image: Tensor) -> Picture:
    values = image.detach().float().cpu()
    low, high = values.min(), values.max()
    pixels = 255 * (values - low) / (high - low).clamp_min(1e-12)
    shown = pixels if len(pixels) in (1, 3) else pixels.mean(0, keepdim=True)
    return shown.round().byte().permute(1, 2, 0).numpy()
