"""How a call goes from the model to maps, stage by stage.

``prepare`` what is given -> ``forward`` through the model -> weigh each layer's channels (``weigh_and_combine``) ->
``resize_and_aggregate`` -> ``assemble`` the ``Explanation``. Methods change a stage by overriding a method of
``BaseCAM``; the order is here.

Symbols used in all method docstrings: ``A_k(p)`` activation of channel ``k`` at position ``p`` of the target layer
``(B, C, *S)``; ``s`` the score that is explained; ``G = ds/dA``; ``w_k`` the weight of a channel; ``L(p)`` the map at
the layer's resolution; ``n`` the number of positions; ``S_k = sum_p A_k(p)``.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from pytorch_grad_cam.common.messages import NONFINITE, MeaninglessMapWarning, Note, frames_of_ours
from pytorch_grad_cam.core.call import Call, CallOptions, CallResult
from pytorch_grad_cam.core.explanation import Explanation, join_batches
from pytorch_grad_cam.core.forward_pass import ForwardPass, LayerRecord, ScoredPass, refuse_unread
from pytorch_grad_cam.engine import diagnosis, maps
from pytorch_grad_cam.engine.image_model import OutputSelector, prepare_inputs
from pytorch_grad_cam.engine.inputs import fixed_batch
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.pass_record import PassRecord, ReshapeTransform
from pytorch_grad_cam.engine.restore import evaluating, giving_back, undisturbed
from pytorch_grad_cam.engine.switches import uncompiled
from pytorch_grad_cam.targets.classification import Target, Targets, category_of
from pytorch_grad_cam.targets.spec import ClassTarget, TargetSpec

if TYPE_CHECKING:
    from pytorch_grad_cam.engine.relu_rules import Rule
    from pytorch_grad_cam.engine.replay import Recording

log = logging.getLogger(__name__)

WeightsAndMap = tuple[Tensor | None, Tensor]


class CamMethod(Protocol):
    """What the pipeline asks of a method, see ``BaseCAM``."""

    uses_gradients: bool
    keep_mode: bool
    keeps_last_pass: bool
    categories: Sequence[str] | Mapping[int, str] | None
    uses_targets: bool
    tells_classes: bool
    uses_layers: bool
    rectifies: bool
    replays: bool
    class_target: ClassTarget | None
    record_class: type[PassRecord]
    model: nn.Module
    target_layers: list[nn.Module] | None
    reshape_transform: ReshapeTransform | None
    compute_input_gradient: bool
    layer_choice: Any
    layers_are_scales: bool
    detach: bool
    output: OutputSelector | None
    relu_rule: Rule
    outputs: Any

    @property
    def tta_transforms(self) -> Iterable[Any]: ...
    @property
    def shares_pass(self) -> bool: ...
    @property
    def activations_and_grads(self) -> Any: ...
    def explain_call(self, call: Call) -> CallResult: ...
    def choose_layers(self, call: Call) -> list[nn.Module]: ...
    def layer_map(self, call: Call, layer: LayerRecord, targets: list[Target]) -> WeightsAndMap: ...
    def notes_on_weights(self, weights: Tensor | None) -> Sequence[Note | None]: ...
    def combine_layers(self, call: Call, targets: list[Target], raws: Sequence[Tensor]) -> Tensor: ...


@giving_back
def explain(
    method: CamMethod,
    inputs: Any,
    spec: TargetSpec,
    *,
    aug_smooth: bool = False,
    eigen_smooth: bool = False,
    **options: Any,
) -> Explanation:
    """Explain one target of every image; ``BaseCAM.explain`` says what the arguments mean."""
    call = prepare(method, inputs, (spec,), eigen_smooth, options)
    samples = options.get("samples")
    stages: Callable[[CamMethod, Call], Explanation] = _explain_views if aug_smooth else _explain_once
    if samples is not None:
        _refuse_samples(method, samples, aug_smooth)
        stages = partial(_explain_samples, count=samples)
    explanation = run_in_model(method, call, stages)
    warn_of_notes(method, explanation)
    return explanation


@giving_back
def fix_layers(method: CamMethod, inputs: Any) -> None:
    """Choose target layers on these images, where none were named, so that later calls look at the same ones."""
    call = prepare(method, inputs, (TargetSpec(),), False, {})
    with guest_of(call):
        with_layers(method, call)


def prepare(
    method: CamMethod, inputs: Any, specs: tuple[TargetSpec, ...], eigen_smooth: bool, options: Mapping[str, Any]
) -> Call:
    """Check what is given and put it together: the first stage. Nothing runs yet."""
    images, run = prepare_inputs(
        method.model,
        inputs,
        forward_kwargs=options.get("forward_kwargs"),
        image=options.get("image"),
        selector=method.output,
        allow_nonfinite=options.get("allow_nonfinite", False),
        keep_graph=options.get("differentiable", False),
    )
    checked = CallOptions.checked(images, eigen_smooth, **options)
    if checked.differentiable and not method.uses_gradients:
        raise ValueError(f"{type(method).__name__} takes no gradients, so its maps cannot be differentiated")
    if not method.uses_targets and any(spec.targets is not None or spec.contrast for spec in specs):
        log.info("%s shows what stands out whatever the target; targets are ignored", type(method).__name__)
    if method.uses_targets and not method.tells_classes and any(spec.contrast for spec in specs):
        log.info("maps of %s are much the same for every class: contrast says little", type(method).__name__)
    layers = tuple(method.target_layers or ())
    specs = tuple(without_names(spec, method, run.model) if spec.has_names else spec for spec in specs)
    return Call(method.model, run, images, specs, checked, layers, method.reshape_transform, method.keep_mode)


def without_names(spec: TargetSpec, method: CamMethod, model: nn.Module) -> TargetSpec:
    """Return the same question with indices in the place of names of classes."""
    from pytorch_grad_cam.targets.class_names import find_class, names_of_classes  # only for who writes names

    names = names_of_classes(method.categories, model)
    return spec.without_names(lambda text: find_class(text, names))


def explain_layers(method: CamMethod, call: Call) -> CallResult:
    """Explain one batch as it is, by one pass: the stages that most methods share."""
    one_pass = forward(method, call)
    return weigh_and_combine(method, call, one_pass.inputs, one_pass.score(call.specs[0]))


def forward(method: CamMethod, call: Call) -> ForwardPass:
    """Run the model once and record the target layers: the second stage."""
    detach = method.detach and not call.options.differentiable
    record = method.record_class(method.model, call.target_layers, call.layout, detach, gradients=method.uses_gradients)
    with _recordings(method, call) as recordings:
        one_pass = ForwardPass(
            record,
            call,
            uses_targets=method.uses_targets,
            uses_gradients=method.uses_gradients,
            class_target=method.class_target,
            input_gradient=method.compute_input_gradient,
            relu_rule=method.relu_rule,
        )
    one_pass.recorded.update({layer: (recording, one_pass.outputs) for layer, recording in recordings.items()})
    return one_pass


def weigh_and_combine(method: CamMethod, call: Call, inputs: Tensor, scored: ScoredPass) -> CallResult:
    """Make each layer's map, and one map of all: the third and the fourth stage.

    Args:
        inputs: of the pass; they may carry a gradient.
    """
    call = call if inputs is call.inputs else call.replace(inputs=inputs)
    call = call if method.rectifies else call.with_options(relu=False)
    method.outputs = scored.outputs  # for overrides that look at them, as at the record
    as_run = scored.layers_as_run
    method.activations_and_grads.keep([layer.activations for layer in as_run], [layer.grads for layer in as_run])
    if method.reshape_transform is None and method.uses_layers:
        refuse_unread(scored, lambda: layer_name(method.model, method.choose_layers(call)[-1]))
    weights_and_maps = [method.layer_map(call, layer, scored.targets) for layer in scored.layers]
    raws = tuple(raw for _, raw in weights_and_maps)
    return CallResult(
        targets=scored.targets,
        maps=method.combine_layers(call, scored.targets, raws),
        raw=raws,
        weights=tuple(weights for weights, _ in weights_and_maps),
        outputs=scored.outputs,
        scores=scored.scores,
        layers=tuple(layer.name for layer in scored.layers),
        notes=_notes(method, call, scored.layers, weights_and_maps),
        **(_handed_out(scored.layers) if call.options.activations else {}),
    )


def _handed_out(layers: Sequence[LayerRecord]) -> dict[str, Any]:
    """Return activations and gradients as the user receives them: those that there are, cut from the graph."""
    return {
        "activations": tuple(layer.activations.detach() for layer in layers),
        "gradients": tuple(None if layer.grads is None else layer.grads.detach() for layer in layers),
    }


def resize_and_aggregate(raws: Sequence[Tensor], options: CallOptions) -> Tensor:
    """Rectify, scale and resize the layers' maps ``(B, *s)``, average them, scale again: float32 ``(B, *size)``."""
    scaled = [options.normalize(raw.relu() if options.relu else raw) for raw in raws]
    device = raws[0].device  # of a network that is spread over devices, each layer has its own
    resized = [maps.resize(values, options.size).to(device) for values in scaled]
    mean = torch.stack(resized).mean(0) if len(resized) > 1 else resized[0]
    return options.normalize(mean).float()


