"""The files of ``concepts``: the pictures, the legend and the table of numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.classes import named
from pytorch_grad_cam.cli.explain.options import ConceptsOptions
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.data.samples import Sample
from pytorch_grad_cam.feature_factorization.decomposition import Concepts
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.visualization.factorization import concept_colours, show_factorization_on_image

Labels = list[tuple[int, float]] | None  # class and share, the highest first; None if nothing can be named


@dataclass(frozen=True)
class Picture:
    """One picture that could be read, and as the network takes it, ``(C, h, w)``."""

    sample: Sample
    pixels: NDArray[np.uint8]
    inputs: Tensor


def legend(found: Concepts, labels: Sequence[Labels], loaded: LoadedModel) -> list[str]:
    """Say of each concept how much it explains and which classes it speaks for, one line each."""
    return [
        "\n".join([f"concept {index + 1}: {100 * energy:.0f} %", *_labels(classes, loaded)])
        for index, (energy, classes) in enumerate(zip(found.energy.tolist(), labels, strict=True))
    ]


def lines(found: Concepts, labels: Sequence[Labels], loaded: LoadedModel) -> list[str]:
    """Say the same in one line per concept."""
    return [", ".join(each.split("\n")) for each in legend(found, labels, loaded)]


def _labels(classes: Labels, loaded: LoadedModel) -> list[str]:
    if classes is None:
        return []
    return [_label(each, loaded) for each in classes] or ["no class above 50 %"]  # each class is a yes or no of its own


def _label(label: tuple[int, float], loaded: LoadedModel) -> str:
    index, share = label
    return f"{named(index, loaded.categories)} {100 * share:.1f} %"


def drawn(
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32],
    loaded: LoadedModel,
    options: ConceptsOptions,
    legend: Sequence[str],
) -> bytes:
    """Draw the concepts of one picture in its own pixels; what the network never saw stays as it is."""
    placed = np.stack([loaded.preprocessing.to_picture(map, pixels.shape[:2]) for map in maps])  # (K, H, W)
    picture = show_factorization_on_image(
        pixels, np.clip(placed, 0, 1), image_weight=options.image_weight, concept_labels=legend
    )
    return encoded_image("a.jpg", picture)


def table(
    found: Concepts,
    labels: Sequence[Labels],
    loaded: LoadedModel,
    options: ConceptsOptions,
    layer: str,
    pictures: Sequence[Picture],
    files: Sequence[str],
) -> bytes:
    """Everything that was found, in numbers."""
    names = loaded.categories
    strengths = found.maps.flatten(2).mean(2).tolist()  # (B, K)
    content: dict[str, Any] = {
        "model": loaded.source,
        "layer": layer,
        "seed": options.seed,
        "error": round(found.error, 6),
        "concepts": [
            {
                "concept": index + 1,
                "energy": round(energy, 6),
                "colour": [round(255 * part) for part in colour],
                "classes": [
                    {"index": each, "name": names[each] if names else None, "share": round(share, 6)}
                    for each, share in classes or []
                ],
            }
            for index, (energy, colour, classes) in enumerate(
                zip(found.energy.tolist(), concept_colours(len(labels)), labels, strict=True)
            )
        ],
        "pictures": [
            {
                "picture": str(each.sample.path),
                "file": file,
                "mean_strength": [round(strength, 6) for strength in row],
            }
            for each, file, row in zip(pictures, files, strengths, strict=True)
        ],
        "version": __version__,
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
