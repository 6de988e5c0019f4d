"""Split activations into a sum of concepts, and compute a network's outputs for a concept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pytorch_grad_cam.engine.maps import working_precision
from pytorch_grad_cam.engine.perturb import Channels
from pytorch_grad_cam.engine.replay import Replay
from pytorch_grad_cam.engine.trees import unflattened
from pytorch_grad_cam.feature_factorization.nmf import nmf


@dataclass(frozen=True)
class Concepts:
    """The concepts of several images, the strongest first, with their maps.

    The activations ``A(b, p)`` are about ``offset + sum_k maps(b, k, p) (vectors_k - offset)``.

    Attributes:
        vectors: ``(K, C)``: what the layer returns where a concept is at its strongest and alone.
        maps: ``(B, K, *s)`` in [0, 1]: where each concept is, at the layer's resolution. The largest value of a
            concept over all images is 1, so images can be compared.
        energy: ``(K,)``: how much of the activations each concept explains, as a share of all concepts'.
        error: what no concept explains: norm of the rest over norm of the activations, 0 to 1.
    """

    vectors: Tensor
    maps: Tensor
    energy: Tensor
    error: float


def factorize_activations(activations: Tensor, components: int, seed: int = 0) -> Concepts:
    """Factorise the activations of several images together, so that a concept is the same in all of them.

    Channels with negative values are shifted to begin at 0, and shifted back in ``vectors``; others are taken as they
    are. NaN and infinity count as 0.

    Args:
        activations: ``(B, C, *s)``, not changed.
        components: number of concepts ``K``, up to the number of channels and of positions.
        seed: see ``nmf``.

    Raises:
        ValueError: for a number of concepts that cannot be.
    """
    values = working_precision(activations.detach()).nan_to_num(0.0, 0.0, 0.0)
    batch, channels, *size = values.shape
    rows = values.transpose(0, 1).reshape(channels, -1)  # (C, B n)
    if not 1 <= components <= min(rows.shape):
        raise ValueError(
            f"{components} concepts were asked for, but {channels} channels at {rows.shape[1]} positions can have 1 to "
            f"{min(rows.shape)}; ask for fewer, or choose an earlier layer"
        )
    offset = rows.amin(1, keepdim=True).clamp_max(0)
    factors = nmf(rows - offset, components, seed=seed)
    maps = factors.right.reshape(components, batch, *size).transpose(0, 1).contiguous()
    return Concepts((factors.left + offset).T.contiguous(), maps, factors.energy, factors.error)


def outputs_for_concepts(
    model: nn.Module,
    layer: nn.Module,
    reshape_transform: Callable[[Any], Tensor] | None,
    image: Tensor,
    vectors: Tensor,
) -> Any:
    """Return what the network would return if the layer saw one concept, and nothing else, everywhere.

    Only what follows the layer runs. After the last convolution of a network that pools and ends in a linear layer,
    this is that linear layer applied to the concept's vector.

    Args:
        model: in evaluation mode, see ``restore.undisturbed``.
        layer: of the model.
        reshape_transform: from the layer's output to ``(1, C, *s)``, or None.
        image: ``(1, C, *S)``; what the layer does not decide (branches around it, class tokens) is taken from it.
        vectors: ``(K, C)``.

    Returns:
        The model's outputs for ``K`` images.
    """
    replay = Replay(model, layer, image)
    return replay(_UniformActivations(replay.activations, reshape_transform).with_vectors(vectors))


class _UniformActivations(Channels):
    """A layer's output for one image, with the same vector at every position."""

    def with_vectors(self, vectors: Tensor) -> Any:
        """Return the output once per vector ``(K, C)``."""
        values = vectors.to(self._flat)[:, :, None].expand(-1, -1, self._places.shape[1])  # (K, C, n)
        places = self._places.flatten().expand(len(vectors), -1)
        flat = self._flat.repeat(len(vectors), 1).scatter_(1, places, values.flatten(1))  # (K, N)
        return unflattened(self._output, flat)
