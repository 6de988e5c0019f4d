"""Metrics that ask whether a map depends on the network, on the class and on the picture at all.

They explain again, with another network, class or picture. What explains must take them as it is given them: layers by
their names, since the network is a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.correlate import spearman
from pytorch_grad_cam.metrics.correlation import drawn_noise, image_range
from pytorch_grad_cam.metrics.metric import Metric
from pytorch_grad_cam.metrics.questions import classes_to_ask, of_other_class
from pytorch_grad_cam.targets.classification import Target, category_of

KEPT_BYTES = 512 * 2**20  # of random networks that are kept; more are drawn again, which gives the same


def randomised_networks(model: nn.Module, seed: int, *, cascade: bool) -> Iterator[tuple[str, nn.Module]]:
    """Yield copies of a network whose layers have been drawn anew.

    Args:
        model: stays as it is.
        seed: of the weights; the global random state stays as it is.
        cascade: True: layer after layer from the output on, all that came before too; False: only the end, where every
            layer is random.

    Yields:
        The name of the layer that was drawn last, and the network.
    """
    network = copy.deepcopy(model)
    layers = [(name, module) for name, module in network.named_modules() if any(True for _ in _own(module))]
    for index, (name, layer) in enumerate(reversed(layers)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + index)
            _draw(layer)
        if cascade or index == len(layers) - 1:
            yield name, network


def _own(module: nn.Module) -> Iterator[nn.Parameter]:
    return module.parameters(recurse=False)


def _draw(layer: nn.Module) -> None:
    """Draw a layer's weights anew: as its class does it, or normal numbers of the same mean and spread."""
    if callable(getattr(layer, "reset_parameters", None)):
        layer.reset_parameters()  # type: ignore[operator]  # of a norm the running statistics, too
        return
    with torch.no_grad():
        for parameter in _own(layer):
            if parameter.is_floating_point() and parameter.numel() > 1:
                parameter.normal_(float(parameter.mean()), float(parameter.std()) or 1.0)


def map_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Correlate the ranks of the maps' absolute values: ``(B,)``."""
    return spearman(first.flatten(1).abs(), second.flatten(1).abs())


def network_of(case: Case) -> nn.Module:
    """Return the network of a case, whose weights can be drawn anew.

    Raises:
        ValueError: if the model is a callable only.
    """
    if not isinstance(case.model, nn.Module):
        raise ValueError(
            "this metric draws the weights of the network anew, so the model must be a torch.nn.Module, not "
            f"{type(case.model).__name__}"
        )
    return case.model


def random_network(case: Case, seed: int, layers: int | None = None) -> nn.Module:
    """Return a copy of a case's network with random weights, which is drawn once for all maps and images.

    Args:
        case: whose ``networks`` keep it, as long as they are not too large together.
        seed: of the weights.
        layers: how many, from the output on; None: all.

    Raises:
        ValueError: as `network_of`.
    """
    kept = case.networks.get((seed, layers))
    if kept is not None:
        return kept
    steps = randomised_networks(network_of(case), seed, cascade=layers is not None)
    network = next(islice(steps, (layers or 1) - 1, None))[1]
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    if size * (len(case.networks) + 1) <= KEPT_BYTES:
        case.networks[seed, layers] = network
    return network


@dataclass(frozen=True)
class ParameterRandomisation(Metric):
    """How alike the map is to that of the same network with random weights: Spearman's correlation, mean over seeds.

    Drawing layers anew from the output on keeps the early ones, and with them what the activations look like, so the
    judgement is that of the end, where all are random; ``cascade`` gives the way there.

    Args:
        seeds: how many random networks.
    """

    seeds: int = 3

    name, higher_is_better, range, needs = "parameter_randomisation", False, (-1.0, 1.0), ("model", "explain")
    source = "J. Adebayo et al., 2018, arXiv:1810.03292; the end point: A. Binder et al., 2022, arXiv:2211.12486"

    def measure(self, case: Case) -> Tensor:
        found = []
        for seed in range(case.seed, case.seed + self.seeds):
            network = random_network(case, seed)
            found.append(map_similarity(case.explained(("random", seed), case.inputs, network), case.maps))
        return torch.stack(found).nanmean(0)

    def cascade(self, case: Case) -> tuple[list[str], Tensor]:
        """Return the layers in the order in which they become random, and the similarity after each: ``(B, L)``."""
        names, found = [], []
        for name, network in randomised_networks(network_of(case), case.seed, cascade=True):
            names.append(name)
            found.append(map_similarity(case.explained(("cascade", name, case.seed), case.inputs, network), case.maps))
        return names, torch.stack(found, 1)


