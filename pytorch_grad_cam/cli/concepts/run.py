"""The command ``concepts``: what a layer tells apart in one or many pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.concepts.options import ConceptsOptions
from pytorch_grad_cam.cli.network import advising, load_network, network_summary
from pytorch_grad_cam.cli.output import headed_lines, json_file, refuse_existing, written_files
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import encoded_image, read_image
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.feature_factorization.decomposition import Concepts
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import DeepFeatureFactorization
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.picture_targets import read_scores
from pytorch_grad_cam.targets.class_choices import check_categories, class_label, class_name
from pytorch_grad_cam.targets.score_kinds import ScoreKind
from pytorch_grad_cam.targets.spec import class_scores
from pytorch_grad_cam.visualization.overlay import concept_colours, show_factorization_on_image

TABLE = "concepts.json"
ConceptClasses = list[tuple[int, float]] | None  # class and share, the highest first; None if nothing can be named


@dataclass(frozen=True)
class PreparedImage:
    """One image that could be read, and as the network takes it, ``(C, h, w)``."""

    sample: Sample
    pixels: NDArray[np.uint8]
    inputs: Tensor


def run(options: ConceptsOptions) -> int:
    """Factorise all pictures together, write the files and say what was found.

    Returns:
        0; 1 if a picture could not be read, which is said.

    Raises:
        Exception: with a message for people where nothing at all can be done.
    """
    samples, problems = find_samples(options.image_path)
    if not samples:
        raise FileNotFoundError("; ".join(problems))
    folder = Path(options.output_dir)
    check_writable(folder)
    if names_many(options.image_path) and not options.overwrite:
        refuse_existing(folder, [*map(_file_name, samples), TABLE])
    loaded, device = load_network(options)
    images, unread = _read_images(samples, loaded, options)
    if not images:
        raise ValueError("; ".join(unread))
    inputs = torch.stack([image.inputs for image in images]).to(device)  # (B, C, h, w)
    layer = options.target_layer or next(iter(loaded.target_layers or [None]))
    factorization = DeepFeatureFactorization(loaded.model, layer, loaded.reshape_transform, seed=options.seed)
    with advising(loaded, options, inputs):
        concepts = factorization.concepts(inputs, options.components)
    kind, loaded = read_scores(loaded, inputs[:1], options.scores)
    classes = _concept_classes(factorization, loaded, kind, inputs, concepts, options.top_k)
    legend = _legend(concepts, classes, loaded)
    files = {
        _file_name(image.sample): _concepts_on_image(image.pixels, maps, loaded, options.image_weight, legend)
        for image, maps in zip(images, concepts.maps.float().cpu().numpy(), strict=True)
    }
    target_layer = factorization.target_layer
    assert target_layer is not None
    name = layer_name(loaded.model, target_layer)
    head = {"model": loaded.source, "scores": kind and kind.record(), "layer": name, "seed": options.seed}
    files[TABLE] = json_file(head | _concept_table(concepts, classes, loaded, images))
    for file, content in files.items():
        write_bytes(folder / file, content)
    print(f"model:      {network_summary(loaded, (int(inputs.shape[2]), int(inputs.shape[3])))}")
    if kind is not None:
        print(f"scores:     {kind}")
    print(f"layer:      {name}{'' if layer else ' (chosen automatically)'}")
    print(*headed_lines("concepts", [text.replace("\n", ", ") for text in legend]), sep="\n")
    print(f"explained:  {100 * (1 - concepts.error**2):.1f} % of the activations' energy")
    print(*written_files([folder / file for file in files]), sep="\n")
    for problem in [*problems, *unread]:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems or unread else 0


def _file_name(sample: Sample) -> str:
    return f"{sample.id}_concepts.jpg"


def _read_images(
    samples: Sequence[Sample], loaded: LoadedModel, options: ConceptsOptions
) -> tuple[list[PreparedImage], list[str]]:
    """Read the images; of those that fail, or are not of the first one's size, say why."""
    images: list[PreparedImage] = []
    problems = []
    for sample in samples:
        try:
            pixels = read_image(sample.path, max_pixels=options.max_pixels, page=options.page)
            inputs = loaded.preprocessing(pixels)
            if images and inputs.shape != images[0].inputs.shape:
                raise ValueError(
                    f"{sample.path} gives an input of {inputs.shape[2]} x {inputs.shape[1]} pixels, "
                    f"{images[0].sample.path} one of {images[0].inputs.shape[2]} x {images[0].inputs.shape[1]}; "
                    "--size N gives all pictures one size"
                )
            images.append(PreparedImage(sample, pixels, inputs))
        except Exception as error:  # the next one may well do
            problems.append(in_one_line(error))
    return images, problems


