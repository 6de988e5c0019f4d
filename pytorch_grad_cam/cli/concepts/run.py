"""The command ``concepts``: what a layer tells apart in one or many pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pytorch_grad_cam.cli.classes import check_categories, class_shares
from pytorch_grad_cam.cli.concepts.files import ConceptClasses, PreparedImage, concept_table, draw_concepts, legend
from pytorch_grad_cam.cli.concepts.options import ConceptsOptions
from pytorch_grad_cam.cli.network import chosen_device, load_network, network_summary
from pytorch_grad_cam.cli.output_files import refuse_existing
from pytorch_grad_cam.cli.text_table import headed_lines, written_files
from pytorch_grad_cam.data.images import check_writable, read_image, write_bytes
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.feature_factorization.decomposition import Concepts
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import DeepFeatureFactorization
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line

TABLE = "concepts.json"


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
    device = chosen_device(options)
    loaded = load_network(options, device)
    images, unread = _read_images(samples, loaded, options.max_pixels)
    if not images:
        raise ValueError("; ".join(unread))
    inputs = torch.stack([image.inputs for image in images]).to(device)  # (B, C, h, w)
    layer = options.target_layer or next(iter(loaded.target_layers or [None]))
    factorization = DeepFeatureFactorization(loaded.model, layer, loaded.reshape_transform, seed=options.seed)
    concepts = factorization.concepts(inputs, options.components)
    classes = _concept_classes(factorization, loaded, inputs, concepts, options.top_k)
    texts = legend(concepts, classes, loaded)
    files = {
        _file_name(image.sample): draw_concepts(image.pixels, maps, loaded, options, texts)
        for image, maps in zip(images, concepts.maps.float().cpu().numpy(), strict=True)
    }
    target_layer = factorization.target_layer
    assert target_layer is not None
    name = layer_name(loaded.model, target_layer)
    files[TABLE] = concept_table(concepts, classes, loaded, options, name, images, list(files))
    for file, content in files.items():
        write_bytes(folder / file, content)
    print(f"model:      {network_summary(loaded, (int(inputs.shape[2]), int(inputs.shape[3])))}")
    print(f"layer:      {name}{'' if layer else ' (chosen automatically)'}")
    for line in headed_lines("concepts", [text.replace("\n", ", ") for text in texts]):
        print(line)
    print(f"explained:  {100 * (1 - concepts.error**2):.1f} % of the activations' energy")
    for line in written_files([folder / file for file in files]):
        print(line)
    for problem in [*problems, *unread]:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems or unread else 0


def _file_name(sample: Sample) -> str:
    return f"{sample.id}_concepts.jpg"


def _read_images(
    samples: Sequence[Sample], loaded: LoadedModel, max_pixels: int
) -> tuple[list[PreparedImage], list[str]]:
    """Read the images; of those that fail, or are not of the first one's size, say why."""
    images: list[PreparedImage] = []
    problems = []
    for sample in samples:
        try:
            pixels = read_image(sample.path, max_pixels=max_pixels)
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
    factorization: DeepFeatureFactorization, loaded: LoadedModel, inputs: Tensor, concepts: Concepts, count: int
) -> list[ConceptClasses]:
    """Return which classes each concept speaks for; nothing for a network that is no classifier."""
    try:
        outputs = factorization.outputs(inputs, concepts.vectors)
    except ValueError as error:  # of a reshape_transform that cannot be turned back
        print(f"note: the concepts have no names: {in_one_line(error)}", file=sys.stderr)
        return [None for _ in concepts.vectors]
    check_categories(outputs, loaded.categories)
    if not isinstance(outputs, Tensor):
        return [None for _ in concepts.vectors]
    return [class_shares(row[None], loaded, count) for row in outputs]
