"""The maps of the package `grad-cam`, and every difference from them, exactly as documented.

`grad-cam` has our package's name. It is installed into a folder of its own (`python -m benchmarks.peers`) and runs in
another process, which builds the same network and answers with its maps. Run these with `pytest -m peers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
import torch
from helpers import missing
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import functional as pictures

import pytorch_grad_cam
from benchmarks import networks, peers
from benchmarks.localisation_cases import mosaics
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam import BaseCAM, Explanation

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:.*not every map means something")]

TOLERANCE = 1e-4
FREE_OF_SCALE = ["GradCAM", "HiResCAM", "XGradCAM", "LayerCAM", "GradCAMElementWise"]
EXACT = [*FREE_OF_SCALE, "GradCAMPlusPlus"]

# Layers whose recorded activations grad-cam keeps: no operation follows that overwrites them in place. The flag
# says whether their activations are never negative.
PLACES = {
    "squeezenet": ("squeezenet", ["features.12"], True),
    "squeezenet, early": ("squeezenet", ["features.5"], True),
    "squeezenet, two layers": ("squeezenet", ["features.9", "features.12"], True),
    "resnet18": ("resnet18", ["layer4.1"], True),
    "resnet18, two layers": ("resnet18", ["layer2.1", "layer4.1"], True),
    "resnet18, signed": ("resnet18", ["layer3.0.downsample.1"], False),
    "vgg11": ("vgg11", ["features.20"], True),
    "vgg11, relu": ("vgg11", ["features.14"], True),
    "densenet121": ("densenet121", ["features.transition3.relu"], True),
    "densenet121, signed": ("densenet121", ["features.denseblock4"], False),
}
POSITIVE = [place for place, (_, _, positive) in PLACES.items() if positive]
PHOTOS = ["both.png", "elephant_zebra.png", "dog_1.jpg"]
PHOTO_CLASSES = [281, 340, 207]  # cat, zebra, golden retriever


@pytest.fixture(scope="module")
def peer() -> Iterator[RemoteProcess]:
    """A process that answers for grad-cam."""
    if "grad-cam" not in peers.versions():
        pytest.skip(missing.reason("grad-cam"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, two processes of two threads each mostly wait for one another
    try:
        with peers.remote("benchmarks.peer_worker", threads=1) as remote:
            yield remote
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=2)
def network(name: str) -> nn.Module:
    if name in networks.TRAINED and not networks.SHARED.is_dir():
        pytest.skip(missing.SHARED)
    return networks.build(name)


@lru_cache
def batch(name: str) -> Tensor:
    """Three real photos for the trained network, three smooth random pictures for the others; none is square."""
    if name == "squeezenet":
        photos = [Image.open(networks.SHARED / "images" / file).convert("RGB").resize((192, 176)) for file in PHOTOS]
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return torch.stack([pictures.normalize(pictures.to_tensor(photo), mean, std) for photo in photos])
    coarse = torch.randn(3, 3, 10, 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, (112, 96), mode="bicubic")


def ours(request: dict[str, Any]) -> Explanation:
    """Our explanation of a request to the peer (see `benchmarks.peer_worker`)."""
    cam: BaseCAM = getattr(pytorch_grad_cam, request["method"])(network(request["network"]), request["layers"])
    scale = request.get("scale", 1.0)
    targets: Any = request["targets"]
    if targets is not None and scale != 1:
        targets = [lambda output, category=category: output[category] * scale for category in targets]
    flags = {name: request[name] for name in ("eigen_smooth", "aug_smooth") if name in request}
    return cam.explain(request["input"], targets, **flags)


def theirs(peer: RemoteProcess, request: dict[str, Any]) -> dict[str, Any]:
    answer = peer.ask(request)
    assert "error" not in answer, answer["error"]
    return answer


def asked(place: str, method: str, **more: Any) -> dict[str, Any]:
    """A request about one of the places above, with a class of its own for each picture."""
    name, layers, _ = PLACES[place]
    classes = PHOTO_CLASSES if name == "squeezenet" else [3, 1, 4]
    return {"network": name, "layers": layers, "method": method, "input": batch(name), "targets": classes, **more}


def finished(raws: list[Tensor], size: torch.Size) -> Tensor:
    """Signed maps of the layers -> the map that is shown: ReLU, 0..1, resize, mean over the layers, 0..1."""

    def unit(maps: Tensor) -> Tensor:
        low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
        return (maps - low) / torch.where(high > low, high - low, 1.0)

    layers = [F.interpolate(unit(raw.double().relu())[:, None], size, mode="bilinear")[:, 0] for raw in raws]
    return unit(torch.stack(layers).mean(0))


def distance(mine: Tensor, other: Tensor) -> float:
    """Largest difference between two stacks of maps (B, *s), as a share of each image's largest value."""
    scale = other.flatten(1).abs().amax(1).clamp_min(torch.finfo(torch.float64).tiny)
    return float(((mine.double() - other.double()).flatten(1).abs().amax(1) / scale).max())