def assemble(result: CallResult) -> Explanation:
    """Turn a method's result into what the user receives: the last stage."""
    return Explanation(
        maps=result.maps,
        raw=result.raw,
        weights=result.weights,
        outputs=result.outputs,
        scores=result.scores,
        classes=tuple(map(category_of, result.targets)) or (None,) * len(result.maps),
        layers=result.layers,
        notes=result.notes,
        variance=result.variance,
        activations=result.activations,
        gradients=result.gradients,
    )


def run_in_model(method: CamMethod, call: Call, stages: Callable[[CamMethod, Call], Explanation]) -> Explanation:
    """Run stages as a guest of the model: on all images at once or, where it takes only so many, on those."""
    method.activations_and_grads.clear()  # before the pass, so that two of them are never in memory
    with guest_of(call):
        parts = [(stages(method, with_layers(method, part)), count) for part, count in batches(call)]
        explanation = join_batches(parts) if len(parts) > 1 else parts[0][0].first_images(parts[0][1])
    method.outputs = explanation.outputs
    cut_graph(method, call)
    return dataclasses.replace(explanation, method=type(method).__name__)


def cut_graph(method: CamMethod, call: Call) -> None:
    """Let go of the graph of what the method keeps of its last pass, or of all of it."""
    if not method.keeps_last_pass:
        method.activations_and_grads.clear()
    elif call.options.differentiable or not method.detach:
        method.activations_and_grads.cut_graph()


