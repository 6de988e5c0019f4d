"""ShapleyCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.core.forward_pass import Pass, Trace
from pytorch_grad_cam.engine.maps import spatial_mean
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in
from pytorch_grad_cam.targets.class_targets import ClassTarget, class_targets
from pytorch_grad_cam.targets.classification import ClassifierOutputReST, Target, Targets
from pytorch_grad_cam.targets.spec import Turned


class _ReST(ClassTarget):
    """A class by the score of the paper."""

    def score(self, scores: Tensor, category: int) -> Tensor:
        return ClassifierOutputReST(category)(scores)


class _PassForClasses(Pass):
    """A pass that is asked about classes by the score of the paper."""

    def ask(self, targets: Targets | Turned, again: bool = False) -> Trace:
        return super().ask(class_targets(targets, len(self.inputs), _ReST), again)


class _SecondOrder(ActivationsAndGradients):
    """A record whose gradients are those halfway to an empty layer: ``G - H A / 2``, each layer by itself."""

    def run(self, forward: Callable[[], Any], whole_graph: bool = False) -> Any:
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no second derivative
            return super().run(forward, whole_graph)

    def gradients_of(self, scores: Tensor, keep_graph: bool = False) -> list[Tensor | None]:
        outputs = [self._kept[layer] for layer in self.target_layers]
        leaves = {id(tensor): tensor for output in outputs for tensor in tensors_in(output) if tensor.requires_grad}
        self._found = [None] * len(outputs)
        if not scores.requires_grad or not leaves:
            return [None] * len(outputs)
        with torch.enable_grad():
            each = torch.autograd.grad(
                scores, list(leaves.values()), torch.ones_like(scores), allow_unused=True, create_graph=True
            )
        grads = {key: grad for key, grad in zip(leaves, each, strict=True) if grad is not None}
        self._found = [self._halfway(output, leaves, grads) for output in outputs]
        return [None if found is None else self._reshaped(found) for found in self._found]

    def _halfway(self, output: Any, leaves: dict[int, Tensor], grads: dict[int, Tensor]) -> Any:
        """Return what the layer's output would be with ``G - H A / 2`` in place of ``A``; None without gradients."""
        own = {id(tensor): grads[id(tensor)] for tensor in tensors_in(output) if id(tensor) in grads}
        if not own:
            return None
        curved = [key for key, grad in own.items() if grad.requires_grad]  # elsewhere the score is linear: H = 0
        products: dict[int, Tensor | None] = {}
        if curved:
            found = torch.autograd.grad(
                [own[key] for key in curved],
                [leaves[key] for key in own],
                [leaves[key].detach() if self.detach else leaves[key] for key in curved],
                retain_graph=True,
                create_graph=not self.detach,
                allow_unused=True,
            )
            products = dict(zip(own, found, strict=True))

        def halfway(tensor: Tensor) -> Tensor:
            if id(tensor) not in own:
                return torch.zeros_like(tensor)
            grad, product = own[id(tensor)], products.get(id(tensor))
            found = grad if product is None else grad - product / 2
            return found.detach() if self.detach else found

        return map_tensors(output, halfway)


class ShapleyCAM(BaseCAM):
    """Highlights active channels by what they contribute up to the second order: GradCAM that sees saturation.

    ``w_k = mean_p (G - H A / 2)_k(p)`` with ``H`` the Hessian of the score in the activations;
    ``L = relu(sum_k w_k A_k)``. ``A (G - H A / 2)`` is the Shapley value of the score's second-order expansion.

    Args:
        model, target_layers, reshape_transform: as for ``BaseCAM``.

    Source: H. Cai, 2025, "CAMs as Shapley Value-based Explainers", arXiv:2501.06261.
    Note: a class (None, int) is explained by the paper's score, ``y_c + log softmax(y)_c``; a callable as it is. For a
    logit of a network that is piecewise linear behind the layer ``H`` is 0 and the map is that of GradCAM. Only what
    follows the layer is differentiated twice; ``Explanation.weights`` holds ``w``.
    """

    _record_kind = _SecondOrder
    _pass_kind = _PassForClasses

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return spatial_mean(grads)  # of G - H A / 2, see _SecondOrder
