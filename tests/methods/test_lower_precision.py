"""Passes over changed inputs in lower precision: which are cast, what that does to ranks and maps, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import networks
from pytorch_grad_cam import ISCAM, RISE, SSCAM, AblationCAM, GScoreCAM, ReciproCAM, ScoreCAM
from pytorch_grad_cam.engine.precision import in_precision

pytestmark = pytest.mark.filterwarnings("ignore:.*not every map means something")
IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
METHODS: dict[str, Callable[..., Any]] = {
    "scorecam": ScoreCAM,
    "gscorecam": GScoreCAM,
    "sscam": lambda *args, **kwargs: SSCAM(*args, num_samples=3, **kwargs),
    "iscam": lambda *args, **kwargs: ISCAM(*args, num_samples=3, **kwargs),
    "ablationcam": AblationCAM,
    "reciprocam": ReciproCAM,
    "rise": lambda *args, **kwargs: RISE(*args, num_samples=200, **kwargs),
}


class Noting(nn.Module):
    """A network that notes what its last convolution and its head return in each pass."""

    def __init__(self, net: ConvNet) -> None:
        super().__init__()
        self.net = net
        self.convolved: list[torch.dtype] = []
        self.scored: list[torch.dtype] = []

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.net.conv3(self.net.features(x))
        self.convolved.append(hidden.dtype)
        outputs: Tensor = self.net.head(self.net.act3(hidden).flatten(2).mean(2))
        self.scored.append(outputs.dtype)
        return outputs


def ranks(values: Tensor) -> np.ndarray:
    return values.double().flatten().argsort().argsort().numpy()


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "f16"])
@pytest.mark.parametrize("name", METHODS)
def test_only_changed_inputs_are_cast_and_the_map_is_close(name: str, dtype: torch.dtype) -> None:
    net, x = Noting(build(ConvNet, seed=3)), inputs()
    expected = METHODS[name](net, "net.act2").explain(x, 1)
    full = set(net.convolved + net.scored)
    net.convolved.clear()
    net.scored.clear()
    found = METHODS[name](net, "net.act2", dtype=dtype).explain(x, 1)
    assert full == {torch.float32}
    assert net.convolved[0] is torch.float32  # what is explained is what the network says in its own precision
    assert net.convolved[-1] is dtype
    assert set(net.scored) == {torch.float32}  # what is compared is not rounded
    assert torch.equal(found.scores, expected.scores)
    assert found.maps.dtype is torch.float32
    np.testing.assert_allclose(found.maps, expected.maps, atol=0.03)
    assert not torch.equal(found.maps, expected.maps)


def test_ablation_compares_scores_of_one_precision() -> None:
    """A channel that does not matter weighs nothing, however far rounding moves the score of all channels."""
    net, x = build(ConvNet, seed=3), inputs(batch=1)
    with torch.no_grad():
        net.conv3.weight[:, 2] = 0
        net.conv3.weight[:, :2] *= 100  # what rounding does is large now beside the other weights
    weights = AblationCAM(net, "act2", dtype=torch.bfloat16).explain(x, 1).weights[0][0]
    assert net.features(x)[0, 2].any()
    assert weights[2] == 0
    assert weights.any()


@pytest.mark.parametrize(
    ("method", "layer", "least"),
    [(ScoreCAM, "layer3", 0.995), (AblationCAM, "layer2", 0.995), (AblationCAM, "layer3", 0.999)],
)
def test_ranks_of_a_trained_network(shared: Path, method: Any, layer: str, least: float) -> None:
    """Measured 0.999, 0.999 and 1; with all passes under autocast, and the head too, 0.998, 0.996 and 0.76."""
    file = np.load(shared / "data" / "cifar10_test_500.npz")
    chosen = torch.from_numpy(file["images"][:2]).movedim(-1, 1) / 255
    net, x = networks.build("resnet20_cifar10"), (chosen - IMAGENET[0]) / IMAGENET[1]
    expected, found = (method(net, layer, dtype=dtype).explain(x) for dtype in (None, torch.bfloat16))
    for one, other in zip(expected.weights[0], found.weights[0], strict=True):
        assert rank_correlation(one, other) > least
    np.testing.assert_allclose(found.maps, expected.maps, atol=0.05)


def test_tokens_are_cast_and_the_head_is_not() -> None:
    linear = nn.Linear(3, 2)
    run = in_precision(lambda images: (functional.linear(images, linear.weight, bias=linear.bias),), torch.bfloat16)
    vectors, tokens = torch.randn(4, 3), torch.randn(4, 5, 3)
    with torch.no_grad():
        assert torch.equal(run(vectors)[0], linear(vectors))
        seen: list[torch.dtype] = []
        in_precision(lambda images: seen.append(linear(images).dtype) or images, torch.bfloat16)(tokens)
        in_precision(lambda images: seen.append(linear(images.flatten(0, 1)).dtype) or images, torch.bfloat16)(tokens)
        in_precision(lambda images: seen.append(linear(input=images[:, 0]).dtype) or images, torch.bfloat16)(tokens)
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32]


def test_inside_of_autocast() -> None:
    """What was recorded in bfloat16 goes into the passes as it is; the head stays in full precision."""
    net, x = Noting(build(ConvNet, seed=3)), inputs()
    expected = AblationCAM(net, "net.act2")(x, 1)
    with torch.autocast("cpu", torch.bfloat16):
        found = AblationCAM(net, "net.act2", dtype=torch.bfloat16)(x, 1)
    assert net.scored[-1] is torch.float32
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_a_network_in_half_precision() -> None:
    net, x = Noting(build(ConvNet, seed=3).to(torch.bfloat16)), inputs()
    found = AblationCAM(net, "net.act2", dtype=torch.bfloat16)(x, 1)
    assert set(net.convolved) == {torch.bfloat16}
    assert np.isfinite(found).all()


def test_nothing_stays_switched_after_an_error() -> None:
    net, x = build(ConvNet, seed=3), inputs()
    passes = 0

    def failing(module: nn.Module, inputs: Any) -> None:
        nonlocal passes
        passes += 1
        if passes > 1:
            raise RuntimeError("no more")

    net.register_forward_pre_hook(failing)
    with pytest.raises(RuntimeError, match="no more"):
        ScoreCAM(net, "act2", dtype=torch.bfloat16)(x, 1)
    assert not torch.is_autocast_enabled("cpu")
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int8, "bfloat16"], ids=str)
def test_types_that_there_are_not(name: str, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"is no type for passes under autocast; give torch\.bfloat16"):
        METHODS[name](build(ConvNet), "act2", dtype=dtype)


def test_a_device_without_autocast() -> None:
    with pytest.raises(ValueError, match="no autocast on the device 'meta'; leave dtype out"):
        in_precision(nn.Identity(), torch.bfloat16)(torch.empty(1, 3, device="meta"))
