"""Plan what runs: the executor's network, unrolled, its input and outputs, and the functions between them in order."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from pytorch_grad_cam.models.nnp.limits import (
    MAX_ACTIVATION,
    MAX_ALL_LINKS,
    MAX_ALL_NAMES,
    MAX_AXES,
    MAX_DEPTH,
    MAX_FUNCTIONS,
    MAX_LINKS,
    MAX_NAME,
)
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


@dataclass(frozen=True)
class Plan:
    """A network's functions in the order in which they run.

    Attributes:
        network: with the shapes that the file declares.
        functions: those that the outputs need, every one after its inputs.
        input: (data name, variable name), e.g. ("x", "Input").
        outputs: the same for every output, e.g. ("y'", "Softmax").
        input_shape: of the input, without the batch.
        batch_size: that the file was saved with.
        normalizes: whether pixels are divided by 255.
    """

    network: NetworkGraph
    functions: tuple[Function, ...]
    input: tuple[str, str]
    outputs: tuple[tuple[str, str], ...]
    input_shape: tuple[int, ...]
    batch_size: int
    normalizes: bool


def make_plan(texts: Sequence[Message]) -> Plan:
    """Find the first executor, its network, and what must run for its outputs.

    Raises:
        ValueError: if there is none, or the network does not lead from its input to its outputs.
    """
    executors = [executor for text in texts for executor in text.messages("executor")]
    if not executors:
        raise ValueError("it has no executor, which says what network, input and output count; export it with one")
    executor = executors[0]
    network = _Unroller(_network_named(texts, executor.text("network_name"))).graph()
    inputs = _data_names(executor, "data_variable", network, "input")
    outputs = _data_names(executor, "output_variable", network, "output")
    data_name, input_variable = inputs[0]
    declared = network.shapes[input_variable]
    shape = declared[1:]
    if not 1 <= len(shape) < MAX_AXES or min(shape) < 1:
        raise ValueError(
            f"its input {input_variable!r} has the shape {declared}; the batch and positive sizes must follow"
        )
    if math.prod(shape) > MAX_ACTIVATION:
        raise ValueError(f"its input {input_variable!r} of the shape {shape} has more than {MAX_ACTIVATION} values")
    return Plan(
        network,
        _functions_in_order(network, input_variable, [variable for _, variable in outputs]),
        (data_name, input_variable),
        tuple(outputs),
        shape,
        network.batch_size if network.batch_size > 0 else max(declared[0], 1),
        not executor.flag("no_image_normalization"),
    )


def _network_named(texts: Sequence[Message], name: str) -> Message:
    networks = [network for text in texts for network in text.messages("network")]
    for network in networks:
        if network.text("name") == name:
            return network
    known = ", ".join(repr(network.text("name")) for network in networks[:5]) or "none"
    raise ValueError(f"its executor runs the network {name!r}, which it does not hold; it holds {known}")


def _data_names(executor: Message, field: str, network: NetworkGraph, what: str) -> list[tuple[str, str]]:
    """Return (data name, variable name) of the executor's inputs or outputs."""
    names = []
    for entry in executor.messages(field):
        variable = entry.text("variable_name")
        if variable not in network.shapes:
            raise ValueError(f"its executor's {what} {variable!r} is not in the network {network.name!r}")
        names.append((entry.text("data_name") or variable, variable))
    if not names:
        raise ValueError(f"its executor names no {what} ({field})")
    return names


def _functions_in_order(network: NetworkGraph, source: str, targets: Sequence[str]) -> tuple[Function, ...]:
    """Return the functions that the targets need, every one after its inputs, otherwise in the order of the file."""
    dependencies = _dependencies(network, source, targets, _makers(network, source))
    if len(dependencies) > MAX_FUNCTIONS:
        raise ValueError(f"it has {len(dependencies)} functions after unrolling; {MAX_FUNCTIONS} at most can be read")
    order = _topological_order(dependencies)
    if len(order) < len(dependencies):
        stuck = network.functions[next(place for place in dependencies if place not in set(order))]
        raise ValueError(f"its functions wait for each other in a circle, among them {stuck}")
    return tuple(network.functions[place] for place in order)


