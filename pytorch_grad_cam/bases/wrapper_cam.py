"""The base of methods that are made of another method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.call import MapOptions
from pytorch_grad_cam.targets.classification import Targets


class WrapperCAM(BaseCAM):
    """A method built on another one: subclasses change what the base is asked, or what is made of its maps.

    A subclass overrides ``explain_call`` and asks the base by ``self.base_cam.explain_call(call)``, about the same call
    or one with other images, options or targets.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.
        base_method: the class of the method that is asked.
        **kwargs: handed to the base.

    Attributes:
        base_cam: the method that is asked.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any,
        reshape_transform: Any,
        base_method: Callable[..., BaseCAM],
        **kwargs: Any,
    ) -> None:
        self.base_cam = base = base_method(model, target_layers, reshape_transform, **kwargs)
        super().__init__(
            base.model,
            None,
            reshape_transform,
            base.compute_input_gradient,
            base.uses_gradients,
            base.tta_transforms,
            base.detach,
            output=base.output,
            relu_rule=base.relu_rule,
            keep_mode=base.keep_mode,
            categories=base.categories,
        )
        self.target_layers, self.layer_choice = base.target_layers, base.layer_choice
        self.uses_targets, self.uses_layers = base.uses_targets, base.uses_layers
        self.tells_classes = base.tells_classes

    def __call__(  # type: ignore[override]  # the package grad-cam takes no aug_smooth here, so its order differs
        self,
        input_tensor: Tensor,
        targets: Targets = None,
        eigen_smooth: bool = False,
        *,
        aug_smooth: bool = False,
        **options: Unpack[MapOptions],
    ) -> NDArray[np.float32]:
        """Explain a batch of images; ``BaseCAM.explain`` says what the arguments mean."""
        return super().__call__(input_tensor, targets, aug_smooth, eigen_smooth, **options)

    def forward(self, input_tensor: Tensor, targets: Targets = None, eigen_smooth: bool = False) -> NDArray[np.float32]:
        """Do the same as a call."""
        return super().forward(input_tensor, targets, eigen_smooth)
