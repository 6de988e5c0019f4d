"""BaseCAM: what every method offers. The way a map is made is in ``map_path.py``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ReshapeTransform
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.older_interface import OlderInterface
from pytorch_grad_cam.core.options import MapOptions, refuse_older_names
from pytorch_grad_cam.engine.image_model import Pick
from pytorch_grad_cam.engine.inputs import device_of
from pytorch_grad_cam.engine.layers import LayerSpec, resolve_layers
from pytorch_grad_cam.engine.relu_rules import Rule
from pytorch_grad_cam.targets.classification import Targets


class BaseCAM(OlderInterface):
    """A method of explanation: subclasses say how channels are weighted, everything else is here.

    Override ``get_cam_weights`` (weights ``(B, C)`` or ``(B, C, *S)``) or, where a map is not a weighted sum,
    ``get_cam_image``. An override defined outside this package receives NumPy arrays, unless its class sets
    ``tensors = True``.

    Args:
        model: the network. It is never changed: training flags, ``.grad``, hooks and parameters stay as they were.
        target_layers: a module, a dotted name, or a list of these; None takes the last layer with positions that
            matter, found on the first input by one extra forward pass, and logs it; see ``engine.choice``.
        reshape_transform: from a layer's output to ``(B, C, *S)``; None: found by shapes, see ``engine.layout``.
        compute_input_gradient: the input that overrides receive carries its gradient in ``.grad``.
        uses_gradients: replaces the class's own statement; for subclasses written elsewhere.
        tta_transforms: views for ``aug_smooth``: an iterable of objects with ``augment_image`` and
            ``deaugment_mask``, such as a ``ttach.Compose``; None for flips of the last axis times factors 0.9, 1, 1.1.
        detach: False: overrides receive activations and gradients that can be differentiated further.
        output: which part of the model's output is meant: an index, a key, an attribute or a callable; None: all of
            it. Class targets find ``logits``, ``out`` or the first tensor by themselves.
        relu_rule: how gradients pass ReLUs: "plain", or "guided" or "deconv" (see ``engine.relu_rules``).

    Raises:
        TypeError: for a model that is not a module, or for arguments of older interfaces that have a new name.
        ValueError: for layers that the model does not have.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: LayerSpec | Iterable[LayerSpec] | None = None,
        reshape_transform: ReshapeTransform | None = None,
        compute_input_gradient: bool = False,
        uses_gradients: bool | None = None,
        tta_transforms: Iterable[Any] | None = None,
        detach: bool = True,
        *,
        output: Pick | None = None,
        relu_rule: Rule = "plain",
        **older: Any,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
        if reshape_transform is not None and not callable(reshape_transform):
            raise TypeError(f"reshape_transform must be a callable or None, not {reshape_transform!r}")
        refuse_older_names(type(self), older)
        self.model = model
        self.target_layers = None if target_layers is None else resolve_layers(model, target_layers)
        self.reshape_transform = reshape_transform
        if uses_gradients is not None:
            self.uses_gradients = uses_gradients
        self.compute_input_gradient, self.detach = compute_input_gradient, detach
        self.tta_transforms = tta_transforms
        self.output, self.relu_rule = output, relu_rule
        self.outputs: Any = None

    if not TYPE_CHECKING:  # a checker would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            """Refuse a batch size without images, also one that is set later, for every method that has one."""
            if name == "batch_size" and isinstance(value, (int, float)) and not (isinstance(value, int) and value >= 1):
                raise ValueError(f"batch_size={value} is no number of images; give a whole number from 1 on")
            super().__setattr__(name, value)

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
        if options.get("differentiable"):
            raise ValueError("an array cannot be differentiated; call cam.explain(..., differentiable=True).maps")
        if type(self).forward is not OlderInterface.forward and not options:  # of a class written for grad-cam
            whole = self.forward_augmentation_smoothing if aug_smooth else self.forward
            return whole(input_tensor, targets, eigen_smooth)
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
            input_tensor: ``(B, C, *S)``; it is moved to the model's device and floating type, and never changed. A
                tuple, list or mapping holds several inputs of the model.
            targets: None (each image's top class), a class index, a callable from one image's output to a scalar, a
                list or tensor with one of these per image, or labels ``(B, M)``.
            aug_smooth: average over changed views of the input; the class is fixed on the unchanged input.
            eigen_smooth: first principal component of the weighted activations instead of their sum.
            **options:
                relu: keep only evidence for the target (default True); False gives signed maps.
                normalize: how each layer's map, and then their mean, is scaled: "minmax" to [0, 1] (default with
                relu), "max" by the largest absolute value (default without), "none": comparable between images.
                size: spatial size of the maps; default: the input's.
                allow_nonfinite: count NaN and infinity as 0 and say so in ``notes``, instead of raising.
                against: explain what speaks against the target.
                contrast: two classes; explain what speaks for the first rather than the second. Signed by default.
                differentiable: the maps carry a graph down to the input and the parameters (gradient methods).
                forward_kwargs: further keyword arguments of the model.
                image: index or name of the input, of several, that the map is drawn for; default: the first that
                    can be a picture.

        Raises:
            TypeError, ValueError, IndexError: for inputs, targets or options that cannot be; the message says why.
            RuntimeError: if a target layer does not run, or runs in inference mode.
        """
        return self._explain(input_tensor, targets, aug_smooth, eigen_smooth, **options)

    def explain_each(
        self,
        input_tensor: Tensor,
        targets: Sequence[Targets] | None = None,
        *,
        eigen_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        """Explain several targets of every image, gradient methods from one forward pass.

        Args:
            input_tensor: as for ``explain``.
            targets: ``K`` times what ``explain`` takes; None: all classes.
            eigen_smooth, **options: as for ``explain``.

        Returns:
            As ``explain``, with an axis of length ``K`` after the first: maps ``(B, K, *S)``, scores ``(B, K)``.

        Raises:
            TypeError: if the targets are no sequence, or ``aug_smooth`` is asked for; else as ``explain``.
        """
        if "aug_smooth" in options:
            raise TypeError("explain_each has no aug_smooth; call cam.explain(..., aug_smooth=True) for each target")
        if targets is not None and (isinstance(targets, str) or not isinstance(targets, Sequence)):
            raise TypeError(
                f"explain_each takes a sequence of targets, not {targets!r}; give e.g. [{targets!r}], or None for all "
                "classes"
            )
        return self._explain(input_tensor, targets, False, eigen_smooth, each=True, **options)
