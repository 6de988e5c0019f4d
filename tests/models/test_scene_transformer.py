"""The transformer that the gallery draws attention with: what it knows, and that it is trained as it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pytorch_grad_cam import AttentionRollout
from pytorch_grad_cam.data.outlines import SHAPES
from pytorch_grad_cam.data.scenes import TEST_SEEDS, Scene, render_scene
from pytorch_grad_cam.models.shapes import preprocess
from tools.scene_transformer import SCENES, SceneTransformer, load_scene_transformer, train
from tools.train_shapes import Rendered, measure
from tools.train_shapes import parser as bundled_options


def rendered(scenes: list[Scene]) -> Rendered:
    labels = np.zeros((len(scenes), len(SHAPES)), np.float32)
    for row, scene in enumerate(scenes):
        labels[row, [item.index for item in scene.objects]] = 1
    return Rendered(np.stack([scene.image for scene in scenes]), labels, np.empty(0))


def test_what_is_stored_knows_scenes_that_it_was_not_trained_on() -> None:
    recall, precision = measure(load_scene_transformer(), rendered([render_scene(seed) for seed in TEST_SEEDS[:24]]))
    assert recall >= 0.9
    assert precision >= 0.9
    assert set(SCENES).isdisjoint(TEST_SEEDS)
    assert SCENES.start >= 1_000_000 + bundled_options().parse_args([]).scenes  # nor on those of the bundled network


def test_its_tokens_lie_as_the_picture() -> None:
    scene = render_scene(TEST_SEEDS[0])
    maps = AttentionRollout(load_scene_transformer())(preprocess(scene.image))
    assert maps.shape == (1, 128, 128)
    objects = np.any([item.mask for item in scene.objects], 0)
    assert maps[0][objects].mean() > 2 * maps[0][~objects].mean()


@pytest.mark.slow
def test_training_changes_the_blocks_alone_and_leaves_no_gradients_behind() -> None:
    net = SceneTransformer()
    stem = [value.clone() for value in net.stem.state_dict().values()]
    weights = {name: value.clone() for name, value in net.vit.named_parameters() if name.endswith("weight")}
    train(net, rendered([render_scene(seed) for seed in TEST_SEEDS[:32]]), epochs=3)
    assert all(map(torch.equal, stem, net.stem.state_dict().values()))
    assert [name for name, before in weights.items() if torch.equal(before, net.vit.get_parameter(name))] == []
    assert not any(parameter.requires_grad for parameter in net.parameters())
