"""What a map costs before it is made: passes by the table of methods, and fewer samples where that is too much.

One pass is the work of one forward pass through the whole network. A backward pass counts as two, and one that only
goes through what follows the layer as its share of the time.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.engine.layers import layer_at
from pytorch_grad_cam.engine.restore import giving_back, hooked, undisturbed
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.random_cam import RandomCAM
from pytorch_grad_cam.sess import SESS

BACKWARD = 2.0  # forward passes that a backward pass takes the time of
_SAMPLES = ("num_samples", "steps")  # attributes that are the N of a formula
_FEWEST_SAMPLES, _FEWEST_SHARE = 5, 10  # a tenth of what was asked for, at least five
_FEWEST_CHANNELS, _FEWEST_SCALES = 32, 3
_TRIALS, _LONGEST_TRIAL = 3, 1.0  # passes that are timed, and the seconds after which no more is
_SHORTEST = 1e-6  # seconds of a pass; some clocks are coarse

Settings = dict[str, int]  # attributes of a method's object, and the values that make it cheaper


@dataclass(frozen=True)
class NetworkCost:
    """What one picture costs in a network.

    Attributes:
        seconds: of a forward pass.
        channels: of the target layers, together; 0 where no layer could be found.
        positions: of the target layers, together.
        share: of a forward pass that follows the target layer.
    """

    seconds: float
    channels: int
    positions: int
    share: float


@dataclass(frozen=True)
class MapCost:
    """What one map takes.

    Attributes:
        passes: that it takes; None where nobody needs to know.
        changes: settings of the method by which it takes no more.
        left_out: why it is not made; empty if it is.
    """

    passes: float | None = None
    changes: Settings | None = None
    left_out: str = ""


@giving_back
def measure(loaded: LoadedModel, layers: Any, inputs: Tensor) -> NetworkCost:
    """Run the network a few times and see how long that takes, and how large the target layers are."""
    probe = RandomCAM(loaded.model, layers, loaded.reshape_transform, output=loaded.output)
    names: tuple[str, ...] = ()
    channels = positions = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeaninglessMapWarning)  # nobody will see its map
            found = probe.explain(inputs, forward_kwargs=dict(loaded.forward_kwargs))
    except (ValueError, RuntimeError, TypeError):  # methods that need a layer will say why; others need none
        pass
    else:
        names = found.layers
        channels = sum(weights.shape[1] for weights in found.weights if weights is not None)
        positions = sum(raw[0].numel() for raw in found.raw)
    modules = {layer_at(loaded.model, name) for name in names}
    passes: list[tuple[float, float]] = []  # seconds of a pass, and of what follows the layer
    with undisturbed(loaded.model, inputs.device):
        while len(passes) < _TRIALS and sum(seconds for seconds, _ in passes) < _LONGEST_TRIAL:
            passes.append(_timed(loaded, modules, inputs))
    seconds, after = min(passes)  # the one that nobody disturbed
    return NetworkCost(seconds, channels, positions, min(after / seconds, 1.0))


def _timed(loaded: LoadedModel, modules: Collection[nn.Module], inputs: Tensor) -> tuple[float, float]:
    """Return the seconds of a forward pass, and of the part of it that follows the first of some layers."""
    ends: list[float] = []
    with hooked(modules, lambda *_: ends.append(_now(inputs.device))):
        start = _now(inputs.device)
        loaded.run(inputs)
        end = _now(inputs.device)
    seconds = max(end - start, _SHORTEST)
    return seconds, max(end - ends[0], 0.0) if ends else seconds


def passes_of(name: str, cam: BaseCAM, network: NetworkCost, size: tuple[int, ...], changes: Settings) -> float:
    """Return the passes of a method's map of one image of spatial size ``S``, with some of its settings changed."""

    def setting(attribute: str) -> Any:
        return changes.get(attribute, getattr(cam, attribute, None))

    limit = setting("channels")
    letters: dict[str, float] = {
        "F": 1.0,
        "B": BACKWARD,
        "Ft": network.share,
        "Bt": BACKWARD * network.share,
        "K": float(min(limit or network.channels, network.channels)),
        "n": float(network.positions),
    }
    for attribute in _SAMPLES:
        if setting(attribute) is not None:
            letters["N"] = float(setting(attribute))
    if isinstance(cam, SESS):
        all_scales, cam.num_scales = cam.num_scales, setting("num_scales")
        try:
            letters["N"] = float(cam.count_windows(size))
        finally:
            cam.num_scales = all_scales
    return value_of(METHODS[name].passes, letters)


def fewer_samples(name: str, cam: BaseCAM, cost: Callable[[Settings], float], limit: float) -> Settings | None:
    """Return the settings with which a map takes at most ``limit`` passes, as many samples as fit.

    Returns:
        What has to be changed, nothing if it fits as it is; None if it does not with the fewest that mean something.
    """
    changes: Settings = {}
    for attribute, fewest, usual in _adjustable(name, cam, cost):
        if cost(changes) <= limit:
            break
        low, high = fewest, usual  # the largest number that fits lies in between, or is the fewest
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cost(changes | {attribute: middle}) <= limit else (low, middle - 1)
        changes[attribute] = low
    return changes if cost(changes) <= limit else None


def _adjustable(name: str, cam: BaseCAM, cost: Callable[[Settings], float]) -> list[tuple[str, int, int]]:
    """Return the attributes that decide on the passes, the fewest and the usual number of each."""
    found: list[tuple[str, int, int]] = []
    letters = set(re.findall(r"[KN]", METHODS[name].passes))
    for attribute in _SAMPLES:
        if "N" in letters and hasattr(cam, attribute):
            usual = int(getattr(cam, attribute))
            found.append((attribute, min(usual, max(_FEWEST_SAMPLES, usual // _FEWEST_SHARE)), usual))
    if "K" in letters and hasattr(cam, "channels"):
        usual = _most_channels(cam, cost)
        found.append(("channels", min(usual, _FEWEST_CHANNELS), usual))
    if isinstance(cam, SESS) and cam.scales is None:
        found.append(("num_scales", min(cam.num_scales, _FEWEST_SCALES), cam.num_scales))
    return found


def _most_channels(cam: Any, cost: Callable[[Settings], float]) -> int:
    """Return the number of channels from which on more cost nothing more: there are no more."""
    if cam.channels is not None:
        return int(cam.channels)
    count, most = 1, cost({})
    while cost({"channels": count}) < most:
        count *= 2
    return count


def value_of(formula: str, letters: Mapping[str, float]) -> float:
    """Evaluate a formula as the table of methods has it, ``F + N (F + Bt)``, for the values of its letters."""
    tokens = re.findall(r"[A-Za-z]+|\d+|[()+]", formula)

    def total() -> float:
        value = product()
        while tokens and tokens[0] == "+":
            tokens.pop(0)
            value += product()
        return value

    def product() -> float:
        value = 1.0
        while tokens and tokens[0] not in "+)":
            token = tokens.pop(0)
            if token == "(":
                value *= total()
                tokens.pop(0)
            else:
                value *= float(token) if token.isdecimal() else letters[token]
        return value

    return total()


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
