"""The sanity checks: who depends on class, weights and picture passes, who does not is told so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam.evaluation import sanity
from pytorch_grad_cam.evaluation.sanity_checks import TopDownRandomisation
from pytorch_grad_cam.metrics import METRICS, randomisation
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.randomisation import ParameterRandomisation

pytestmark = pytest.mark.again


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return build(ConvNet, seed=1)


def seeded(*numbers: float) -> Tensor:
    """Noise that depends on some numbers alone."""
    generator = torch.Generator().manual_seed(hash(numbers) % 2**31)
    return torch.rand(12, 8, generator=generator)


def dependent(*on: str) -> Any:
    """Return what explains by noise that depends on some of class, weights and picture."""

    def explain(x: Tensor, targets: Any, model: nn.Module) -> Tensor:
        weights = float(sum(parameter.detach().sum() for parameter in model.parameters())) if "weights" in on else 0.0
        maps = []
        for image, target in zip(x, targets, strict=True):
            category = float(target.category) if "class" in on else 0.0
            maps.append(seeded(category, weights, float(image[0, 0, 0]) if "picture" in on else 0.0))
        return torch.stack(maps)

    return explain


def test_verdicts(net: nn.Module) -> None:
    images = inputs(batch=4, size=(12, 8))
    methods = {
        "good": dependent("class", "weights", "picture"),
        "classless": dependent("weights", "picture"),
        "detector of edges": dependent("picture"),
        "constant": lambda x, targets, model: torch.ones(len(x), 12, 8),
    }
    found = sanity(net, images, methods, progress=False)
    said = {question: answer for question, answer in found.verdicts() if "sanity" in question}
    assert said["Does good pass the sanity checks?"].startswith("Yes, its map changes with class, weights and picture")
    assert said["Does classless pass the sanity checks?"].startswith("No, its map is the same whatever the class (")
    assert "whatever the class or weights (" in said["Does detector of edges pass the sanity checks?"]
    assert said["Does constant pass the sanity checks?"].startswith("Not clearly")
    assert found.interval("classless", "random_logit").value == 1


def test_the_end_of_the_way_down_is_the_random_network(net: nn.Module) -> None:
    images = inputs(batch=2, size=(12, 8))

    def explain(x: Tensor, targets: Any, model: Any) -> Tensor:
        return model.conv1(x).detach().abs().sum(1) if hasattr(model, "conv1") else x.sum(1)

    case = Case(images, explain(images, None, net), None, net, explain=explain)
    _, way = ParameterRandomisation().cascade(case)
    assert torch.equal(TopDownRandomisation(1.0).of(case), way[:, -1].float())
    assert torch.equal(TopDownRandomisation(0.01).of(case), way[:, 0].float())
    assert bool((TopDownRandomisation(0.01).of(case) == 1).all())  # the first layer is as it was
    assert bool((way[:, -1] < 0.9).all())


def test_a_shuffled_picture_has_the_same_values(net: nn.Module) -> None:
    seen: list[Tensor] = []

    def explain(x: Tensor, targets: Any, model: Any) -> Tensor:
        seen.append(x)
        return x.abs().sum(1)

    images = inputs(batch=2, size=(12, 8))
    metric = METRICS["picture_randomisation"]
    found = metric(images, images.abs().sum(1), None, net, explain=explain)
    assert not torch.equal(seen[0], images)
    assert torch.equal(seen[0].flatten(2).sort().values, images.flatten(2).sort().values)
    single = metric(images[1:], images[1:].abs().sum(1), None, net, explain=explain)
    assert torch.equal(found[1:], single)
    assert bool((found.abs() < 0.5).all())


METHODS = ["gradcam", "layercam", "eigencam"]


def numbers(net: nn.Module, methods: Any, batch_size: int = 2) -> dict[str, dict[str, list[float]]]:
    found = sanity(net, inputs(batch=4, size=(12, 8)), methods, progress=False, batch_size=batch_size)
    return {row.id: {name: values.tolist() for name, values in row.values.items()} for row in found.methods}


def test_random_networks_are_drawn_once_for_all_methods_and_batches(
    net: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    draw = randomisation._draw
    monkeypatch.setattr(randomisation, "_draw", lambda layer: (drawn.append(layer), draw(layer)))
    numbers(net, METHODS[:1], batch_size=4)
    alone = len(drawn)
    drawn.clear()
    numbers(net, METHODS, batch_size=2)
    assert len(drawn) == alone > 0


def test_the_order_of_methods_changes_no_random_network(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    first = numbers(net, METHODS)
    assert repr(numbers(net, METHODS[::-1])[next(reversed(first))]) == repr(first[next(reversed(first))])
    assert repr(sorted(numbers(net, METHODS[::-1]).items())) == repr(sorted(first.items()))
    monkeypatch.setattr(randomisation, "KEPT_BYTES", 0)  # as of a network that is too large to be kept
    assert repr(numbers(net, METHODS)) == repr(first)
