"""Outputs and targets to scores, and the one loop for every perturbation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from pytorch_grad_cam.engine.trees import one_image

if TYPE_CHECKING:
    from pytorch_grad_cam.engine.chunks import Chunks

# Steps of a graph that take numbers out of others as they are.
_SELECTING = (
    "SelectBackward0",
    "SqueezeBackward0",
    "SqueezeBackward1",
    "UnbindBackward0",
    "ViewBackward0",
    "ReshapeAliasBackward0",
)
_ROUNDING = 16  # of a type's epsilon: nearer to 1, a sixteenth and more of a gradient is rounding

log = logging.getLogger(__name__)

Target = Callable[[Any], Tensor]
# Whether a long call shows a bar on stderr; or a function that is called with the number of steps done and of all.
Progress = bool | Callable[[int, int], None]


def scores_of(outputs: Any, targets: Sequence[Target]) -> Tensor:
    """Ask each image's target for its score.

    Args:
        outputs: the model's outputs for ``B`` images.
        targets: ``B`` callables from one image's output to a tensor with one element.

    Returns:
        ``(B,)`` scores, carrying the graph if the outputs do.

    Raises:
        TypeError: if a target returns no tensor.
        ValueError: if a target returns more than one number.
    """
    if isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) == len(targets):
        kind = type(targets[0])
        # Not what a subclass inherits: its own __call__ may say something else.
        if "of_batch" in vars(kind) and all(type(target) is kind for target in targets):
            return kind.of_batch(outputs, targets)  # type: ignore[attr-defined,no-any-return]
    scores = []
    for index, target in enumerate(targets):
        score = target(one_image(outputs, index, len(targets)))
        if not isinstance(score, Tensor):
            raise TypeError(
                f"the target of image {index} returned {type(score).__name__}, not a tensor; return a scalar tensor "
                "computed from the model's output (no .item(), no NumPy), so that its gradient can be taken"
            )
        if score.numel() != 1:
            raise ValueError(
                f"the target of image {index} returned a tensor of shape {tuple(score.shape)}; "
                "a target must return one number: pick an element or sum"
            )
        scores.append(score.reshape(()))
    return torch.stack(scores)  # (B,)


def total(scores: Tensor) -> Tensor:
    """Sum up scores ``(B,)`` to differentiate all at once, with their graph even where the gradient mode is off.

    To differentiate them as they are, torch takes a weight for each and checks shapes, for which it loads sympy: 0.4 s
    of a program's first map.
    """
    if scores.numel() == 1:
        return scores
    with torch.enable_grad():
        return scores.sum()


def is_softmax(node: Node | None) -> bool:
    """Say whether a step of a graph is a softmax of several numbers, seen through those behind it that only select.

    Ask before the graph is used: then it knows no more what it was made of.
    """
    while node is not None and node.name() in _SELECTING:
        node = node.next_functions[0][0]
    if node is None or node.name() != "SoftmaxBackward0":
        return False
    shape, axis = node._saved_result.shape, node._saved_dim  # type: ignore[attr-defined]
    axis = axis - 2**64 if axis >= 2**63 else axis  # torch hands out negative numbers so
    return bool(shape[axis] > 1 and axis % len(shape) == len(shape) - 1)


def lost_in_rounding(scores: Tensor) -> list[bool]:
    """Say of each of ``(B,)`` scores whether it is a probability so near 1 that its gradient is mostly rounding.

    That of a softmax has a term ``1 - p``, and what is left of the evidence for the class after it, is its error.
    """
    made_by = scores.grad_fn
    each = [node for node, _ in made_by.next_functions] if made_by and made_by.name() == "StackBackward0" else []
    if not any(map(is_softmax, each)):
        return []
    near = (scores.detach() > 1 - _ROUNDING * torch.finfo(scores.dtype).eps).tolist()
    return [is_near and is_softmax(node) for is_near, node in zip(near, each, strict=True)]


def scores_of_variants(
    count: int,
    make: Callable[[slice], Any],
    run: Callable[[Any], Any],
    target: Target,
    chunks: Chunks,
    advance: Callable[[int], None],
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Score ``count`` changed versions of one image in chunks, so that memory does not grow with their number.

    Args:
        count: number of variants.
        make: from a range of variants to what ``run`` takes.
        run: from that to the model's outputs, one row per variant.
        target: what is scored.
        chunks: how many at once; the same for all images of a call, so that what the memory holds is found out once.
        advance: told after each chunk how many variants it had.
        dtype: of the passes, see ``engine.precision``.

    Returns:
        ``(count,)`` scores.
    """

    def scored(chunk: slice) -> Tensor:
        return scores_of(run(make(chunk)), [target] * (chunk.stop - chunk.start))

    scores = []
    if dtype is not None:
        from pytorch_grad_cam.engine.precision import in_precision  # only for who asks for another

        run = in_precision(run, dtype)
    with torch.no_grad():
        for _, found in chunks(count, scored):
            scores.append(found)
            advance(len(found))
    return torch.cat(scores)  # (count,)


def on_faster_layout(run: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Hand ``run`` pictures ``(N, C, H, W)`` with channels last in memory, on which convolutions on a CPU are faster.

    A network that asks for the usual layout, as ``Tensor.view`` does, gets that from then on.
    """
    faster = True

    def either(images: Tensor) -> Any:
        nonlocal faster
        if faster and images.ndim == 4:
            try:
                return run(images.contiguous(memory_format=torch.channels_last))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # the usual layout, tried next, raises it again if that was not the reason
                log.info("the network does not take channels last (%s)", error)
                faster = False
        return run(images)

    return either


def replaced_bar(module: Any) -> Callable[..., Any] | None:
    """Return what code for ``grad-cam`` has put in the place of ``tqdm.tqdm`` in a method's file; None: nothing.

    Args:
        module: what the name ``tqdm`` stands for there.
    """
    from tqdm.std import tqdm as own  # under the name where nobody replaces it

    return None if module.tqdm is own else module.tqdm


@contextmanager
def progress_bar(
    total: int, label: str, show: Progress, make: Callable[..., Any] | None = None
) -> Iterator[Callable[[int], None]]:
    """Say how far a long call is, in the way that was asked for; yield what is told of every step forward.

    Args:
        make: what somebody has put in the place of ``tqdm.tqdm``: it is given a range, and what it returns is iterated.
    """
    if make is not None:
        steps = iter(make(range(total)))

        def advance(count: int) -> None:
            for _ in range(count):
                next(steps, None)

        yield advance
        advance(1)  # to its end
        return
    if callable(show):
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            show(done, total)

        yield tell
        return
    if not show:
        yield lambda count: None
        return
    from tqdm import tqdm  # only whoever wants to see a bar needs it

    with tqdm(total=total, desc=label) as bar:
        yield lambda count: bar.update(count) and None
