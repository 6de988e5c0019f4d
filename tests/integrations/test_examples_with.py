"""examples/with_*.py, with the libraries themselves: `python -m benchmarks.peers` fetches what is missing.

What is found is compared with the same question asked of ours, or of theirs, in another way.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.examples import example
from helpers.tiny_nets import ConvNet, build, inputs
from PIL import Image

from benchmarks import peers
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.integrations.captum import CAMAttribution
from pytorch_grad_cam.integrations.quantus import explain_func

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def _companions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search the folder of the peers last: ours has the name of one of them."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(peers.folder())])


def test_captum() -> None:
    attr = missing.package("captum.attr")
    net, x = build(ConvNet), inputs()
    smooth, sensitivity = example("with_captum").explain(net, x, 1)
    assert smooth.shape == x.shape
    assert torch.isfinite(smooth).all()
    assert sensitivity.shape == (len(x),)
    assert (sensitivity > 0).all()

    theirs = attr.LayerGradCam(net, net.conv2).attribute(x, target=1)
    ours = CAMAttribution(GradCAM(net, "conv2"), size=theirs.shape[2:]).attribute(x, target=1)
    torch.testing.assert_close(ours[:, :1], theirs, rtol=1e-4, atol=1e-6)


def test_quantus() -> None:
    missing.package("quantus")
    np.random.seed(0)
    found = example("with_quantus").sensitivity(build(ConvNet), inputs(), torch.tensor([0, 1]))
    assert len(found) == 2
    assert np.all(np.asarray(found) > 0)


def test_quantus_with_random_weights() -> None:
    """It explains copies of the network, in which a layer is found by its name."""
    quantus = missing.package("quantus")
    metric = quantus.MPRT(return_average_correlation=True, disable_warnings=True, display_progressbar=False)
    found = metric(
        model=build(ConvNet), x_batch=inputs().numpy(), y_batch=np.array([0, 1]), explain_func=explain_func,
        explain_func_kwargs={"target_layers": "conv2", "relu": False},
    )  # fmt: skip
    assert np.shape(found)[-1] == 2
    assert np.isfinite(np.asarray(found, dtype=float)).all()


def test_segmentation_models() -> None:
    smp = missing.package("segmentation_models_pytorch")
    torch.manual_seed(0)
    net = smp.Unet("resnet18", encoder_weights=None, classes=2).eval()
    maps = example("with_segmentation_models").explain(net, torch.randn(2, 3, 64, 64), 1)
    assert maps.shape == (2, 64, 64)
    assert maps.max() == 1


def test_monai() -> None:
    missing.package("monai")
    from monai.data import MetaTensor
    from monai.networks.nets import DenseNet121

    torch.manual_seed(0)
    net = DenseNet121(spatial_dims=3, in_channels=1, out_channels=2).eval()
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    volume = MetaTensor(torch.randn(1, 32, 40, 48), affine=affine)
    found = example("with_monai").explain(net, volume, 1)
    assert found.shape == (1, 32, 40, 48)
    assert torch.equal(found.affine, affine)
    plain = GradCAM(net)(volume.as_tensor()[None], 1)
    np.testing.assert_allclose(found.as_tensor().numpy(), plain, atol=1e-6)


def test_open_clip() -> None:
    missing.package("open_clip")
    import open_clip

    torch.manual_seed(0)
    vision = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
    net: Any = open_clip.CLIP(32, open_clip.CLIPVisionCfg(**vision), open_clip.CLIPTextCfg(**text)).eval()
    maps = example("with_open_clip").explain(net, torch.randn(2, 3, 64, 64), torch.randint(1, 49, (3, 8)), 1)
    assert maps.shape == (2, 64, 64)
    assert maps.max() == 1


def test_transformers() -> None:
    transformers = missing.package("transformers")
    torch.manual_seed(0)
    settings = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", id2label={0: "cat", 1: "dog"}
    )
    network = transformers.ResNetForImageClassification(settings).eval()
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 384})
    pipeline = transformers.pipeline("image-classification", model=network, image_processor=processor)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    found = example("with_transformers").explain(pipeline, picture)
    wanted = {"cat": 0, "dog": 1}[pipeline(picture)[0]["label"]]
    assert list(found.classes) == [wanted]
    assert found.overlay().shape[:2] == found.maps.shape[1:]


def test_torchmetrics() -> None:
    missing.package("torchmetrics")
    net = build(ConvNet)
    x = inputs()
    top = torch.as_tensor(GradCAM(net)(x, [0, 1])).flatten(1).argmax(1)
    hit = torch.zeros(2, *x.shape[2:], dtype=torch.bool)
    hit.flatten(1)[range(2), top] = True
    batches = [(x, torch.tensor([0, 1]), mask) for mask in (hit, ~hit)]
    assert example("with_torchmetrics").pointing_game(net, batches) == 0.5
