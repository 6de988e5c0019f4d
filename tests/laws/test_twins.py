"""The same network, frozen, wrapped, compiled, in half precision or scripted: the same map, or one clear sentence."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers.again import now
from helpers.tiny_nets import ConvNet, ResidualNet, TinyViT, build, frozen, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, EigenCAM, FullGrad, GradCAM, LayerCAM, ScoreCAM, VanillaGradient

pytestmark = [
    pytest.mark.again,
    pytest.mark.filterwarnings("ignore:.*nearly equal weights"),
]  # of networks that are not trained

METHODS = (GradCAM, LayerCAM, EigenCAM, ScoreCAM, AblationCAM, FullGrad, VanillaGradient)
NETS: dict[str, tuple[type[nn.Module], Tensor, str]] = {
    "conv": (ConvNet, inputs(), "act3"),
    "residual": (ResidualNet, inputs(), "tail"),
    "vit": (TinyViT, inputs(size=TinyViT.size), "blocks.1.norm1"),
}


class Wrapper(nn.Module):
    """Somebody's own module around a network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.inner = net

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.inner(x)
        return scores


def compiled(net: nn.Module) -> Any:
    return torch.compile(net, backend="eager")


def compiled_and_used(net: nn.Module) -> Any:
    twin = compiled(net)
    with torch.no_grad():
        for _, x, _ in NETS.values():
            if not isinstance(net, TinyViT) or x.shape[2:] == TinyViT.size:
                twin(x)
    return twin


def compiled_in_place(net: nn.Module) -> nn.Module:
    net.compile(backend="eager")
    return net


def compiled_part(net: nn.Module) -> nn.Module:
    return Wrapper(compiled_and_used(net))


TWINS: tuple[Callable[[nn.Module], Any], ...] = (frozen, nn.DataParallel, Wrapper)
COMPILED = (compiled, compiled_and_used, compiled_in_place, compiled_part)


@pytest.fixture(autouse=True)
def compiler_forgets() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # of the compiler's own parts
        warnings.filterwarnings("ignore", message="Guards may run slower on Python")  # on 3.13.0
        yield
    torch.compiler.reset()


def cases() -> Iterator[tuple[Callable[[nn.Module], Any], str, Any]]:
    """Yield every twin of every network with every method, and compiled ones, which take time, with few methods."""
    for name in NETS:
        # FullGrad's gap on a transformer is noted, which is tested elsewhere.
        methods = [method for method in METHODS if method is not FullGrad or name != "vit"]
        yield from ((twin, name, method) for twin in TWINS for method in methods)
        if name != "residual":
            yield from ((twin, name, GradCAM) for twin in COMPILED)
            yield compiled_part, name, AblationCAM


def asked_now(twin: Callable[[nn.Module], Any], name: str, method: Any) -> bool:
    """Ask every method of one network, and two of the others; the compiler takes its time."""
    if twin in COMPILED:
        return name == "conv" and twin in (compiled_and_used, compiled_in_place)
    return name == "conv" or method in (GradCAM, AblationCAM)


@pytest.mark.parametrize(
    ("twin", "name", "method"),
    now(cases(), asked_now),
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_the_same_map(twin: Callable[[nn.Module], Any], name: str, method: Any) -> None:
    kind, x, layer = NETS[name]
    plain = build(kind, seed=3)
    expected = method(plain).explain(x, 1, relu=False)
    net = twin(copy.deepcopy(plain))
    found = method(net).explain(x, 1, relu=False)
    for layer_of_twin, layer_of_plain in zip(found.layers, expected.layers, strict=True):
        assert layer_of_twin.endswith(layer_of_plain)
    torch.testing.assert_close(found.maps, expected.maps, rtol=0, atol=1e-5)
    if method is GradCAM:
        inner = next(module for each, module in net.named_modules() if each.endswith(layer))
        torch.testing.assert_close(method(net, inner).explain(x, 1, relu=False).maps, expected.maps, rtol=0, atol=1e-5)


def test_names_of_layers_inside_wrappers() -> None:
    net = build(ConvNet, seed=3)
    for wrapped in (nn.DataParallel(net), compiled(net), nn.DataParallel(compiled(net))):
        expected = GradCAM(net, "act2")(inputs(), 1, relu=False)
        np.testing.assert_allclose(GradCAM(wrapped, "act2")(inputs(), 1, relu=False), expected, atol=1e-5)


def test_a_compiled_model_stays_compiled() -> None:
    net = build(ConvNet, seed=3)
    graphs: list[Any] = []

    def backend(graph: Any, examples: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    twin: Any = torch.compile(net, backend=backend)
    with torch.no_grad():
        twin(inputs())
        before = len(graphs)
        GradCAM(twin, "act3")(inputs(), 1, relu=False)
        many = ScoreCAM(twin, "act3", batch_size=3)(inputs(), 1)  # chunks of another size than any batch
        twin(inputs())
    assert len(graphs) == before == 1
    np.testing.assert_array_equal(many, ScoreCAM(net, "act3", batch_size=3)(inputs(), 1))


@pytest.mark.parametrize("name", ["conv", "residual", pytest.param("vit", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("method", [GradCAM, LayerCAM, AblationCAM], ids=lambda method: method.__name__)
def test_autocast(name: str, method: Any) -> None:
    # Products of matrices in bfloat16 end the process on some virtual processors, so the transformer goes to a GPU.
    kind, x, layer = NETS[name]
    device = "cuda" if name == "vit" else "cpu"
    net, x = build(kind, seed=3).to(device), x.to(device)
    expected = method(net).explain(x, 1, relu=False).maps
    with torch.autocast(device, torch.bfloat16):
        found = method(net).explain(x, 1, relu=False)
    assert found.layers == (layer,)
    # A norm takes away what is large before the gradient does: a transformer in half precision is coarser itself.
    assert float((found.maps - expected).abs().max()) <= (0.1 if name == "vit" else 2e-2)


def test_scripted_and_traced() -> None:
    net, x = build(ConvNet, seed=3), inputs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(net, x)
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(324, 3)))
    message = r"the model is scripted or traced \(TorchScript\), so its layers cannot be watched .* give the original"
    for model in (traced, scripted):
        with pytest.raises(TypeError, match=message):
            GradCAM(model)(x, 1)
        with pytest.raises(TypeError, match=message):
            GradCAM(model, next(model.children()))
        with pytest.raises(TypeError, match=message):
            GradCAM(Wrapper(model))(x, 1)
        with pytest.raises(TypeError, match=message):
            GradCAM(Wrapper(model), next(model.children()))
    found = VanillaGradient(traced)(x, 1)  # looks at no layer
    np.testing.assert_allclose(found, VanillaGradient(net)(x, 1), atol=1e-5)
