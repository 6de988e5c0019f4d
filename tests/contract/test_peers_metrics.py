"""Metrics beside those of torchcam, captum, Quantus and grad-cam: the same numbers once deliberate differences are off.

The peers are installed into a folder of their own (`python -m benchmarks.peers`) and run in another process. Run these
with `pytest -m peers`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import networks, peers
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam.metrics import METRICS
from pytorch_grad_cam.metrics.case import Case
from pytorch_grad_cam.metrics.complexity import EffectiveComplexity
from pytorch_grad_cam.metrics.correlation import (
    FaithfulnessCorrelation,
    Infidelity,
    ScaleFreeInfidelity,
    cells_of,
    drawn_noise,
    drawn_subsets,
    image_range,
)
from pytorch_grad_cam.metrics.curves import Deletion, Insertion, curve
from pytorch_grad_cam.metrics.imputation import RoadMoRF
from pytorch_grad_cam.metrics.randomisation import ParameterRandomisation
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from pytorch_grad_cam.metrics.superpixels import IROF

pytestmark = pytest.mark.peers
SIDE, CLASSES = 20, [3, 1, 4]


@pytest.fixture(scope="module")
def peer() -> Iterator[RemoteProcess]:
    """A process that answers for the peers."""
    for name in ("grad-cam", "torchcam", "captum", "quantus"):
        if name not in peers.versions():
            pytest.skip(missing.reason(name))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with peers.remote("benchmarks.metric_worker", threads=1) as remote:
            yield remote
    finally:
        torch.set_num_threads(before)


def asked(channels: int, **more: Any) -> dict[str, Any]:
    """A request about three smooth random pictures with maps in [0, 1] that have no equal values."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(3, channels, 6, 6, generator=generator)
    maps = torch.rand(3, SIDE, SIDE, generator=generator)
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    request = {
        "network": "shared_relu" if channels == 3 else "gray",
        "input": F.interpolate(coarse, (SIDE, SIDE), mode="bicubic"),
        "maps": (maps - low) / (high - low),
        "targets": CLASSES,
    }
    return request | more


def case_of(request: dict[str, Any], targets: Any = None, **more: Any) -> Case:
    """The same for us."""
    model = networks.build(request["network"])
    asked_of = request["targets"] if targets is None else targets
    return Case(request["input"], request["maps"], asked_of, model, **more)


def theirs(peer: RemoteProcess, request: dict[str, Any]) -> Any:
    answer = peer.ask(request)
    assert "error" not in answer, answer["error"]
    return answer["values"]


# --- torchcam --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_drop_and_increase_are_torchcams(peer: RemoteProcess, channels: int) -> None:
    request = asked(channels, metric="torchcam", name="ClassificationMetric")
    found, case = theirs(peer, request), case_of(request)
    for name, other in (("average_drop", "avg_drop"), ("average_increase", "conf_increase")):
        value = METRICS[name].aggregate(METRICS[name].of(case))
        assert value == pytest.approx(found[other], rel=1e-4), name


def test_insertion_and_deletion_are_torchcams_with_its_fill(peer: RemoteProcess) -> None:
    """Its number of positions in a step is rounded up; 20 steps of 400 positions need no rounding."""
    request = asked(1, metric="torchcam", name="DeletionInsertionMetric", options={"steps": 20})
    found, case = theirs(peer, request), case_of(request)
    ours = {"insertion": Insertion(20, "zero"), "deletion": Deletion(20, "zero")}
    for name, metric in ours.items():
        (other,) = (value for key, value in found.items() if name in key)
        assert metric.aggregate(metric.of(case)) == pytest.approx(other, rel=1e-4)
    (other,) = (value for key, value in found.items() if "insertion" in key)
    blurred = Insertion(20)
    assert abs(blurred.aggregate(blurred.of(case)) - other) > 1e-3  # the authors of RISE start from a blurred image


def saliency(inputs: Tensor, targets: Any, model: Any) -> Tensor:
    """Maps that every peer can make: the gradient's absolute values, summed over the channels."""
    with torch.enable_grad():
        x = inputs.detach().requires_grad_()
        scores = model(x).softmax(1)[range(len(x)), [getattr(target, "category", target) for target in targets]]
        (gradient,) = torch.autograd.grad(scores.sum(), x)
    return gradient.abs().sum(1)


def explained(channels: int, **more: Any) -> tuple[dict[str, Any], Case]:
    """A request of Quantus for a metric that explains again, and the case of the same maps."""
    request = asked(channels, metric="quantus_again", **more)
    request["maps"] = saliency(request["input"], CLASSES, networks.build(request["network"]))
    return request, case_of(request, explain=saliency)


# --- captum ----------------------------------------------------------------------------------------------------------


