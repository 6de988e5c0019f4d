"""What all metrics share: check the maps, run the model without changing it, and score its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.engine.inputs import checked_input
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.engine.trees import one_image
from pytorch_grad_cam.targets.classification import Target, Targets
from pytorch_grad_cam.targets.spec import resolve_targets

Model = Callable[[Tensor], Any]  # mostly an nn.Module


def inputs_for(model: Model, input_tensor: Tensor) -> Tensor:
    """Return the input as the model takes it, cut from any graph; errors are those of ``engine.inputs``."""
    return checked_input(model, input_tensor, False) if isinstance(model, nn.Module) else input_tensor.detach()


@giving_back
def outputs_of(model: Model, inputs: Tensor) -> Any:
    """Run the model in evaluation mode, without a graph; its flags and the random state stay as they are."""
    if not isinstance(model, nn.Module):
        with torch.no_grad():
            return model(inputs)
    with undisturbed(model, inputs.device):
        return model(inputs)


def fixed_targets(model: Model, input_tensor: Tensor, targets: Targets) -> list[Target]:
    """Turn targets into one callable per image. The top class, where asked for, is that of the unchanged images."""
    if say_themselves(targets):
        return resolve_targets(targets, None, len(input_tensor))  # no need to run the model
    return resolve_targets(targets, outputs_of(model, inputs_for(model, input_tensor)), len(input_tensor))


def say_themselves(targets: Targets) -> bool:
    """Say whether targets are callables that are the same on any image: nothing depends on what the model returns."""
    given = [targets] if callable(targets) else targets
    if not isinstance(given, Sequence):
        return False
    return all(callable(target) and not hasattr(target, "fixed_on") for target in given)


def scores_from(outputs: Any, targets: Sequence[Target]) -> NDArray[np.float32]:
    """Score each image's outputs by its target: ``(B,)``; ``(B, ...)`` for targets that return more than one number."""
    with torch.no_grad():
        scores = [target(one_image(outputs, index, len(targets))) for index, target in enumerate(targets)]
    result: NDArray[np.float32] = torch.stack(
        [torch.as_tensor(score, device="cpu").float() for score in scores]
    ).numpy()
    return result.reshape(len(result)) if result.size == len(result) else result


def checked_maps(cams: Any, input_tensor: Tensor) -> Tensor:
    """Return the maps as a tensor ``(B, *S)`` on the CPU.

    Raises:
        ValueError: if their number or size is not that of the images, or one contains NaN or infinity.
    """
    maps = cams.detach().cpu().clone() if isinstance(cams, Tensor) else torch.from_numpy(np.array(cams))
    expected = (len(input_tensor), *input_tensor.shape[2:])
    if tuple(maps.shape) != expected:
        raise ValueError(
            f"the maps have the shape {tuple(maps.shape)}; for an input {tuple(input_tensor.shape)} they must be "
            f"{expected}: one per image, of its size"
        )
    if not bool(maps.isfinite().all()):
        bad = [index for index, map in enumerate(maps) if not bool(map.isfinite().all())]
        raise ValueError(f"the maps of images {bad} contain NaN or infinity; leave these images out")
    return maps
