"""Run only what follows a layer: recorded head, changed activations, the model's own code as ever.

One pass records what the modules beside the path to the layer return before it. In a replay these hand out their
records, the layer hands out the changed activations, and everything after it runs for real; so does a module whose
output cannot be recorded (an object of a class of its own). No tracing, no surgery: branches, loops and functional
calls of the model's ``forward`` stay what they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.inputs import fixed_batch, run_in_batches
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.engine.restore import giving_back, hooked, replaced_forward
from pytorch_grad_cam.engine.trees import is_tree, map_tensors, select_rows, tensors_in

log = logging.getLogger(__name__)

# The batch's composition moves the last bits, so a replay is compared with a tolerance: share of the largest output.
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}


class Replay:
    """What follows a layer, as a function of the layer's output, for one image.

    Construction runs the model once, then replays the unchanged activations and compares. If that fails, calls run the
    whole model and only exchange the layer's output: slower, and said in the log.

    Args:
        model: in evaluation mode.
        layer: a module of the model. If it runs several times, its last call is meant.
        image: ``(1, C, *S)``.
        run: runs the model on images ``(K, C, *S)``; None: the model itself, which takes nothing else.
        recorded: what `recording` kept of a pass of ``run`` on this image, and what that returned: no other is needed.

    Attributes:
        outputs: what the model returned for the image.
        activations: what the layer returned for the image.
        exact: whether replays run; False: whole passes.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: nn.Module,
        image: Tensor,
        run: Callable[[Tensor], Any] | None = None,
        recorded: RecordedPass | None = None,
    ) -> None:
        self._run, self._layer, self._image = run or model, layer, image
        self._size = fixed_batch(model)
        if recorded is None:
            with torch.no_grad(), recording(model, layer) as record:
                recorded = record, self._run(image)
        record, self.outputs = recorded
        self._recorded_calls = record.finished(self._size or 1)
        self.activations = self._recorded_calls[layer][-1].output
        # Views cost nothing, and writing to one is an error that the check meets; copies are the second try.
        self._copies = False
        difference = self._difference()
        if difference and any(call.written for calls in self._recorded_calls.values() for call in calls):
            self._copies = True
            difference = self._difference()
        self.exact = not difference
        if difference:
            log.info("replay from layer %s %s; using whole passes", layer_name(model, layer), difference)
            self._recorded_calls = {layer: self._recorded_calls[layer]}

    @giving_back
    def __call__(self, activations: Any) -> Any:
        """Run what follows the layer.

        Args:
            activations: changed outputs of the layer: as ``self.activations``, with ``K`` times as many rows.

        Returns:
            What the model returns for ``K`` images.
        """
        rows = next(tensors_in(activations)).shape[0]
        count = rows // next(tensors_in(self.activations)).shape[0]
        if self._size is not None and self._size != count:
            return run_in_batches(
                lambda rows: self(select_rows(activations, rows, count, blocks=True)), count, self._size
            )
        with torch.no_grad(), ExitStack() as stack:
            for module, calls in self._recorded_calls.items():
                outputs = [call.repeated(count, self._copies or count == 1) for call in calls]
                if module is self._layer:
                    outputs[-1] = activations
                stack.enter_context(replaced_forward(module, partial(_play_back, iter(outputs))))
            return self._run(_repeated(self._image, count))

    def _difference(self) -> str:
        """Replay the unchanged activations for two images and compare; say what is wrong, nothing if all is well."""
        try:
            replayed = self(map_tensors(self.activations, lambda tensor: _repeated(tensor, 2).clone()))
        except Exception as error:  # whatever the model's own code objects to: whole passes always work
            return f"fails ({error})"
        return "" if _doubled(self.outputs, replayed) else "differs"


@dataclass(frozen=True)
class _Call:
    """What one call of a module returned for one image."""

    output: Any  # a copy
    written: bool  # whether the model wrote over the original later, as in-place operations do, and so may need a copy

    def repeated(self, count: int, copies: bool) -> Any:
        """Return the output for ``count`` equal images, as views, or as copies of what was written over."""

        def repeat(tensor: Tensor) -> Tensor:
            view = _repeated(tensor, count)
            return view.clone() if copies and self.written else view

        return map_tensors(self.output, repeat)


class Recording:
    """Keeps what modules return, call by call, up to the last call of the layer."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._calls: dict[nn.Module, list[tuple[Any, list[tuple[Tensor, int]]]]] = {}
        self._until: dict[nn.Module, int] = {}
        self._opaque: set[nn.Module] = set()

    def keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if module is not self._layer and not is_tree(output):
            self._opaque.add(module)
            return
        versions = [(tensor, tensor._version) for tensor in tensors_in(output)]
        self._calls.setdefault(module, []).append((map_tensors(output, torch.clone), versions))
        if module is self._layer:
            self._until = {child: len(calls) for child, calls in self._calls.items()}

    def finished(self, copies: int = 1) -> dict[nn.Module, list[_Call]]:
        """Return per module the calls that finished before the layer's last one, and the layer's own.

        Args:
            copies: how many copies of the image ran, of which the first counts.
        """
        first = torch.zeros(1, dtype=torch.long)
        return {
            module: [
                _Call(
                    output if copies == 1 else select_rows(output, first, copies, blocks=True),
                    any(tensor._version > version for tensor, version in versions),
                )
                for output, versions in self._calls[module][:count]
            ]
            for module, count in self._until.items()
            if module not in self._opaque
        }


RecordedPass = tuple[Recording, Any]  # what modules returned in a pass, and what the model did


@contextmanager
def recording(model: nn.Module, layer: nn.Module) -> Iterator[Recording]:
    """Record one image's pass that runs in the block, for replays from ``layer``."""
    record = Recording(layer)
    with hooked([*_beside_the_path(model, layer), layer], record.keep):
        yield record


def _play_back(outputs: Iterator[Any], original: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Hand out the next recorded output or, when they are used up, run for real."""
    for output in outputs:
        return output
    return original(*args, **kwargs)


def _beside_the_path(model: nn.Module, layer: nn.Module) -> list[nn.Module]:
    """Return the children, other than the path itself, of the layer's ancestors."""
    if layer is model:
        return []
    path = [model]
    for part in layer_name(model, layer).split("."):
        path.append(path[-1].get_submodule(part))
    return [child for parent in path[:-1] for child in parent.children() if child not in path]


def _repeated(tensor: Tensor, count: int) -> Tensor:
    """Repeat the rows of one image for ``count`` images: ``(r, ...)`` to ``(count * r, ...)``, a view if ``r`` is 1."""
    return tensor[None].expand(count, *tensor.shape).flatten(0, 1)


def _doubled(one: Any, two: Any) -> bool:
    """Say whether ``two`` are the outputs for two images, each as ``one`` is for one, up to rounding."""
    if isinstance(one, (list, tuple)) and len(one) == 1 and not isinstance(one[0], Tensor):
        one = [one[0], one[0]]  # an entry per image, as detectors return it
    else:
        one = map_tensors(one, lambda tensor: _repeated(tensor, 2))
    expected, found = list(tensors_in(one)), list(tensors_in(two))
    return len(expected) == len(found) and all(map(_alike, expected, found))


def _alike(one: Tensor, two: Tensor) -> bool:
    if one.shape != two.shape or not one.is_floating_point() or not one.numel():
        return torch.equal(one, two)
    return bool(((one - two).abs() <= TOLERANCE.get(one.dtype, 0.0) * one.abs().max()).all())
