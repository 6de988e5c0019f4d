"""The path of every map: trace, weights, map, resize, aggregate, Explanation.

Symbols used in all method docstrings: ``A_k(p)`` activation of channel ``k`` at position ``p`` of the target layer
``(B, C, *S)``; ``s`` the score that is explained; ``G = ds/dA``; ``w_k`` the weight of a channel; ``L(p)`` the map at
the layer's resolution; ``n`` the number of positions; ``S_k = sum_p A_k(p)``.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ReshapeTransform
from pytorch_grad_cam.engine import augment, diagnosis, maps
from pytorch_grad_cam.engine.inputs import checked_input, device_of
from pytorch_grad_cam.engine.layers import LayerSpec, last_spatial_layer, resolve_layers
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.explanation import Explanation
from pytorch_grad_cam.options import How, MapOptions, refuse_older_names
from pytorch_grad_cam.trace import TracedLayer, trace
from pytorch_grad_cam.utils.model_targets import Target, Targets, category_of

log = logging.getLogger(__name__)


class BaseCAM:
    """A method of explanation: subclasses say how channels are weighted, everything else is here.

    Override ``get_cam_weights`` (weights ``(B, C)`` or ``(B, C, *S)``) or, where a map is not a weighted sum,
    ``get_cam_image``. An override defined outside this package receives NumPy arrays, unless its class sets
    ``tensors = True``.

    Args:
        model: the network. It is never changed: training flags, ``.grad``, hooks and parameters stay as they were.
        target_layers: a module, a dotted name, or a list of these; None takes the last layer with spatial output,
            found on the first input by one extra forward pass, and logs it.
        reshape_transform: from a layer's output to ``(B, C, *S)``; None if it is that already.
        uses_gradients: replaces the class's own statement; for subclasses written elsewhere.
        tta_transforms: views for ``aug_smooth``: an iterable of objects with ``augment_image`` and
            ``deaugment_mask``, such as a ``ttach.Compose``; None for flips of the last axis times factors 0.9, 1, 1.1.

    Raises:
        TypeError: for a model that is not a module, or for arguments of older interfaces that have a new name.
        ValueError: for layers that the model does not have.
    """

    uses_gradients: bool = True  # whether get_cam_weights needs grads
    uses_targets: bool = True  # whether the map depends on what is asked for
    uses_layers: bool = True  # whether target_layers and reshape_transform matter
    tensors: bool = False  # whether overrides written elsewhere take tensors instead of arrays

    def __init__(
        self,
        model: nn.Module,
        target_layers: LayerSpec | Iterable[LayerSpec] | None = None,
        reshape_transform: ReshapeTransform | None = None,
        *,
        uses_gradients: bool | None = None,
        tta_transforms: Iterable[Any] | None = None,
        **older: Any,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
        if reshape_transform is not None and not callable(reshape_transform):
            raise TypeError(f"reshape_transform must be a callable or None, not {reshape_transform!r}")
        refuse_older_names(type(self).__name__, older)
        self.model = model
        self.target_layers = None if target_layers is None else resolve_layers(model, target_layers)
        self.reshape_transform = reshape_transform
        if uses_gradients is not None:
            self.uses_gradients = uses_gradients
        self.tta_transforms = tta_transforms
        self.outputs: Any = None

    @property
    def device(self) -> torch.device:
        """Where the model is, and with it the maps of ``explain``."""
        return device_of(self.model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Do nothing: hooks exist only during a call. Kept for code that was written to release them."""

    def __call__(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> NDArray[np.float32]:
        """Explain a batch of images; ``explain`` says what the arguments mean.

        Returns:
            float32 ``(B, *S)``, in [0, 1] unless the options ask for something else.
        """
        return self._explain(input_tensor, targets, aug_smooth, eigen_smooth, **options).numpy()

    def explain(
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        *,
        aug_smooth: bool = False,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        """Find out which parts of each image speak for its target.

        Args:
            input_tensor: ``(B, C, *S)``; it is moved to the model's device and floating type, and never changed.
            targets: None (each image's top class), a class index, a callable from one image's output to a scalar, or
                a list or tensor with one of these per image.
            aug_smooth: average over changed views of the input; the class is fixed on the unchanged input.
            eigen_smooth: first principal component of the weighted activations instead of their sum.
            **options:
                relu: keep only evidence for the target (default True); False gives signed maps.
                normalize: how each layer's map, and then their mean, is scaled: "minmax" to [0, 1] (default with
                relu), "max" by the largest absolute value (default without), "none": comparable between images.
                size: spatial size of the maps; default: the input's.
                allow_nonfinite: count NaN and infinity as 0 and say so in ``notes``, instead of raising.

        Raises:
            TypeError, ValueError, IndexError: for inputs, targets or options that cannot be; the message says why.
            RuntimeError: if a target layer does not run, or runs in inference mode.
        """
        return self._explain(input_tensor, targets, aug_smooth, eigen_smooth, **options)

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        """Weigh the channels: the one thing a method has to say.

        Args:
            input_tensor: the input, ``(B, C, *S)``.
            target_layer: the layer that is explained.
            targets: one callable per image.
            activations: of the layer, ``(B, C, *s)``, at least float32.
            grads: of the scores by the activations, same shape; None for a method that takes none.

        Returns:
            ``(B, C)`` or ``(B, C, *s)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must override get_cam_weights or get_cam_image")

    def get_cam_image(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
        eigen_smooth: bool = False,
    ) -> Tensor:
        """Make the map of one layer, signed and at its resolution: the weighted sum of its channels.

        Returns:
            ``(B, *s)``.
        """
        weights = self._ask(self.get_cam_weights, input_tensor, target_layer, targets, activations, grads)
        return maps.combined(weights, activations, eigen_smooth)

    def _explain(
        self,
        input_tensor: Tensor,
        targets: Targets,
        aug_smooth: bool,
        eigen_smooth: bool,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        inputs = checked_input(self.model, input_tensor, options.get("allow_nonfinite", False))
        how = How.checked(inputs, eigen_smooth, **options)
        if targets is not None and not self.uses_targets:
            log.info("%s shows what stands out whatever the target; targets are ignored", type(self).__name__)
        with undisturbed(self.model, inputs.device):
            if self.target_layers is None:
                chosen = last_spatial_layer(self.model, lambda: self.model(inputs), inputs)
                log.info("target layer chosen: %s", chosen.name)
                self.target_layers = [chosen.module]
            if aug_smooth:
                explanation = self._explain_views(inputs, targets, how)
            else:
                explanation, _ = self._explain_view(inputs, targets, how)
        self.outputs = explanation.outputs
        self._warn(explanation.notes)
        return explanation

    def _explain_views(self, inputs: Tensor, targets: Targets, how: How) -> Explanation:
        """Average the maps of several views, each turned back. The clean input decides what is explained."""
        size, how = how.size, dataclasses.replace(how, size=tuple(inputs.shape[2:]))
        clean, fixed = self._explain_view(inputs, targets, how)
        found = []
        for view in augment.views_of(self.tta_transforms):
            changed = view.change(inputs)
            seen = clean
            if not torch.equal(changed, inputs):
                turned = dataclasses.replace(how, size=tuple(changed.shape[2:]))
                seen, _ = self._explain_view(changed, fixed, turned, view.undo)
            found.append(view.undo(seen.maps[:, None])[:, 0])  # (B, *S)
        return dataclasses.replace(clean, maps=maps.resize(torch.stack(found).mean(0), size))

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        """Explain one batch as it is; ``undo`` turns a dense output back to where the targets expect its pixels."""
        traced = trace(
            self.model,
            self.target_layers or [],
            self.reshape_transform,
            inputs,
            targets,
            uses_targets=self.uses_targets,
            uses_gradients=self.uses_gradients,
            undo=undo,
            allow_nonfinite=how.allow_nonfinite,
        )
        found = [self._layer_map(inputs, traced.targets, layer, how.eigen_smooth) for layer in traced.layers]
        raws = tuple(raw for _, raw in found)
        notes = [
            diagnosis.notes_on(
                layer.name,
                raw,
                layer.grads,
                layer.why_zero,
                layer.nonfinite,
                how.relu,
                None
                if weights is None or how.eigen_smooth
                else maps.channel_sum(weights.abs(), layer.activations.abs()),
            )
            for layer, (weights, raw) in zip(traced.layers, found, strict=True)
        ]
        explanation = Explanation(
            maps=how.finish(raws),
            raw=raws,
            weights=tuple(weights for weights, _ in found),
            outputs=traced.outputs,
            scores=traced.scores,
            classes=tuple(map(category_of, traced.targets)) if self.uses_targets else (None,) * len(inputs),
            layers=tuple(layer.name for layer in traced.layers),
            notes=tuple(sum(each, ()) for each in zip(*notes, strict=True)),
        )
        return explanation, traced.targets

    def _layer_map(
        self, inputs: Tensor, targets: list[Target], layer: TracedLayer, eigen_smooth: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the weights (None where a method makes its map without) and the map of one layer."""
        given = (inputs, layer.module, targets, layer.activations, layer.grads)
        if type(self).get_cam_image is not BaseCAM.get_cam_image:
            return None, self._ask(self.get_cam_image, *given, eigen_smooth)
        weights = self._ask(self.get_cam_weights, *given)
        return weights, maps.combined(weights, layer.activations, eigen_smooth)

    def _ask(self, method: Callable[..., Any], *given: Any) -> Tensor:
        """Call an override with what its author expects: tensors in this package, arrays outside of it."""
        activations = given[3]
        if not (self.tensors or method.__module__.partition(".")[0] == __name__.partition(".")[0]):
            given = tuple(
                item.cpu().numpy() if isinstance(item, Tensor) and index > 0 else item
                for index, item in enumerate(given)
            )
        return torch.as_tensor(method(*given), dtype=activations.dtype, device=activations.device)

    def _warn(self, notes: Sequence[tuple[str, ...]]) -> None:
        """Say once per call which maps mean nothing."""
        said = [f"image {index}: {'; '.join(each)}" for index, each in enumerate(notes) if each]
        if said:
            more = f" (and {len(said) - 3} more, see Explanation.notes)" if len(said) > 3 else ""
            message = f"{type(self).__name__}: not every map means something. {'. '.join(said[:3])}{more}"
            warnings.warn(message, UserWarning, stacklevel=4)
