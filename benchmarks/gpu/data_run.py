"""Part f: pictures per second of a run over a data set in memory, beside a plain loop."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.data_sets import BATCH, Numbered, timed
from benchmarks.gpu.bench import Bench, Item, Part, Row
from benchmarks.gpu.networks import main_network
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.data_set_run import DataSetRun, RunOptions
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.picture_files import PictureFiles
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.runs.run_folder import RunFolder

DIFFERENT = 64  # pictures, over and over
WAYS = {"decoded": False, "JPEG": True}


@dataclass(frozen=True)
class Held(Numbered):
    """A picture in memory: uint8 ``(H, W, 3)``, or the bytes of a JPEG file of it."""

    content: Any = None

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        return self.content if isinstance(self.content, np.ndarray) else read_image(self.content)


@dataclass(frozen=True)
class InMemory:
    """So many pictures that are held in memory."""

    contents: tuple[Any, ...]
    count: int
    description: str = "pictures in memory"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Held]:
        return (Held(number, content=self.contents[number % len(self.contents)]) for number in range(self.count))


def pictures(side: int, as_files: bool) -> tuple[Any, ...]:
    """Return pictures of coarse noise, which a JPEG of usual size holds, of the side that the network takes."""
    drawn = np.random.default_rng(0)
    found: list[Any] = []
    for _ in range(DIFFERENT):
        coarse = drawn.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        if as_files:
            with io.BytesIO() as file:
                image.save(file, "JPEG", quality=90)
                found.append(file.getvalue())
        else:
            found.append(np.asarray(image))
    return tuple(found)


def plain_loop(loaded: LoadedModel, source: InMemory, precision: Callable[[], Any], device: torch.device) -> None:
    """Do what a program without maps does: batches to the device, the network, its answers back."""

    def ready(item: Held) -> Tensor:
        return torch.from_numpy(item.read(10**9).copy()).permute(2, 0, 1)

    prepared = loaded.preprocessing
    mean, std = (torch.tensor(each, device=device)[:, None, None] for each in (prepared.mean, prepared.std))
    answers = []
    held = list(source)
    with torch.inference_mode(), precision():
        for start in range(0, len(held), BATCH):
            batch = torch.stack([ready(item) for item in held[start : start + BATCH]])
            batch = (batch.pin_memory() if device.type == "cuda" else batch).to(device, non_blocking=True)
            answers.append(loaded.model((batch.float() / 255 - mean) / std).argmax(1))
    torch.cat(answers).cpu()


@contextmanager
def ready_run(explainer: Explainer, source: InMemory) -> Iterator[Callable[[], None]]:
    """Yield what does a run, in a folder of its own; what is done before its first picture has been done."""
    with tempfile.TemporaryDirectory() as folder:
        this = DataSetRun(explainer, source, RunFolder(Path(folder) / "run"), RunOptions(PictureFiles(())))
        this.folder.claim(this.settings())  # reads the network's weights
        yield partial(this.run, lambda rows: None)


def _speed_of_run(explainer: Explainer, source: InMemory) -> float:
    with ready_run(explainer, source) as work:
        return source.count / timed(work)


def _measured(way: str, dtype: str, bench: Bench) -> list[Row]:
    device, network = bench.device, main_network(bench)
    model = network.build(device)
    loaded = LoadedModel(model, Preprocessing(None, None), target_layers=(str(network.layer),), source="random")
    half = None if dtype == "float32" else getattr(torch, dtype)
    explainer = Explainer(loaded, ExplainerOptions(dtype=dtype, batch_size=BATCH))
    source = InMemory(pictures(network.side, WAYS[way]), BATCH if bench.smoke else 128 * BATCH)

    def precision() -> Any:
        return torch.autocast(device.type, half, enabled=half is not None)

    def speed_of_loop(source: InMemory) -> float:
        return source.count / timed(partial(plain_loop, loaded, source, precision, device))

    some = replace(source, count=2 * BATCH)
    _speed_of_run(explainer, some), speed_of_loop(some)  # warms everything up
    found = [
        (speed_of_loop(source), _speed_of_run(explainer, source), speed_of_loop(source)) for _ in range(bench.rounds)
    ]
    plain_speed = median((before + after) / 2 for before, _, after in found)
    speed = median(middle for _, middle, _ in found)
    return [
        {
            "pictures": way,
            "precision": dtype,
            "count": source.count,
            "plain pictures/s": plain_speed,
            "run pictures/s": speed,
            "of plain": speed / plain_speed,
        }
    ]


def items(bench: Bench) -> Iterator[Item]:
    for dtype in ("float32",) if bench.smoke or not bench.on_gpu else ("float32", "bfloat16"):
        for way in WAYS:
            yield Item(f"{way}, {dtype}", partial(_measured, way, dtype, bench))


PART = Part(
    "f",
    "A run over pictures in memory, with the index alone, beside a plain loop",
    40,
    items,
    notes=(
        "Pictures of the network's size, as arrays (`decoded`) and as the bytes of JPEG files, in batches of "
        f"{BATCH}. The plain loop copies uint8 pictures to the device, from pinned memory, and normalises them there; "
        "it reads its pictures in one thread.",
    ),
)
