"""Texts as classes, with networks of random weights: the scores are those of the networks themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import missing
from helpers.colour_net import red_and_blue

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.models.load import load_model

pytestmark = [
    pytest.mark.again,
    pytest.mark.filterwarnings("ignore:.*not every map means something", "ignore::DeprecationWarning"),
]
TEXTS = ["a red thing", "blue"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP of transformers with its tokenizer: the 26 letters, alone and at the end of a word."""
    transformers: Any = missing.package("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(97 + index) for index in range(26)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**sizes, "vocab_size": len(words), "max_position_embeddings": 20, "eos_token_id": 53,
                     "bos_token_id": 52, "pad_token_id": 53, "projection_dim": 8},
        vision_config={**sizes, "image_size": 32, "patch_size": 8, "projection_dim": 8},
        projection_dim=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.CLIPModel(config).eval().save_pretrained(folder)
    return folder


def test_scores_are_those_of_the_network(clip: Path) -> None:
    transformers: Any = missing.package("transformers")
    loaded = load_model(f"hf/{clip}", prompts=TEXTS)
    assert loaded.categories == tuple(TEXTS)
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[10:20, 10:30] = (255, 0, 0)
    x = loaded.preprocessing(picture)[None]
    tokens = transformers.AutoTokenizer.from_pretrained(clip)(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        want = transformers.AutoModel.from_pretrained(clip).eval()(pixel_values=x, **tokens).logits_per_image
        assert torch.allclose(loaded.model(x), want, atol=1e-4)
    assert x.shape == (1, 3, 32, 32)
    maps = GradCAM(loaded.model).explain_each(x).maps
    assert maps.shape == (1, 2, 32, 32)


def test_the_command_line_draws_a_map_for_each_text(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    red_and_blue("both.png")
    given = [
        "--image-path",
        "both.png",
        "--model",
        f"hf/{clip}",
        "--save",
        "overlay",
        "--method",
        "hirescam",
        "--prompt",
    ]
    assert main([*given, *TEXTS]) == 0
    said = capsys.readouterr().out
    assert "0 a red thing" in said
    assert "1 blue" in said
    assert Path("output/grid.jpg").exists()
    assert {path.name for path in Path("output").glob("hirescam_*")} == {
        "hirescam_0_a_red_thing_cam.jpg",
        "hirescam_1_blue_cam.jpg",
    }
    assert main(["--image-path", "both.png", "--model", "shapes", "--prompt", "a cat"]) == 1
    assert "texts go with networks of pictures and texts" in capsys.readouterr().err
    assert main([*given, " "]) == 1
    assert "give at least one text, and none that is empty" in capsys.readouterr().err


@pytest.mark.slow  # its package is no part of the extra test
def test_open_clip(tmp_path: Path) -> None:
    open_clip: Any = missing.package("open_clip")
    tiny = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "tiny-of-ours.json").write_text(json.dumps(tiny))
    open_clip.add_model_config(tmp_path / "tiny-of-ours.json")
    before = torch.random.get_rng_state()
    loaded = load_model("open_clip/tiny-of-ours", prompts=TEXTS)
    assert torch.equal(torch.random.get_rng_state(), before)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network: Any = loaded.model.network
    with torch.no_grad():
        images, texts, scale = network(x, open_clip.get_tokenizer("tiny-of-ours")(TEXTS))[:3]
        assert torch.allclose(loaded.model(x), scale * images @ texts.T, atol=1e-4)
    assert GradCAM(loaded.model)(x, [0, 1]).shape == (2, 32, 32)
    with pytest.raises(RuntimeError, match="open_clip cannot make 'no-such-network'"):
        load_model("open_clip/no-such-network", prompts=TEXTS)
