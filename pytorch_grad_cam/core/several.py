"""Several answers from one pass: several targets of every image, by several methods, or at several layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from pytorch_grad_cam.core import pipeline
from pytorch_grad_cam.core.call import Call
from pytorch_grad_cam.core.explanation import Explanation, join_batches, stack_targets
from pytorch_grad_cam.core.pipeline import CamMethod
from pytorch_grad_cam.engine.restore import giving_back
from pytorch_grad_cam.engine.stages import stage_layers
from pytorch_grad_cam.targets.spec import TargetSpec, class_count


def explain_each(
    method: CamMethod, inputs: Any, specs: Sequence[TargetSpec] | None, eigen_smooth: bool, **options: Any
) -> Explanation:
    """Explain several targets of every image, or all classes; ``BaseCAM.explain_each`` says what the arguments mean."""
    explanation = stack_targets(explain_apart(method, inputs, specs, eigen_smooth, **options))
    pipeline.warn_of_notes(method, explanation)
    return explanation


@giving_back
def explain_apart(
    method: CamMethod, inputs: Any, specs: Sequence[TargetSpec] | None, eigen_smooth: bool, **options: Any
) -> list[Explanation]:
    """Do the same as `explain_each`, but return an explanation for each target, and warn of nothing."""
    if specs is not None and not specs:
        raise ValueError("explain_each needs at least one target, or None for all classes")
    call = pipeline.prepare(method, inputs, tuple(specs or ()), eigen_smooth, options)
    return several_in_model(method, call, _explain_targets)


@giving_back
def explain_by_methods(
    methods: Sequence[CamMethod], inputs: Any, specs: Sequence[TargetSpec], eigen_smooth: bool, **options: Any
) -> list[list[Explanation]]:
    """Explain the targets of every image by several methods of one model; those that look at one pass alike share it.

    Args:
        methods: of the same model.
        inputs, specs, eigen_smooth, **options: as for `explain_apart`.

    Returns:
        For each method, an explanation for each target. Nothing is warned of.
    """
    found: list[list[Explanation]] = [[] for _ in methods]
    for places in _alike(methods):
        leader = methods[places[0]]
        if len(places) == 1:
            found[places[0]] = explain_apart(leader, inputs, specs, eigen_smooth, **options)
            continue
        others = [methods[place] for place in places[1:]]
        call = pipeline.prepare(leader, inputs, tuple(specs), eigen_smooth, options)
        answers = several_in_model(leader, call, partial(_explain_targets, others=others))
        for number, place in enumerate(places):
            name = type(methods[place]).__name__
            own = answers[number :: len(places)]
            found[place] = [dataclasses.replace(explanation, method=name) for explanation in own]
    return found


@giving_back
def layer_sweep(
    method: CamMethod,
    inputs: Any,
    spec: TargetSpec,
    layers: Sequence[nn.Module] | None,
    eigen_smooth: bool,
    **options: Any,
) -> list[Explanation]:
    """Explain one target of every image at each of several layers; ``BaseCAM.layer_sweep`` says the rest."""
    if not method.uses_layers:
        raise ValueError(
            f"{type(method).__name__} looks at no layer that can be chosen, so there is nothing to sweep; take a "
            "method such as GradCAM"
        )
    call = pipeline.prepare(method, inputs, (spec,), eigen_smooth, options)
    chosen = () if layers is None else tuple(layers)

    def explain_layers(method: CamMethod, call: Call) -> list[Explanation]:
        nonlocal chosen
        if not chosen:
            (*_, last) = pipeline.with_layers(method, call).target_layers
            with torch.no_grad():
                run = partial(call.run, call.inputs)
                chosen = tuple(stage_layers(method.model, run, call.inputs, method.reshape_transform, last))
        return _explain_at(method, call, chosen)

    explanations = several_in_model(method, call, explain_layers)
    for explanation in explanations:
        pipeline.warn_of_notes(method, explanation)
    return explanations


def _explain_at(method: CamMethod, call: Call, layers: Sequence[nn.Module]) -> list[Explanation]:
    """Explain at each layer alone: all by one pass, or, where a method makes its own passes, one after another."""
    if not method.shares_pass:
        alone = [call.replace(target_layers=(layer,)) for layer in layers]
        return [pipeline.assemble(method.explain_call(part)) for part in alone]
    call = call.replace(target_layers=tuple(layers))
    one_pass = pipeline.forward(method, call)
    scored = one_pass.score(call.spec)
    explanations = []
    for layer in scored.layers:
        here = dataclasses.replace(scored, layers=(layer,))
        part = call.replace(target_layers=(layer.module,))
        explanations.append(pipeline.assemble(pipeline.weigh_and_combine(method, part, one_pass.inputs, here)))
    return explanations


def _alike(methods: Sequence[CamMethod]) -> list[list[int]]:
    """Group methods, by their places, whose pass is the same: same layers, same gradients, same questions."""
    groups: list[tuple[Any, list[int]]] = []
    for place, method in enumerate(methods):
        kind = (
            method.shares_pass and not method.compute_input_gradient,
            method.uses_gradients,
            method.uses_targets,
            method.class_target,
            method.record_class,
            method.target_layers,
            method.layer_choice,
            method.reshape_transform,
            method.detach,
            method.output,
            method.relu_rule,
            method.keep_mode,
            method.replays,
            type(method).choose_layers,
        )
        places = next((places for known, places in groups if kind[0] and known == kind), None)
        if places is None:
            groups.append((kind, places := []))
        places.append(place)
    return [places for _, places in groups]


def _explain_targets(method: CamMethod, call: Call, others: Sequence[CamMethod] = ()) -> list[Explanation]:
    """Ask one pass several questions, or, for methods that make their own passes, pass after pass.

    ``others`` are methods that share the pass: after each answer come theirs to the same question.
    """
    call = pipeline.with_layers(method, call)
    if not method.shares_pass:
        specs = call.specs or _every_class(call.run(call.inputs))
        return [pipeline.assemble(method.explain_call(call.asking(spec))) for spec in specs]
    for other in others:  # which would choose the same
        other.target_layers, other.layers_are_scales = method.target_layers, method.layers_are_scales
    one_pass = pipeline.forward(method, call)
    specs = call.specs or _every_class(one_pass.outputs)
    results = []
    for index, spec in enumerate(specs):
        scored = one_pass.score(spec, again=index < len(specs) - 1)
        for each in (method, *others):
            results.append(pipeline.assemble(pipeline.weigh_and_combine(each, call, one_pass.inputs, scored)))
    return results


def several_in_model(
    method: CamMethod, call: Call, stages: Callable[[CamMethod, Call], list[Explanation]]
) -> list[Explanation]:
    """Run stages with several answers as a guest of the model, as ``pipeline.run_in_model`` does with one."""
    parts = []
    method.activations_and_grads.clear()
    with pipeline.guest_of(call):
        for part, count in pipeline.batches(call):
            parts.append([(answer, count) for answer in stages(method, part)])
    explanations = [join_batches(answers) for answers in zip(*parts, strict=True)]
    method.outputs = explanations[0].outputs
    pipeline.cut_graph(method, call)
    return [dataclasses.replace(explanation, method=type(method).__name__) for explanation in explanations]


def _every_class(outputs: Any) -> tuple[TargetSpec, ...]:
    return tuple(TargetSpec(category) for category in range(class_count(outputs)))