def _makers(network: NetworkGraph, source: str) -> dict[str, int]:
    """Return the place in the file of the function that returns a variable, for every such variable."""
    makers: dict[str, int] = {}
    for place, function in enumerate(network.functions):
        for output in function.outputs:
            if output in makers or output == source or output in network.parameters:
                raise ValueError(f"the variable {output!r} is made twice, also by the function {function}")
            makers[output] = place
    return makers


def _dependencies(
    network: NetworkGraph, source: str, targets: Sequence[str], makers: Mapping[str, int]
) -> dict[int, set[int]]:
    """Return the functions that the targets need, by place in the file, with the places of those that they need."""
    dependencies: dict[int, set[int]] = {}
    stack = [target for target in targets if target != source]
    while stack:
        variable = stack.pop()
        if variable not in makers:
            raise ValueError(
                f"its output needs the variable {variable!r}, which no function makes; "
                f"only networks with one input, here {source!r}, can be read"
            )
        place = makers[variable]
        if place in dependencies:
            continue
        computed = [
            name for name in network.functions[place].inputs if name not in network.parameters and name != source
        ]
        dependencies[place] = {makers[name] for name in computed if name in makers}
        stack += computed
    return dependencies


def _topological_order(dependencies: Mapping[int, Iterable[int]]) -> list[int]:
    """Sort numbers so that each stands behind those it depends on, else the smallest first; circles are left out."""
    sorter = TopologicalSorter(dependencies)
    with suppress(CycleError):  # what lies before the circle is sorted all the same
        sorter.prepare()
    ready, order = list(sorter.get_ready()), []
    heapq.heapify(ready)
    while ready:
        order.append(heapq.heappop(ready))
        sorter.done(order[-1])
        for place in sorter.get_ready():
            heapq.heappush(ready, place)
    return order


class _Unroller:
    """Unrolls the repeat blocks of a network: repeats what lies in a block as often as the block runs.

    Inside a block ``RepeatStart`` ... ``RepeatEnd`` that runs three times a variable ``A`` becomes ``A_Block[0]``,
    ``A_Block[1]``, ``A_Block[2]``, and a parameter ``A{Block}/W`` becomes ``A[0]/W`` and so on; blocks may be nested.
    """

    def __init__(self, network: Message) -> None:
        self._network = network
        self._times = {block.text("id"): block.integer("times") for block in network.messages("repeat_info")}
        for function in network.messages("function"):
            if function.text("type") == END:
                repeat = function.message("repeat_param")
                self._times.setdefault(repeat.text("repeat_id"), repeat.integer("times"))
        self._links, self._characters = 0, 0  # of all functions and names, in all runs
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
            shape = tuple(variable.shape("shape"))
            if len(shape) > MAX_AXES + 1:
                raise ValueError(f"the variable {name!r:.200} has {len(shape)} axes; {MAX_AXES} at most can be read")
            for index in runs:
                shapes[self._variable_in_run(name, index)] = shape
                if variable.text("type") == "Parameter":
                    parameters.add(self._variable_in_run(name, index))
        functions: list[Function] = []
        for function in self._network.messages("function"):
            runs = self._runs(function.texts("repeat_id"), len(functions))
            # Runs times links, before anything is made of either.
            self._links += len(runs) * (len(function.texts("input")) + len(function.texts("output")))
            if self._links > MAX_ALL_LINKS:
                raise ValueError(f"its functions have more than {MAX_ALL_LINKS} inputs and outputs after unrolling")
            for index in runs:
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

    def _name_in_run(self, name: str, index: Index) -> str:
        for block, run in index.items():
            mark = f"{{{block}}}"
            name = name.replace(mark, f"[{run}]") if mark in name else f"{name}_{block}[{run}]"
            self._characters += len(name)
        if self._characters > MAX_ALL_NAMES:
            raise ValueError(f"its names have more than {MAX_ALL_NAMES} characters after unrolling")
        return name


def _param(function: Message, kind: str) -> Message:
    """Return the arguments of a function: the field named after its type, ``r_sub_scalar_param`` for RSubScalar."""
    field = f"{kind.lower()}param"
    for name in function.fields:
        if name.replace("_", "").lower() == field:
            return function.message(name)
    return Message()
