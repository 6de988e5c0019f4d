"""Interrupt calls at any instant, one interrupt a call, and count what is left of them in the model and the process.

    python -m tools.stress_interrupts --count 20000 --seed 0
    python -m tools.stress_interrupts --count 20000 --seed 0 --twice

A third of the interrupts are a SIGINT that another thread sends at a random instant of the call, a third the signal of
a timer of the kernel, which is more even, and a third a trace function that raises KeyboardInterrupt at a random line
of ours. Methods and networks take turns. A trace is any difference in training flags, hooks, attributes of modules, the
method's own record, gradient and inference mode, interceptions of torch's functions, random state, turns that nobody
ends, or notes of what is borrowed. With ``--twice`` every interrupt is the timer's, and a second one comes at a random
instant of the fraction of a millisecond in which what the first one ended is cleaned up.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine import ledger
from pytorch_grad_cam.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
OURS = str(Path(ledger.__file__).parents[1])  # of the package that runs, which may be an installed one
FEW: dict[str, dict[str, Any]] = {  # methods that make many passes make few
    "rise": {"num_samples": 10},
    "smoothgrad": {"num_samples": 3},
    "vargrad": {"num_samples": 3},
    "smoothgradcam++": {"num_samples": 2},
    "sscam": {"num_samples": 2},
    "iscam": {"num_samples": 2},
    "integratedgradients": {"steps": 4},
    "opticam": {"steps": 2},
    "gscorecam": {"channels": 2},
}
TOO_LONG = ("sess",)
CLEAN_UP = 3e-4  # seconds within which the second of two interrupts comes


class RecurrentNet(nn.Module):
    """A convolution whose positions an LSTM reads: its recurrent part runs with another forward during a call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.rnn = nn.LSTM(4, 5, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2)
        scores: Tensor = self.head(self.drop(self.rnn(steps)[0].mean(1)))
        return scores


def training(net: nn.Module) -> nn.Module:
    """Put every module but one in training mode, so that one flag for all would show."""
    net.train()
    list(net.modules())[-1].eval()
    return net


def networks() -> Iterator[tuple[str, nn.Module, Tensor, str]]:
    """Yield networks in training mode, with an input and the name of a layer."""
    sys.path.insert(0, str(ROOT / "tests"))
    from helpers.tiny_nets import ResidualNet, TinyViT, UNet, build, inputs

    yield "residual", training(build(ResidualNet)), inputs(batch=1), "norm"
    yield "recurrent", training(build(RecurrentNet)), inputs(batch=1, size=(6, 7)), "norm"
    yield "u-net", training(build(UNet)), inputs(batch=1, size=(6, 8)), "middle"
    yield "transformer", training(build(TinyViT)), inputs(batch=1, size=TinyViT.size), "blocks.0.norm1"


def cases() -> list[tuple[str, nn.Module, Any, Callable[[], object]]]:
    """Return what is interrupted: a name, the model, the method's object, and the call."""
    found = []
    for kind, net, x, layer in networks():
        target: Any = (lambda output: output.flatten()[0]) if kind == "u-net" else 1
        for name, method in METHODS.items():
            if name in TOO_LONG or (method.needs and kind != "transformer"):
                continue
            arguments = [layer] if method.load().uses_layers else []
            cam = method.load()(net, *arguments, **FEW.get(name, {}))
            call = partial(cam, x, target)
            try:
                call()
            except (ValueError, TypeError, RuntimeError):  # the method is not for this kind of network
                continue
            found.append((f"{name} of {kind}", net, cam, call))
        cam = METHODS["gradcam"].load()(net, layer)
        found.append((f"gradcam over views of {kind}", net, cam, partial(cam, x, target, aug_smooth=True)))
        found.append((f"an automatic layer of {kind}", net, cam, partial(_chosen, net, x, target)))
    return found


def _chosen(net: nn.Module, x: Tensor, target: Any) -> object:
    return METHODS["gradcam"].load()(net)(x, target)


