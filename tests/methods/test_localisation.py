"""The thing asked for lights up: real networks on real photos, and the built-in network on its scenes.

Few pictures, so the bounds are loose; `benchmarks/localisation.py` has the full numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.again import now

from benchmarks import networks
from benchmarks.localisation import Score, gaussian, ours, score
from benchmarks.localisation_cases import LAYERS, LocalisationCase, mosaics, scenes

METHODS = ["gradcam", "hirescam", "gradcam++", "xgradcam", "layercam"]
CHANCE = 0.25  # of a mosaic's quarter


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """These pictures are small: a second thread costs more than it brings while other tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(shared: Path) -> tuple[torch.nn.Module, list[LocalisationCase], Score]:
    """A trained network, a mosaic with 4 cases, and how RandomCAM does on them."""
    model, cases = networks.build("squeezenet"), list(mosaics("squeezenet", 1))
    return model, cases, score(ours("randomcam", model, LAYERS["squeezenet"]), cases)


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam"])  # all: benchmarks/localisation.py
def test_the_right_photo_of_a_mosaic_lights_up(
    photos: tuple[torch.nn.Module, list[LocalisationCase], Score], method: str
) -> None:
    model, cases, random = photos
    found = score(ours(method, model, LAYERS["squeezenet"]), cases)
    assert found.hits >= 3, found  # of 4; chance is 1
    assert found.hits > random.hits
    assert found.energy > max(random.energy, CHANCE) + 0.05, found


@pytest.fixture(scope="module")
def drawn() -> tuple[torch.nn.Module, list[LocalisationCase], float]:
    """The built-in network, the objects of 25 scenes, and the energy of a Gaussian in the middle."""
    cases = list(scenes(25))
    return networks.build("shapes"), cases, score(gaussian, cases).energy


@pytest.mark.parametrize("method", now(METHODS, lambda name: name == "gradcam"))
def test_the_right_object_of_a_scene_lights_up(
    drawn: tuple[torch.nn.Module, list[LocalisationCase], float], method: str
) -> None:
    model, cases, blob = drawn
    found = score(ours(method, model, LAYERS["shapes"]), cases)
    assert found.hits >= 0.6 * found.asked, found
    assert found.energy > 2 * blob, found


def test_a_map_of_nothing_is_no_hit() -> None:
    inside = torch.ones(4, 4, dtype=torch.bool).numpy()
    case = LocalisationCase(torch.zeros(3, 4, 4), 0, inside)
    assert score(lambda pictures, classes: torch.zeros(1, 4, 4).numpy(), [case]) == Score(0, 1, 0.0)
    assert score(lambda pictures, classes: torch.ones(1, 4, 4).numpy(), [case]) == Score(1, 1, 1.0)


@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
def test_principal_components_of_a_real_network_are_found(
    method: str, photos: tuple[torch.nn.Module, list[LocalisationCase], Score]
) -> None:
    """Sparse gradients of a trained network: a float32 eigenvalue solver gives up on every one of these."""
    model, cases, _ = photos
    assert score(ours(method, model, LAYERS["squeezenet"]), cases).energy > 0.1
