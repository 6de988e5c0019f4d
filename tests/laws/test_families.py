"""Every family of networks gives a map with nothing given but the network."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.again import now
from torch import nn

from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM, LayerCAM, ScoreCAM
from pytorch_grad_cam.models.load import load_model
from tools.list_networks import PAGE, TIMM, network, picture, row_of, torchvision_names

pytestmark = pytest.mark.again

# One of each of torchvision's families, and what users of CAM look at in it.
FAMILIES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "convnext_tiny": ("features", 64, {}),
    "densenet121": ("features", 64, {}),
    "efficientnet_b0": ("features", 64, {}),
    "googlenet": ("inception5b", 64, {}),
    "inception_v3": ("Mixed_7c", 139, {}),
    "mnasnet0_5": ("layers", 64, {}),
    "mobilenet_v2": ("features", 64, {}),
    "mobilenet_v3_small": ("features", 64, {}),
    "regnet_y_400mf": ("trunk_output", 64, {}),
    "resnet18": ("layer4", 64, {}),
    "shufflenet_v2_x0_5": ("conv5", 64, {}),
    "squeezenet1_1": ("features", 64, {}),
    "swin_t": ("norm", 64, {}),
    "swin_v2_t": ("norm", 64, {}),
    "vit_b_32": ("encoder.layers.encoder_layer_11.ln_1", 96, {"image_size": 96}),
}
HUGGING_FACE = {  # before transformers 5, "layers" is "encoder.layer"
    "ViT": "vit.layers.1.layernorm_before",
    "DeiT": "deit.layers.1.layernorm_before",
    "Beit": "beit.layers.1.layernorm_before",
    "Dinov2": "dinov2.encoder.layer.1.norm1",
    "Swin": "swin.layernorm",
    "ConvNext": "convnext.encoder.stages.1",
}
# Sizes of tiny networks, under the names that the configurations have for them.
TINY: dict[str, dict[str, Any]] = {
    "Swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 4},
    "ConvNext": {"num_stages": 2, "hidden_sizes": [8, 16], "depths": [1, 1]},
}
BLOCKS = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 8}


SOME = ("convnext_tiny", "densenet121", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t")


@pytest.mark.parametrize("name", now(FAMILIES, lambda name: name in SOME))
def test_torchvision(name: str) -> None:
    layer, side, options = FAMILIES[name]
    model, _ = network(name, **options)
    row = row_of(name, model, (side, side))
    assert row.layer == layer
    assert not row.notes
    assert f"| `{layer}` |" in next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |"))


def test_max_vit_and_vgg() -> None:
    from torchvision.models import VGG, MaxVit
    from torchvision.models.vgg import make_layers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        max_vit = MaxVit((64, 64), 8, 2, [8, 16], [1, 1], 4, 0.0, num_classes=3).eval()
        features = make_layers([8, "M", 16, "M"])
        with torch.device("meta"):
            vgg = VGG(features, num_classes=3, init_weights=False).eval()
        vgg.classifier = nn.Linear(16 * 49, 3)  # the real one takes half a gigabyte
    assert row_of("maxvit", max_vit, (64, 64)).layer == "blocks.1"
    assert row_of("vgg", vgg, (40, 64)).layer == "features"  # the pool after it makes 7 x 7 of whatever comes


def hugging_face(kind: str) -> nn.Module:
    transformers = missing.package("transformers")
    config = getattr(transformers, f"{kind}Config")(image_size=32, num_labels=3, **TINY.get(kind, BLOCKS))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model: nn.Module = getattr(transformers, f"{kind}ForImageClassification")(config)
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn(value.shape) * 0.3)
    return model.eval()


@pytest.mark.parametrize("kind", now(HUGGING_FACE, lambda kind: kind in ("ViT", "Swin")))
def test_hugging_face(kind: str) -> None:
    model, x = hugging_face(kind), picture((32, 32)).expand(2, -1, -1, -1) * torch.tensor([1.0, 2])[:, None, None, None]
    for method in (GradCAM, LayerCAM, EigenCAM, ScoreCAM, AblationCAM):
        explanation = method(model).explain(x, 1, relu=False)
        assert explanation.layers in {
            (HUGGING_FACE[kind],),
            (HUGGING_FACE[kind].replace(".layers.", ".encoder.layer."),),
        }
        assert not any(explanation.notes)
        assert explanation.maps.shape == (2, 32, 32)


def test_hugging_face_by_configuration_and_by_folder(tmp_path: Path) -> None:
    model: Any = hugging_face("ViT")
    model.save_pretrained(tmp_path / "vit")
    settings = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(settings))
    loaded = load_model(f"hf/{tmp_path}/vit")
    assert loaded.preprocessing.crop is None
    assert (loaded.preprocessing.resize, loaded.preprocessing.mean) == ((32, 32), (0.5, 0.5, 0.5))
    assert loaded.preprocessing.interpolation == "bicubic"
    assert loaded.categories == ("LABEL_0", "LABEL_1", "LABEL_2")
    x = loaded.preprocessing(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x).logits, model(x).logits)
        bare = load_model(f"hf/{tmp_path}/vit/config.json")
        assert bare.source.endswith("random weights")
        weighted = load_model(f"hf/{tmp_path}/vit", f"{tmp_path}/vit/model.safetensors")
        torch.testing.assert_close(weighted.model(x).logits, model(x).logits)
    with pytest.raises(FileNotFoundError, match=r"there is no configuration nowhere\.json"):
        load_model("hf/nowhere.json")
    with pytest.raises(RuntimeError, match="transformers cannot make an image classifier of"):
        load_model(f"hf/{tmp_path}")
    torch.save({"classifier.bias": torch.zeros(3)}, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"the weights of .*part.pth do not fit ViTForImageClassification: missing: "):
        load_model(f"hf/{tmp_path}/vit", f"{tmp_path}/part.pth")


def test_timm_by_name(tmp_path: Path) -> None:
    timm = missing.package("timm")
    model, _ = network("timm/resnet10t")
    torch.save(model.state_dict(), tmp_path / "net.pth")
    loaded = load_model("timm/resnet10t", str(tmp_path / "net.pth"))
    x = picture((64, 64))
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x), model(x))
    assert loaded.preprocessing.crop == timm.data.resolve_model_data_config(model)["input_size"][1]
    with pytest.raises(ValueError, match="timm has no network 'resnet10'; did you mean resnet10t"):
        load_model("timm/resnet10")


def test_names_and_weights_of_timm(tmp_path: Path) -> None:
    timm: Any = missing.package("timm")
    model, _ = network("timm/resnet10t")
    torch.save(model.state_dict(), tmp_path / "net.pth")
    names = load_model("timm/resnet10t", str(tmp_path / "net.pth")).categories
    assert names is not None
    assert (len(names), names[281]) == (1000, "tabby")
    five = timm.create_model("resnet10t", num_classes=5)
    torch.save({f"model.{name}": value for name, value in five.state_dict().items()}, tmp_path / "five.pth")
    loaded = load_model("timm/resnet10t", str(tmp_path / "five.pth"))
    assert loaded.categories is None
    torch.testing.assert_close(loaded.model.fc.weight, five.fc.weight)
    timm.models._hub.save_for_hf(five, tmp_path / "own", model_config={"label_names": list("abcde")})
    for spec in (f"timm/{tmp_path}/own", f"local-dir:{tmp_path}/own"):
        loaded = load_model(spec)
        assert loaded.categories == tuple("abcde")
        assert loaded.source == f"local-dir:{tmp_path}/own"
        torch.testing.assert_close(loaded.model.fc.weight, five.fc.weight)
    with pytest.raises(FileNotFoundError, match=r"is no model of timm: it has no config\.json"):
        load_model(f"local-dir:{tmp_path}")
    (tmp_path / "own" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"timm cannot build the network in .*own .*save_for_hf"):
        load_model(f"timm/{tmp_path}/own")


def test_a_name_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    timm: Any = missing.package("timm")
    build, asked = timm.create_model, []

    def create(name: str, pretrained: bool) -> Any:
        asked.append((name, pretrained))
        if "none" in name:
            raise OSError("no network")
        return build("resnet10t")

    monkeypatch.setattr(timm, "create_model", create)
    assert load_model("hf-hub:timm/resnet10t.c3_in1k").source == "hf-hub:timm/resnet10t.c3_in1k"
    assert asked == [("hf-hub:timm/resnet10t.c3_in1k", True)]
    with pytest.raises(RuntimeError, match=r"the weights of hf-hub:none/x could not be fetched \(no network\); give"):
        load_model("hf-hub:none/x")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*torchvision_names(), *(f"timm/{name}" for name in TIMM)])
def test_every_network(name: str) -> None:
    if name.startswith("timm/"):
        missing.package("timm")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*", module="timm.*")
        row = row_of(name, *network(name))
    assert not row.notes
    assert f"{row}\n" in PAGE.read_text()
