"""Embeddings, two-tower models, regression, one logit, several labels: what a target means there."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.tiny_nets import ConvNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM, HiResCAM, ScoreCAM
from pytorch_grad_cam.targets.embedding import SimilarityTarget

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly equal weights")  # of networks that are not trained

SIGNED: dict[str, Any] = {"relu": False, "normalize": "none"}


class Embedder(nn.Module):
    """(B, 2, H, W) -> (B, 12), of length 1 if asked for."""

    def __init__(self, unit: bool = False) -> None:
        super().__init__()
        self.body = ConvNet()
        self.project = nn.Linear(3, 12)
        self.unit = unit

    def forward(self, x: Tensor) -> Tensor:
        embedding = self.project(self.body(x))
        return nn.functional.normalize(embedding, dim=1) if self.unit else embedding


@dataclass
class Fit:
    logits_per_image: Tensor
    image_embeds: Tensor


class TwoTower(nn.Module):
    """A picture and token ids (B, T) of as many texts -> how well each picture fits each text, as CLIP does it."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = Embedder(unit=True), nn.Embedding(9, 12)

    def forward(self, pixel_values: Tensor, input_ids: Tensor) -> Fit:
        images = self.image(pixel_values)
        texts = nn.functional.normalize(self.text(input_ids).mean(1), dim=1)
        return Fit(10 * images @ texts.T, images)


class ZeroShot(nn.Module):
    """The recipe of docs/tasks.md: the image tower with fixed texts as classes."""

    def __init__(self, tower: nn.Module, texts: Tensor) -> None:
        super().__init__()
        self.tower = tower
        self.register_buffer("texts", nn.functional.normalize(texts, dim=1))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.tower(x), dim=1) @ self.texts.T