def _concept_classes(
    factorization: DeepFeatureFactorization,
    loaded: LoadedModel,
    kind: ScoreKind | None,
    inputs: Tensor,
    concepts: Concepts,
    count: int,
) -> list[ConceptClasses]:
    """Return which classes each concept speaks for; nothing for a network that is no classifier."""
    try:
        outputs = factorization.outputs(inputs, concepts.vectors)
    except ValueError as error:  # of a reshape_transform that cannot be turned back
        print(f"note: the concepts have no names: {in_one_line(error)}", file=sys.stderr)
        return [None for _ in concepts.vectors]
    check_categories(outputs, loaded.categories)
    if kind is None:
        return [None for _ in concepts.vectors]
    return [kind.seen(scores, count) for scores in class_scores(outputs, "concepts are named")[0]]


def _legend(concepts: Concepts, classes: Sequence[ConceptClasses], loaded: LoadedModel) -> list[str]:
    """Say of each concept how much it explains and which classes it speaks for, below each other."""
    texts = []
    for number, (energy, shares) in enumerate(zip(concepts.energy.tolist(), classes, strict=True), 1):
        lines = [f"{class_label(index, loaded.categories)} {100 * share:.1f} %" for index, share in shares or []]
        if shares == []:
            lines = ["no class above 50 %"]  # each class is a yes or no of its own
        texts.append("\n".join([f"concept {number}: {100 * energy:.0f} %", *lines]))
    return texts


def _concepts_on_image(
    pixels: NDArray[np.uint8], maps: NDArray[np.float32], loaded: LoadedModel, weight: float, legend: Sequence[str]
) -> bytes:
    """Draw the concepts of one image in its own pixels; what the network never saw stays as it is."""
    placed = np.stack([loaded.preprocessing.to_picture(map, pixels.shape[:2]) for map in maps])  # (K, H, W)
    drawn = show_factorization_on_image(pixels, np.clip(placed, 0, 1), image_weight=weight, concept_labels=legend)
    return encoded_image("a.jpg", drawn)


def _concept_table(
    concepts: Concepts, classes: Sequence[ConceptClasses], loaded: LoadedModel, images: Sequence[PreparedImage]
) -> dict[str, Any]:
    """Return what was found, in numbers."""
    strengths = concepts.maps.flatten(2).mean(2).tolist()  # (B, K)
    colours = concept_colours(len(classes))
    return {
        "error": round(concepts.error, 6),
        "concepts": [
            {
                "concept": number,
                "energy": round(energy, 6),
                "colour": [round(255 * part) for part in colour],
                "classes": [
                    {"index": index, "name": class_name(index, loaded.categories), "share": round(share, 6)}
                    for index, share in shares or []
                ],
            }
            for number, (energy, colour, shares) in enumerate(
                zip(concepts.energy.tolist(), colours, classes, strict=True), 1
            )
        ],
        "pictures": [
            {
                "picture": str(image.sample.path),
                "file": _file_name(image.sample),
                "mean_strength": [round(strength, 6) for strength in row],
            }
            for image, row in zip(images, strengths, strict=True)
        ],
        "version": __version__,
    }
