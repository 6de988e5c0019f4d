"""The path of every map: pass, weights, map, resize, aggregate, Explanation.

Symbols used in all method docstrings: ``A_k(p)`` activation of channel ``k`` at position ``p`` of the target layer
``(B, C, *S)``; ``s`` the score that is explained; ``G = ds/dA``; ``w_k`` the weight of a channel; ``L(p)`` the map at
the layer's resolution; ``n`` the number of positions; ``S_k = sum_p A_k(p)``.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients, ReshapeTransform
from pytorch_grad_cam.common.errors import MeaninglessMapWarning
from pytorch_grad_cam.common.notes import Note
from pytorch_grad_cam.core.batches import explained
from pytorch_grad_cam.core.explanation import Explanation, stacked
from pytorch_grad_cam.core.forward_pass import Pass, Trace, TracedLayer, refuse_unread
from pytorch_grad_cam.core.options import How, MapOptions
from pytorch_grad_cam.engine import augment, diagnosis, maps
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.fixed_batch import fixed_batch
from pytorch_grad_cam.engine.image_model import Network, Pick, door
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.layout import InferredReshapeTransform
from pytorch_grad_cam.engine.relu_rules import Rule
from pytorch_grad_cam.engine.restore import uncompiled, undisturbed
from pytorch_grad_cam.targets.classification import Target, Targets, category_of
from pytorch_grad_cam.targets.spec import Turned, class_count

log = logging.getLogger(__name__)


class MapPath:
    """How a call goes from the model to maps, and the two places where a method has its say."""

    uses_gradients: bool = True  # whether get_cam_weights needs grads
    uses_targets: bool = True  # whether the map depends on what is asked for
    uses_layers: bool = True  # whether target_layers and reshape_transform matter
    tensors: bool = False  # whether overrides written elsewhere take tensors instead of arrays

    model: nn.Module
    target_layers: list[nn.Module] | None
    reshape_transform: ReshapeTransform | None
    compute_input_gradient: bool
    tta_transforms: Iterable[Any] | None
    detach: bool
    output: Pick | None
    relu_rule: Rule
    outputs: Any
    _record_kind: type[ActivationsAndGradients] = ActivationsAndGradients
    _pass_kind: type[Pass] = Pass
    _record: ActivationsAndGradients | None = None
    _network: Network | None = None

    @property
    def activations_and_grads(self) -> ActivationsAndGradients:
        """The record of the running call; between calls an empty one, to be called on an input."""
        if self._record is None:
            self._record = ActivationsAndGradients(
                self.model, self.target_layers or [], self.reshape_transform, self.detach, gradients=self.uses_gradients
            )
        return self._record

    @property
    def network(self) -> Network:
        """During a call: the model as a function of images ``(N, C, *S)``, whatever else it takes or returns."""
        if self._network is None:
            raise RuntimeError("the network is known during a call only; use cam.model between calls")
        return self._network

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
        input_tensor: Any,
        targets: Any,
        aug_smooth: bool,
        eigen_smooth: bool,
        each: bool = False,
        **options: Unpack[MapOptions],
    ) -> Explanation:
        inputs, network = door(
            self.model,
            input_tensor,
            options.get("forward_kwargs"),
            options.get("image"),
            self.output,
            options.get("allow_nonfinite", False),
            options.get("differentiable", False),
        )
        how = How.checked(inputs, eigen_smooth, **options)
        if how.differentiable and not self.uses_gradients:
            raise ValueError(f"{type(self).__name__} takes no gradients, so its maps cannot be differentiated")
        if targets is not None and not self.uses_targets:
            log.info("%s shows what stands out whatever the target; targets are ignored", type(self).__name__)
        against, contrast = options.get("against", False), options.get("contrast")

        def explain(inputs: Tensor, targets: Any, network: Network) -> Explanation:
            with self._calling(network):
                if self.target_layers is None:
                    with torch.no_grad():
                        chosen = self._choose_layer(inputs)
                    log.info("target layer chosen: %s", layer_name(self.model, chosen))
                    self.target_layers = [chosen]
                if each:
                    return self._explain_targets(inputs, targets, how)
                asked: Any = Turned(targets, against, contrast) if against or contrast else targets
                return (self._explain_views if aug_smooth else self._explain_view)(inputs, asked, how)[0]

        graph = torch.enable_grad() if how.differentiable else nullcontext()
        with undisturbed(self.model, inputs.device), uncompiled(), graph:
            explanation = explained(fixed_batch(self.model), inputs, targets, network, each, explain)
        self.outputs = explanation.outputs
        self._warn(explanation.notes)
        return explanation

    @contextmanager
    def _calling(self, network: Network) -> Iterator[None]:
        """Know the network for one call, and nothing of it afterwards."""
        self._network = network
        try:
            yield
        finally:
            self._network = self._record = None

    def _choose_layer(self, inputs: Tensor) -> nn.Module:
        """Find a target layer on the user's own input, where none was given."""
        return automatic_layer(self.model, lambda: self.network(inputs), inputs).module

    def _layout(self, inputs: Tensor) -> ReshapeTransform:
        """Return what makes ``(B, C, *s)`` of a layer's output for these inputs: what was given, or found by shapes."""
        return self.reshape_transform or InferredReshapeTransform(self.model, inputs, self.target_layers or [])

    def _explain_targets(self, inputs: Tensor, targets: Sequence[Targets] | None, how: How) -> Explanation:
        """Ask one pass several questions, or, for methods that make their own passes, pass after pass."""
        shared = self._pass(inputs, how) if type(self)._explain_view is MapPath._explain_view else None
        if targets is None:
            outputs = self.network(inputs) if shared is None else shared.outputs
            targets = list(range(class_count(outputs)))
        if not targets:
            raise ValueError("explain_each needs at least one target, or None for all classes")
        if shared is None:
            return stacked([self._explain_view(inputs, target, how)[0] for target in targets])
        last = len(targets) - 1
        asked = (shared.ask(target, again=index < last) for index, target in enumerate(targets))
        return stacked([self._explained(shared.inputs, trace, how) for trace in asked])

    def _explain_views(self, inputs: Tensor, targets: Targets, how: How) -> tuple[Explanation, list[Target]]:
        """Average the maps of several views, each turned back. The clean input decides what is explained."""
        size, how = how.size, dataclasses.replace(how, size=tuple(inputs.shape[2:]))
        clean, fixed = self._explain_view(inputs, targets, how)
        found = []
        for view in augment.augmentations(self.tta_transforms):
            changed = view.apply(inputs)
            seen = clean
            if not torch.equal(changed, inputs):
                turned = dataclasses.replace(how, size=tuple(changed.shape[2:]))
                seen, _ = self._explain_view(changed, fixed, turned, view.undo)
            found.append(view.undo(seen.maps[:, None])[:, 0])  # (B, *S)
        return dataclasses.replace(clean, maps=maps.resize(torch.stack(found).mean(0), size)), fixed

    def _explain_view(
        self, inputs: Tensor, targets: Targets, how: How, undo: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Explanation, list[Target]]:
        """Explain one batch as it is; ``undo`` turns a dense output back to where the targets expect its pixels."""
        run = self._pass(inputs, how, undo)
        traced = run.ask(targets)
        return self._explained(run.inputs, traced, how), traced.targets

    def _pass(self, inputs: Tensor, how: How, undo: Callable[[Tensor], Tensor] | None = None) -> Pass:
        """Run the model once and record the target layers."""
        self._record = self._record_kind(
            self.model,
            self.target_layers or [],
            self._layout(inputs),
            self.detach and not how.differentiable,
            gradients=self.uses_gradients,
        )
        return self._pass_kind(
            self._record,
            self.network,
            inputs,
            uses_targets=self.uses_targets,
            uses_gradients=self.uses_gradients,
            input_gradient=self.compute_input_gradient,
            relu_rule=self.relu_rule,
            undo=undo,
            allow_nonfinite=how.allow_nonfinite,
        )

    def _explained(self, inputs: Tensor, traced: Trace, how: How) -> Explanation:
        """Make the maps of one question."""
        self.outputs = traced.outputs  # for overrides that look at them
        if self.reshape_transform is None and self.uses_layers:
            refuse_unread(traced, lambda: layer_name(self.model, self._choose_layer(inputs)))
        found = [self._layer_map(inputs, traced.targets, layer, how.eigen_smooth) for layer in traced.layers]
        raws = tuple(raw for _, raw in found)
        notes = [
            diagnosis.notes_on(
                layer.name,
                raw,
                layer.zero,
                layer.why_zero,
                layer.nonfinite,
                how.relu,
                None
                if weights is None or how.eigen_smooth
                else maps.channel_sum(weights.abs(), layer.activations.abs()),
            )
            for layer, (weights, raw) in zip(traced.layers, found, strict=True)
        ]
        return Explanation(
            maps=self._finished(inputs, traced.targets, raws, how),
            raw=raws,
            weights=tuple(weights for weights, _ in found),
            outputs=traced.outputs,
            scores=traced.scores,
            classes=tuple(map(category_of, traced.targets)) if self.uses_targets else (None,) * len(inputs),
            layers=tuple(layer.name for layer in traced.layers),
            notes=tuple(sum(each, ()) for each in zip(*notes, strict=True)),
        )

    def _finished(self, inputs: Tensor, targets: list[Target], raws: Sequence[Tensor], how: How) -> Tensor:
        """Make one map ``(B, *S)`` per image of the layers' maps ``(B, *s)``."""
        return how.finish(raws)

    def _layer_map(
        self, inputs: Tensor, targets: list[Target], layer: TracedLayer, eigen_smooth: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the weights (None where a method makes its map without) and the map of one layer."""
        given = (inputs, layer.module, targets, layer.activations, layer.grads)
        if type(self).get_cam_image is not MapPath.get_cam_image:
            return None, self._ask(self.get_cam_image, *given, eigen_smooth)
        weights = self._ask(self.get_cam_weights, *given)
        return weights, maps.combined(weights, layer.activations, eigen_smooth)

    def _ask(self, method: Callable[..., Any], *given: Any) -> Tensor:
        """Call an override with what its author expects: tensors in this package, arrays outside of it."""
        activations = given[3]
        if not (self.tensors or not self.detach or method.__module__.partition(".")[0] == __name__.partition(".")[0]):
            given = tuple(
                item.cpu().numpy() if isinstance(item, Tensor) and index > 0 else item
                for index, item in enumerate(given)
            )
        return torch.as_tensor(method(*given), dtype=activations.dtype, device=activations.device)

    def _warn(self, notes: Sequence[tuple[Note, ...]]) -> None:
        """Say once per call which maps mean nothing."""
        said = [f"image {index}: {'; '.join(each)}" for index, each in enumerate(notes) if each]
        if said:
            more = f" (and {len(said) - 3} more, see Explanation.notes)" if len(said) > 3 else ""
            message = f"{type(self).__name__}: not every map means something. {'. '.join(said[:3])}{more}"
            warnings.warn(message, MeaninglessMapWarning, stacklevel=4)
