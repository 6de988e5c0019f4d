"""Files of ``torch.export`` as a source: a .pt2 file becomes a network with the layers that it was exported from."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.export import ExportedProgram, unflatten
from torch.export.unflatten import UnflattenedModule

from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.engine.inputs import run_in_batches
from pytorch_grad_cam.engine.trees import select_rows, tensors_in
from pytorch_grad_cam.models.exported_archive import check_archive, needs_trust
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import check_file, first_line, forbidden_object

_NORMS = ("aten.batch_norm.", "aten._native_batch_norm_legit.default", "aten._native_batch_norm_legit_functional.")
_DROPOUTS = ("aten.dropout.", "aten.feature_dropout.", "aten.alpha_dropout.", "aten.native_dropout.")
_FORCED, _FORCED_NOT = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_environment = threading.Lock()


class ExportedNetwork(UnflattenedModule):
    """An unflattened program that takes any number of images, also where it was exported for one number of them.

    Attributes:
        fixed_batch: that number; None if the program takes any.
    """

    fixed_batch: int | None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program, in pieces of its batch size; the last is filled up with copies of the last image."""
        size = self.fixed_batch
        run: Callable[..., Any] = super().forward
        count = next((len(tensor) for tensor in tensors_in([args, kwargs]) if tensor.ndim), size)
        if size is None or count is None or count == size:
            return run(*args, **kwargs)

        def run_rows(rows: Tensor) -> Any:
            return run(*select_rows(args, rows, count), **select_rows(kwargs, rows, count))

        return run_in_batches(run_rows, count, size)


def load_exported(spec: str, weights: None = None, trust_pickle: bool = False) -> LoadedModel:
    """Load a program that ``torch.export.save`` wrote, with its modules under their names, so that hooks work.

    Args:
        spec: a file .pt2.
        weights: None: the file holds them.
        trust_pickle: read whatever the file holds: unpickle what is there beside tensors, and evaluate texts that
            have not the form of torch.export's names, formulas and operators. Both can run any code.

    Returns:
        The network; its preprocessing is ImageNet's, at the size that the program takes.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no program, one that was exported in training mode, one whose layers cannot be told
            apart, or what could run code of its author's: objects that only unpickling would give, and texts that torch
            would run.
    """
    path = Path(spec)
    check_file(path, "exported program")
    check_archive(path, trust_pickle)
    program = _read_program(path, trust_pickle)
    try:
        trained = _node_in_training_mode(program)
        size = _input_size(program)
    except Exception as error:  # a program that is none in a way that its reader overlooks
        raise ValueError(_unreadable(path, error)) from error
    if trained is not None:
        raise ValueError(
            f"{path} was exported in training mode ({trained} works on the batch's statistics, or drops at random), "
            "which cannot be changed any more; put the model in evaluation mode, then export it again"
        )
    network = cast(ExportedNetwork, _unflatten(program, path))
    network.__class__ = ExportedNetwork  # in place, so that the layers keep the names that they were exported with
    network.fixed_batch = size[0] if size and isinstance(size[0], int) else None
    return LoadedModel(in_evaluation(network), _preprocessing_for(size), source=str(path))


def _read_program(path: Path, trust_pickle: bool) -> ExportedProgram:
    try:
        with warnings.catch_warnings(), _weights_only(not trust_pickle):
            warnings.simplefilter("ignore")  # of formats that torch will drop some day
            return torch.export.load(path)
    except Exception as error:  # the reader raises almost anything
        forbidden = forbidden_object(error)
        if forbidden is not None:
            raise ValueError(needs_trust(path, forbidden)) from error
        raise ValueError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"{path} cannot be read as an exported program ({first_line(error)}); export it again with torch "
        f"{torch.__version__}"
    )


@contextmanager
def _weights_only(required: bool) -> Iterator[None]:
    """Keep torch from unpickling: its reader tries again with everything allowed when the safe way fails.

    Only the environment decides above that. It belongs to the whole process, so meanwhile no other thread can unpickle.
    """
    with _environment:
        before = {name: os.environ.pop(name, None) for name in (_FORCED, _FORCED_NOT)} if required else {}
        if required:
            os.environ[_FORCED] = "1"
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def _node_in_training_mode(program: ExportedProgram) -> str | None:
    """Return the operator of the first node that works as in training."""
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    nodes = chain.from_iterable(graph.nodes for graph in graphs)
    return next((str(node.target) for node in nodes if _is_in_training_mode(node)), None)


def _is_in_training_mode(node: torch.fx.Node) -> bool:
    name, args = str(node.target), node.args
    if name.startswith(_NORMS):  # (input, weight, bias, mean, variance, training, ...); without a mean, evaluation too
        return len(args) > 5 and args[3] is not None and args[5] is True
    return name.startswith(_DROPOUTS) and True in args[2:3]  # (input, p, training)


def _unflatten(program: ExportedProgram, path: Path) -> UnflattenedModule:
    try:
        return unflatten(program)
    except Exception as error:  # torch's checks of its own records of the layers raise errors of many kinds
        raise ValueError(
            f"{path} cannot be taken apart into its layers ({first_line(error)}); export the network again with "
            "torch.export.export(..., strict=False)"
        ) from error


def _input_size(program: ExportedProgram) -> tuple[Any, ...]:
    """Return the shape of the first picture that the program takes: numbers where they are fixed."""
    inputs = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        value = node.meta.get("val") if node.op == "placeholder" and node.name in inputs else None
        if isinstance(value, Tensor) and value.ndim >= 3 and value.is_floating_point():
            return tuple(value.shape)
    return ()


def _preprocessing_for(size: tuple[Any, ...]) -> Preprocessing:
    usual = Preprocessing()
    if len(size) != 4:
        return usual
    if size[1] == 1:
        usual = replace(usual, mean=(0.0,), std=(1.0,))
    if not all(isinstance(side, int) for side in size[2:]):
        return usual
    return usual.sized(size[2]) if size[2] == size[3] else replace(usual, resize=size[2:], crop=None)
