"""Code written for the package grad-cam runs unchanged: names, arguments and defaults."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

import pytest
from helpers.drop_in_contract import CONTRACT

STEP = "a step of that package's computation, which has other steps here"
HOOK = "the body of a hook that stays on the model there; here nothing does"
NEVER_RAN = "its get_cam_weights takes an argument less than its caller gives, so it raises whenever it is called"
# What differs on purpose: all of it, or the argument named last.
EXCEPTIONS = {
    "ablation_cam.AblationCAM.assemble_ablation_scores": STEP,
    "ablation_cam.AblationCAM.save_activation": HOOK,
    "ablation_cam.AblationCAM:ablation_layer": "None stands for it, and for what it does in any layout of the output",
    "ablation_cam_multilayer.AblationCAM.get_cam_weights": NEVER_RAN,
    "ablation_cam_multilayer.AblationCAM.set_ablation_layer_batch_indices": NEVER_RAN,
    "ablation_cam_multilayer.AblationCAM.set_ablation_layers": NEVER_RAN,
    "ablation_cam_multilayer.AblationCAM.trim_ablation_layer_batch_indices": NEVER_RAN,
    "ablation_cam_multilayer.AblationCAM.unset_ablation_layers": NEVER_RAN,
    "ablation_cam_multilayer.AblationLayer": NEVER_RAN,
    "ablation_cam_multilayer.AblationLayer.forward": NEVER_RAN,
    "base_cam.BaseCAM:uses_gradients": "None leaves it to the class, which says the same",
    "fullgrad_cam.FullGrad.get_bias_data": STEP,
    "feature_factorization.deep_feature_factorization.run_dff_on_image:reshape_transform": "a slip: a type as default",
    "refine_cam.RefineCAM:base_method": "None stands for it where layers are given, which theirs always asks for",
    "metrics.road.NoisyLinearImputer:weighting": "the same neighbours and weights in another order",
    "sess.SESS.collect_patches": STEP,
    "sess.SESS.forward_single_image": STEP,
    "sess.SESS.get_scores": STEP,
    "sess.SESS.get_target": STEP,
    "sess.SESS.paste_cam": STEP,
}
# Called by BaseCAM or by Python, which hand everything over in order: there the names differ from class to class.
IN_ORDER = ("get_cam_weights", "get_cam_image", "compute_cam_per_layer", "__exit__")


def written(value: Any) -> str:
    """A default value as the list has it."""
    if inspect.isclass(value):
        return value.__name__
    return repr(float(value)) if isinstance(value, float) else repr(value)


def theirs(arguments: str) -> list[tuple[str, str | None]]:
    """The names of the arguments and, as text, their defaults."""
    code = "".join(each if each not in "<>" else "_" for each in arguments)
    found = ast.parse(f"def f({code}): pass").body[0].args  # type: ignore[attr-defined]
    defaults = [None] * (len(found.args) - len(found.defaults)) + [ast.unparse(each) for each in found.defaults]
    return [(each.arg, default) for each, default in zip(found.args, defaults, strict=True)]


def differences(name: str, arguments: str, ours: Any) -> list[str]:
    """What a call written for theirs would meet in ours."""
    if "*args" in arguments:
        return []  # whatever they take, another entry says
    given = [each for each in inspect.signature(ours).parameters.values() if each.name != "self"]
    anything = {each.kind for each in given} & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    in_order = [each for each in given if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    by_name = {each.name: each for each in given if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    wanted, found = theirs(arguments), []
    for index, (argument, default) in enumerate(wanted):
        place = in_order[index].name if index < len(in_order) else "*"
        if name.rpartition(".")[2] in IN_ORDER:
            found += [] if place != "*" else [f"argument {index} is missing"]
            continue
        if place not in (argument, "*") or (place == "*" and inspect.Parameter.VAR_POSITIONAL not in anything):
            found.append(f"argument {index} is {place}, not {argument}")
        if argument not in by_name and inspect.Parameter.VAR_KEYWORD not in anything:
            found.append(f"{argument} is no keyword")
        own = by_name[argument].default if argument in by_name else inspect.Parameter.empty
        text = "" if default is None else ast.unparse(ast.parse(default))
        if argument in by_name and default is not None and ast.unparse(ast.parse(written(own))) != text:
            found.append(f"{argument}={written(own)}, not {text}")
    required = [each.name for each in in_order if each.default is each.empty][len(wanted) :]
    return found + [f"{each} is required" for each in required]


def entries() -> list[Any]:
    found = []
    for module, name, arguments in CONTRACT:
        short = f"{module.removeprefix('pytorch_grad_cam').removeprefix('.')}.{name}".strip(".")
        if short not in EXCEPTIONS:
            found.append(pytest.param(module, name, arguments, short, id=short or "pytorch_grad_cam"))
    return found


@pytest.mark.parametrize(("module", "name", "arguments", "short"), entries())
def test_the_contract(module: str, name: str, arguments: str | None, short: str) -> None:
    found: Any = importlib.import_module(module)
    for part in name.split(".") if name else []:
        assert hasattr(found, part), f"{module} has no {name}"
        found = getattr(found, part)
    if arguments is None:
        return
    spared = [each.partition(":")[2] for each in EXCEPTIONS if each.startswith(f"{short}:")]
    wrong = [each for each in differences(name, arguments, found) if not any(one in each for one in spared)]
    assert not wrong, "; ".join(wrong)


def test_the_exceptions_are_of_the_contract() -> None:
    names = {f"{module}.{name}".removeprefix("pytorch_grad_cam.") for module, name, _ in CONTRACT}
    assert {each.partition(":")[0] for each in EXCEPTIONS} <= names
