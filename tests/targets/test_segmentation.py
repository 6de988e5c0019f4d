"""Segmentation: targets by hand, networks with one channel and with dicts, and a trained one on its masked photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_nets import UNet, build, inputs
from torch import Tensor, nn

from pytorch_grad_cam import AblationCAM, GradCAM, HiResCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.targets.segmentation import (
    SegmentationPointTarget,
    SemanticSegmentationTarget,
    dense_scores,
    main_class,
    predicted_classes,
)

SIGNED: dict[str, Any] = {"relu": False, "normalize": "none"}
# Two classes beside the background; class 3 is predicted nowhere.
SCORES = torch.tensor(
    [
        [[5.0, 1, 1], [5, 1, 1]],
        [[0.0, 2, 1.5], [0, 3, 0]],
        [[0.0, 1, 4], [0, 0, 0]],
        [[-1.0, -1, -1], [-1, -1, -1]],
    ]
)


class Inside(nn.Module):
    """Returns dense scores inside something."""

    def __init__(self, net: nn.Module, kind: str) -> None:
        super().__init__()
        self.net, self.kind = net, kind

    def forward(self, x: Tensor) -> Any:
        scores = self.net(x)
        return {"out": {"out": scores, "aux": scores * 0}, "tuple": (scores, x.mean((2, 3)))}[self.kind]


class OneChannel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = UNet()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.net(x)
        return scores[:, :1] - scores[:, 1:2]


def test_region_mask_and_point_by_hand() -> None:
    """Row 4 of the needs of users: a class over its predicted region, a mask of any kind, and a point."""
    assert predicted_classes(SCORES).tolist() == [[0, 1, 2], [0, 1, 0]]
    assert main_class(SCORES) == 1
    assert float(SemanticSegmentationTarget(1)(SCORES)) == 2 + 3
    assert float(SemanticSegmentationTarget(2)(SCORES)) == 4
    mask = np.array([[0, 1, 1], [0, 0, 0]])
    kinds: list[Any] = [mask, mask * 255, mask.astype(bool), mask.astype(np.float64), torch.tensor(mask).half()]
    kinds += [mask.astype(np.uint16), torch.tensor(mask) > 0, np.ascontiguousarray(mask[:, ::-1])[:, ::-1]]
    for kind in kinds:
        assert float(SemanticSegmentationTarget(1, kind)(SCORES)) == 2 + 1.5
    assert float(SemanticSegmentationTarget(1, mask * 0.5)(SCORES)) == (2 + 1.5) / 2
    # another size: each position counts by the share of it that lies inside
    assert float(SemanticSegmentationTarget(1, mask.repeat(4, 0).repeat(4, 1))(SCORES)) == 2 + 1.5
    assert float(SemanticSegmentationTarget(1, np.array([[0, 1, 0, 1, 0, 0]] * 2))(SCORES)) == (2 + 3) / 2
    assert float(SemanticSegmentationTarget(0, np.array([[1, 0, 0]]))(SCORES)) == 5 + 5
    assert float(SegmentationPointTarget((0, 2))(SCORES)) == 4
    assert float(SegmentationPointTarget((0, 2), 1)(SCORES)) == 1.5
    assert float(SegmentationPointTarget((199, 100), 1, size=(200, 300))(SCORES)) == 3
    assert SegmentationPointTarget((1, 0)).fixed_on(SCORES).category == 0


def test_one_channel_by_hand() -> None:
    """Row 4: of a binary network, class 1 is where its output is positive, class 0 the negative elsewhere."""
    scores = torch.tensor([[[2.0, -3, 0.25]]])
    assert float(SemanticSegmentationTarget(1)(scores)) == 2.25
    assert float(SemanticSegmentationTarget(0)(scores)) == 3
    assert float(SemanticSegmentationTarget(1, threshold=0.5)(scores)) == 2
    assert float(SegmentationPointTarget((0, 1))(scores)) == 3
    assert main_class(scores) == 1
    assert main_class(-scores.abs()) == 0
    with pytest.raises(IndexError, match=r"class 2 does not exist: the model has 2 classes, 0 to 1 \(its one channel"):
        SemanticSegmentationTarget(2)(scores)


def test_refused_in_words() -> None:
    with pytest.raises(IndexError, match="class 4 does not exist: the model has 4 classes, 0 to 3"):
        SemanticSegmentationTarget(4)(SCORES)
    with pytest.raises(ValueError, match=r"holds the numbers 3, 15: .* give e.g. mask == 3"):
        SemanticSegmentationTarget(1, np.array([[0, 3], [15, 0]]))
    with pytest.raises(ValueError, match="the mask is empty"):
        SemanticSegmentationTarget(1, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="the mask contains NaN"):
        SemanticSegmentationTarget(1, torch.tensor([[torch.nan, 1]]))
    with pytest.raises(ValueError, match=r"mask is \(1, 2, 3\), the model's output for one class \(2, 3\)"):
        SemanticSegmentationTarget(1, torch.ones(1, 2, 3))(SCORES)
    with pytest.raises(
        ValueError, match=r"needs scores \(M, \*S\) for each image, but the model returns a tensor \(7,\)"
    ):
        SemanticSegmentationTarget(1)(torch.ones(7))
    with pytest.raises(ValueError, match="the model returns dict; pick the scores with output="):
        dense_scores({"masks": torch.ones(2, 3, 3)})
    with pytest.raises(ValueError, match=r"point \(2, 0\) lies outside of \(2, 3\)"):
        SegmentationPointTarget((2, 0))(SCORES)
    with pytest.raises(ValueError, match="does not fit the output's 2 spatial axes"):
        SegmentationPointTarget((2, 0, 1))(SCORES)
    with pytest.raises(
        ValueError, match=r"class 3 is predicted at no position.*predicted are 0 \(50 %\), 1 \(33.3 %\)"
    ):
        SemanticSegmentationTarget(3).fixed_on(SCORES)
    with pytest.raises(ValueError, match=r"if the one channel is a probability, threshold=0\.5"):
        SemanticSegmentationTarget(0).fixed_on(torch.full((1, 2, 2), 0.25))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("method", [GradCAM, HiResCAM, LayerCAM, ScoreCAM, AblationCAM])
def test_a_class_is_its_predicted_region(method: type[GradCAM], ndim: int) -> None:
    net, x = build(UNet, ndim), inputs(ndim)
    scores = net(x).detach()
    regions = [[each.argmax(0) == index for each in scores] for index in range(3)]
    asked = next(index for index in (1, 2, 0) if all(region.any() for region in regions[index]))
    cam = method(net, "middle")
    by_mask = cam(x, [SemanticSegmentationTarget(asked, region) for region in regions[asked]])
    assert by_mask.any()
    np.testing.assert_allclose(cam(x, asked), by_mask, atol=1e-6)
    np.testing.assert_allclose(cam(x, SemanticSegmentationTarget(asked)), by_mask, atol=1e-6)
    for kind in ("out", "tuple"):
        if ndim == 2:
            np.testing.assert_allclose(method(Inside(net, kind), "net.middle")(x, asked), by_mask, atol=1e-5)


def test_without_a_target_the_largest_region_is_explained() -> None:
    net, x = build(UNet), inputs()
    areas = torch.stack([each.argmax(0).flatten().bincount(minlength=3) for each in net(x).detach()])
    areas[:, 0] = 0
    found = GradCAM(net, "middle").explain(x, **SIGNED)
    assert found.classes == tuple(areas.argmax(1).tolist())
    torch.testing.assert_close(found.maps, GradCAM(net, "middle").explain(x, list(found.classes), **SIGNED).maps)
    only = GradCAM(net, "middle", output=lambda scores: scores + torch.tensor([1e3, 0, 0])[:, None, None])
    assert only.explain(x, **SIGNED).classes == (0, 0)  # nothing but background
    with pytest.raises(ValueError, match=r"image 0: class 2 is predicted at no position.* predicted are 0 \(100 %\)"):
        only(x, 2)
    with pytest.raises(IndexError, match="class 9 does not exist: the model has 3 classes"):
        only(x, 9)
    with pytest.raises(IndexError, match="class -1 does not exist; classes count from 0"):
        only(x, -1)


def test_the_region_is_that_of_the_unchanged_image() -> None:
    """Perturbed variants and turned views are asked about the same places, or their scores could not be compared."""
    net, x = build(UNet), inputs(batch=1)
    asked = SemanticSegmentationTarget(1).fixed_on(net(x)[0])
    assert asked.mask is not None
    for method in (ScoreCAM, AblationCAM):
        np.testing.assert_allclose(method(net, "middle")(x, 1), method(net, "middle")(x, asked), atol=1e-6)
    cam = GradCAM(net, "middle")
    np.testing.assert_allclose(cam(x, 1, aug_smooth=True), cam(x, asked, aug_smooth=True), atol=1e-6)

    class InsideDict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": self.net(x)}

    inside = GradCAM(InsideDict(), "net.middle")
    np.testing.assert_allclose(inside(x, 1, aug_smooth=True), cam(x, 1, aug_smooth=True), atol=1e-6)


def test_against_and_contrast() -> None:
    net, x = build(UNet), inputs()
    cam, masks = HiResCAM(net, "middle"), [each.argmax(0) == 1 for each in net(x)]
    one, two = (
        cam.explain(x, [SemanticSegmentationTarget(index, mask) for mask in masks], **SIGNED).maps for index in (1, 2)
    )
    torch.testing.assert_close(cam.explain(x, 1, against=True, **SIGNED).maps, -one)
    contrast = cam.explain(x, contrast=(1, 2), **SIGNED)
    torch.testing.assert_close(contrast.maps, one - two, rtol=1e-4, atol=1e-5)
    assert contrast.classes == (1, 1)


def test_a_network_with_one_channel() -> None:
    """Row 4: two classes out of one channel, for whole calls."""
    net, x = build(OneChannel), inputs()
    out = net(x).detach()[:, 0]
    cam = HiResCAM(net, "net.middle")
    yes = cam.explain(x, [lambda y, m=m: (y[0] * m).sum() for m in (out > 0).float()], **SIGNED)
    no = cam.explain(x, [lambda y, m=m: (-y[0] * m).sum() for m in (out <= 0).float()], **SIGNED)
    torch.testing.assert_close(cam.explain(x, 1, **SIGNED).maps, yes.maps)
    torch.testing.assert_close(cam.explain(x, 0, **SIGNED).maps, no.maps)
    assert cam.explain(x, **SIGNED).classes == (1, 1)


def recorded(net: nn.Module, layer: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """The scores (M, H, W) of the one image, and the output of the layer in their graph."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> None:
        kept.append(output.requires_grad_())

    handle = net.get_submodule(layer).register_forward_hook(keep)
    scores = net(x)["out"][0]
    handle.remove()
    return scores, kept[-1]