@giving_back
def attribute(
    method: CamMethod,
    inputs: Any,
    targets: Targets,
    attributions: Callable[[Call], Tensor],
    forward_kwargs: Mapping[str, Any] | None = None,
) -> Tensor:
    """Enter the model as for a map, but for numbers ``(B, ...)`` of the method's own.

    Args:
        attributions: makes them for one batch.
        forward_kwargs: further keyword arguments of the model.
    """
    call = prepare(method, inputs, (TargetSpec(targets),), False, {"forward_kwargs": forward_kwargs or {}})
    with guest_of(call):
        return torch.cat([attributions(with_layers(method, part))[:count] for part, count in batches(call)])


@contextmanager
def guest_of(call: Call) -> Iterator[None]:
    """Use the model as a guest: undisturbed, in plain Python, and without a graph unless one is to be kept."""
    graph = torch.enable_grad() if call.options.differentiable else nullcontext()
    with undisturbed(call.model, call.inputs.device, call.keep_mode), uncompiled(), graph:
        yield


def warn_of_notes(method: CamMethod, explanation: Explanation) -> None:
    """Say once per call which maps mean nothing."""
    bad = [f"image {index}: {'; '.join(notes)}" for index, notes in enumerate(explanation.notes) if notes]
    if bad:
        more = f" (and {len(bad) - 3} more, see Explanation.notes)" if len(bad) > 3 else ""
        message = f"{type(method).__name__}: not every map means something. {'. '.join(bad[:3])}{more}"
        warnings.warn(message, MeaninglessMapWarning, stacklevel=frames_of_ours() + 1)


def batches(call: Call) -> Iterator[tuple[Call, int]]:
    """Yield the call in the batches that the model takes, and how many images of each count."""
    size, count = fixed_batch(call.model), len(call.inputs)
    if size is None or size == count:
        yield call, count
        return
    from pytorch_grad_cam.engine.inputs import split_rows  # few models are so

    for rows, wanted in split_rows(count, size):
        yield call.select_rows(rows), wanted


def with_layers(method: CamMethod, call: Call) -> Call:
    """Return the call with its target layers; where none were named, they are chosen on these images and kept."""
    if method.target_layers is None:
        with torch.no_grad():
            chosen = method.choose_layers(call)
        log.info("target layer chosen: %s", ", ".join(layer_name(method.model, layer) for layer in chosen))
        method.target_layers, method.layers_are_scales = chosen, len(chosen) > 1
        return call.replace(target_layers=tuple(chosen))
    return call


