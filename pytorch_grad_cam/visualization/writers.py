"""Where a training program keeps pictures: TensorBoard, Weights & Biases, MLflow, Lightning's loggers, a function."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need

PictureWriter: TypeAlias = Callable[[str, NDArray[np.uint8], int], object]


def picture_writer(place: Any) -> PictureWriter:
    """Return a function of tag, picture and epoch that keeps a picture in a place.

    Args:
        place: one of these; none of the packages is imported, but by who made the object:
            ``SummaryWriter`` of TensorBoard, or what has its ``add_image``;
            ``wandb`` itself, or a run that ``wandb.init`` returned: an image under the tag, its caption the epoch,
            beside whatever else is logged at that step;
            ``mlflow`` itself: an image of the active run, its key the tag and its step the epoch;
            a logger of Lightning for one of these;
            a callable that is given tag, picture (uint8 RGB ``(H, W, 3)``) and epoch.

    Raises:
        TypeError: for anything else.
    """
    writer = known_writer(place)
    if writer is not None:
        return writer
    if callable(place):
        called: PictureWriter = place
        return called
    raise TypeError(
        f"{place!r} keeps no pictures; give a SummaryWriter, wandb or a run of it, mlflow, or a callable of tag, "
        "picture and epoch"
    )


def known_writer(place: Any) -> PictureWriter | None:
    """Return the same for the places that are known; None for anything else, also for a callable."""
    return _of_object(place) or _of_logger(place)


def _of_object(place: Any) -> PictureWriter | None:
    if hasattr(place, "add_image"):
        return lambda tag, picture, epoch: place.add_image(tag, picture, epoch, dataformats="HWC")
    package = _package(place)
    if package == "wandb" and hasattr(place, "log"):
        image = need("wandb").Image  # loaded already by whoever made the run
        return lambda tag, picture, epoch: place.log({tag: image(picture, caption=f"epoch {epoch}")})
    if package == "mlflow" and isinstance(place, ModuleType):
        return lambda tag, picture, epoch: place.log_image(picture, key=tag, step=epoch)
    return None


def _of_logger(logger: Any) -> PictureWriter | None:
    """Return the writer of a logger of Lightning: its own way, or what it has in ``experiment``."""
    # That of Weights & Biases counts the steps itself.
    if hasattr(logger, "log_image") and not isinstance(logger, ModuleType):
        return lambda tag, picture, epoch: logger.log_image(tag, [picture], caption=[f"epoch {epoch}"])
    experiment = getattr(logger, "experiment", None)
    if experiment is None:
        return None
    if _package(experiment) == "mlflow":  # a client, which is told the run each time
        return lambda tag, picture, epoch: experiment.log_image(logger.run_id, picture, key=tag, step=epoch)
    return _of_object(experiment)


def _package(place: Any) -> str:
    """Return the name of the package that an object, or a module, is of."""
    name = place.__name__ if isinstance(place, ModuleType) else type(place).__module__
    return str(name).partition(".")[0]