def test_infidelity_is_captums_for_the_same_changes(peer: RemoteProcess) -> None:
    request, samples = asked(3, metric="infidelity"), 12
    case = case_of(request)
    changes = 0.1 * image_range(case.inputs) * drawn_noise(case, samples)[:, None]
    for metric, normalize in ((Infidelity(samples, "noise"), False), (ScaleFreeInfidelity(samples, "noise"), True)):
        found = theirs(peer, request | {"changes": changes, "normalize": normalize})
        torch.testing.assert_close(metric.of(case), found.float(), rtol=1e-3, atol=1e-7)


def test_sensitivity_is_captums_for_the_same_changes(peer: RemoteProcess) -> None:
    request, samples = asked(1, metric="sensitivity"), 10

    request["maps"] = saliency(request["input"], CLASSES, networks.build("gray"))
    case = case_of(request, explain=saliency)
    changes = uniform_changes(case, samples)
    found = theirs(peer, request | {"changes": changes})
    torch.testing.assert_close(METRICS["max_sensitivity"].of(case), found.float(), rtol=1e-3, atol=1e-6)


# --- Quantus ---------------------------------------------------------------------------------------------------------


def test_faithfulness_correlation_is_that_of_quantus_for_single_positions(peer: RemoteProcess) -> None:
    """Of one channel, as it hides elements of channels; the same sets for all images, cells of one position."""
    subsets, share = 40, 0.1
    size = round(share * SIDE**2)
    hidden = drawn_subsets(SIDE**2, size, subsets, 0)
    assert torch.equal(cells_of((SIDE, SIDE), SIDE).flatten(), torch.arange(SIDE**2))
    chosen = torch.stack([row.nonzero()[:, 0] for row in hidden])[:, None].expand(-1, 3, -1)
    options = {"nr_runs": subsets, "subset_size": size, "perturb_baseline": 0.0, "return_aggregate": False}
    request = asked(1, metric="quantus", name="FaithfulnessCorrelation", options=options, chosen=chosen)
    ours = FaithfulnessCorrelation(SIDE, share, subsets).of(case_of(request))
    torch.testing.assert_close(ours.double(), theirs(peer, request)["found"], rtol=1e-3, atol=1e-4)


def test_pixel_flipping_has_the_curve_of_quantus(peer: RemoteProcess) -> None:
    """Its area leaves the unchanged image out and is not divided by the number of steps; the points are the same."""
    options = {"features_in_step": 40, "perturb_baseline": 0.0, "return_auc_per_sample": True}
    request = asked(1, metric="quantus", name="PixelFlipping", options=options)
    answer = theirs(peer, request)
    ours = curve(case_of(request), steps=10, fill="zero", least_first=False, insert=False)
    (points,) = answer["curves"]
    torch.testing.assert_close(ours[:, 1:], points.double(), rtol=1e-4, atol=1e-6)
    area = METRICS["pixel_flipping_morf"].__class__(10, "zero").of(case_of(request))  # type: ignore[call-arg]
    first = (ours[:, 0] + ours[:, 1]) / 2
    torch.testing.assert_close(area.double(), (answer["found"] + first) / 10, rtol=1e-4, atol=1e-6)


def test_irof_has_the_curve_of_quantus(peer: RemoteProcess) -> None:
    """Its area is not divided by the number of segments, and one trapezoid short; one channel is all that it takes."""
    options = {"perturb_baseline": 0.0, "return_aggregate": False}
    request = asked(1, metric="quantus", name="IROF", options=options)
    answer = theirs(peer, request)
    (points,) = answer["curves"]  # s(x_k) / s(x), 0 behind the last segment of an image
    counts = torch.tensor([int((row != 0).sum()) for row in points])
    ends = (points[:, 0] + points[torch.arange(3), counts - 1]) / 2
    ours = IROF(fill="zero").of(case_of(request))
    assert len(set(counts.tolist())) == 1  # the trapezoid of the last image would run into the zeros of the others
    torch.testing.assert_close(ours.double(), 1 - (points.sum(1) / counts).double(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.double() * counts, answer["found"] - ends, rtol=1e-3, atol=1e-4)


def test_irof_of_quantus_takes_no_colours(peer: RemoteProcess) -> None:
    request = asked(3, metric="quantus", name="IROF", options={"perturb_baseline": 0.0})
    assert "shape" in peer.ask(request)["error"]
    assert IROF().of(case_of(request)).isfinite().all()


def test_road_hits_are_those_of_quantus_without_noise(peer: RemoteProcess) -> None:
    """It asks whether the class is still the first, which a target can say, too; one batch, as it loses the others."""
    shares = [10, 30, 50, 70, 90]
    options = {"percentages": shares, "perturb_func_kwargs": {"noise": 0.0}, "return_aggregate": False}
    request = asked(1, metric="quantus", name="ROAD", options=options)
    request["input"] = torch.randn(
        3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2)
    )  # noise loses its class
    request["targets"] = networks.build("gray")(request["input"]).argmax(1).tolist()
    found = theirs(peer, request)["found"]  # by share, the mean over the images
    hits = [lambda output, y=y: (output.argmax() == y).double() for y in request["targets"]]
    ours = RoadMoRF(tuple(100.0 - share for share in shares), noise=0.0).of(case_of(request, hits)) + 1
    assert float(ours.mean()) == pytest.approx(float(found.mean()), abs=1e-6)
    assert 0 < float(found.mean()) < 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_holes_are_filled_as_by_quantus_and_grad_cam(peer: RemoteProcess, share: float) -> None:
    request = asked(3, metric="imputed")
    smooth = F.interpolate(request["maps"][:1, None, :4, :4], (SIDE, SIDE), mode="bilinear")[0, 0]
    request["missing"] = smooth > smooth.quantile(1 - share)
    found = theirs(peer, request)
    image = request["input"][0]
    ours = NoisyLinearImputer(0)(image.double(), ~request["missing"])
    torch.testing.assert_close(ours, found["quantus"], rtol=0, atol=1e-7)
    torch.testing.assert_close(ours.float(), found["grad-cam"].float(), rtol=0, atol=1e-5)