def _explain_once(method: CamMethod, call: Call) -> Explanation:
    return assemble(method.explain_call(call))


def _explain_views(method: CamMethod, call: Call) -> Explanation:
    """Average the maps of several views, each turned back. The clean images decide what is explained."""
    from pytorch_grad_cam.engine.perturb import augmentations  # only for who smooths

    size = call.options.size
    call = call.with_options(size=tuple(call.inputs.shape[2:]))
    clean = method.explain_call(call)
    turned_back = []
    for view in augmentations(method.tta_transforms):
        changed = view.apply(call.inputs)
        result = clean
        if not torch.equal(changed, call.inputs):
            result = method.explain_call(call.of_view(changed, clean.targets, view.undo))
        turned_back.append(maps.resize(view.undo(result.maps[:, None])[:, 0], size))  # (B, *S)
    return assemble(_averaged(clean, turned_back))


def _explain_samples(method: CamMethod, call: Call, count: int) -> Explanation:
    """Average the maps of a network that draws, as by dropout. In evaluation mode it decides what is explained."""
    with evaluating(call.model.modules()):
        clean = method.explain_call(call)
    known = call.asking(TargetSpec(clean.targets)) if clean.targets else call
    return assemble(_averaged(clean, [method.explain_call(known).maps for _ in range(count)]))


def _averaged(clean: CallResult, several: Sequence[Tensor]) -> CallResult:
    """Return what was found on the images as they are, but with the mean and the variance of several maps of each."""
    stacked = torch.stack(list(several))
    return clean.replace(maps=stacked.mean(0), variance=stacked.var(0, correction=0))


def _refuse_samples(method: CamMethod, samples: Any, aug_smooth: bool) -> None:
    """Refuse what is no number of samples, and samples of what does not draw."""
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise ValueError(f"samples={samples!r} is no number of maps to take the mean of; give a whole number from 2 on")
    if not method.keep_mode:
        raise ValueError(
            f"samples={samples} maps would all be the same: the network is put in evaluation mode, where nothing is "
            f"drawn; leave its dropout in training mode and give {type(method).__name__}(..., keep_mode=True)"
        )
    if aug_smooth:
        raise ValueError("samples and aug_smooth both take a mean of maps; give one of them")


@contextmanager
def _recordings(method: CamMethod, call: Call) -> Iterator[dict[nn.Module, Recording]]:
    """Record by layer, for methods that replay, what they need; of one image, since early outputs are large."""
    if not method.replays or len(call.inputs) > 1:
        yield {}
        return
    from pytorch_grad_cam.engine.replay import recording  # only for methods that replay

    with ExitStack() as stack:
        yield {layer: stack.enter_context(recording(method.model, layer)) for layer in call.target_layers}


def _notes(
    method: CamMethod, call: Call, layers: Sequence[LayerRecord], weights_and_maps: Sequence[WeightsAndMap]
) -> tuple[tuple[Note, ...], ...]:
    """Say per image what is wrong with its maps; of several scales, of which a target needs one, the others are not."""
    flags = []
    for layer, (weights, raw) in zip(layers, weights_and_maps, strict=True):
        terms = None
        if weights is not None and not call.options.eigen_smooth:
            terms = maps.channel_sum(weights.abs(), layer.activations.abs())
        flags.append(diagnosis.map_flags(raw, call.options.relu, terms))
    by_layer = []
    # By one transfer, at which all work of a GPU is waited for.
    read = torch.stack([each.to(flags[0].device) for each in flags]).tolist() if flags[1:] else [flags[0].tolist()]
    for layer, (weights, raw), known in zip(layers, weights_and_maps, read, strict=True):
        of_layer = diagnosis.notes_by_flags(layer.facts, raw, known)
        of_weights = method.notes_on_weights(weights) or [None] * len(of_layer)
        by_layer.append([of_map or ((one,) if one else ()) for of_map, one in zip(of_layer, of_weights, strict=True)])
    notes = []
    for of_image in zip(*by_layer, strict=True):
        one_is_enough = method.layers_are_scales and not all(of_image)
        notes.append(tuple(note for note in sum(of_image, ()) if not one_is_enough or note.code == NONFINITE))
    return tuple(notes)
