"""The files of ``concepts``: the pictures, the legend and the table of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.classes import class_label
from pytorch_grad_cam.cli.concepts.options import ConceptsOptions
from pytorch_grad_cam.cli.output_files import json_file
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.data.samples import Sample
from pytorch_grad_cam.feature_factorization.decomposition import Concepts
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.visualization.overlay import concept_colours, show_factorization_on_image

ConceptClasses = list[tuple[int, float]] | None  # class and share, the highest first; None if nothing can be named


@dataclass(frozen=True)
class PreparedImage:
    """One image that could be read, and as the network takes it, ``(C, h, w)``."""

    sample: Sample
    pixels: NDArray[np.uint8]
    inputs: Tensor


def legend(concepts: Concepts, classes: Sequence[ConceptClasses], loaded: LoadedModel) -> list[str]:
    """Say of each concept how much it explains and which classes it speaks for, below each other."""
    return [
        "\n".join([f"concept {index + 1}: {100 * energy:.0f} %", *_class_lines(shares, loaded)])
        for index, (energy, shares) in enumerate(zip(concepts.energy.tolist(), classes, strict=True))
    ]


def _class_lines(classes: ConceptClasses, loaded: LoadedModel) -> list[str]:
    if classes is None:
        return []
    lines = [f"{class_label(index, loaded.categories)} {100 * share:.1f} %" for index, share in classes]
    return lines or ["no class above 50 %"]  # each class is a yes or no of its own


def draw_concepts(
    pixels: NDArray[np.uint8],
    maps: NDArray[np.float32],
    loaded: LoadedModel,
    options: ConceptsOptions,
    legend: Sequence[str],
) -> bytes:
    """Draw the concepts of one image in its own pixels; what the network never saw stays as it is."""
    placed = np.stack([loaded.preprocessing.to_picture(map, pixels.shape[:2]) for map in maps])  # (K, H, W)
    picture = show_factorization_on_image(
        pixels, np.clip(placed, 0, 1), image_weight=options.image_weight, concept_labels=legend
    )
    return encoded_image("a.jpg", picture)


def concept_table(
    concepts: Concepts,
    classes: Sequence[ConceptClasses],
    loaded: LoadedModel,
    options: ConceptsOptions,
    layer: str,
    images: Sequence[PreparedImage],
    files: Sequence[str],
) -> bytes:
    """Return the JSON file with everything that was found, in numbers."""
    names = loaded.categories
    strengths = concepts.maps.flatten(2).mean(2).tolist()  # (B, K)
    content: dict[str, Any] = {
        "model": loaded.source,
        "layer": layer,
        "seed": options.seed,
        "error": round(concepts.error, 6),
        "concepts": [
            {
                "concept": index + 1,
                "energy": round(energy, 6),
                "colour": [round(255 * part) for part in colour],
                "classes": [
                    {"index": category, "name": names[category] if names else None, "share": round(share, 6)}
                    for category, share in shares or []
                ],
            }
            for index, (energy, colour, shares) in enumerate(
                zip(concepts.energy.tolist(), concept_colours(len(classes)), classes, strict=True)
            )
        ],
        "pictures": [
            {
                "picture": str(image.sample.path),
                "file": file,
                "mean_strength": [round(strength, 6) for strength in row],
            }
            for image, file, row in zip(images, files, strengths, strict=True)
        ],
        "version": __version__,
    }
    return json_file(content)
