"""VanillaGradient."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from pytorch_grad_cam.bases.input_cam import InputCAM
from pytorch_grad_cam.bases.input_gradients import Attributions, input_gradients
from pytorch_grad_cam.core.call import Call


class VanillaGradient(InputCAM):
    """Highlights the input values that change the score most when they change a little.

    ``g = ds/dx``; ``L(p) = max_c |g_c(p)|``.

    Args:
        mode: "absolute" as above; "signed": ``L(p) = sum_c g_c(p)``, for inputs whose sign means something; shown in
            full by ``relu=False``.
        *args, **kwargs: as for ``BaseCAM``; layers and reshape_transform are ignored.

    Raises:
        ValueError: for another mode.

    Source: K. Simonyan, A. Vedaldi and A. Zisserman, 2013, "Deep Inside Convolutional Networks: Visualising Image
    Classification Models and Saliency Maps", arXiv:1312.6034, section 3.
    Note: ``attributions`` returns ``g``. Noisy for deep networks; SmoothGrad averages the noise away.
    """

    def __init__(self, *args: Any, mode: Literal["absolute", "signed"] = "absolute", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if mode not in ("absolute", "signed"):
            raise ValueError(f"mode={mode!r} is unknown; choose 'absolute' or 'signed'")
        self.mode = mode

    def attribute(self, call: Call) -> Attributions:
        return input_gradients(call, self.relu_rule)

    def combine_channels(self, values: Tensor) -> Tensor:
        return values.abs().amax(1) if self.mode == "absolute" else values.sum(1)
