"""The built-in network: small, finds what is on unseen scenes, and its maps land on the objects."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from helpers.paths import ROOT

from pytorch_grad_cam.data.scenes import SHAPES, TEST_SEEDS, Scene, render_scene
from pytorch_grad_cam.models.shapes import WEIGHTS, ShapesNet, load_shapes, preprocess


@pytest.fixture(scope="module")
def net() -> ShapesNet:
    return load_shapes()


@pytest.fixture(scope="module")
def unseen() -> list[Scene]:
    return [render_scene(seed) for seed in TEST_SEEDS[:100]]


def test_small() -> None:
    assert sum(parameter.numel() for parameter in ShapesNet().parameters()) < 400_000
    assert WEIGHTS.stat().st_size < 1_000_000


def test_loading_leaves_the_random_state_and_gives_a_float32_network_in_eval_mode() -> None:
    before = torch.get_rng_state()
    net = load_shapes()
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module.training for module in net.modules())
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_preprocess_takes_one_picture_or_many() -> None:
    grey = np.full((128, 128, 3), 255, dtype=np.uint8)
    grey.setflags(write=False)
    assert preprocess(grey).shape == (1, 3, 128, 128)
    batch = preprocess(np.stack([grey, grey - 255]))
    assert batch.dtype == torch.float32
    assert batch[0].unique().tolist() == [2.0]
    assert batch[1].unique().tolist() == [-2.0]


def test_recall_and_precision_on_unseen_scenes(net: ShapesNet, unseen: list[Scene]) -> None:
    with torch.no_grad():
        found = net(preprocess(np.stack([scene.image for scene in unseen]))) > 0
    wanted = torch.zeros_like(found)
    for row, scene in enumerate(unseen):
        wanted[row, [item.index for item in scene.objects]] = True
    hits = (found & wanted).sum().item()
    assert hits / wanted.sum().item() >= 0.97
    assert hits / found.sum().item() >= 0.97


def test_grad_cam_and_hirescam_land_on_the_object_and_differ(net: ShapesNet, unseen: list[Scene]) -> None:
    """Both methods are written out here: this is about the network, not about our code of the methods."""
    kept: list[torch.Tensor] = []
    handle = net.stage4.register_forward_hook(lambda *call: kept.append(call[2]))
    several = [scene for scene in unseen if len(scene.objects) > 1][:40]
    on_object, differences = {"grad": [], "hires": []}, []
    for scene in several:
        logits = net(preprocess(scene.image))[0]
        activations = kept.pop()
        assert activations.shape == (1, 96, 16, 16)
        for item in scene.objects:
            (grads,) = torch.autograd.grad(logits[item.index], activations, retain_graph=True)
            maps = {
                "grad": (grads.mean((2, 3), keepdim=True) * activations).sum(1).relu(),
                "hires": (grads * activations).sum(1).relu(),
            }
            maps = {name: part / part.max().clamp(min=1e-12) for name, part in maps.items()}
            differences.append((maps["grad"] - maps["hires"]).abs().mean().item())
            for name, part in maps.items():
                large = torch.nn.functional.interpolate(part[None], size=128, mode="bilinear")[0, 0].detach()
                y, x = divmod(int(large.argmax()), 128)
                x1, y1, x2, y2 = item.box
                on_object[name].append(x1 <= x < x2 and y1 <= y < y2)
    handle.remove()
    assert np.mean(on_object["grad"]) > 0.8
    assert np.mean(on_object["hires"]) > 0.8
    assert np.mean(differences) > 0.01


def test_the_training_script_uses_none_of_the_test_seeds() -> None:
    spec = importlib.util.spec_from_file_location("train_shapes", ROOT / "tools" / "train_shapes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    options = script.parser().parse_args(["--out", "unused"])
    used = {*script.TRAIN_SEEDS[: options.scenes], *script.VALIDATION_SEEDS}
    assert len(used) == options.scenes + len(script.VALIDATION_SEEDS)
    assert used.isdisjoint(TEST_SEEDS)


def test_a_file_of_the_examples_is_named_by_what_is_found_on_it(net: ShapesNet) -> None:
    from PIL import Image

    paths = sorted((ROOT / "examples" / "images").glob("scene_*.png"))
    assert len(paths) >= 3
    for path in paths:
        with Image.open(path) as opened:
            logits = net(preprocess(np.asarray(opened.convert("RGB"))))[0]
        found = {label for label, logit in zip(SHAPES, logits.tolist(), strict=True) if logit > 0}
        assert found == set(path.stem.split("_")[1:]), path.name
