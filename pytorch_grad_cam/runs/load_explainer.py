"""From the name of a network, or a network, to an `Explainer` in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.targets.spec import Contrast


def load_explainer(
    model: str | nn.Module | LoadedModel = "resnet50",
    methods: str | Sequence[str] = "gradcam",
    *,
    classes: int | str | Sequence[int | str] = (),
    contrast: Contrast = None,
    against: bool = False,
    layers: Any = None,
    weights: str | None = None,
    device: str | torch.device | None = None,
    preprocessing: Preprocessing | None = None,
    categories: Sequence[str] | None = None,
    scores: str | None = None,
    batch_size: int | None = None,
    dtype: str = "float32",
    channels_last: bool = False,
    eigen_smooth: bool = False,
    **settings: Any,
) -> Explainer:
    """Make an `Explainer`: from a network's name and a file's name to a picture in two lines.

    Args:
        model: a name, as for ``models.load_model`` ("resnet50", "timm/...", "hf/...", "net.pt2"); a network of your
            own, which is used as it is, with its ``preprocessing``; or a `LoadedModel`.
        methods: names of methods: "gradcam", "hirescam" ...
        classes: what is explained, indices or names, or "top-3"; none: each picture's top class.
        contrast: two classes, in their place: what speaks for the first rather than the second; or "rest": for a class
            rather than for all others.
        against: explain what speaks against the class.
        layers: target layers, modules or dotted names; None: the automatic choice.
        weights: of a network that is loaded by name.
        device: where a network that is loaded by name goes; a network of your own stays where it is.
        preprocessing: of a network of your own; None: resized to 256, cropped to 224, normalised as for ImageNet.
        categories: names of the classes; None: those that come with the network.
        scores: what the network's numbers are, see ``targets.score_kinds``; None: it is found out.
        batch_size, dtype, channels_last, eigen_smooth: see `ExplainerOptions`.
        **settings: attributes of the methods, such as ``num_samples=50`` or ``seed=1``.

    Raises:
        ValueError: for options that cannot be; later, when the network is loaded, for what it does not have.
    """
    options = ExplainerOptions(
        methods=(methods,) if isinstance(methods, str) else tuple(methods),
        classes=(classes,) if isinstance(classes, (int, str)) else tuple(classes),
        contrast=contrast,
        against=against,
        layers=None if layers is None else tuple(layers) if isinstance(layers, (list, tuple)) else (layers,),
        scores=scores,
        batch_size=batch_size,
        dtype=dtype,
        channels_last=channels_last,
        eigen_smooth=eigen_smooth,
        settings=settings,
    )
    return Explainer(partial(_loaded, model, weights, device, preprocessing, categories), options)


def _loaded(
    model: str | nn.Module | LoadedModel,
    weights: str | None,
    device: str | torch.device | None,
    preprocessing: Preprocessing | None,
    categories: Sequence[str] | None,
) -> LoadedModel:
    """Load a network by name, or put one together with what is known of it."""
    if isinstance(model, str):
        loaded = load_model(model, weights, device)
    elif weights is not None or device is not None:
        raise ValueError("weights and device are for networks that are loaded by name; this one is used as it is")
    else:
        loaded = (
            model
            if isinstance(model, LoadedModel)
            else LoadedModel(model, Preprocessing(), source=type(model).__name__)
        )
    changes: dict[str, Any] = {} if preprocessing is None else {"preprocessing": preprocessing}
    changes |= {} if categories is None else {"categories": tuple(categories)}
    return replace(loaded, **changes)
