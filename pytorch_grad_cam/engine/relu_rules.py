"""Other rules for the gradient of a ReLU, as hooks on the nodes of one recorded graph.

Nothing global is patched and nothing has to be restored: the hooks die with the graph. ReLU modules, ``F.relu``,
``torch.relu`` and the in-place forms all record the same node, and ReLU6 that of a hardtanh which begins at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from torch import Tensor
from torch.autograd.graph import Node

from pytorch_grad_cam.common.messages import NoReLUError

Rule = Literal["plain", "guided", "deconv"]

# Given the gradient that leaves a ReLU backwards (masked by the forward pass) and the one that enters it.
_RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "guided": lambda leaving, entering: leaving.clamp_min(0),
    "deconv": lambda leaving, entering: entering.clamp_min(0),
}


def apply_relu_rule(scores: Tensor, rule: Rule) -> None:
    """Change how gradients pass the ReLUs of a graph, from now on.

    Args:
        scores: the end of the graph.
        rule: with ``R`` the incoming gradient and ``z`` the input of a ReLU: "plain" ``R [z > 0]``, "guided"
            ``relu(R) [z > 0]`` (Springenberg et al., 2014, arXiv:1412.6806), "deconv" ``relu(R)`` (Zeiler and Fergus,
            2013, arXiv:1311.2901). A ReLU6 is one with ``[0 < z < 6]``. Where other activations (GELU, SiLU, hardswish,
            clamps) stand beside ReLUs, their gradient stays what it is: the rules have no meaning there.

    Raises:
        ValueError: for an unknown rule.
        NoReLUError: if the graph has no ReLU or ReLU6.
    """
    if rule == "plain":
        return
    if rule not in _RULES:
        raise ValueError(f"relu_rule={rule!r} is unknown; choose 'plain', 'guided' or 'deconv'")
    change = _RULES[rule]

    def hook(leaving: tuple[Any, ...], entering: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(None if grad is None else change(grad, entering[0]) for grad in leaving)

    nodes = [node for node in _nodes(scores) if _is_relu(node)]
    if not nodes:
        raise NoReLUError(
            f"the {rule} rule changes the gradient of ReLUs, but there is none between the target and the input or "
            "layer (nor a ReLU6; GELU, SiLU, hardswish and clamps are other functions)",
            "use the plain rule",
        )
    for node in nodes:
        node.register_hook(hook)


def _is_relu(node: Node) -> bool:
    """Say whether a node is that of a ReLU or, as in MobileNet, of one that stops at 6 or another number."""
    name = node.name()
    return name.startswith("ReluBackward") or (
        name.startswith("HardtanhBackward") and node._saved_min_val == 0  # type: ignore[attr-defined]
    )


def _nodes(scores: Tensor) -> Iterator[Node]:
    """Yield every node of the graph once."""
    waiting, seen = [scores.grad_fn], set[Node]()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
            yield node
