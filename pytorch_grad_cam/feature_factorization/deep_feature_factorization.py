"""Deep Feature Factorization: the concepts that a layer tells apart in a set of pictures, whatever the class.

Source: E. Collins, R. Achanta, S. Susstrunk, 2018, "Deep Feature Factorization For Concept Discovery",
    arXiv:1806.10206.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pytorch_grad_cam.engine import maps
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.inputs import checked_input, fixed_batch, for_trial, run_in_batches
from pytorch_grad_cam.engine.layers import LayerSpec, resolve_layers
from pytorch_grad_cam.engine.layout import InferredReshapeTransform
from pytorch_grad_cam.engine.pass_record import PassRecord, ReshapeTransform
from pytorch_grad_cam.engine.restore import evaluating, giving_back, undisturbed
from pytorch_grad_cam.feature_factorization.decomposition import Concepts, factorize_activations, outputs_for_concepts


def dff(
    activations: Any, n_components: int = 5, *, seed: int = 0
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Factorise activations into concepts.

    Args:
        activations: ``(B, C, *s)``, array or tensor; it is not changed.
        n_components: number of concepts ``K``.
        seed: see ``nmf``.

    Returns:
        The concepts ``(C, K)`` and where they are, ``(B, K, *s)`` in [0, 1]; see `Concepts`. The strongest concept
        comes first.
    """
    concepts = factorize_activations(torch.as_tensor(activations), n_components, seed)
    return concepts.vectors.T.cpu().numpy(), concepts.maps.cpu().numpy()


class DeepFeatureFactorization:
    """Splits what a layer returns for a batch of images into concepts, and shows where each of them is.

    ``A ~ W H`` with ``W, H >= 0``: a column of ``W`` is a concept, a row of ``H`` its map over all images.

    Args:
        model: the network; it is never changed.
        target_layer: a module or its dotted name; None takes the last layer with spatial output.
        reshape_transform: from the layer's output to ``(B, C, *s)``; None if it is that already.
        computation_on_concepts: applied to the concepts ``(K, C)``, usually the network's last linear layer: tells
            which class a concept speaks for.
        seed: see ``nmf``.

    Note:
        A map is relative to the concept's strongest place in all images, where grad-cam stretches every map of every
        image: a concept that is absent from an image stays dark there.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layer: LayerSpec | None = None,
        reshape_transform: ReshapeTransform | None = None,
        computation_on_concepts: Callable[[Tensor], Tensor] | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.target_layer = None if target_layer is None else resolve_layers(model, [target_layer])[0]
        self.reshape_transform = reshape_transform
        self.computation_on_concepts = computation_on_concepts
        self.seed = seed
        self.batch_size = 32  # images per forward pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Do nothing: hooks exist only during a call. Kept for code that was written to release them."""

    def __call__(self, input_tensor: Tensor, n_components: int = 16) -> tuple[Any, ...]:
        """Find the concepts of a batch.

        Args:
            input_tensor: ``(B, C, *S)``.
            n_components: number of concepts ``K``.

        Returns:
            The concepts ``(C, K)``; per image their maps, float32 ``(K, *S)`` in [0, 1]; and, if there is a
            ``computation_on_concepts``, what it returned, as an array ``(K, ...)``.
        """
        concepts = self.concepts(input_tensor, n_components)
        size = input_tensor.shape[2:]
        explanations = [maps.resize(part.float(), size).clamp(0, 1).cpu().numpy() for part in concepts.maps]
        vectors: NDArray[np.floating[Any]] = concepts.vectors.T.cpu().numpy()
        if self.computation_on_concepts is None:
            return vectors, explanations
        return vectors, explanations, self._apply_computation(concepts.vectors)

    @giving_back
    def concepts(self, input_tensor: Tensor, n_components: int = 16) -> Concepts:
        """Find the concepts of a batch, as tensors, with the maps at the layer's resolution.

        Raises:
            TypeError, ValueError: for inputs or layers that cannot be; the message says why.
        """
        inputs = checked_input(self.model, input_tensor, False)
        with undisturbed(self.model, inputs.device):
            layer = self._layer(inputs)
            record = PassRecord(self.model, [layer], self._layout(inputs, layer), gradients=False)

            def activations_of(images: Tensor) -> Tensor:
                record.run(partial(self.model, images))
                return record.activations[0]

            size = fixed_batch(self.model)
            if size is None:
                chunks = inputs.split(self.batch_size)  # type: ignore[no-untyped-call]
                activations = torch.cat([activations_of(images) for images in chunks])
            else:
                activations = run_in_batches(lambda rows: activations_of(inputs[rows]), len(inputs), size)
            if activations.ndim != inputs.ndim or len(activations) != len(inputs):
                raise ValueError(
                    f"the layer gives {tuple(activations.shape)}, not (B, C, *S) with B = {len(inputs)} and "
                    f"{inputs.ndim - 2} spatial axes; choose another layer, or give a reshape_transform"
                )
            return factorize_activations(activations, n_components, self.seed)

    @giving_back
    def outputs(self, input_tensor: Tensor, vectors: Tensor) -> Any:
        """Return the network's outputs for concepts ``(K, C)``: as for ``K`` images that show nothing else.

        What does not pass through the layer (branches around it, class tokens) is taken from the first image.
        """
        inputs = checked_input(self.model, input_tensor[:1], False)
        with undisturbed(self.model, inputs.device):
            layer = self._layer(inputs)
            return outputs_for_concepts(self.model, layer, self._layout(inputs, layer), inputs, vectors)

    def _layer(self, inputs: Tensor) -> nn.Module:
        if self.target_layer is None:
            image = for_trial(self.model, inputs[:1])
            self.target_layer = automatic_layer(self.model, lambda: self.model(image), image).module
        return self.target_layer

    def _layout(self, inputs: Tensor, layer: nn.Module) -> ReshapeTransform:
        return self.reshape_transform or InferredReshapeTransform(self.model, inputs, [layer])

    @giving_back
    def _apply_computation(self, vectors: Tensor) -> NDArray[Any]:
        compute = self.computation_on_concepts
        assert compute is not None
        head = compute if isinstance(compute, nn.Module) else self.model
        weight = next((parameter for parameter in head.parameters() if parameter.is_floating_point()), vectors)
        with undisturbed(self.model, vectors.device), evaluating(head.modules()):
            outputs = compute(vectors.to(weight))
        result: NDArray[Any] = outputs.detach().float().cpu().numpy()
        return result


