"""Build the modules of a network from its plan and weights; every module is tried on shapes, without memory."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pytorch_grad_cam.models.loaded import in_evaluation
from pytorch_grad_cam.models.nnp.activations import ACTIVATIONS
from pytorch_grad_cam.models.nnp.arithmetic import ARITHMETIC
from pytorch_grad_cam.models.nnp.arrangement import ARRANGEMENT
from pytorch_grad_cam.models.nnp.function_call import BATCH, Builder, FunctionCall, Shape
from pytorch_grad_cam.models.nnp.layers import LAYERS
from pytorch_grad_cam.models.nnp.limits import (
    FREE_WEIGHTS,
    MAX_ACTIVATION,
    MAX_ACTIVATIONS,
    MAX_ELEMENTS,
    WEIGHTS_RATIO,
)
from pytorch_grad_cam.models.nnp.parameters import Parameters
from pytorch_grad_cam.models.nnp.plan import Function, Plan
from pytorch_grad_cam.models.nnp.pooling import POOLING

log = logging.getLogger(__name__)

# nnabla's types of functions, and what builds the module of each.
FUNCTIONS: dict[str, Builder] = {**LAYERS, **POOLING, **ACTIVATIONS, **ARITHMETIC, **ARRANGEMENT}
CONVOLUTIONS = ("Convolution", "DepthwiseConvolution")  # layers to look at; a deconvolution spreads, it does not find
# Left out, although nnabla would change the pictures or values at random at every pass.
_SKIPPED = ("Dropout", "ImageAugmentation")
_NAME = 100  # characters of a module's name


@dataclass(frozen=True)
class Step:
    """One module and the variables that it reads and returns.

    Attributes:
        module: name of the submodule.
        kind: nnabla's type of the function.
        inputs: names of its activations; weights are in the module.
        outputs: names of what it returns.
    """

    module: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ModuleGraph:
    """Modules and the order in which they run.

    Attributes:
        steps: in order.
        modules: by name, in evaluation mode.
        shapes: of every activation, without the batch.
    """

    steps: tuple[Step, ...]
    modules: dict[str, nn.Module]
    shapes: dict[str, Shape]


def build(plan: Plan, weights: Parameters, is_reserved: Callable[[str], bool]) -> ModuleGraph:
    """Build the modules of a network.

    Args:
        plan: what runs.
        weights: the parameters of the file by name.
        is_reserved: says whether a name cannot be that of a submodule.

    Raises:
        ValueError: if a function is unknown, a weight missing or misshaped, or sizes do not fit; it names the function.
    """
    builder = _ModuleBuilder(plan, weights, is_reserved)
    for function in plan.functions:
        builder.add(function)
    builder.warn()
    return ModuleGraph(tuple(builder.steps), builder.modules, builder.checked_shapes())


class _ModuleBuilder:
    """Builds the modules of a network one after the other, and counts what they need."""

    def __init__(self, plan: Plan, weights: Parameters, is_reserved: Callable[[str], bool]) -> None:
        self._plan, self._weights, self._is_reserved = plan, weights, is_reserved
        self._shapes: dict[str, Shape] = {plan.input[1]: (BATCH, *plan.input_shape)}
        self._used = 0  # numbers in the weights of all modules, counted for each that has them
        held = sum(values.size for values in weights.values())
        self._most = min(MAX_ELEMENTS, max(FREE_WEIGHTS, WEIGHTS_RATIO * held))
        self._tensors: dict[str, Tensor] = {}  # made once, however many functions share it
        self._activations = 0
        self._skipped: list[str] = []
        self._live: list[str] = []
        self._counts: dict[str, int] = {}  # how often a name was wanted
        self.steps: list[Step] = []
        self.modules: dict[str, nn.Module] = {}

    def add(self, function: Function) -> None:
        """Build the module of one function, and record the shapes of what it returns."""
        if function.kind not in FUNCTIONS:
            raise ValueError(
                f"the function {function} cannot be read; {len(FUNCTIONS)} types are known, "
                "and the network can be exported without it or rebuilt in PyTorch"
            )
        names = [name for name in function.inputs if name not in self._plan.network.parameters]
        try:
            module = in_evaluation(FUNCTIONS[function.kind](self._call(function)))
            self._count_weights(module)
            shapes = _output_shapes(module, [self._shapes[name] for name in names])
            self._add_shapes(function, shapes)
        except Exception as error:  # torch objects to sizes that do not fit in its own ways
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"the function {function} cannot be used: {reason or type(error).__name__}") from error
        name = self._module_name(function)
        self.modules[name] = module
        self.steps.append(Step(name, function.kind, tuple(names), function.outputs))
        if function.kind in _SKIPPED:
            self._skipped.append(name)
        if function.kind == "BatchNormalization" and function.param.flag("batch_stat"):
            self._live.append(name)

    def warn(self) -> None:
        """Log which functions run in another way than their names promise."""
        if self._skipped:
            log.warning(
                "%s: left out, as a trained network needs none of it (nnabla itself would apply it at every pass)",
                ", ".join(self._skipped),
            )
        if self._live:
            log.warning(
                "%s: normalized by the statistics of the batch at hand (batch_stat), so pictures in one batch "
                "influence each other; export the network for inference",
                ", ".join(self._live),
            )

    def checked_shapes(self) -> dict[str, Shape]:
        """Return all shapes without the batch, after a pass with another number of images.

        Raises:
            ValueError: if an output does not have one row per image.
        """
        count = BATCH + 1
        shapes: dict[str, Shape] = {self._plan.input[1]: (count, *self._plan.input_shape)}
        for step in self.steps:
            try:
                outputs = _output_shapes(self.modules[step.module], [shapes[name] for name in step.inputs])
            except Exception as error:  # as above
                raise ValueError(f"the function {step.module!r} works for one batch size only: {error}") from error
            shapes.update(zip(step.outputs, outputs, strict=True))
        for data_name, variable in self._plan.outputs:
            one, other = self._shapes[variable], shapes[variable]
            if (one[:1], other[:1]) != ((BATCH,), (count,)) or one[1:] != other[1:]:
                raise ValueError(f"its output {data_name!r} does not have one row per picture, but {one} for {BATCH}")
        return {name: shape[1:] for name, shape in self._shapes.items()}

    def _call(self, function: Function) -> FunctionCall:
        """Collect what the builder of a function is given: shapes of activations, and weights."""
        inputs: list[Shape | Tensor] = []
        for name in function.inputs:
            if name not in self._plan.network.parameters:
                inputs.append(self._shapes[name])
                continue
            if name not in self._weights:
                raise ValueError(f"its weights {name!r} are missing in the file")
            values = self._weights[name]
            declared = self._plan.network.shapes[name]
            if tuple(values.shape) != declared:
                raise ValueError(f"its weights {name!r} have the shape {values.shape} instead of {declared}")
            if name not in self._tensors:
                self._tensors[name] = torch.tensor(values)
            inputs.append(self._tensors[name])
        declared = self._plan.network.shapes.get(function.outputs[0], ()) if function.outputs else ()
        return FunctionCall(function.param, inputs, self._plan.batch_size, declared)

    def _count_weights(self, module: nn.Module) -> None:
        self._used += sum(tensor.numel() for tensor in chain(module.parameters(), module.buffers()))
        if self._used > self._most:
            raise ValueError(f"the network uses more than {self._most} weights, many more than the file holds")

    def _add_shapes(self, function: Function, shapes: Sequence[Shape]) -> None:
        """Record the shapes of what a function returns, if they are what the file names and no larger than allowed."""
        if len(shapes) != len(function.outputs):
            raise ValueError(f"it makes {len(shapes)} outputs, the file names {len(function.outputs)}")
        for name, shape in zip(function.outputs, shapes, strict=True):
            size = math.prod(shape) // BATCH
            self._activations += size
            if not 0 < size <= MAX_ACTIVATION or self._activations > MAX_ACTIVATIONS:
                raise ValueError(
                    f"its output would have the shape {shape[1:]}, beyond {MAX_ACTIVATION} values per image"
                )
            declared = self._plan.network.shapes[name]
            if declared and declared[1:] != shape[1:]:
                log.warning("the file declares %s as %s, it is computed as %s", name, declared[1:], shape[1:])
            self._shapes[name] = shape

    def _module_name(self, function: Function) -> str:
        """Return the function's name as a submodule can have it, and ``layer4[-1]`` is not: no dots and brackets.

        nnabla numbers functions by itself, "@MainRuntime/Convolution_1", while the Console's name of the layer is that
        of its variable, "Convolution_2"; the latter is what people know.
        """
        name = function.outputs[0] if function.name.startswith("@") and function.outputs else function.name
        name = re.sub(r"\[(\d+)\]", r"_\1", name)
        name = "".join("_" if sign in ".[]{}" or not sign.isprintable() else sign for sign in name)[:_NAME]
        name = name.strip().lstrip("_") or function.kind  # torch keeps its own things behind underscores
        unique = name
        while self._is_reserved(unique) or unique in self.modules:
            self._counts[name] = self._counts.get(name, 1) + 1
            unique = f"{name}_{self._counts[name]}"
        return unique


def _output_shapes(module: nn.Module, shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes of what a module returns, without computing anything."""
    meta = torch.device("meta")
    state: Mapping[str, Tensor] = {
        name: torch.empty_like(tensor, device=meta)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    with torch.no_grad():
        outputs: Any = functional_call(module, dict(state), tuple(torch.empty(shape, device=meta) for shape in shapes))
    return [tuple(tensor.shape) for tensor in (outputs if isinstance(outputs, tuple) else (outputs,))]
