"""Non-negative matrix factorisation by constructed answers, and Deep Feature Factorization on known layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import tiny_nets as nets
from helpers.again import again
from torch import Tensor, nn

from benchmarks import networks
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.feature_factorization.decomposition import factorize_activations
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import (
    DeepFeatureFactorization,
    dff,
    run_dff_on_image,
)
from pytorch_grad_cam.feature_factorization.nmf import nmf

# --- the factorisation ----------------------------------------------------------------------------------------------


def separable(rows: int = 30, columns: int = 50, parts: int = 4) -> tuple[Tensor, Tensor]:
    """Factors with a row and a column of their own for every part, which makes them the only ones."""
    generator = torch.Generator().manual_seed(0)
    left = torch.rand(rows, parts, generator=generator, dtype=torch.float64) * torch.arange(parts, 0, -1)
    right = torch.rand(parts, columns, generator=generator, dtype=torch.float64)
    left[:parts], right[:, :parts] = torch.diag(left[:parts].diagonal()) + 0, torch.eye(parts)
    return left, right


def test_the_only_factors_are_found() -> None:
    left, right = separable()
    found = nmf(left @ right, 4, tolerance=0, max_steps=3000)
    assert found.error < 1e-6
    order = ((left**2).sum(0) * (right**2).sum(1)).argsort(descending=True)
    torch.testing.assert_close(found.left, left[:, order], atol=1e-4, rtol=0)
    torch.testing.assert_close(found.right, right[order], atol=1e-4, rtol=0)


def test_blocks_are_found_exactly() -> None:
    matrix = torch.zeros(6, 8)
    matrix[:2, :3], matrix[2:5, 3:5], matrix[5, 5:] = 1, 3, 2
    found = nmf(matrix, 3)
    assert found.error < 1e-6
    expected = torch.tensor([[0.0, 0, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(found.right, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.energy, torch.tensor([54.0, 12, 6]) / 72)


def test_the_error_is_that_of_the_product_and_at_a_minimum() -> None:
    matrix = torch.rand(20, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = nmf(matrix, 5, tolerance=1e-12, max_steps=3000)
    left, right = found.left, found.right
    rest = left @ right - matrix
    assert found.error == pytest.approx(float(rest.norm() / matrix.norm()), rel=1e-6)
    assert bool((left >= 0).all())
    assert bool((right >= 0).all())
    # Conditions of Karush, Kuhn and Tucker: no gradient where a factor is positive, none downwards where it is 0.
    for gradient, factor in ((rest @ right.T, left), (left.T @ rest, right)):
        assert float((gradient * factor).abs().max()) < 1e-4
        assert float(gradient.min()) > -1e-4
    singular = torch.linalg.svdvals(matrix)
    assert found.error >= float((singular[5:] ** 2).sum().sqrt() / matrix.norm())  # no factorisation is better
    assert found.error < 1.2 * float((singular[5:] ** 2).sum().sqrt() / matrix.norm())


def test_scale_type_and_seed() -> None:
    matrix = torch.rand(12, 9, generator=torch.Generator().manual_seed(2))
    one = nmf(matrix, 3)
    for scale in (1e-30, 1e20):
        other = nmf(scale * matrix, 3)
        torch.testing.assert_close(other.right, one.right, atol=1e-4, rtol=0)
        torch.testing.assert_close(other.left / scale, one.left, atol=1e-4, rtol=0)
    assert nmf(matrix.double(), 3).left.dtype == torch.float64
    assert one.left.dtype == torch.float32
    state = torch.get_rng_state()
    assert torch.equal(nmf(matrix, 3).left, one.left)
    assert torch.equal(state, torch.get_rng_state())


def test_parts_that_are_not_needed_are_zero() -> None:
    found = nmf(torch.ones(4, 5), 3)
    torch.testing.assert_close(found.energy, torch.tensor([1.0, 0, 0]))
    empty = nmf(torch.zeros(4, 5), 2)
    assert not empty.left.any()
    assert not empty.right.any()
    assert empty.error == 0


def test_what_cannot_be_factorised() -> None:
    for components in (0, 4):
        with pytest.raises(ValueError, match=rf"cannot be split into {components} components; ask for 1 to 3"):
            nmf(torch.ones(3, 5), components)
    for value in (-1.0, torch.nan, torch.inf):
        with pytest.raises(ValueError, match="negative or not finite"):
            nmf(torch.tensor([[1.0, value]]), 1)


# --- concepts of activations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(12,), (4, 5), (2, 3, 4)])
def test_planted_concepts_come_back(size: tuple[int, ...]) -> None:
    """Two images; concept 0 fills the first half of both, at half strength in the second; concept 1 is in one only."""
    vectors = torch.tensor([[4.0, 0, 2, 0, 1], [0, 1.0, 0, 3, 0]])  # (K, C)
    maps = torch.zeros(2, 2, int(np.prod(size)))
    half = maps.shape[2] // 2
    maps[0, 0, :half], maps[1, 0, :half], maps[0, 1, half:] = 1, 0.5, 1
    activations = torch.einsum("bkn,kc->bcn", maps, vectors).reshape(2, 5, *size)
    kept = activations.clone()
    concepts, explanations = dff(activations.numpy(), 2)
    np.testing.assert_allclose(concepts, vectors.T, atol=1e-4)
    np.testing.assert_allclose(explanations, maps.reshape(2, 2, *size), atol=1e-4)
    assert torch.equal(kept, activations)
    for given in (activations, activations.double(), activations.bfloat16()):
        np.testing.assert_allclose(dff(given, n_components=2)[1], explanations, atol=1e-3)


def test_signed_channels_are_shifted_and_shifted_back() -> None:
    activations = torch.randn(2, 6, 5, 5, generator=torch.Generator().manual_seed(0))
    activations[:, 3] = activations[:, 3].abs() + 1  # stays as it is
    found = factorize_activations(activations, 6)
    offset = activations.amin((0, 2, 3)).clamp_max(0)
    assert offset[3] == 0
    assert bool((found.vectors >= offset - 1e-5).all())
    built = offset[:, None, None] + torch.einsum("bkhw,kc->bchw", found.maps, found.vectors - offset)
    shifted = activations - offset[:, None, None]
    assert float((built - activations).norm() / shifted.norm()) == pytest.approx(found.error, rel=1e-3)
    assert float(found.maps.amax()) == pytest.approx(1)
    assert found.energy.tolist() == sorted(found.energy.tolist(), reverse=True)


def test_nan_counts_as_0_and_the_array_stays() -> None:
    activations = np.ones((1, 3, 2, 2), np.float32)
    activations[0, 1, 0, 0] = np.nan
    kept = activations.copy()
    concepts, explanations = dff(activations, 2)
    assert np.isfinite(concepts).all()
    assert np.isfinite(explanations).all()
    np.testing.assert_array_equal(activations, kept)


# --- on networks ----------------------------------------------------------------------------------------------------


class Colours(nn.Module):
    """Channels are red, green, blue; the head says which there is most of. With a branch around the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.ReLU()
        self.head = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0, 1]]))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.seen(x).mean((2, 3)))
        return found


