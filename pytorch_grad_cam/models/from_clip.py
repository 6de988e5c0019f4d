"""Networks of pictures and texts, such as CLIP, as classifiers whose classes are texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.from_huggingface import (
    SETTINGS,
    make_local_first,
    preprocessing_from_settings,
)
from pytorch_grad_cam.models.loaded import LoadedModel, in_evaluation
from pytorch_grad_cam.models.weights_file import first_line
from pytorch_grad_cam.targets.score_kinds import SIGMOID, SOFTMAX

_HF, _OPEN_CLIP = "hf/", "open_clip/"


class PromptedClassifier(nn.Module):
    """Scores pictures by their similarity to texts: ``(B, 3, h, w)`` to ``(B, T)``, as the network itself scales it.

    Args:
        network: that embeds pictures.
        method: the name of its method that does, "get_image_features" or "encode_image".
        texts: the embeddings of the texts, ``(T, D)``, of any length.
        scale: what the cosines are multiplied by, no logarithm.
        bias: what is added.
    """

    def __init__(self, network: nn.Module, method: str, texts: Tensor, scale: float, bias: float) -> None:
        super().__init__()
        self.network, self.method, self.scale, self.bias = network, method, scale, bias
        self.texts: Tensor
        self.register_buffer("texts", F.normalize(texts, dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores ``(B, T)``."""
        embedded = _tensor(getattr(self.network, self.method)(x))
        return F.normalize(embedded, dim=1) @ self.texts.T * self.scale + self.bias


def load_prompted(spec: str, prompts: Sequence[str], weights: str | None = None) -> LoadedModel:
    """Build a classifier whose classes are texts.

    Args:
        spec: "hf/" and a folder that ``save_pretrained`` wrote, with its tokenizer, or a name on the hub; "open_clip/"
            and a name, which is built without weights, unless they follow behind a colon, as in
            "open_clip/ViT-B-32:laion2b_s34b_b79k", or are given.
        prompts: the texts, one for each class.
        weights: a file of weights, for open_clip.

    Returns:
        The network, its categories the texts.

    Raises:
        ImportError: if transformers or open_clip is missing.
        ValueError: if there is no text, one is empty, or the network has no texts.
        RuntimeError: if the network cannot be made.
    """
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise ValueError("give at least one text, and none that is empty")
    if spec.startswith(_OPEN_CLIP):
        loaded = _open_clip(spec, list(prompts), weights)
    elif spec.startswith(_HF) and weights is None:
        loaded = _transformers(spec, list(prompts))
    else:
        raise ValueError(
            f"texts go with networks of pictures and texts, hf/FOLDER or open_clip/NAME, not with {spec!r}"
            + (f" and the weights {weights}" if weights else "")
        )
    return replace(loaded, categories=tuple(prompts))


def _transformers(spec: str, prompts: list[str]) -> LoadedModel:
    transformers: Any = need("transformers")
    path = spec.removeprefix(_HF)
    try:
        network: Any = in_evaluation(make_local_first(transformers.AutoModel.from_pretrained, path))
        tokenizer = make_local_first(transformers.AutoTokenizer.from_pretrained, path)
    except Exception as error:  # configurations, tokenizers and the hub's client raise errors of many kinds
        raise RuntimeError(
            f"transformers cannot make a network and its tokenizer of {path!r} ({first_line(error)})"
        ) from error
    if not hasattr(network, "get_image_features") or not hasattr(network, "logit_scale"):
        raise ValueError(f"{spec} is a {type(network).__name__}, which does not compare pictures with texts")
    sigmoid = hasattr(network, "logit_bias")  # of SigLIP, which was trained on texts of full length
    length = network.config.text_config.max_position_embeddings
    padding = {"padding": "max_length", "max_length": length} if sigmoid else {"padding": True, "max_length": length}
    tokens = tokenizer(prompts, return_tensors="pt", truncation=True, **padding)
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
    with torch.no_grad():
        texts = _tensor(network.get_text_features(**inputs))
    settings_file = Path(path) / SETTINGS
    settings = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else {}
    scale, bias = network.logit_scale.exp().item(), network.logit_bias.item() if sigmoid else 0.0
    return LoadedModel(
        in_evaluation(PromptedClassifier(network, "get_image_features", texts, scale, bias)),
        preprocessing_from_settings(settings, network.config.vision_config.image_size),
        source=spec,
        scores=SIGMOID if sigmoid else SOFTMAX,
    )


def _open_clip(spec: str, prompts: list[str], weights: str | None) -> LoadedModel:
    open_clip: Any = need("open_clip")
    name, _, tag = spec.removeprefix(_OPEN_CLIP).partition(":")
    try:
        with torch.random.fork_rng(devices=[]):  # building draws numbers, which nobody outside shall miss
            network: Any = in_evaluation(open_clip.create_model(name, pretrained=weights or tag or None))
        tokens = open_clip.get_tokenizer(name)(prompts)
    except Exception as error:  # unknown names, damaged files, the hub's client: errors of many kinds
        raise RuntimeError(f"open_clip cannot make {name!r} ({first_line(error)})") from error
    with torch.no_grad():
        texts = network.encode_text(tokens)
    size = network.visual.image_size
    side = size if isinstance(size, int) else size[0]
    bias = getattr(network, "logit_bias", None)
    kept = weights or tag
    return LoadedModel(
        in_evaluation(
            PromptedClassifier(
                network, "encode_image", texts, network.logit_scale.exp().item(), 0.0 if bias is None else bias.item()
            )
        ),
        Preprocessing(side, side, tuple(network.visual.image_mean), tuple(network.visual.image_std), "bicubic"),
        source=f"{spec}{'' if kept else ', random weights'}",
        scores=SOFTMAX if bias is None else SIGMOID,
    )


def _tensor(embedded: Any) -> Tensor:
    """Return the embeddings; transformers 5 hands them over in a record."""
    tensor: Tensor = embedded if isinstance(embedded, Tensor) else embedded.pooler_output
    return tensor
