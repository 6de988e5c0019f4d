"""What to run: the executor's network, its input and outputs, and the functions between them in order."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.models.nnp.limits import MAX_ACTIVATION, MAX_AXES, MAX_FUNCTIONS
from pytorch_grad_cam.models.nnp.text import Message
from pytorch_grad_cam.models.nnp.unroll import Function, Network, unroll


@dataclass(frozen=True)
class Plan:
    """A network's functions in the order in which they run.

    Attributes:
        network: with the shapes that the file declares.
        functions: those that the outputs need; every function after those that it needs.
        input: (data name, variable name), e.g. ("x", "Input").
        outputs: the same for every output, e.g. ("y'", "Softmax").
        input_shape: of the input, without the batch.
        batch_size: that the file was saved with.
        normalizes: whether pixels are divided by 255.
    """

    network: Network
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
    network = unroll(_named(texts, executor.text("network_name")))
    inputs = _assigned(executor, "data_variable", network, "input")
    outputs = _assigned(executor, "output_variable", network, "output")
    data_name, input_variable = inputs[0]
    declared = network.shapes[input_variable]
    shape = declared[1:]
    if not 1 <= len(shape) < MAX_AXES or min(shape) < 1:
        raise ValueError(
            f"its input {input_variable!r} has the shape {declared}; the batch and positive sizes must follow"
        )
    count = 1
    for size in shape:
        count *= size
    if count > MAX_ACTIVATION:
        raise ValueError(f"its input {input_variable!r} of the shape {shape} has more than {MAX_ACTIVATION} values")
    return Plan(
        network,
        _ordered(network, input_variable, [variable for _, variable in outputs]),
        (data_name, input_variable),
        tuple(outputs),
        shape,
        network.batch_size if network.batch_size > 0 else max(declared[0], 1),
        not executor.flag("no_image_normalization"),
    )


def _named(texts: Sequence[Message], name: str) -> Message:
    networks = [network for text in texts for network in text.messages("network")]
    for network in networks:
        if network.text("name") == name:
            return network
    known = ", ".join(repr(network.text("name")) for network in networks[:5]) or "none"
    raise ValueError(f"its executor runs the network {name!r}, which it does not hold; it holds {known}")


def _assigned(executor: Message, field: str, network: Network, what: str) -> list[tuple[str, str]]:
    """Return (data name, variable name) of the executor's inputs or outputs."""
    found = []
    for entry in executor.messages(field):
        variable = entry.text("variable_name")
        if variable not in network.shapes:
            raise ValueError(f"its executor's {what} {variable!r} is not in the network {network.name!r}")
        found.append((entry.text("data_name") or variable, variable))
    if not found:
        raise ValueError(f"its executor names no {what} ({field})")
    return found


def _ordered(network: Network, source: str, targets: Sequence[str]) -> tuple[Function, ...]:
    """Return what the targets need, each function after its inputs, otherwise in the order of the file."""
    makers: dict[str, int] = {}
    for place, function in enumerate(network.functions):
        for output in function.outputs:
            if output in makers or output == source or output in network.parameters:
                raise ValueError(f"the variable {output!r} is made twice, also by the function {function}")
            makers[output] = place
    waits: dict[int, int] = {}  # for how many functions a function waits
    users: dict[int, list[int]] = {}
    stack = [target for target in targets if target != source]
    while stack:
        variable = stack.pop()
        if variable not in makers:
            raise ValueError(
                f"its output needs the variable {variable!r}, which no function makes; "
                f"only networks with one input, here {source!r}, can be read"
            )
        place = makers[variable]
        if place in waits:
            continue
        made = [name for name in network.functions[place].inputs if name not in network.parameters and name != source]
        before = {makers[name] for name in made if name in makers}
        waits[place] = len(before)
        for each in before:
            users.setdefault(each, []).append(place)
        stack += made
    if len(waits) > MAX_FUNCTIONS:
        raise ValueError(f"it has {len(waits)} functions after unrolling; {MAX_FUNCTIONS} at most can be read")
    ready = [place for place, count in waits.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(network.functions[place])
        for following in users.get(place, []):
            waits[following] -= 1
            if waits[following] == 0:
                heapq.heappush(ready, following)
    if len(order) < len(waits):
        stuck = next(network.functions[place] for place, count in waits.items() if count > 0)
        raise ValueError(f"its functions wait for each other in a circle, among them {stuck}")
    return tuple(order)
