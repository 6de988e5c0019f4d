"""A function by which the metrics of Quantus ask for maps: ``explain_func``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.methods import method_class


def explain_func(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    *,
    method: str | type[BaseCAM] = "gradcam",
    target_layers: Any = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Explain a batch, with the signature that Quantus asks of an ``explain_func``.

    Quantus explains copies of the network too, whose weights are random. So a layer is given by its name; a module
    belongs to one network and not to its copies.

    Args:
        model: the network, as Quantus hands it over.
        inputs: ``(B, C, *S)``, an array or a tensor.
        targets: the classes ``(B,)``.
        method: a name of the command line, or a class; with all that follows, an item of ``explain_func_kwargs``.
        target_layers: names, or None for an automatic choice.
        device: where Quantus runs the network; it is on it already, and inputs are moved to it.
        **options: of ``BaseCAM.__call__``, such as ``relu=False``.

    Returns:
        float32 ``(B, 1, *S)``, in [0, 1] unless the options ask for something else.

    Raises:
        TypeError: for layers that are modules.
        ValueError: for an unknown method; else as the method does.
    """
    listed = target_layers if isinstance(target_layers, (list, tuple)) else [target_layers]
    if any(isinstance(layer, nn.Module) for layer in listed):
        raise TypeError(
            "target_layers holds a module, which copies of the network do not have; give its name, e.g. 'layer4'"
        )
    kind = method_class(method) if isinstance(method, str) else method
    classes = [int(target) for target in np.asarray(targets).reshape(-1)]
    maps = kind(model, target_layers)(torch.as_tensor(inputs), classes, **options)
    return maps[:, None]
