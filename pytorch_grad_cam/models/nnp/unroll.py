"""Unroll the repeat blocks of a network: it becomes a flat list of functions between variables.

Inside a block ``RepeatStart`` ... ``RepeatEnd`` that runs three times a variable ``A`` becomes ``A_Block[0]``,
``A_Block[1]``, ``A_Block[2]``, and a parameter ``A{Block}/W`` becomes ``A[0]/W`` and so on; blocks may be nested.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from pytorch_grad_cam.models.nnp.limits import MAX_DEPTH, MAX_FUNCTIONS, MAX_LINKS, MAX_NAME
from pytorch_grad_cam.models.nnp.text import Message

START, END = "RepeatStart", "RepeatEnd"
Index = Mapping[str, int]  # which run of each block


@dataclass(frozen=True)
class Function:
    """One function of a network, such as a convolution, between named variables.

    Attributes:
        name: as in the file, with the run of a repeat block.
        kind: nnabla's type, e.g. "Convolution".
        inputs: names of variables, activations and parameters.
        outputs: likewise.
        param: its arguments.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    param: Message

    def __str__(self) -> str:
        return f"{self.name!r} of the type {self.kind!r}"


@dataclass(frozen=True)
class NetworkGraph:
    """A network as a flat list of functions between variables, without repeat blocks.

    Attributes:
        name: as in the file.
        batch_size: that the network was saved with; 0 if the text does not say.
        functions: in the order of the file.
        shapes: sizes of every variable as the text declares them, the batch first (often -1); may be empty.
        parameters: names of the variables whose values are weights.
    """

    name: str
    batch_size: int
    functions: tuple[Function, ...]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: frozenset[str]


def unroll(network: Message) -> NetworkGraph:
    """Unroll the repeat blocks of a network.

    Raises:
        ValueError: if a variable or block is not declared, or the network has too many functions.
    """
    return _Unroller(network).graph()


class _Unroller:
    """Repeats the functions and variables of every repeat block as often as the block runs."""

    def __init__(self, network: Message) -> None:
        self._network = network
        self._times = {block.text("id"): block.integer("times") for block in network.messages("repeat_info")}
        for function in network.messages("function"):
            if function.text("type") == END:
                repeat = function.message("repeat_param")
                self._times.setdefault(repeat.text("repeat_id"), repeat.integer("times"))
        self._blocks: dict[str, list[str]] = {}  # of each variable
        for variable in network.messages("variable"):
            self._blocks[variable.text("name")] = variable.texts("repeat_id")

    def graph(self) -> NetworkGraph:
        shapes: dict[str, tuple[int, ...]] = {}
        parameters = set()
        count = 0
        for variable in self._network.messages("variable"):
            name = variable.text("name")
            if len(name) > MAX_NAME:
                raise ValueError(f"the name of the variable {name[:40]!r}... has more than {MAX_NAME} characters")
            runs = self._runs(self._blocks[name], count)
            count += len(runs)
            for index in runs:
                shapes[self._variable_in_run(name, index)] = tuple(variable.shape("shape"))
                if variable.text("type") == "Parameter":
                    parameters.add(self._variable_in_run(name, index))
        functions: list[Function] = []
        for function in self._network.messages("function"):
            for index in self._runs(function.texts("repeat_id"), len(functions)):
                functions.append(self._function(function, index))
        return NetworkGraph(
            self._network.text("name"),
            self._network.integer("batch_size"),
            tuple(functions),
            shapes,
            frozenset(parameters),
        )

    def _runs(self, blocks: list[str], so_far: int) -> list[dict[str, int]]:
        """Return every run of nested blocks, the innermost fastest."""
        if len(blocks) > MAX_DEPTH:
            raise ValueError(f"its repeat blocks are nested deeper than {MAX_DEPTH}")
        times = [self._count(block) for block in blocks]
        # Counted before anything is made: 1000 runs of 1000 runs are a few bytes in the file.
        if so_far + math.prod(times) > 10 * MAX_FUNCTIONS:
            raise ValueError(f"unrolling its repeat blocks would give more than {10 * MAX_FUNCTIONS} functions")
        return [dict(zip(blocks, run, strict=True)) for run in itertools.product(*map(range, times))]

    def _count(self, block: str) -> int:
        times = self._times.get(block, 0)
        if times < 1:
            raise ValueError(f"the repeat block {block!r} runs {times} times; it must run at least once")
        return times

    def _function(self, function: Message, index: Index) -> Function:
        kind = function.text("type")
        inputs = function.texts("input")
        links = max(len(inputs), len(function.texts("output")))
        if links > MAX_LINKS or len(function.text("name")) > MAX_NAME:
            raise ValueError(
                f"a function of the type {kind!r:.100} has {links} inputs or outputs ({MAX_LINKS} at most) "
                f"or a name of more than {MAX_NAME} characters"
            )
        sources: list[tuple[str, Index]] = [(name, index) for name in inputs]
        if kind in (START, END):
            block = function.message("repeat_param").text("repeat_id")
            if len(inputs) != 1 + (kind == START):
                raise ValueError(
                    f"the function {function.text('name')!r} of the type {kind!r} has {len(inputs)} inputs"
                )
            if kind == END:
                sources = [(inputs[0], {**index, block: self._count(block) - 1})]
            elif index.get(block, 0) == 0:
                sources = [(inputs[0], index)]
            else:
                sources = [(inputs[1], {**index, block: index[block] - 1})]
        return Function(
            self._name_in_run(function.text("name") or kind, index),
            kind,
            tuple(self._variable_in_run(name, run) for name, run in sources),
            tuple(self._variable_in_run(name, index) for name in function.texts("output")),
            _param(function, kind),
        )

    def _variable_in_run(self, name: str, index: Index) -> str:
        """Return the name of a variable in one run of the blocks that it belongs to."""
        if name not in self._blocks:
            raise ValueError(f"the variable {name!r} is used, but not declared")
        for block in self._blocks[name]:
            if block not in index:
                raise ValueError(f"the variable {name!r} of the repeat block {block!r} is used outside of it")
        return self._name_in_run(name, {block: index[block] for block in self._blocks[name]})

    @staticmethod
    def _name_in_run(name: str, index: Index) -> str:
        for block, run in index.items():
            mark = f"{{{block}}}"
            name = name.replace(mark, f"[{run}]") if mark in name else f"{name}_{block}[{run}]"
        return name


def _param(function: Message, kind: str) -> Message:
    """Return the arguments of a function: the field named after its type, ``r_sub_scalar_param`` for RSubScalar."""
    field = f"{kind.lower()}param"
    for name in function.fields:
        if name.replace("_", "").lower() == field:
            return function.message(name)
    return Message()