def state(net: nn.Module, cam: Any) -> dict[str, Any]:
    """Return everything that a caller could notice."""
    return {
        "flags": [module.training for module in net.modules()],
        "hooks": [len(module._forward_hooks) for module in net.modules()],
        "attributes": [sorted(vars(module)) for module in net.modules()],
        "forward": [vars(module).get("forward") for module in net.modules()],
        "record": id(cam.activations_and_grads),
        "gradients": [parameter.grad is None for parameter in net.parameters()],
        "gradient mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "interceptions": torch._C._len_torch_function_stack(),
        "random": torch.get_rng_state().numpy().tobytes(),
        "cudnn": torch.backends.cudnn.enabled,
        "turns": len(ledger._queue),
        "notes": sum(map(len, ledger.ledgers.values())),
    }


def by_timer(call: Callable[[], object], seconds: float) -> bool:
    """Make a call during which a timer's signal comes after so many seconds; say whether that was before its end."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)  # the same way through the interpreter as SIGINT
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False


def by_timer_twice(call: Callable[[], object], seconds: float, again: float) -> bool:
    """Make a call with a signal after so many seconds and another so many later; say whether both came in time."""
    came: list[bool] = []
    ended = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(ended)
        signal.setitimer(signal.ITIMER_REAL, 0 if len(came) > 1 else again)
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
            call()
        finally:
            ended = True
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # the second, after the call
            signal.setitimer(signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return came == [False, False]


def by_sigint(call: Callable[[], object], seconds: float) -> bool:
    """Make a call during which another thread sends SIGINT after so many seconds; say whether it came in time."""
    done = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def send() -> None:
        if not done.wait(seconds):
            signal.pthread_kill(main, signal.SIGINT)

    sender = threading.Thread(target=send)
    interrupted = False
    try:
        sender.start()
        call()
        done.set()
        sender.join()
    except KeyboardInterrupt:
        interrupted = not done.is_set()
        sender.join()
    return interrupted


def lines_of(call: Callable[[], object]) -> int:
    """Return how many lines of ours a call runs."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)
    return count


def by_line(call: Callable[[], object], line: int) -> bool:
    """Make a call that is interrupted at its so-manieth line of ours; say whether it was."""
    left = line

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        left -= event == "line"
        if left < 0 and event == "line":
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def main() -> int:
    """Interrupt and report; 1 if anything was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="interrupts in all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--twice", action="store_true", help="a second interrupt while the first is cleaned up")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*not every map means something")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this in the background ignores it
    torch.set_num_threads(1)
    chance, every = random.Random(options.seed), cases()
    times, lines = [], []
    for _, _, _, call in every:
        begin = time.perf_counter()
        for _ in range(3):
            call()
        times.append((time.perf_counter() - begin) / 3)
        lines.append(lines_of(call))
    came: Counter[str] = Counter()
    left: Counter[str] = Counter()
    turn = 0
    while sum(came.values()) < options.count:
        index, kind = turn // 3 % len(every), "twice" if options.twice else ("timer", "SIGINT", "line")[turn % 3]
        turn += 1
        name, net, cam, call = every[index]
        before = state(net, cam)
        if kind == "line":
            came[kind] += by_line(call, chance.randrange(lines[index]))
        elif kind == "twice":
            came[kind] += by_timer_twice(call, chance.random() * times[index] * 1.05, 1e-5 + chance.random() * CLEAN_UP)
        else:
            by_signal = by_timer if kind == "timer" else by_sigint
            came[kind] += by_signal(call, chance.random() * times[index] * 1.05)
        after = state(net, cam)
        for what in before:
            if before[what] != after[what]:
                left[f"{what}, by {kind}"] += 1
                print(f"{name}: {what} differs after a {kind}", file=sys.stderr)
                if what == "flags":
                    training(net)
    print(f"{len(every)} cases (method and network); interrupts: {dict(came)}; traces: {dict(left) or 0}")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
