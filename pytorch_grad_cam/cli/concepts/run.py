"""The verb ``concepts``: what a layer tells apart in one or many pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pytorch_grad_cam.cli.classes import check_names, predicted
from pytorch_grad_cam.cli.concepts.files import Labels, Picture, drawn, legend, lines, table
from pytorch_grad_cam.cli.errors import in_one_line
from pytorch_grad_cam.cli.explain.options import ConceptsOptions
from pytorch_grad_cam.cli.explain.report import listed, written
from pytorch_grad_cam.cli.network import described, device_of, load
from pytorch_grad_cam.data.images import check_writable, read_image, write_bytes
from pytorch_grad_cam.data.samples import Sample, find_samples, names_many
from pytorch_grad_cam.engine.layers import layer_name
from pytorch_grad_cam.feature_factorization.decomposition import Concepts
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import DeepFeatureFactorization
from pytorch_grad_cam.models.loaded import LoadedModel

TABLE = "concepts.json"


def concepts(options: ConceptsOptions) -> int:
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
    names = [f"{sample.id}_concepts.jpg" for sample in samples]
    if names_many(options.image_path) and not options.overwrite:
        _refuse_existing(folder, [*names, TABLE])
    device = device_of(options)
    loaded = load(options, device)
    pictures, unread = _read(samples, loaded)
    if not pictures:
        raise ValueError("; ".join(unread))
    inputs = torch.stack([each.inputs for each in pictures]).to(device)  # (B, C, h, w)
    layer = options.target_layer or next(iter(loaded.target_layers or [None]))
    factorization = DeepFeatureFactorization(loaded.model, layer, loaded.reshape_transform, seed=options.seed)
    found = factorization.concepts(inputs, options.components)
    labels = _labels(factorization, loaded, inputs, found, options.top_k)
    files = {
        f"{each.sample.id}_concepts.jpg": drawn(each.pixels, maps, loaded, options, legend(found, labels, loaded))
        for each, maps in zip(pictures, found.maps.float().cpu().numpy(), strict=True)
    }
    target = factorization.target_layer
    assert target is not None
    name = layer_name(loaded.model, target)
    files[TABLE] = table(found, labels, loaded, options, name, pictures, list(files))
    for file, content in files.items():
        write_bytes(folder / file, content)
    print(f"model:      {described(loaded, (int(inputs.shape[2]), int(inputs.shape[3])))}")
    print(f"layer:      {name}{'' if layer else ' (chosen automatically)'}")
    for line in listed("concepts", lines(found, labels, loaded)):
        print(line)
    print(f"explained:  {100 * (1 - found.error**2):.1f} % of the activations' energy")
    for line in written([folder / file for file in files]):
        print(line)
    for problem in [*problems, *unread]:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems or unread else 0


def _read(samples: Sequence[Sample], loaded: LoadedModel) -> tuple[list[Picture], list[str]]:
    """Read the pictures; of those that fail, or are not of the first one's size, say why."""
    pictures: list[Picture] = []
    problems = []
    for sample in samples:
        try:
            pixels = read_image(sample.path)
            inputs = loaded.preprocessing(pixels)
            if pictures and inputs.shape != pictures[0].inputs.shape:
                raise ValueError(
                    f"{sample.path} gives an input of {inputs.shape[2]} x {inputs.shape[1]} pixels, "
                    f"{pictures[0].sample.path} one of {pictures[0].inputs.shape[2]} x {pictures[0].inputs.shape[1]}; "
                    "--size N gives all pictures one size"
                )
            pictures.append(Picture(sample, pixels, inputs))
        except Exception as error:  # the next picture may well do
            problems.append(in_one_line(error))
    return pictures, problems


def _labels(
    factorization: DeepFeatureFactorization, loaded: LoadedModel, inputs: Tensor, found: Concepts, count: int
) -> list[Labels]:
    """Return which classes each concept speaks for; nothing for a network that is no classifier."""
    try:
        outputs = factorization.outputs(inputs, found.vectors)
    except ValueError as error:  # of a reshape_transform that cannot be turned back
        print(f"note: the concepts have no names: {in_one_line(error)}", file=sys.stderr)
        return [None for _ in found.vectors]
    check_names(outputs, loaded.categories)
    if not isinstance(outputs, Tensor):
        return [None for _ in found.vectors]
    return [predicted(row[None], loaded, count) for row in outputs]


def _refuse_existing(folder: Path, names: Sequence[str]) -> None:
    existing = [name for name in names if (folder / name).exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise FileExistsError(
            f"{folder / existing[0]}{more} exist{'' if more else 's'} already; --overwrite replaces what is there, "
            "--output-dir takes another folder"
        )