def run_dff_on_image(
    model: nn.Module,
    target_layer: LayerSpec,
    classifier: Callable[[Tensor], Tensor] | None,
    img_pil: Any,
    img_tensor: Tensor,
    reshape_transform: ReshapeTransform | None = None,
    n_components: int = 5,
    top_k: int = 2,
    *,
    labels: Mapping[int, str] | Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Draw the concepts of one picture, with the classes that they speak for.

    Args:
        model: the network.
        target_layer: a module or its dotted name.
        classifier: from concepts ``(K, C)`` to logits ``(K, classes)``; None asks the network itself.
        img_pil: the picture, of any kind that `show_cam_on_image` takes.
        img_tensor: the same, as the network takes it: ``(C, H, W)``.
        reshape_transform: from the layer's output to ``(B, C, h, w)``; None if it is that already.
        n_components: number of concepts ``K``.
        top_k: classes that are named per concept.
        labels: class names, by index; None takes ``model.config.id2label`` if there is one, else numbers.

    Returns:
        uint8 RGB: the picture, the picture with the concepts, and the legend, side by side.
    """
    from pytorch_grad_cam.data.pixels import unit_picture
    from pytorch_grad_cam.utils import image as drawing  # code for grad-cam patches its functions there

    factorization = DeepFeatureFactorization(model, target_layer, reshape_transform, classifier)
    concepts = factorization.concepts(img_tensor[None], n_components)
    if classifier is None:
        logits = torch.as_tensor(factorization.outputs(img_tensor[None], concepts.vectors)).float().cpu()
    else:
        logits = torch.from_numpy(factorization._apply_computation(concepts.vectors))
    if labels is None:
        labels = getattr(getattr(model, "config", None), "id2label", None) or [str(n) for n in range(logits.shape[1])]
    legend = drawing.create_labels_legend(torch.softmax(logits, 1), labels, top_k)
    picture = unit_picture(img_pil)
    drawn = drawing.show_factorization_on_image(picture, concepts.maps[0], image_weight=0.3, concept_labels=legend)
    return np.hstack([np.round(255 * picture).astype(np.uint8), drawn])
