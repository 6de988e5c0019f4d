"""What the commands for volumes, signals and video do alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.arrays.signal_options import SignalOptions
from pytorch_grad_cam.cli.explain.arrays.volume_options import VolumeOptions
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, MapResult, as_said
from pytorch_grad_cam.cli.explain.image_files import target_slug
from pytorch_grad_cam.cli.explain.options import ExplainOptions
from pytorch_grad_cam.cli.network import load_network
from pytorch_grad_cam.cli.output import written_files
from pytorch_grad_cam.data.files import check_writable
from pytorch_grad_cam.engine.inputs import input_channels
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.error_text import in_one_line


class Values(Protocol):
    """Numbers that were read from a file."""

    @property
    def values(self) -> NDArray[np.float32]: ...


Source = TypeVar("Source", bound=Values)


def each_file(options: ExplainOptions, explain: Callable[[str], Sequence[str]]) -> int:
    """Explain one file after the other; of several, one that fails stops nothing.

    Args:
        options: that name the files.
        explain: one file; returns what went wrong with a part of it.

    Returns:
        0; 1 if something failed, which is said.

    Raises:
        Exception: of a single file.
    """
    failed = 0
    for number, path in enumerate(options.image_path):
        if number:
            print()
        try:
            problems = explain(path)
        except Exception as error:
            if options.debug or len(options.image_path) == 1:
                raise
            problems = [in_one_line(error)]
        for problem in problems:
            print(f"error: {problem if path in problem else f'{path}: {problem}'}", file=sys.stderr)
        failed += bool(problems)
    if failed and len(options.image_path) > 1:
        print(f"error: {failed} of {len(options.image_path)} files failed", file=sys.stderr)
    return 1 if failed else 0


def explain_arrays(
    options: SignalOptions | VolumeOptions,
    head: str,
    axes: int,
    read: Callable[[str], Source],
    described: Callable[[Source], str],
    write: Callable[[Path, Source, MapResult, NDArray[np.float32]], list[Path]],
) -> int:
    """Explain every file of numbers, write what was found, and say it.

    Args:
        options: of the command.
        head: what a file is called.
        axes: number of spatial axes.
        read: a file.
        described: size and values of what was read, for people.
        write: from what the files' names begin with, what was read, and a map of it, to the files that were written.

    Returns:
        As `each_file`.

    Raises:
        Exception: with a message for people where nothing at all can be done, or a single file failed.
    """
    check_writable(options.output_dir)
    sources = {path: read(path) for path in options.image_path[:1]}  # before the network, which takes longer
    loaded, device = load_for_arrays(options)
    explainer = ImageExplainer(loaded, options, device)

    def explain(path: str) -> Sequence[str]:
        source = sources.pop(path, None) or read(path)
        inputs = network_input(source.values, axes, options.normalize, options, loaded).to(device)
        targets = explainer.targets(inputs)
        maps, failed = explainer.maps(inputs, targets)
        files: list[Path] = []
        for result in maps:
            if result.map is not None:
                stem = Path(options.output_dir) / map_stem(path, result, len(targets) > 1, loaded)
                files += write(stem, source, result, result.map)
        say(head, f"{path}, {described(source)}", given_as(options.normalize, options), maps, explainer, files)
        return [*failed, *report.problems(maps, loaded)]

    return each_file(options, explain)


def load_for_arrays(options: ExplainOptions) -> tuple[LoadedModel, torch.device]:
    """Load the network; mean and deviation are those of the numbers' channels, which need not be one or three."""
    loaded, device = load_network(replace(options, mean=None, std=None))
    return as_said(loaded, options), device


def network_input(
    values: NDArray[np.float32], axes: int, normalize: str, options: ExplainOptions, loaded: LoadedModel
) -> Tensor:
    """Return what the network takes, ``(1, C, *S)``, of values ``(*S)`` or ``(C, *S)``.

    Args:
        values: as they were read.
        axes: number of spatial axes.
        normalize: one of `options.NORMALIZE`.
        options: with the mean and deviation of each channel, if they were given.
        loaded: the network; its number of channels is compared.

    Raises:
        ValueError: if the channels are others than the network's, or the numbers of mean and deviation.
    """
    channels = values if values.ndim > axes else values[None]
    wanted = input_channels(loaded.model)
    if wanted is not None and wanted != len(channels):
        raise ValueError(
            f"the network takes {wanted} channels, and this has {len(channels)}: {channels.shape}; choose an entry "
            "with --index, or another array with --key"
        )
    tensor = torch.from_numpy(np.ascontiguousarray(channels))
    if normalize == "unit":
        low, high = tensor.min(), tensor.max()
        tensor = (tensor - low) / (high - low).clamp_min(1e-12)
    elif normalize == "zscore":
        tensor = (tensor - tensor.mean()) / tensor.std(correction=0).clamp_min(1e-12)
    for name, numbers, combine in (
        ("--mean", options.mean, torch.sub),
        ("--std", options.std, torch.div),
    ):
        if numbers is not None:
            if len(numbers) not in (1, len(tensor)):
                raise ValueError(
                    f"{name} has {len(numbers)} numbers for {len(tensor)} channels; give one, or one for each"
                )
            if combine is torch.div and min(numbers) <= 0:
                raise ValueError(f"--std {' '.join(map(str, numbers))} must be positive")
            tensor = combine(tensor, torch.tensor(numbers).reshape(-1, *(1,) * axes))
    return tensor[None]


def range_of(values: NDArray[np.float32]) -> str:
    """Write the lowest and highest value for people."""
    finite = values[np.isfinite(values)]
    return f"values {finite.min():g} to {finite.max():g}" if len(finite) else "no finite value"


def map_stem(source: str, result: MapResult, several: bool, loaded: LoadedModel) -> str:
    """Return what the files of one map begin with: the input's name, the method and, of several, the class."""
    name = Path(source).name or Path(source).absolute().name
    stem = name.split(".")[0] or name
    method = result.method + ("_rest" if result.rest else "") + ("_against" if result.against else "")
    slug = target_slug(result.target, loaded.categories) if several or result.signed else ""
    return "_".join(filter(None, (stem, method, slug)))


def say(
    head: str, line: str, how: str, maps: Sequence[MapResult], explainer: ImageExplainer, files: Sequence[Path]
) -> None:
    """Say what was explained of one input, as it is said of a picture."""
    loaded = explainer.loaded
    print(f"{head + ':':12}{line}")
    print(f"{'model:':12}{loaded.source}; {how}")
    print(*report.in_full(maps, loaded, explainer.layers), *written_files(files), sep="\n")
    for note in report.notes(maps):
        print(note, file=sys.stderr)


def given_as(normalize: str, options: ExplainOptions) -> str:
    """Say in words how numbers were given to the network."""
    scaled = {"none": "sees the numbers as they are", "unit": "sees them from 0 to 1", "zscore": "sees z-scores"}[
        normalize
    ]
    more = [
        f"{name} {' '.join(map(str, values))}"
        for name, values in (("mean", options.mean), ("std", options.std))
        if values
    ]
    return ", ".join([scaled, *more])


def array_bytes(array: NDArray[np.float32]) -> bytes:
    """Return the content of a .npy file."""
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()
