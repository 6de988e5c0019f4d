# ruff: noqa: N803, N806 - A and G are the names of the literature
"""Every method against its definition in float64 NumPy (`oracles.py`): weights, raw map and picture.

A and G come from an ordinary autograd pass over a float64 copy of the network (`independent_gradients.py`), which
`test_oracles_themselves.py` holds to central differences. Errors are relative to the largest value compared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.again import again, now
from helpers.independent_gradients import Record, record
from helpers.shortcuts import MEANINGLESS, METHODS
from helpers.tiny_nets import (
    SIZES,
    ConvNet,
    DictNet,
    FlatLinear,
    GapLinear,
    InPlaceNet,
    ResidualNet,
    SharedReluNet,
    TinyViT,
    UNet,
    build,
    frozen,
    inputs,
    tokens_to_grid,
)
from torch import Tensor, nn

import pytorch_grad_cam as package

BLIND = ("eigencam", "randomcam")  # these look at no score
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{MEANINGLESS}")


def contrast(row: Tensor) -> Tensor:
    """A callable target without a class: one score against another."""
    return row[0] - 2 * row[2]


def energy(row: Tensor) -> Tensor:
    """A callable target that is not linear in the outputs."""
    return row.square().sum()


def logit(row: dict[str, Tensor]) -> Tensor:
    return row["logits"][1]


def region(row: Tensor) -> Tensor:
    """A segmentation target: class 1 over the first half of the last axis."""
    return row[1, ..., : row.shape[-1] // 2].sum()


def scores(outputs: Any, targets: Any) -> Tensor:
    """(B,) scores by the meaning of `targets`, written without the package."""
    if targets is None:
        return outputs.amax(dim=1)
    if isinstance(targets, int):
        return outputs[:, targets]
    if isinstance(targets, Tensor):
        targets = targets.tolist()
    if isinstance(outputs, dict):
        rows = [dict(zip(outputs, values, strict=True)) for values in zip(*outputs.values(), strict=True)]
    else:
        rows = list(outputs)
    each = targets if isinstance(targets, list) else [targets] * len(rows)
    return torch.stack([row[t] if isinstance(t, int) else t(row) for row, t in zip(rows, each, strict=True)])


@dataclass(frozen=True)
class Case:
    name: str
    net: Callable[[], nn.Module]
    layers: tuple[str, ...]
    targets: Any
    x: Tensor
    reshape: Callable[[Tensor], Tensor] | None = None
    size: tuple[int, ...] | None = None

    def model(self, dtype: torch.dtype) -> nn.Module:
        return self.net().to(dtype)


def _cases() -> list[Case]:
    """The seeds (per number of axes) are such that no map is blank and no principal component ambiguous."""
    cases = []
    for name, kind, seeds, layers, targets in (
        ("relu-top", ConvNet, (1, 1, 0), ["act2"], None),
        ("signed-int", ConvNet, (1, 0, 2), ["conv2"], 2),
        ("two-layers-list", ConvNet, (2, 1, 0), ["conv1", "act2"], [2, 0, 1]),
        ("two-layers-reversed", ConvNet, (2, 1, 0), ["act2", "act1"], torch.tensor([1, 1, 0])),
        ("frozen", lambda n: frozen(ConvNet(n)), (2, 1, 0), ["act2"], 1),
        ("inplace-callables", InPlaceNet, (2, 4, 2), ["conv2"], [contrast, energy, contrast]),
        ("residual-callable", ResidualNet, (0, 0, 0), ["norm"], energy),
        ("shared-relu", SharedReluNet, (2, 0, 0), ["act"], 1),
        ("dict", DictNet, (2, 1, 0), ["act2"], logit),
        ("unet", UNet, (0, 0, 0), ["middle"], region),
        ("unet-skip", UNet, (0, 1, 0), ["down", "up"], [region] * 3),
        ("gap", GapLinear, (0, 0, 1), ["features"], None),
        ("flat", FlatLinear, (1, 0, 0), ["features"], 0),
    ):
        for n, seed in zip(SIZES, seeds, strict=True):
            net = functools.partial(build, kind, n, seed=seed)
            cases.append(Case(f"{n}d-{name}", net, tuple(layers), targets, inputs(n, 3)))
    odd = inputs(2, 2, size=(9, 13))  # 5 x 7 at the layer
    gap = functools.partial(build, GapLinear, 2)
    cases.append(Case("odd-5x7-to-19x33", gap, ("features",), 1, odd, size=(19, 33)))
    cases.append(Case("odd-5x7-to-3x4", gap, ("features",), 2, odd, size=(3, 4)))
    x, norm = inputs(2, 2, size=TinyViT.size), "blocks.{}.norm1".format
    one, two = (functools.partial(build, TinyViT, seed=seed) for seed in (1, 58))
    cases.append(Case("vit-tokens", one, (norm(1),), None, x, tokens_to_grid))
    cases.append(Case("vit-two-layers", two, (norm(0), norm(1)), [0, 2], x, tokens_to_grid))
    return cases


CASES = {case.name: case for case in _cases()}


@functools.cache
def reference(name: str) -> Record:
    case = CASES[name]
    return record(
        case.model(torch.float64),
        case.layers,
        case.x.double(),
        functools.partial(scores, targets=case.targets),
        reshape=case.reshape,
    )


def cam_for(method: str, model: nn.Module, case: Case) -> Any:
    layers = [model.get_submodule(name) for name in case.layers]
    return getattr(package, METHODS[method])(model, layers, case.reshape)


def error(got: Any, want: Any) -> float:
    """The largest difference, relative to the largest wanted value."""
    got = got.detach().double().numpy() if isinstance(got, Tensor) else np.asarray(got)
    assert got.shape == np.shape(want), f"shape {got.shape}, wanted {np.shape(want)}"
    assert np.isfinite(got).all()
    return float(np.abs(got - want).max() / (np.abs(want).max() or 1.0))


def check_weights(method: str, got: Tensor | None, A: np.ndarray, G: np.ndarray, tolerance: float) -> None:
    """Those of one image and layer."""
    if method == "eigencam":
        assert got is None
    elif method == "randomcam":
        assert got is not None
        assert got.shape == A.shape[:1]
        assert got.min() >= -1
        assert got.max() < 1
    elif method in oracles.WEIGHTS:
        assert got is not None
        assert error(got, oracles.WEIGHTS[method](A, G)) <= tolerance


@pytest.mark.parametrize(
    ("name", "dtype", "smooth"),
    now(
        [(name, torch.float32, smooth) for name in CASES for smooth in (False, True)]
        + [(name, torch.float64, False) for name in CASES if name[0] in "2v"],
        # Each network in two dimensions; along other numbers of axes, smoothed and in double precision a few of them.
        lambda name, dtype, smooth: (
            name.partition("-")[2] in ("two-layers-list", "signed-int", "tokens")
            or (name[0] not in "13" and dtype == torch.float32 and not smooth)
        ),
    ),
)
def test_method_is_its_definition(name: str, dtype: torch.dtype, smooth: bool) -> None:
    for method in METHODS:
        check_definition(name, dtype, method, smooth)


def check_definition(name: str, dtype: torch.dtype, method: str, smooth: bool) -> None:
    case, want, tolerance = CASES[name], reference(name), TOLERANCE[dtype]
    size = case.size or case.x.shape[2:]
    got = cam_for(method, case.model(dtype), case).explain(
        case.x.to(dtype), case.targets, eigen_smooth=smooth, size=case.size
    )
    assert got.layers == case.layers
    assert got.maps.shape == (len(case.x), *size)
    assert got.maps.dtype == torch.float32
    assert (got.scores is None) if method in BLIND else error(got.scores, want.scores.numpy()) <= tolerance
    for i in range(len(case.x)):
        raws = []
        for A, G, weights, raw in zip(want.A, want.G, got.weights, got.raw, strict=True):
            own = None if weights is None else weights[i]
            check_weights(method, own, A[i], G[i], tolerance)
            given = own.double().numpy() if method == "randomcam" else None  # drawn, so only used
            tensor = oracles.weighted(method, A[i], G[i], given)
            if smooth or method in ("eigencam", "eigengradcam"):
                assert oracles.principal_component(tensor)[1] > 1e-3, "not unique: change the seed"
            raws.append(oracles.raw_map(method, A[i], G[i], weights=given, eigen_smooth=smooth))
            assert error(raw[i], raws[-1]) <= tolerance
        picture = oracles.picture(raws, size)
        assert np.abs(got.maps[i].numpy() - picture).max() <= max(tolerance, 1e-6)  # maps are float32
        assert got.notes[i] or picture.any(), "a blank map must say why"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.targets is None])
def test_no_target_is_the_top_class(name: str) -> None:
    case = CASES[name]
    got = cam_for("gradcam", case.model(torch.float32), case).explain(case.x)
    assert got.classes == tuple(reference(name).outputs.argmax(dim=1).tolist())


@pytest.mark.parametrize("method", ["eigencam"])
@pytest.mark.parametrize("name", ["1d-relu-top", "2d-signed-int", "3d-gap", "vit-tokens"])
def test_eigencam_of_the_paper_is_not_centred(name: str, method: str) -> None:
    case, want = CASES[name], reference(name)
    model = case.model(torch.float32)
    layers = [model.get_submodule(name) for name in case.layers]
    got = package.EigenCAM(model, layers, case.reshape, centred=False).explain(case.x, case.targets)
    for i in range(len(case.x)):
        raw = oracles.raw_map(method, want.A[0][i], want.G[0][i], centred=False)
        assert error(got.raw[0][i], raw) <= 1e-4
        assert np.abs(got.maps[i].numpy() - oracles.picture([raw], case.x.shape[2:])).max() <= 1e-4


PLUS_PLUS = {
    "paper": ({"epsilon": 0}, oracles.gradcamplusplus_paper_weights),
    "authors": ({"normalized": True}, oracles.gradcamplusplus_authors_weights),
    "another epsilon": ({"epsilon": 1e-3}, functools.partial(oracles.gradcamplusplus_weights, epsilon=1e-3)),
}


@pytest.mark.parametrize("form", PLUS_PLUS)
@pytest.mark.parametrize("name", ["1d-relu-top", "2d-signed-int", "2d-inplace-callables", "3d-gap", "vit-tokens"])
def test_gradcamplusplus_in_its_other_forms(name: str, form: str) -> None:
    case, want, (options, weights) = CASES[name], reference(name), PLUS_PLUS[form]
    model = case.model(torch.float64)
    layers = [model.get_submodule(name) for name in case.layers]
    found, default = (
        package.GradCAMPlusPlus(model, layers, case.reshape, **given).explain(case.x.double(), case.targets)
        for given in (options, {})
    )
    assert found.weights[0] is not None
    for i in range(len(case.x)):
        wanted = weights(want.A[0][i], want.G[0][i])
        assert error(found.weights[0][i], wanted) <= 1e-10
        assert error(found.raw[0][i], oracles.raw_map("gradcam", want.A[0][i], want.G[0][i], weights=wanted)) <= 1e-10
        assert error(default.weights[0][i], wanted) > 1e-6  # type: ignore[index]


@pytest.mark.parametrize("epsilon", [-1e-6, float("nan"), float("inf")])
def test_an_epsilon_that_cannot_be(epsilon: float) -> None:
    with pytest.raises(ValueError, match=r"epsilon=.*the paper's equation"):
        package.GradCAMPlusPlus(build(ConvNet, 2), "act2", epsilon=epsilon)


@pytest.mark.parametrize("normalize", [None, "minmax", "max", "none"])
@pytest.mark.parametrize("relu", [True, False], ids=["relu", "signed"])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "xgradcam", "eigengradcam"])
@pytest.mark.parametrize("name", ["2d-two-layers-list", *again("1d-signed-int")])
def test_scalings(name: str, method: str, relu: bool, normalize: str | None) -> None:
    case, want = CASES[name], reference(name)
    got = cam_for(method, case.model(torch.float32), case).explain(case.x, case.targets, relu=relu, normalize=normalize)
    for i in range(len(case.x)):
        raws = [oracles.raw_map(method, A[i], G[i]) for A, G in zip(want.A, want.G, strict=True)]
        picture = oracles.picture(raws, case.x.shape[2:], relu=relu, normalize=normalize)
        assert error(got.maps[i], picture) <= 1e-4


@pytest.mark.parametrize("targets", [None, 1, contrast], ids=["top", "int", "callable"])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "eigencam"])
@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
def test_test_time_augmentation(ndim: int, method: str, targets: Any) -> None:
    """Mean over {plain, flipped last axis} x {0.9, 1, 1.1}; the class is the clean view's; not rescaled."""
    net, x = build(ConvNet, ndim, seed=4), inputs(ndim, 2, seed=5)
    got = getattr(package, METHODS[method])(net, [net.act2]).explain(x, targets, aug_smooth=True)
    with torch.no_grad():
        fixed = net(x).argmax(dim=1).tolist() if targets is None else targets
    double, wide = build(ConvNet, ndim, seed=4).double(), x.double()
    score, seen = functools.partial(scores, targets=fixed), {}
    for factor in (0.9, 1.0, 1.1):
        seen[False, factor] = record(double, ["act2"], wide * factor, score)
        seen[True, factor] = record(double, ["act2"], wide.flip(-1) * factor, score)
    for i in range(len(x)):

        def one(flip: bool, factor: float, i: int = i) -> np.ndarray:
            found = seen[flip, factor]
            return oracles.picture([oracles.raw_map(method, found.A[0][i], found.G[0][i])], x.shape[2:])

        assert np.abs(got.maps[i].numpy() - oracles.augmented(list(seen), one)).max() <= 1e-4


@pytest.mark.parametrize("smooth", [False, True], ids=["sum", "eigen"])
@pytest.mark.parametrize("method", [name for name in METHODS if name != "randomcam"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["f16", "bf16"])
@pytest.mark.parametrize("ndim", [2, *again(3)])
def test_half_precision(ndim: int, dtype: torch.dtype, method: str, smooth: bool) -> None:
    """From the A and G of a half-precision network the map is nearly exact: no half-precision sums."""
    net, x = build(ConvNet, ndim, seed=ndim).to(dtype), inputs(ndim, 2).to(dtype)
    want = record(net, ["act2"], x, functools.partial(scores, targets=1))
    got = getattr(package, METHODS[method])(net, [net.act2]).explain(x, 1, eigen_smooth=smooth)
    for i in range(len(x)):
        raw = oracles.raw_map(method, want.A[0][i], want.G[0][i], eigen_smooth=smooth)
        assert error(got.raw[0][i], raw) <= 1e-3
        assert np.abs(got.maps[i].numpy() - oracles.picture([raw], x.shape[2:])).max() <= 1e-3
