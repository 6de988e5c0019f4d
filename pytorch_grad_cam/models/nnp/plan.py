"""Plan what runs: the executor's network, its input and outputs, and the functions between them in order."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from pytorch_grad_cam.models.nnp.limits import MAX_ACTIVATION, MAX_AXES, MAX_FUNCTIONS
from pytorch_grad_cam.models.nnp.text import Message
from pytorch_grad_cam.models.nnp.unroll import Function, NetworkGraph, unroll


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
    network = unroll(_network_named(texts, executor.text("network_name")))
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
    """Return the place in the file of the function that returns a variable, for every such variable.

    Raises:
        ValueError: if a variable has two functions that return it, or one although it is the input or a parameter.
    """
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
    """Return the functions that the targets need, by place in the file, with the places of those that they need.

    Raises:
        ValueError: if no function returns a variable that is needed.
    """
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
