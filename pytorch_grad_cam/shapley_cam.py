"""ShapleyCAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.maps import spatial_mean
from pytorch_grad_cam.engine.pass_record import PassRecord
from pytorch_grad_cam.engine.scoring import total
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in
from pytorch_grad_cam.targets.classification import ClassifierOutputReST, Target


class _SecondOrder(PassRecord):
    """A record whose gradients are those halfway to an empty layer: ``G - H A / 2``, each layer by itself."""

    def run(self, forward: Callable[[], Any], whole_graph: bool = False) -> Any:
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no second derivative
            return super().run(forward, whole_graph)

    def gradients_of(self, scores: Tensor, keep_graph: bool = False) -> list[Tensor | None]:
        outputs = [self._kept[layer] for layer in self.target_layers]
        leaves = {id(tensor): tensor for output in outputs for tensor in tensors_in(output) if tensor.requires_grad}
        self._grads = [None] * len(outputs)
        if not scores.requires_grad or not leaves:
            return [None] * len(outputs)
        with torch.enable_grad():
            grads = torch.autograd.grad(total(scores), list(leaves.values()), allow_unused=True, create_graph=True)
        by_leaf = {key: grad for key, grad in zip(leaves, grads, strict=True) if grad is not None}
        self._grads = [self._halfway(output, leaves, by_leaf) for output in outputs]
        return [None if halfway is None else self._reshaped(halfway) for halfway in self._grads]

    def _halfway(self, output: Any, leaves: dict[int, Tensor], grads: dict[int, Tensor]) -> Any:
        """Return what the layer's output would be with ``G - H A / 2`` in place of ``A``; None without gradients."""
        own = {id(tensor): grads[id(tensor)] for tensor in tensors_in(output) if id(tensor) in grads}
        if not own:
            return None
        products = self._hessian_products(leaves, own)

        def halfway(tensor: Tensor) -> Tensor:
            if id(tensor) not in own:
                return torch.zeros_like(tensor)
            grad, product = own[id(tensor)], products.get(id(tensor))
            result = grad if product is None else grad - product / 2
            return result.detach() if self.detach else result

        return map_tensors(output, halfway)

    def _hessian_products(self, leaves: dict[int, Tensor], grads: dict[int, Tensor]) -> dict[int, Tensor | None]:
        """Return ``H A`` of one layer by its leaves; empty where the score is linear in them: there ``H`` is 0."""
        curved = [key for key, grad in grads.items() if grad.requires_grad]
        if not curved:
            return {}
        products = torch.autograd.grad(
            [grads[key] for key in curved],
            [leaves[key] for key in grads],
            [leaves[key].detach() if self.detach else leaves[key] for key in curved],
            retain_graph=True,
            create_graph=not self.detach,
            allow_unused=True,
        )
        return dict(zip(grads, products, strict=True))


def _rest(category: int, scores: Tensor) -> Target:
    """Score a class as the paper does."""
    return ClassifierOutputReST(category)


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

    record_class = _SecondOrder
    class_target = staticmethod(_rest)

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        target_layer: nn.Module,
        targets: Sequence[Target],
        activations: Tensor,
        grads: Tensor,
    ) -> Tensor:
        return spatial_mean(grads)  # of G - H A / 2, see _SecondOrder
