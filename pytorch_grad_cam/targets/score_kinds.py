"""What the scores of a classifier are, and so how they become shares of classes that people can read."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.targets.spec import class_scores

log = logging.getLogger(__name__)

SOFTMAX = "softmax"  # one of the classes is true: the shares sum to 1
SIGMOID = "sigmoid"  # each class has a share of its own; of one score, that of yes
MULTI_LABEL = "multi-label"  # likewise, and any number of the classes are true at once
NONE = "none"  # no shares: numbers as they are, as of a regression
STATED = "as stated"  # the reason where somebody said it
SCORE_KINDS = (SOFTMAX, SIGMOID, MULTI_LABEL, NONE)

# What configurations of transformers call them.
_PROBLEM_TYPES = {
    "single_label_classification": SOFTMAX,
    "multi_label_classification": MULTI_LABEL,
    "regression": NONE,
}
_LEAST, _MOST = -1e-6, 1 + 1e-6  # of a share, with what half precision and sums may add
# Operators of a graph, without "Backward0". Those that only choose, arrange or average keep shares what they are.
_KEEPING = re.compile(
    r"(Unsafe)?(View|Split|Chunk)(Copy|WithSizes)?|Reshape\w*|Squeeze|Unsqueeze|Select|Slice|Index|IndexSelect|Gather|Permute|T"
    r"|Transpose|Clone|ToCopy|Alias|Expand|Cat|Stack|Unbind|Topk|Sort|Mean|Amax|Max|Min|Amin"
    r"|(Adaptive)?(Avg|Max)Pool\w*"
)
# These return numbers of any size, so what ends in one returns no shares, whatever its values.
_UNBOUNDED = re.compile(
    r"\w*Addmm|\w*Mm|\w*Mv|Dot|\w*Linear\w*|\w*Conv\w*|Add|Sub|\w*BatchNorm\w*|\w*LayerNorm|\w*GroupNorm|Relu|Gelu|Silu"
    r"|LogSoftmax|Log"
)


@dataclass(frozen=True)
class ScoreKind:
    """Says what the scores ``(M,)`` of one image are.

    Attributes:
        name: one of `SCORE_KINDS`.
        count: number of scores per image ``M``; one is for two classes, no and yes.
        are_shares: whether the network returns shares already, because it ends in the function itself.
        reason: how that is known, for people; empty where it is the usual case, and nothing speaks for another.
    """

    name: str
    count: int
    are_shares: bool = False
    reason: str = ""

    def shares(self, scores: Tensor) -> Tensor:
        """Return the share of each class in [0, 1], ``(M,)``; of one score two, no and yes. "none": the scores."""
        scores = scores.float()
        if self.name == NONE:
            return scores
        if not self.are_shares:
            scores = torch.softmax(scores, 0) if self.name == SOFTMAX else scores.sigmoid()
        return torch.cat([1 - scores, scores]) if len(scores) == 1 else scores

    def seen(self, scores: Tensor, count: int) -> list[tuple[int, float]]:
        """Return the classes that are seen in an image and their shares, the highest first.

        Args:
            scores: ``(M,)``, of one image.
            count: at most so many; of several labels, which may be true at once, all above 0.5 instead.
        """
        shares = self.shares(scores.detach().cpu())
        order = shares.argsort(descending=True, stable=True).tolist()
        if self.name == MULTI_LABEL and len(scores) > 1:
            return [(index, float(shares[index])) for index in order if shares[index] > 0.5]
        return [(index, float(shares[index])) for index in order[:count]]

    def record(self) -> dict[str, Any]:
        """Return the same as JSON can write it."""
        return {"kind": self.name, "are_shares": self.are_shares, "reason": self.reason}

    def __str__(self) -> str:
        """Say it in a line for people."""
        function = SOFTMAX if self.name == SOFTMAX else SIGMOID
        meaning = {
            SOFTMAX: "one class is true",
            SIGMOID: "no or yes" if self.count == 1 else "each class by itself",
            MULTI_LABEL: "no or yes" if self.count == 1 else "any number of classes, those above 50 % are listed",
            NONE: "numbers as they are, no shares",
        }[self.name]
        if self.name == NONE:
            return meaning + (f" ({self.reason})" if self.reason else "")
        how = "shares as the network returns them" if self.are_shares else f"shares by {function} of the scores"
        return f"{how}: {meaning}" + (f" ({self.reason})" if self.reason else "")


@giving_back
def score_kind(
    model: nn.Module, input_tensor: Tensor, stated: str | None = None, run: Callable[[Tensor], Any] | None = None
) -> ScoreKind:
    """Find out what the scores of a classifier are, by one forward pass with a graph.

    In this order: what is stated here, what the model's own ``config.problem_type`` states (transformers), the
    function that the graph of the scores ends in, and where that is none that is known, their values: all in [0, 1],
    they are shares. Where nothing speaks for another kind, one score is for a sigmoid and several are for a softmax.
    Shares that the network returns itself are never put through the function again.

    Args:
        model: the network.
        input_tensor: ``(B, C, *S)``, real images: values count.
        stated: one of `SCORE_KINDS`; None: it is found out.
        run: runs the network, where it takes more than the images or a part of its output is meant.

    Raises:
        ValueError: for another kind, a softmax of one score, or outputs without scores ``(B, M)`` or ``(B,)``.
    """
    if stated not in (None, *SCORE_KINDS):
        raise ValueError(f"the scores {stated!r} are unknown; give one of {', '.join(SCORE_KINDS)}, or None")
    with undisturbed(model, input_tensor.device):
        outputs = _with_graph(run or model, input_tensor)
        with torch.enable_grad():  # for what it takes out of them
            scores, _ = class_scores(outputs, "the kind of the scores is asked for")
        return _kind(scores, stated, _configured(model))


def class_shares(outputs: Any, stated: str | None = None) -> Tensor | None:
    """Return the share of each class by the values of the scores alone: ``(B, M)`` float32 on the CPU.

    Args:
        outputs: of a model, ``(B, M)``; of one score the shares of both classes, no and yes, are returned.
        stated: one of `SCORE_KINDS`; None: values in [0, 1] are shares, others are for a sigmoid or a softmax.

    Returns:
        None if the outputs are no scores of classes.
    """
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or not outputs.is_floating_point():
        return None
    scores = outputs.detach().float().cpu()
    kind = _kind(scores, stated, None)
    return torch.stack([kind.shares(row) for row in scores])


def _configured(model: nn.Module) -> str | None:
    """Return what the configuration of a network of transformers states."""
    problem: Any = getattr(getattr(model, "config", None), "problem_type", None)
    return _PROBLEM_TYPES.get(problem) if isinstance(problem, str) else None


def _with_graph(model: Callable[[Tensor], Any], images: Tensor) -> Any:
    """Run the model with a graph from the images on; without one where it does not take such images."""
    with torch.enable_grad():
        start = images.detach().clone()
        start.requires_grad = True
        try:
            return model(start.clone())  # no leaf: the model may write into its input
        except RuntimeError as error:  # as of .numpy(); raised again below if that was not the reason
            log.info("the network does not run with a graph (%s)", error)
    return model(images.clone())


def _kind(scores: Tensor, stated: str | None, configured: str | None) -> ScoreKind:
    count = scores.shape[1]
    if stated == SOFTMAX and count == 1:
        raise ValueError("a softmax of the network's one score is 1 whatever it shows; its share is by sigmoid")
    shares, why = _are_shares(scores)
    name, reason = (stated, STATED) if stated else (configured, "as the network's configuration states")
    if name:
        return ScoreKind(name, count, shares and name != NONE, reason)
    if not shares:
        return ScoreKind(SIGMOID if count == 1 else SOFTMAX, count)
    if count == 1:
        return ScoreKind(SIGMOID, count, True, why)
    sums_to_one = bool(((scores.detach().float().sum(1) - 1).abs() < 5e-3).all())
    if sums_to_one:
        return ScoreKind(SOFTMAX, count, True, "they sum to 1")
    return ScoreKind(MULTI_LABEL, count, True, why)


def _are_shares(scores: Tensor) -> tuple[bool, str]:
    """Say whether scores ``(B, M)`` are shares, and how that is known."""
    values = scores.detach()
    if not bool(((values >= _LEAST) & (values <= _MOST)).all()):
        return False, ""
    ends = set(_ends(scores))
    if ends and ends <= {"Sigmoid", "Softmax"}:
        return True, f"the network ends in a {' and a '.join(sorted(end.lower() for end in ends))}"
    if any(_UNBOUNDED.fullmatch(end) for end in ends):
        return False, ""
    return True, "all in 0..1, and they do not sum to 1" if values.shape[1] > 1 else "it is in 0..1"


def _ends(scores: Tensor) -> Iterator[str]:
    """Yield the names of the operators that made the numbers, behind those that only choose, arrange or average."""
    waiting: list[Node | None] = [scores.grad_fn]
    known: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in known:
            continue
        known.add(node)
        name = re.sub(r"Backward\d*$", "", node.name())
        if _KEEPING.fullmatch(name):
            waiting += [following for following, _ in node.next_functions]
        else:
            yield name
