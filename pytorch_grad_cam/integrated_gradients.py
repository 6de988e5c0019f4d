"""IntegratedGradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor, nn

from pytorch_grad_cam.bases.input_cam import InputCAM, at_least
from pytorch_grad_cam.bases.input_gradients import Attributions, input_gradients
from pytorch_grad_cam.common.messages import INCOMPLETE, Note
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.forward_pass import score_targets
from pytorch_grad_cam.engine.chunks import Chunks, chunks_of
from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.scoring import Progress, progress_bar, scores_of
from pytorch_grad_cam.engine.trees import detached
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.spec import TargetSpec

# A gap of this share of the score difference is worth a note; below it what is missing is rounding.
GAP = 0.01


class IntegratedGradients(InputCAM):
    """Highlights the input values that account for the score's difference from that of a baseline image.

    ``IG = (x - x') * integral_0^1 ds/dx (x' + a (x - x')) da``; ``L(p) = relu(sum_c IG_c(p))``.

    Args:
        model, target_layers, reshape_transform: as for ``InputCAM``.
        baseline: ``x'``, in the network's units: a number, or a tensor that broadcasts against ``(B, C, *S)``. It
            stands for "nothing there" and decides what can be seen: what looks like the baseline gets no credit. 0 is
            the mean colour for a network whose inputs are normalised, not black.
        steps: number of points on the way, by Gauss-Legendre quadrature: exact where the gradient along the way is a
            polynomial of degree ``2 steps - 1`` or less; at the kinks of ReLUs the error falls as ``1 / steps``.
        batch_size: points per forward and backward pass, at most; None (default): as for ``ScoreCAM``.
        progress: show a bar on stderr; or a function, called with the steps done and all.
        **kwargs: as for ``BaseCAM``.

    Raises:
        ValueError: for a baseline that does not fit the input, or fewer than one step.

    Source: M. Sundararajan, A. Taly and Q. Yan, 2017, "Axiomatic Attribution for Deep Networks", arXiv:1703.01365.
    Note: ``attributions`` returns ``IG``. Its sum is ``s(x) - s(x')`` (completeness); where it misses that by more than
    1 %, ``Explanation.notes`` says by how much.
    """

    why_zero = f"the input equals the baseline, or {InputCAM.why_zero}"

    def __init__(
        self,
        model: nn.Module,
        target_layers: Any = None,
        reshape_transform: Any = None,
        *,
        baseline: Tensor | float = 0.0,
        steps: int = 50,
        batch_size: int | None = None,
        progress: Progress = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, target_layers, reshape_transform, **kwargs)
        at_least(steps=(steps, 1))
        self.baseline, self.steps, self.batch_size, self.progress = baseline, steps, batch_size, progress

    def attribute(self, call: Call) -> Attributions:
        inputs = call.inputs
        baselines = self._baselines(inputs)
        outputs = call.run(inputs)
        targets, scores = score_targets(outputs, call.spec, len(inputs))
        before = scores_of(call.run(baselines), targets)
        with progress_bar(len(inputs) * self.steps, "IntegratedGradients", self.progress) as advance:
            chunks = chunks_of(self.batch_size, inputs[0], with_graph=True)
            integrals = [
                self._integral(
                    call.replace(run=call.run.of_row(row)), inputs[row], baselines[row], target, chunks, advance
                )
                for row, target in enumerate(targets)
            ]
        values = torch.stack(integrals)  # (B, C, *S)
        notes = _gaps(working_precision(scores) - working_precision(before), values.flatten(1).sum(1))
        return Attributions(values, detached(outputs), targets, scores.detach(), notes)

    def _baselines(self, inputs: Tensor) -> Tensor:
        """Return one baseline per image, ``(B, C, *S)``."""
        baseline = torch.as_tensor(self.baseline, device=inputs.device).detach().to(inputs)
        try:
            return baseline.expand(inputs.shape)
        except RuntimeError as error:
            raise ValueError(
                f"the baseline {tuple(baseline.shape)} does not fit the input {tuple(inputs.shape)}; give a number, or "
                "a tensor (C, *S) or (B, C, *S)"
            ) from error

    def _integral(
        self,
        call: Call,
        image: Tensor,
        baseline: Tensor,
        target: Target,
        chunks: Chunks,
        advance: Callable[[int], None],
    ) -> Tensor:
        """Sum up the gradients on the straight way from the baseline ``(C, *S)`` to the image."""
        start, way = working_precision(baseline), working_precision(image) - working_precision(baseline)
        places, shares = (torch.from_numpy(numbers).to(way) / 2 for numbers in leggauss(self.steps))
        column = (-1, *[1] * image.ndim)

        def gradients(chunk: slice) -> Tensor:
            points = start + (places[chunk] + 0.5).reshape(column) * way  # (n, C, *S); the nodes are those of [-1, 1]
            asked = TargetSpec([target] * len(points))
            return input_gradients(call.replace(inputs=points.to(image.dtype)).asking(asked), self.relu_rule).values

        total = torch.zeros_like(way)
        for chunk, found in chunks(self.steps, gradients):
            total += (shares[chunk].reshape(column) * found).sum(0)
            advance(len(found))
        return way * total


def _gaps(wanted: Tensor, reached: Tensor) -> tuple[tuple[Note, ...], ...]:
    """Say where the attributions do not sum to the score difference."""
    reached = reached.to(wanted.device)  # the outputs and the input may lie on different devices
    gap = ((wanted - reached) / torch.maximum(wanted.abs(), reached.abs())).abs()
    return tuple(
        (Note(INCOMPLETE, f"the attributions miss {share:.0%} of the difference in score; more steps come closer"),)
        if share > GAP
        else ()
        for share in gap.tolist()
    )