def halves() -> Tensor:
    """Three pictures: red and blue; red only; nothing but a little blue."""
    images = torch.zeros(3, 3, 6, 8)
    images[0, 0, :, :4], images[0, 2, :, 4:], images[1, 0], images[2, 2, 0, 0] = 2, 1, 2, 0.5
    return images


def test_a_concept_is_the_same_in_all_pictures() -> None:
    model = Colours()
    concepts, explanations = DeepFeatureFactorization(model, model.seen)(halves(), 2)
    np.testing.assert_allclose(concepts, [[2, 0], [0, 0], [0, 1]], atol=1e-4)
    assert [each.shape for each in explanations] == [(2, 6, 8)] * 3
    np.testing.assert_allclose(np.stack(explanations)[:, 0], halves()[:, 0] / 2, atol=1e-4)
    # The last picture has half a concept in one corner, and is not stretched to look as if it had more.
    np.testing.assert_allclose(np.stack(explanations)[:, 1], halves()[:, 2], atol=1e-4)
    assert explanations[0].dtype == np.float32


def test_the_head_names_the_concepts() -> None:
    model = Colours()
    logits = np.array([[2.0, 0], [0, 1]])
    with DeepFeatureFactorization(model, "seen", computation_on_concepts=model.head) as found:
        assert np.allclose(found(halves(), 2)[2], logits, atol=1e-4)
    asked = DeepFeatureFactorization(model)  # the layer is found, and the network itself is asked
    concepts = asked.concepts(halves(), 2)
    np.testing.assert_allclose(asked.outputs(halves(), concepts.vectors), logits, atol=1e-4)
    assert asked.target_layer is model.seen


