"""Write docs/networks.md: which layer is looked at, and in what grid, where nothing but a network is given.

    python -m tools.list_networks

Every network has random weights, so nothing is downloaded; the layer does not depend on the weights.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn

from pytorch_grad_cam import GradCAM

PAGE = Path(__file__).resolve().parents[1] / "docs" / "networks.md"

# One of each of timm's families, the small ones.
TIMM = (  # noqa: SIM905  # eighty names are easier to read as words
    "vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 vit_small_patch14_reg4_dinov2 "
    "vit_base_patch16_siglip_224 beit_base_patch16_224 eva02_tiny_patch14_224 cait_xxs24_224 xcit_nano_12_p16_224 "
    "pit_ti_224 convit_tiny crossvit_9_240 coat_lite_tiny levit_128s tnt_s_legacy_patch16_224 volo_d1_224 "
    "visformer_tiny mvitv2_tiny swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_ns_224 "
    "mixer_s32_224 resmlp_12_224 gmlp_ti16_224 twins_svt_small pvt_v2_b0 poolformer_s12 caformer_s18 "
    "coatnet_nano_rw_224 maxvit_tiny_tf_224 edgenext_xx_small mobilevit_xxs mobilevitv2_050 efficientformer_l1 "
    "efficientformerv2_s0 fastvit_t8 tiny_vit_5m_224 davit_tiny nest_tiny_jx focalnet_tiny_srf gcvit_xxtiny "
    "hiera_tiny_224 nextvit_small sequencer2d_s swiftformer_xs vit_relpos_small_patch16_224 vitamin_small_224 "
    "efficientvit_b0 efficientvit_m0 botnet26t_256 gernet_s convmixer_768_32 convnext_atto convnextv2_atto "
    "cspresnet50 densenet121 dla34 nfnet_l0 dpn48b ese_vovnet19b_dw resnet18 resnet50_clip fasternet_t0 "
    "mobilenetv3_small_050 mobilenetv4_conv_small_050 ghostnet_050 hgnetv2_b0 hrnet_w18_small inception_next_atto "
    "inception_v4 mambaout_femto regnety_002 repvit_m0_9 resnetv2_50 rexnet_100 skresnet18 starnet_s1 vgg11 "
    "xception41 selecsls42 tresnet_m shvit_s1 efficientnet_b0"
).split()


@dataclass(frozen=True)
class Row:
    """What was chosen for one network: the layer, its grid for this size of input, and what the map says of itself."""

    name: str
    size: tuple[int, int]
    layer: str
    grid: tuple[int, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"| {self.name} | {_by(self.size)} | `{self.layer}` | {_by(self.grid)} |"


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def network(name: str, **options: object) -> tuple[nn.Module, tuple[int, int]]:
    """Build a network with random weights, all of them different from 0.

    Args:
        name: of torchvision, or "timm/" and one of timm.
        **options: of its builder.

    Returns:
        The network, in evaluation mode, and the usual size of its input.
    """
    with torch.random.fork_rng(devices=[]), _without_initialisation():
        if name.startswith("timm/"):
            import timm

            model = timm.create_model(name.removeprefix("timm/"), pretrained=False, **options)
            size = timm.data.resolve_model_data_config(model)["input_size"][1:]
        else:
            from torchvision.models import get_model

            if name in ("googlenet", "inception_v3"):
                options |= {"init_weights": False, "aux_logits": True}
            model = get_model(name, weights=None, **options)
            size = (299, 299) if name == "inception_v3" else (224, 224)
    _fill(model)
    return model.eval(), tuple(size)


def row_of(name: str, model: nn.Module, size: tuple[int, int]) -> Row:
    """Ask for a map with nothing given but the network."""
    explanation = GradCAM(model).explain(picture(size), relu=False)
    return Row(name, size, explanation.layers[0], tuple(explanation.raw[0].shape[1:]), explanation.notes[0])


def picture(size: tuple[int, int]) -> Tensor:
    """Return noise of a size, ``(1, 3, h, w)``."""
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


@contextmanager
def _without_initialisation() -> Iterator[None]:
    """Skip what takes most of the time of building a large network: its weights are written anew afterwards."""
    names = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    with mock.patch.multiple(nn.init, **{name: lambda tensor, *args, **kwargs: tensor for name in names}):
        yield


def _fill(model: nn.Module) -> None:
    """Write weights: noise that keeps the size of what passes, scales near 1, small shifts."""
    noise = torch.randn(65537, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, value in model.named_parameters():
            fan_in = max(1, value[0].numel()) if value.ndim > 1 else 100
            drawn = noise.repeat(-(-value.numel() // len(noise)))[: value.numel()].reshape(value.shape)
            scale = value.ndim == 1 and name.endswith("weight")
            value.copy_(1 + drawn / 10 if scale else drawn / fan_in**0.5)


def _by(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def main() -> None:
    """Write the page."""
    parts = [
        "# Networks\n\nWith no layer and no `reshape_transform` given, this is what is looked at. The choice is made "
        "on your own input (`cam.py layers --model NAME` shows it for any network, with every other layer), so a small "
        "input may lead to an earlier layer. Written by `python -m tools.list_networks`; tests hold the page to it.\n"
    ]
    for title, names in (
        ("torchvision", torchvision_names()),
        ("timm, one network of each family", [f"timm/{name}" for name in TIMM]),
    ):
        parts.append(f"\n## {title}\n\n| network | input | layer | grid |\n| --- | --- | --- | --- |\n")
        for name in names:
            row = row_of(name, *network(name))
            print(row, *row.notes, flush=True, file=sys.stderr)
            parts.append(f"{row}\n")
    PAGE.write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