@dataclass(frozen=True)
class SmoothParameterRandomisation(Metric):
    """`ParameterRandomisation` of maps that are averaged over noisy images, so that their noise does not count.

    Args:
        samples: noisy versions of each image.
        noise: standard deviation, as a share of the image's range.
    """

    samples: int = 10
    noise: float = 0.1

    name, higher_is_better, range, needs = "smooth_parameter_randomisation", False, (-1.0, 1.0), ("model", "explain")
    source = "A. Hedström et al., 2023, arXiv:2401.06465"

    def measure(self, case: Case) -> Tensor:
        network = random_network(case, case.seed)
        return map_similarity(self._mean_map(case, "own", None), self._mean_map(case, "random", network))

    def _mean_map(self, case: Case, kind: str, network: nn.Module | None) -> Tensor:
        changes = self.noise * image_range(case.inputs)[None] * drawn_noise(case, self.samples)[:, None]
        maps = [
            case.explained(("smooth", kind, self.noise, case.seed, index), case.inputs + change, network)
            for index, change in enumerate(changes)
        ]
        return torch.stack(maps).mean(0)


@dataclass(frozen=True)
class EfficientParameterRandomisation(Metric):
    """How much the entropy of the map's values rises when all weights are random, as a share of what it was.

    Args:
        bins: of the histogram of values, from the smallest to the largest.
    """

    bins: int = 100

    name, higher_is_better, needs = "efficient_parameter_randomisation", True, ("model", "explain")
    range = (-1.0, float("inf"))
    source = "A. Hedström et al., 2023, arXiv:2401.06465"

    def measure(self, case: Case) -> Tensor:
        network = random_network(case, case.seed)
        found = case.explained(("random", case.seed), case.inputs, network)
        random, own = self._entropies(found), self._entropies(case.maps)
        judged = (own > 0) & (found.flatten(1) != 0).any(1)  # that of random weights may say nothing at all
        return torch.where(judged, (random - own) / torch.where(own > 0, own, 1), torch.nan)

    def _entropies(self, maps: Tensor) -> Tensor:
        found = []
        for values in maps.flatten(1).double():
            usable = bool(values.isfinite().all())
            counts = torch.histc(values, self.bins) if usable else values.new_full((1,), torch.nan)
            shares = counts / counts.sum()
            found.append(-torch.xlogy(shares, shares).sum())
        return torch.stack(found)


@dataclass(frozen=True)
class RandomLogit(Metric):
    """How alike the maps of the class and of another one are: Spearman's correlation; 1 for what ignores the class.

    The other class is drawn for each image, from its class and the seed alone.
    """

    name, higher_is_better, range, needs = "random_logit", False, (-1.0, 1.0), ("model", "explain")
    source = "L. Sixt et al., 2020, arXiv:1912.09818"

    def measure(self, case: Case) -> Tensor:
        others = self._others(case)
        return map_similarity(case.explained(("class", case.seed), case.inputs, targets=others), case.maps)

    def _others(self, case: Case) -> list[Target]:
        found: list[Target] = []
        for index, target in enumerate(case.explained_targets):
            category = category_of(target)
            if category is None:
                raise ValueError(
                    f"random_logit asks for another class, and the target {target!r} is of none; give classes"
                )
            count = classes_to_ask(target, case.outputs, index, len(case.inputs))
            if count < 2:
                raise ValueError("random_logit asks for another class, and the model has one only")
            generator = torch.Generator().manual_seed(case.seed * count + category)
            step = int(torch.randint(1, count, (1,), generator=generator))
            found.append(of_other_class(target, (category + step) % count, case.outputs))
        return found


class PictureRandomisation(Metric):
    """How alike the map is to that of the same positions in random order, for the same class: Spearman's correlation.

    The shuffled picture has the same values, and nothing of the object; a map that stays is made by something else. The
    order is the same for all pictures of a size, and the seed fixes it.
    """

    name, higher_is_better, range, needs = "picture_randomisation", False, (-1.0, 1.0), ("model", "explain")
    source = "the sanity checks of J. Adebayo et al., 2018, arXiv:1810.03292, for the input"

    def measure(self, case: Case) -> Tensor:
        flat = case.inputs.flatten(2)
        generator = torch.Generator().manual_seed(case.seed)
        order = torch.randperm(flat.shape[2], generator=generator, device="cpu").to(flat.device)
        shuffled = flat[:, :, order].reshape(case.inputs.shape)
        return map_similarity(case.explained(("shuffled", case.seed), shuffled), case.maps)