def test_the_networks_of_torchvision() -> None:
    """Row 4: FCN, DeepLab and LR-ASPP return {"out": ...}; Grad-CAM of a class there is autograd's."""
    from torchvision.models import resnet18, segmentation
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead
    from torchvision.models.segmentation.fcn import FCNHead

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = {"layer4": "out"}
        fcn = segmentation.FCN(IntermediateLayerGetter(resnet18(), body), FCNHead(512, 5), None)
        deeplab = segmentation.DeepLabV3(
            IntermediateLayerGetter(resnet18(), body), DeepLabHead(512, 5, (2, 3, 4)), None
        )
        lraspp = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    x = torch.rand((1, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    for net, layer in ((fcn, "backbone.layer4"), (deeplab, "backbone.layer4"), (lraspp, "backbone.16")):
        net.eval()
        found = GradCAM(net, layer).explain(x, **SIGNED)
        scores, kept = recorded(net, layer, x)
        category = found.classes[0]
        (grads,) = torch.autograd.grad(scores[category][scores.argmax(0) == category].sum(), kept)
        expected = (grads.mean((2, 3), keepdim=True) * kept).sum(1).detach()
        torch.testing.assert_close(found.raw[0], expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
        assert found.maps.shape == (1, 64, 96)


@pytest.mark.parametrize(("file", "category"), [("pigeon", 3), ("voc_2011_000025", 6)])
def test_a_trained_network_looks_at_the_object(shared: Path, file: str, category: int) -> None:
    """DeepLabV3 on its masked photos: the map lies on the object, well above the object's share of the photo."""
    from PIL import Image
    from torchvision.transforms import functional

    from benchmarks import networks

    net, folder, size = networks.build("deeplab"), shared / "data" / "masks", (257, 257)
    photo = Image.open(folder / f"{file}.jpg").convert("RGB").resize(size, Image.Resampling.BILINEAR)
    x = functional.to_tensor(photo)[None] * 2 - 1
    object_ = np.array(Image.open(folder / f"{file}_mask.png").resize(size, Image.Resampling.NEAREST)) == category
    for method, gain in ((GradCAM, 1.2), (HiResCAM, 1.2), (LayerCAM, 1.4)):
        found = method(net, "backbone").explain(x)
        assert found.classes == (category,)
        map = found.maps[0].numpy()
        assert map[object_].sum() / map.sum() > gain * object_.mean(), method.__name__
        # the true mask in place of the predicted region: nearly the same question, nearly the same map
        full = np.array(Image.open(folder / f"{file}_mask.png")) == category
        masked = method(net, "backbone")(x, SemanticSegmentationTarget(category, full))[0]
        assert np.corrcoef(masked.ravel(), map.ravel())[0, 1] > 0.9, method.__name__