def assert_same(found: Explanation, answer: dict[str, Any]) -> None:
    """The same network, the same signed maps per layer, the same finished maps; and not all of it is zero."""
    assert torch.allclose(found.outputs, answer["outputs"], rtol=1e-4, atol=1e-5)
    for mine, other in zip(found.raw, answer["raw"], strict=True):
        assert other.abs().max() > 0
        assert distance(mine, other) < TOLERANCE
    assert (found.maps - answer["maps"]).abs().max() < TOLERANCE


def assert_same_but_for_the_sign(found: Explanation, answer: dict[str, Any]) -> None:
    """Each principal component is the peer's or its negative; from it, the peer's own pipeline makes our map."""
    turned = []
    for mine, other in zip(found.raw, answer["raw"], strict=True):
        along = (mine * other).flatten(1).sum(1).sign()[:, None, None]
        assert distance(mine, along * other) < TOLERANCE
        turned.append(along * other)
    assert (found.maps - finished(turned, found.maps.shape[1:])).abs().max() < TOLERANCE
    for image in range(len(found.maps)):
        if all((mine[image] * other[image]).sum() > 0 for mine, other in zip(found.raw, answer["raw"], strict=True)):
            assert (found.maps[image] - answer["maps"][image]).abs().max() < TOLERANCE


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("place", PLACES)
def test_same_maps(peer: RemoteProcess, place: str, method: str) -> None:
    request = asked(place, method)
    assert_same(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("place", ["squeezenet", "resnet18, two layers"])
def test_top_class_is_the_default(peer: RemoteProcess, place: str, method: str) -> None:
    request = asked(place, method) | {"targets": None}
    assert_same(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("place", ["squeezenet", "resnet18, two layers", "vgg11, relu", "densenet121"])
def test_same_maps_with_eigen_smooth_but_for_the_sign(peer: RemoteProcess, place: str, method: str) -> None:
    request = asked(place, method, eigen_smooth=True)
    assert_same_but_for_the_sign(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", ["EigenCAM", "EigenGradCAM"])
@pytest.mark.parametrize("place", PLACES)
def test_same_principal_component_but_for_the_sign(peer: RemoteProcess, place: str, method: str) -> None:
    request = asked(place, method)
    assert_same_but_for_the_sign(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", ["EigenCAM", "EigenGradCAM"])
def test_same_principal_component_where_most_channels_are_dead(peer: RemoteProcess, method: str) -> None:
    """27 x 27 places, more than the 512 channels, of which a class leaves some 400 without a gradient."""
    network("squeezenet")  # skips where its weights are not
    cases = list(mosaics("squeezenet", 1))
    request = {
        "network": "squeezenet",
        "layers": ["features.12"],
        "method": method,
        "input": torch.stack([case.image for case in cases]),
        "targets": [case.target for case in cases],
    }
    assert_same_but_for_the_sign(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("place", ["squeezenet", "resnet18, two layers", "densenet121"])
def test_same_maps_with_aug_smooth(peer: RemoteProcess, place: str, method: str) -> None:
    request = asked(place, method, aug_smooth=True)
    found, answer = ours(request), theirs(peer, request)
    assert answer["maps"].max() > 0
    assert (found.maps - answer["maps"]).abs().max() < TOLERANCE


@pytest.mark.parametrize("place", PLACES)
def test_random_cam_is_the_same_for_the_same_weights(peer: RemoteProcess, place: str) -> None:
    request = asked(place, "RandomCAM")
    found = ours(request)
    assert_same(
        found, theirs(peer, request | {"weights": [weights for weights in found.weights if weights is not None]})
    )


# --- the documented differences --------------------------------------------------------------------------------------


def recorded(request: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Activations and gradients (B, C, H, W) of the first layer, in float64, by a plain hook on a plain pass."""
    model, kept = network(request["network"]), []
    handle = model.get_submodule(request["layers"][0]).register_forward_hook(lambda *args: kept.append(args[2]))
    try:
        scores = model(request["input"])
    finally:
        handle.remove()
    total = sum(row[category] for row, category in zip(scores, request["targets"], strict=True))
    (grads,) = torch.autograd.grad(total * request.get("scale", 1.0), kept)
    return kept[0].detach().double(), grads.double()


def plus_plus(activations: Tensor, grads: Tensor, epsilon: float) -> Tensor:
    """GradCAM++ with its powers: signed maps (B, H, W)."""
    sums = activations.sum((2, 3), keepdim=True)
    alpha = grads**2 / (grads**2 * (2 + sums * grads) + epsilon)
    weights = torch.where(grads > 0, alpha * grads, 0.0).sum((2, 3), keepdim=True)
    return (weights * activations).sum(1)


def test_plus_plus_depends_on_the_scale_of_the_scores_as_the_peers_does(peer: RemoteProcess) -> None:
    """With the epsilon, multiplying every score by one number changes the map; without it hardly."""
    plain, scaled = (asked("resnet18", "GradCAMPlusPlus", scale=scale) for scale in (1.0, 1e-3))
    # The denominator 2 + S_k G has a scale of its own, so the two may differ a little; the epsilon is the rest.
    change = (theirs(peer, plain)["maps"] - theirs(peer, scaled)["maps"]).abs().max()
    assert change > 1e-3
    for request in (plain, scaled):
        assert_same(ours(request), theirs(peer, request))


@pytest.mark.parametrize("place", [place for place in POSITIVE if "two" not in place])
def test_plus_plus_of_the_paper_differs_by_the_epsilon_and_nothing_else(place: str) -> None:
    request = asked(place, "GradCAMPlusPlus")
    activations, grads = recorded(request)
    cam = pytorch_grad_cam.GradCAMPlusPlus(network(request["network"]), request["layers"], epsilon=0)
    found = cam.explain(request["input"], request["targets"]).raw[0]
    assert distance(found, plus_plus(activations, grads, 0.0)) < TOLERANCE


def test_x_grad_cam_gives_no_weight_to_a_channel_whose_activations_cancel(peer: RemoteProcess) -> None:
    request = {
        "network": "cancelling",
        "layers": ["features"],
        "method": "XGradCAM",
        "input": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),
        "targets": [0, 1],
    }
    found, answer = ours(request), theirs(peer, request)
    activations, grads = recorded(request)
    products, sums = (grads * activations).sum((2, 3)), activations.sum((2, 3))
    cancels = sums.abs() < 1e-5 * activations.abs().sum((2, 3))
    assert cancels.any(1).all()
    assert not cancels.all(1).any()
    weights = found.weights[0]
    assert weights is not None
    assert (weights[cancels] == 0).all()
    assert torch.allclose(weights[~cancels].double(), (products / sums)[~cancels], rtol=1e-4)
    # With the pole, the cancelling channels are nearly all that grad-cam shows.
    rest = (torch.where(cancels, 0.0, products / sums)[:, :, None, None] * activations).sum(1)
    assert distance(found.raw[0], rest) < TOLERANCE
    assert distance(answer["raw"][0], rest) > 0.9


def test_what_is_overwritten_in_place_stays_as_it_was(peer: RemoteProcess) -> None:
    """DenseNet's last norm, which the peer's own advice names: a ReLU in place follows."""
    for method in EXACT:
        in_place = asked("densenet121", method) | {"layers": ["features.norm5"]}
        kept = in_place | {"network": "densenet121_out_of_place"}
        mine, right, wrong = ours(in_place), theirs(peer, kept), theirs(peer, in_place)
        assert_same(mine, right)
        assert torch.allclose(wrong["outputs"], right["outputs"], rtol=1e-4, atol=1e-5)
        if method in ("GradCAM", "XGradCAM"):  # the others multiply by a gradient that is 0 where the ReLU cut
            assert distance(mine.raw[0], wrong["raw"][0]) > 0.01


def test_a_module_called_twice_is_explained_at_its_last_call(peer: RemoteProcess) -> None:
    picture = batch("shared_relu")[:, :, :32, :32]
    request = {"network": "shared_relu", "layers": ["relu"], "input": picture, "targets": [0, 1, 2]}
    for method in EXACT:
        mine = ours(request | {"method": method})
        last = theirs(peer, request | {"method": method, "network": "two_relus", "layers": ["relu2"]})
        first = theirs(peer, request | {"method": method, "network": "two_relus"})
        assert_same(mine, last)
        shared = theirs(peer, request | {"method": method})
        assert (shared["maps"] - first["maps"]).abs().max() < TOLERANCE  # the peer explains the first call


def volumes() -> dict[str, Any]:
    picture = torch.randn(2, 1, 6, 10, 8, generator=torch.Generator().manual_seed(2))
    return {"network": "volume", "input": picture, "targets": [2, 3]}


@pytest.mark.parametrize("method", EXACT)
def test_three_dimensions_are_the_same_before_resizing(peer: RemoteProcess, method: str) -> None:
    request = volumes() | {"layers": ["conv"], "method": method}
    assert_same(ours(request), theirs(peer, request))


@pytest.mark.parametrize("method", EXACT)
def test_resizing_in_three_dimensions_is_linear_and_never_overshoots(peer: RemoteProcess, method: str) -> None:
    request = volumes() | {"layers": ["pooled"], "method": method}
    found, answer = ours(request), theirs(peer, request)
    assert distance(found.raw[0], answer["raw"][0]) < TOLERANCE
    assert found.maps.amax((1, 2, 3)).min() > 0.99
    expected = F.interpolate(found.raw[0].relu()[:, None], found.maps.shape[1:], mode="trilinear")[:, 0]
    low, high = expected.amin((1, 2, 3), keepdim=True), expected.amax((1, 2, 3), keepdim=True)
    assert (found.maps - (expected - low) / (high - low)).abs().max() < TOLERANCE
    assert (found.maps - answer["maps"]).abs().max() > 0.05  # a cubic spline on the grid of corners


def test_the_scale_of_the_scores_does_not_matter(peer: RemoteProcess) -> None:
    """No absolute epsilon: tiny scores give the same map; the peer's loses its peak."""
    for method in FREE_OF_SCALE:
        plain, tiny = (asked("squeezenet", method, scale=scale) for scale in (1.0, 1e-12))
        answer = theirs(peer, plain)
        assert (ours(tiny).maps - answer["maps"]).abs().max() < TOLERANCE
        assert (theirs(peer, tiny)["maps"] - answer["maps"]).abs().max() > TOLERANCE


def test_a_wrong_number_of_targets_is_an_error(peer: RemoteProcess) -> None:
    request = asked("squeezenet", "GradCAM") | {"targets": PHOTO_CLASSES[:2]}
    with pytest.raises(ValueError, match="2 targets"):
        ours(request)
    answer = theirs(peer, request)  # the third picture gets a map of nothing, and nothing is said
    assert answer["maps"][:2].amax((1, 2)).min() > 0.99
    assert answer["maps"][2].max() == 0


@pytest.mark.parametrize("method", ["ScoreCAM", "AblationCAM"])
@pytest.mark.parametrize("place", ["squeezenet", "resnet18"])
def test_perturbation_methods_agree_where_activations_are_not_negative(
    peer: RemoteProcess, method: str, place: str
) -> None:
    """AblationCAM's sign follows the score in grad-cam; these scores are positive or their maps turned around."""
    request = asked(place, method)
    found, answer = ours(request), theirs(peer, request)
    (mine,), (other,) = found.raw, answer["raw"]
    turned = found.scores.sign()[:, None, None] if method == "AblationCAM" else torch.ones(len(mine), 1, 1)
    assert other.abs().max() > 0
    assert distance(mine, turned * other) < 1e-3