def test_complexities_are_those_of_quantus(peer: RemoteProcess) -> None:
    request = asked(1, metric="quantus")
    case = case_of(request)
    for name, ours, options in (
        ("Complexity", METRICS["entropy"], {}),
        ("Sparseness", METRICS["gini"], {}),
        ("EffectiveComplexity", EffectiveComplexity(0.3), {"eps": 0.3}),  # the largest value of our maps is 1
    ):
        found = theirs(peer, request | {"name": name, "options": options})["found"]
        np.testing.assert_allclose(ours.of(case).numpy(), found.numpy(), rtol=1e-4, err_msg=name)


def uniform_changes(case: Case, samples: int) -> Tensor:
    """What our metrics of robustness add to the images ``(samples, B, C, H, W)``."""
    generator = torch.Generator().manual_seed(case.seed)
    noise = [2 * torch.rand(case.inputs.shape[1:], generator=generator) - 1 for _ in range(samples)]
    return 0.02 * image_range(case.inputs) * torch.stack(noise)[:, None]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "theirs_is"),
    [
        ("max_sensitivity", "MaxSensitivity"),
        ("average_sensitivity", "AvgSensitivity"),
        ("local_lipschitz", "LocalLipschitzEstimate"),
    ],
)
def test_robustness_is_that_of_quantus_for_the_same_changes(
    peer: RemoteProcess, name: str, theirs_is: str, channels: int
) -> None:
    """Its normalisation by the batch's maximum and its NaN where the prediction changes are off."""
    samples = 10
    options = {"nr_samples": samples, "return_nan_when_prediction_changes": False}
    request, case = explained(channels, name=theirs_is, options=options)
    found = theirs(peer, request | {"changes": uniform_changes(case, samples)})
    torch.testing.assert_close(METRICS[name].of(case).double(), found, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_random_logit_is_that_of_quantus_for_the_same_classes(peer: RemoteProcess, channels: int) -> None:
    """By the correlation of ranks; its own similarity is SSIM of the flattened maps."""
    picked: list[int] = []

    def watched(inputs: Tensor, targets: Any, model: Any) -> Tensor:
        picked.extend(target.category for target in targets)
        return saliency(inputs, targets, model)

    request, _ = explained(channels)
    ours = METRICS["random_logit"].of(case_of(request, explain=watched))
    count = networks.build(request["network"])(request["input"]).shape[1]
    places = [other - (other > own) for other, own in zip(picked, CLASSES, strict=True)]  # among the other classes
    request |= {"name": "RandomLogit", "others": places, "options": {"num_classes": count, "by_ranks": True}}
    torch.testing.assert_close(ours.double(), theirs(peer, request), rtol=1e-3, atol=1e-4)


def drawn_as_quantus_does(model: nn.Module) -> nn.Module:
    """All layers drawn by one seed, which is what it does; ours have a seed each."""
    network = copy.deepcopy(model)
    drawn = [module for module in network.modules() if hasattr(module, "reset_parameters")]
    assert len(drawn) == sum(any(True for _ in module.parameters(recurse=False)) for module in network.modules())
    for module in drawn:
        torch.manual_seed(43)
        module.reset_parameters()  # type: ignore[operator]
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("metric", "theirs_is", "options"),
    [
        (ParameterRandomisation(1), "MPRT", {"return_last_correlation": True, "by_ranks": True}),
        (METRICS["efficient_parameter_randomisation"], "EfficientMPRT", {"complexity_func_kwargs": {"n_bins": 100}}),
    ],
)
def test_randomisation_is_that_of_quantus_for_the_same_weights(
    peer: RemoteProcess, metric: Any, theirs_is: str, options: dict[str, Any], channels: int
) -> None:
    """At the end, where all layers are random. Its smooth variant explains by an explainer of its own, not by ours."""
    request, case = explained(channels, name=theirs_is, options=options)
    case.networks[case.seed, None] = drawn_as_quantus_does(networks.build(request["network"]))
    found = theirs(peer, request)
    assert found.abs().min() > 1e-3
    torch.testing.assert_close(metric.of(case).double(), found, rtol=1e-3, atol=1e-4)