def test_the_network_is_asked_as_its_own_head_would_be() -> None:
    """Also of tokens, where the class token is left as it is."""
    model, images = nets.build(nets.ConvNet), nets.inputs(batch=2)
    factorization = DeepFeatureFactorization(model, model.conv2)
    vectors = factorization.concepts(images, 3).vectors
    with torch.no_grad():
        record: list[Tensor] = []
        model.conv2.register_forward_hook(lambda module, inputs, output: record.append(output))
        model(images[:1])
        model.conv2._forward_hooks.clear()
        expected = []
        for vector in vectors:
            filled = vector[None, :, None, None].expand_as(record[0])
            handle = model.conv2.register_forward_hook(lambda module, inputs, output, filled=filled: filled)
            expected.append(model(images[:1]))
            handle.remove()
    torch.testing.assert_close(factorization.outputs(images, vectors), torch.cat(expected))


class Tokens(nn.Module):
    """A class token that counts, then 4 x 4 patches."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.avg_pool2d(x, 2).flatten(2).transpose(1, 2)
        tokens = self.norm(torch.cat([10 * patches.mean(1, keepdim=True), patches], 1))
        return tokens[:, 0] + tokens[:, 1:].mean(1)


def test_tokens_are_filled_but_the_class_token() -> None:
    model, images = Tokens(), torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    factorization = DeepFeatureFactorization(
        model, model.norm, lambda tokens: tokens[:, 1:].transpose(1, 2).reshape(-1, 3, 4, 4)
    )
    found = factorization.concepts(images, 2)
    assert found.maps.shape == (2, 2, 4, 4)
    expected = 10 * images[0].mean((1, 2)) + found.vectors
    torch.testing.assert_close(factorization.outputs(images, found.vectors), expected)


@pytest.mark.parametrize("ndim", [2, *again(1, 3)])
def test_nothing_is_touched(ndim: int) -> None:
    model, images = nets.build(nets.ConvNet, ndim), nets.inputs(ndim, batch=2).requires_grad_()
    model.train()
    model.conv1.eval()
    head = nn.Dropout()
    flags = [module.training for module in model.modules()]
    state, kept = torch.get_rng_state(), images.detach().clone()
    factorization = DeepFeatureFactorization(model, model.conv2, computation_on_concepts=head)
    concepts, explanations, outputs = factorization(images, 3)
    again = factorization(images, 3)
    np.testing.assert_array_equal(concepts, again[0])
    np.testing.assert_allclose(outputs, concepts.T)  # dropout is off, and on again
    assert head.training
    assert explanations[0].shape == (3, *images.shape[2:])
    assert [module.training for module in model.modules()] == flags
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(kept, images)
    assert images.grad is None
    factorization.batch_size = 1
    np.testing.assert_allclose(factorization(images, 3)[0], concepts, atol=1e-5)


def test_half_precision() -> None:
    model, images = nets.build(nets.ConvNet).bfloat16(), nets.inputs(batch=1)
    concepts, explanations = DeepFeatureFactorization(model, model.conv2)(images, 2)
    assert concepts.dtype == np.float32
    assert explanations[0].max() <= 1


def test_errors_say_what_to_do() -> None:
    model = Colours()
    with pytest.raises(ValueError, match="4 concepts were asked for, but 3 channels at 144 positions can have 1 to 3"):
        DeepFeatureFactorization(model, model.seen)(halves(), 4)
    with pytest.raises(ValueError, match=r"the layer gives \(3, 2\), not \(B, C, \*S\)"):
        DeepFeatureFactorization(model, model.head)(halves(), 1)
    with pytest.raises(ValueError, match="not part of the model"):
        DeepFeatureFactorization(model, nn.ReLU())
    with pytest.raises(RuntimeError, match="not now"), DeepFeatureFactorization(model, model.seen):
        raise RuntimeError("not now")  # the block swallows nothing


# --- one picture ----------------------------------------------------------------------------------------------------


def test_the_picture_of_a_picture() -> None:
    model, image = Colours(), halves()[0]
    shown = (image / 2).permute(1, 2, 0).numpy()
    labels = {0: "red", 1: "blue"}
    found = run_dff_on_image(model, model.seen, model.head, shown, image, n_components=2, top_k=1, labels=labels)
    assert found.dtype == np.uint8
    assert found.shape[0] == 6
    assert np.array_equal(found[:, :8], np.round(255 * shown))
    assert found[0, 8].tolist() == [255, 0, 0]  # 0.3 red picture + 0.7 the colour of the first concept, red
    assert found[0, 15].tolist() == [0, 178, 217]  # 0.3 of half blue + 0.7 of the second, cyan
    model.config = SimpleNamespace(id2label=labels)  # type: ignore[assignment]
    same = run_dff_on_image(model, model.seen, None, shown, image, n_components=2, top_k=1)
    assert np.array_equal(found, same)


def test_signatures_of_the_contract() -> None:
    def names(function: Callable[..., Any]) -> dict[str, Any]:
        return {
            name: each.default
            for name, each in inspect.signature(function).parameters.items()
            if each.kind is not each.KEYWORD_ONLY
        }

    empty = inspect.Parameter.empty
    assert names(dff) == {"activations": empty, "n_components": 5}
    assert list(names(DeepFeatureFactorization)) == [
        "model",
        "target_layer",
        "reshape_transform",
        "computation_on_concepts",
    ]
    assert names(DeepFeatureFactorization.__call__) == {"self": empty, "input_tensor": empty, "n_components": 16}
    assert names(run_dff_on_image) == {
        "model": empty,
        "target_layer": empty,
        "classifier": empty,
        "img_pil": empty,
        "img_tensor": empty,
        "reshape_transform": None,
        "n_components": 5,
        "top_k": 2,
    }


# --- a trained network ----------------------------------------------------------------------------------------------


def test_a_dog_and_a_cat_are_told_apart(shared: Path) -> None:
    """On white, the dog on the left, the cat on the right: two concepts lie on one animal each and know which."""
    model = networks.build("squeezenet")
    seen = Preprocessing(224, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)).squashed()
    images = seen(read_image(shared / "data" / "images" / "puppy_cat.jpg"))[None]
    factorization = DeepFeatureFactorization(model, model.features)
    found = factorization.concepts(images, 2)
    shares = found.maps[0, :, :, :6].sum((1, 2)) / found.maps[0].sum((1, 2))  # of each concept in the left half
    best = factorization.outputs(images, found.vectors).topk(2).indices.tolist()
    dog, cat = (0, 1) if shares[0] > shares[1] else (1, 0)
    assert shares[dog] > 0.6
    assert shares[cat] < 0.3
    assert all(index in range(151, 269) for index in best[dog])  # ImageNet's dogs
    assert any(index in range(281, 294) for index in best[cat])  # and cats, of which this one looks like a fox


def test_a_container_is_the_one_layer_that_is_factorised() -> None:
    """There is only one layer here, so nothing can be mistaken, and nothing is warned of."""
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert DeepFeatureFactorization(net, net[0]).target_layer is net[0]
    modules = nn.ModuleList([nn.Conv2d(2, 4, 3)])
    with pytest.raises(ValueError, match="is a ModuleList, which has no output of its own"):
        DeepFeatureFactorization(nn.Sequential(modules), modules)
