"""The network of a .nnp file as a module of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from pytorch_grad_cam.models.nnp.activations import CLOSING
from pytorch_grad_cam.models.nnp.build import CONVOLUTIONS, ModuleGraph, Step
from pytorch_grad_cam.models.nnp.plan import Plan

_PASSING = ("Identity", "Dropout", "RepeatEnd")  # hand on what they get


class NnpNetwork(nn.Module):
    """A network of Neural Network Console: its functions are submodules, run in the order of the graph.

    Takes ``(B, *input_shape)`` for any B and returns ``(B, *output_shape)``, the executor's first output: usually
    probabilities, as the Console's networks end in Softmax or Sigmoid.

    Attributes:
        input_name: of the data, e.g. "x": the column of a dataset.
        output_names: of the data, e.g. ("y'",); the first is what calls return.
        input_shape: of one image, ``(C, H, W)``.
        output_shape: for one image.
        normalizes: whether the network was trained on pixels divided by 255; False: on 0 to 255.
        last_convolution: the last submodule that is a convolution (deconvolutions do not count: they spread values);
            None if there is none.
        logit_layer: the submodule that makes what the closing Softmax or Sigmoid takes; None without one.
        variables: submodule by the variable that it makes, e.g. {"Convolution_2": "Convolution_2"}. The Console calls
            layers by these names.
        functions: submodule by the name of the function in the file, where that is another one.
    """

    input_name: str
    output_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    normalizes: bool
    last_convolution: str | None
    logit_layer: str | None
    variables: dict[str, str]
    functions: dict[str, str]

    def __init__(self, plan: Plan, graph: ModuleGraph, output: str | None = None) -> None:
        super().__init__()
        self._plan, self._graph = plan, graph
        self._source, self._output = plan.input[1], plan.outputs[0][1] if output is None else output
        self._path = _steps_to(self._output, graph.steps)
        self.input_name = plan.input[0]
        self.output_names = tuple(name for name, _ in plan.outputs)
        self.input_shape = plan.input_shape
        self.output_shape = graph.shapes[self._output]
        self.normalizes = plan.normalizes
        self.variables = {name: step.module for step in graph.steps for name in step.outputs}
        self.functions = {
            function.name: step.module for function, step in zip(plan.functions, graph.steps, strict=True)
        }
        convolutions = [step.module for step in self._path if step.kind in CONVOLUTIONS]
        self.last_convolution = convolutions[-1] if convolutions else None
        closing = self._closing()
        self.logit_layer = None if closing is None else self.variables.get(closing.inputs[0])
        # An output that calls do not return has modules too: they move to a device with the rest.
        for name in dict.fromkeys(step.module for step in (graph.steps if output is None else self._path)):
            self.add_module(name, graph.modules[name])
        self._last_uses = _last_uses(self._path, self._output)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.input_shape:
            sizes = " x ".join(map(str, self.input_shape))
            raise ValueError(
                f"the network takes a batch of {sizes}, {self.input_name!r}, not {tuple(x.shape)}; resize the pictures"
            )
        values = {self._source: x}
        for step, last_used in zip(self._path, self._last_uses, strict=True):
            module = self._modules[step.module]
            assert module is not None
            outputs = module(*(values[name] for name in step.inputs))
            for name in last_used:
                del values[name]
            values.update(zip(step.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True))
        return values[self._output]

    def logits(self) -> NnpNetwork:
        """Return the network without the closing Softmax or Sigmoid; its submodules are the same objects.

        Near a probability of 1 the gradient of a probability vanishes, that of the logit does not.
        """
        closing = self._closing()
        return self._with_output(self._output if closing is None else closing.inputs[0])

    def output(self, name: str) -> NnpNetwork:
        """Return the network that leads to another of `output_names`; shared submodules are the same objects.

        Raises:
            ValueError: if there is no such output.
        """
        for data_name, variable in self._plan.outputs:
            if name in (data_name, variable):
                return self._with_output(variable)
        raise ValueError(f"the network has no output {name!r}; it has {', '.join(map(repr, self.output_names))}")

    @property
    def closing(self) -> str | None:
        """The type of the function that turns logits into the output, e.g. "Softmax"; None without one."""
        step = self._closing()
        return None if step is None else step.kind

    @classmethod
    def is_reserved(cls, name: str) -> bool:
        """Say whether a submodule cannot have a name because the network itself uses it."""
        return (
            name.startswith("_")
            or name in cls.__annotations__
            or name in nn.Module.__annotations__
            or hasattr(cls, name)
        )

    def _with_output(self, variable: str) -> NnpNetwork:
        own = {name: module for name, module in self._modules.items() if module is not None}
        network = NnpNetwork(self._plan, replace(self._graph, modules={**self._graph.modules, **own}), variable)
        network.training = self.training
        return network

    def _closing(self) -> Step | None:
        """Return the step of the closing Softmax or Sigmoid, also where functions that do nothing follow it."""
        variable = self._output
        for step in reversed(self._path):
            if variable in step.outputs:
                if step.kind in CLOSING:
                    return step
                if step.kind not in _PASSING:
                    return None
                variable = step.inputs[0]
        return None


def _steps_to(output: str, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps that lead to a variable, in order."""
    needed, path = {output}, []
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(step.inputs)
            path.append(step)
    return tuple(reversed(path))


def _last_uses(steps: Sequence[Step], output: str) -> tuple[tuple[str, ...], ...]:
    """Return for every step the variables that no later step needs, whose memory can be freed then."""
    last: dict[str, int] = {}
    for place, step in enumerate(steps):
        for name in step.inputs:
            last[name] = place
    return tuple(
        tuple(name for name in dict.fromkeys(step.inputs) if last[name] == place and name != output)
        for place, step in enumerate(steps)
    )