def by_hand(net: nn.Module, x: Tensor, layer: str, score: Any) -> Tensor:
    """HiResCAM's equation on autograd's gradient."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> None:
        kept.append(output)

    handle = net.get_submodule(layer).register_forward_hook(keep)
    total = score(net(x))
    handle.remove()
    (grads,) = torch.autograd.grad(total, kept[0])
    return (grads * kept[0]).sum(1).detach()


def test_similarity_by_hand() -> None:
    embedding, one, two = torch.tensor([3.0, 4]), torch.tensor([1.0, 0]), torch.tensor([0.0, 2])
    assert float(SimilarityTarget(one)(embedding)) == pytest.approx(0.6)
    assert float(SimilarityTarget(np.array([0, 2]), "dot")(embedding)) == pytest.approx(8)
    assert float(SimilarityTarget(torch.stack([one, two]))(embedding)) == pytest.approx(0.7)  # the mean of both


@pytest.mark.filterwarnings("ignore:.*nearly equal weights")
@pytest.mark.parametrize("unit", [False, True])
def test_what_makes_two_pictures_alike(unit: bool) -> None:
    net, x = build(Embedder, unit), inputs()
    reference = net(inputs(seed=8))[0].detach()
    found = HiResCAM(net, "body.conv2").explain(x, SimilarityTarget(reference), **SIGNED)
    expected = by_hand(net, x, "body.conv2", lambda y: torch.cosine_similarity(y, reference[None]).sum())
    torch.testing.assert_close(found.raw[0], expected, rtol=1e-4, atol=1e-6)
    assert ScoreCAM(net, "body.conv2")(x, SimilarityTarget(reference)).any()
    other = HiResCAM(net, "body.conv2").explain(x, SimilarityTarget(reference), against=True, **SIGNED)
    torch.testing.assert_close(other.maps, -found.maps)


def test_an_embedding_without_a_target_is_refused() -> None:
    """Row 5 of the needs of users: what a model returns has a meaning, and guessing it wrong is worse than asking."""
    x = inputs()
    with pytest.raises(
        ValueError, match=r"returns rows of length 1: embeddings, .* give SimilarityTarget\(reference\)"
    ):
        GradCAM(build(Embedder, True), "body.conv2")(x)
    record = namedtuple("record", ["image_embeds", "hidden"])
    for wrap in (lambda y: {"image_embeds": y}, lambda y: record(y, y)):
        with pytest.raises(ValueError, match=r"returns a (dict|record) with 'image_embeds': embeddings"):
            GradCAM(build(Embedder), "body.conv2", output=wrap)(x)
    GradCAM(build(ConvNet), "conv2", output=lambda y: {"logits": y, "hidden": y})(x)  # scores beside an embedding
    GradCAM(build(Embedder), "body.conv2")(x)  # as well 12 classes: nothing tells


def test_similarity_is_refused_in_words() -> None:
    x = inputs()
    with pytest.raises(ValueError, match=r"gives \(12,\) for an image, the reference has 5 numbers"):
        GradCAM(build(Embedder), "body.conv2")(x, SimilarityTarget(torch.ones(5)))
    with pytest.raises(ValueError, match=r"the model returns a dict; pick the embedding with output="):
        SimilarityTarget(torch.ones(12))({"image_embeds": torch.ones(12)})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is 0 throughout"):
        SimilarityTarget(torch.zeros(12))
    with pytest.raises(ValueError, match=r"the reference is \(1, 2, 3\)"):
        SimilarityTarget(torch.ones(1, 2, 3))
    with pytest.raises(ValueError, match="measure='l2' is unknown"):
        SimilarityTarget(torch.ones(3), "l2")  # type: ignore[arg-type]


def test_a_two_tower_model() -> None:
    """Row 6 of the needs of users: image and text go in together; texts are classes, and the map is for the image."""
    net, x = build(TwoTower), inputs()
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    fit = net(x, ids)
    together = {"pixel_values": x, "input_ids": ids}
    found = HiResCAM(net, "image.body.conv2").explain(together, 1, **SIGNED)
    expected = by_hand(net.image, x, "body.conv2", lambda y: 10 * (y @ _texts(net, ids)[1]).sum())
    torch.testing.assert_close(found.raw[0], expected, rtol=1e-4, atol=1e-5)
    top = HiResCAM(net, "image.body.conv2").explain(x, forward_kwargs={"input_ids": ids})
    assert top.classes == tuple(fit.logits_per_image.argmax(1).tolist())
    by_similarity = HiResCAM(net, "image.body.conv2", output="image_embeds").explain(
        together, SimilarityTarget(_texts(net, ids)[1]), **SIGNED
    )
    torch.testing.assert_close(by_similarity.raw[0] * 10, found.raw[0], rtol=1e-3, atol=1e-5)
    # more texts than pictures: as classes of the image tower
    texts = _texts(net, torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 1]]))
    zero_shot = HiResCAM(ZeroShot(net.image, texts), "tower.body.conv2").explain(x, 1, **SIGNED)
    torch.testing.assert_close(zero_shot.raw[0] * 10, found.raw[0], rtol=1e-3, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*nearly equal weights")
def test_any_number_of_texts() -> None:
    """Row 6 of the needs of users: another number of texts than pictures, each a class."""
    net, ids = build(TwoTower), torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 1]])
    tower = ZeroShot(net.image, _texts(net, ids))
    for x in (inputs(), inputs(batch=1)):
        for method in (HiResCAM, ScoreCAM):
            found = method(net, "image.body.conv2").explain({"pixel_values": x, "input_ids": ids}, 2)
            expected = method(tower, "tower.body.conv2", output=lambda scores: 10 * scores).explain(x, 2)
            torch.testing.assert_close(found.raw[0], expected.raw[0], rtol=1e-4, atol=1e-5)
            assert found.outputs.logits_per_image.shape == (len(x), 3)
    with pytest.raises(ValueError, match=r"as many texts as pictures \(2\); .* one by one, each as x\[i : i \+ 1\]"):
        ScoreCAM(net, "image.body.conv2")({"pixel_values": inputs(), "input_ids": ids[:2]}, 1)


def test_clip_of_hugging_face() -> None:
    transformers = missing.package("transformers")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 49, "bos_token_id": 48},
        vision_config={**small, "image_size": 24, "patch_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(0)
    net = transformers.CLIPModel(config).eval()
    x, ids = torch.randn(1, 3, 24, 24), torch.tensor([[48, 3, 49], [48, 5, 49], [48, 7, 49]])
    cam = HiResCAM(net)
    found = cam.explain({"pixel_values": x, "input_ids": ids}, 2)
    assert found.raw[0].shape == (1, 3, 3)
    assert found.maps.any()
    scores = net(pixel_values=x, input_ids=ids).logits_per_image
    torch.testing.assert_close(found.scores, scores[:, 2].detach())
    assert cam.explain({"pixel_values": x, "input_ids": ids}).classes == (int(scores.argmax()),)
    each = cam.explain_each({"pixel_values": x, "input_ids": ids})  # a map for every text
    torch.testing.assert_close(each.maps[:, 2], found.maps)


def _texts(net: Any, ids: Tensor) -> Tensor:
    return nn.functional.normalize(net.text(ids).mean(1), dim=1).detach()


def test_regression_one_logit_and_several_labels() -> None:
    """Row 10 of the needs of users: what None, an index and labels mean for each kind of output."""
    net, x = build(ConvNet), inputs()

    def raw(target: Any, output: Any = None, **options: Any) -> Tensor:
        return HiResCAM(net, "conv2", output=output).explain(x, target, **SIGNED, **options).raw[0]

    classes = [by_hand(net, x, "conv2", lambda y, c=c: y[:, c].sum()) for c in range(3)]

    def same(found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)

    # regression: one number per image, (B,) or (B, 1): None explains it, against=True what lowers it
    for one in (lambda y: y[:, 2], lambda y: y[:, 2:]):
        same(raw(None, one), classes[2])
        same(raw(None, one, against=True), -classes[2])
    same(raw(lambda y: -((y[2] - 5) ** 2), lambda y: y), _near(net, x))  # what brings it near a value
    # one logit: yes is 1 and no is 0
    same(raw(1, lambda y: y[:, 2:]), classes[2])
    same(raw(0, lambda y: y[:, 2:]), -classes[2])
    same(raw([0, 1], lambda y: y[:, 2:]), torch.stack([-classes[2][0], classes[2][1]]))
    with pytest.raises(IndexError, match="class 2 does not exist: the model has 2 classes, 0 to 1"):
        raw(2, lambda y: y[:, 2:])
    # several labels: None is the highest logit, an index one of them, a row of labels the sum of those that are set
    same(raw(torch.tensor([[1, 0, 1], [0, 1, 0]])), torch.stack([classes[0][0] + classes[2][0], classes[1][1]]))
    each = HiResCAM(net, "conv2").explain_each(x, **SIGNED)
    same(each.raw[0], torch.stack(classes, 1))


def _near(net: nn.Module, x: Tensor) -> Tensor:
    return by_hand(net, x, "conv2", lambda y: -((y[:, 2] - 5) ** 2).sum())
