"""Runs over many pictures: pictures per second beside a plain forward loop, and memory over 50,000 pictures.

`python -m benchmarks.data_sets` (some minutes; `--pictures 64` for a try) writes `benchmarks/results/data_sets.md`. The
photos are those of a folder, by default the ones that lie beside some checkouts, over and over; the network is a
ResNet-50 with random weights at 224 pixels. What is compared takes turns in one process, round by round; the table has
the median.

- plain loop: torch's own DataLoader reads and prepares the pictures, in the number of processes that is fastest here,
  and the network runs forward in inference mode. Nothing is explained, drawn or written.
- index only: `cam run --save none`: the same pictures explained by Grad-CAM, and the index written.
- overlays: `cam run`: also thumbnails and the map over each picture, at the picture's size.

`--memory 50000` runs that many generated pictures through a small network instead and tells how the memory grows.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet50

from benchmarks.cost import machine
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.preprocessing import Preprocessing
from pytorch_grad_cam.data.samples import find_samples
from pytorch_grad_cam.data.sources.files import FileItem
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.data_set_run import DataSetRun, RunOptions
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.picture_files import PictureFiles
from pytorch_grad_cam.runs.ready_network import ExplainerOptions
from pytorch_grad_cam.runs.run_folder import RunFolder

RESULT = Path(__file__).parent / "results" / "data_sets.md"
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "imagenet_samples"
BATCH = 32
AIMS = {"index only": 0.97, "overlays": 0.9}  # of the plain loop
EVERY = 1000  # pictures between two looks at the memory


@dataclass(frozen=True)
class Photos:
    """So many photos of a folder, over and over."""

    paths: tuple[str, ...]
    count: int
    description: str = "photos"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[FileItem]:
        for number, path in zip(range(self.count), itertools.cycle(self.paths), strict=False):
            yield FileItem(f"{number:06d}", path, path)


@dataclass(frozen=True)
class Numbered:
    """A picture without a file, called by its number."""

    number: int
    label: str | int | None = None
    target: str | int | None = None

    @property
    def id(self) -> str:
        return f"{self.number:06d}"

    @property
    def origin(self) -> str:
        return f"picture {self.number}"


@dataclass(frozen=True)
class Generated(Numbered):
    """A picture that is drawn when it is read."""

    def read(self, max_pixels: int) -> NDArray[np.uint8]:
        return np.random.default_rng(self.number).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Drawn:
    """So many generated pictures."""

    count: int
    description: str = "generated pictures"

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Generated]:
        return map(Generated, range(self.count))


class Prepared(Dataset[Tensor]):
    """The same photos as the network takes them, for torch's DataLoader."""

    def __init__(self, photos: Photos, preprocessing: Preprocessing) -> None:
        self._photos, self._preprocessing = list(photos), preprocessing

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Tensor:
        return self._preprocessing(read_image(self._photos[index].origin))


def plain(loaded: LoadedModel, photos: Photos, processes: int) -> None:
    loader = DataLoader(Prepared(photos, loaded.preprocessing), BATCH, num_workers=processes)
    with torch.inference_mode():
        for inputs in loader:
            loaded.model(inputs)


def run(explainer: Explainer, photos: Photos, kinds: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        this = DataSetRun(explainer, photos, RunFolder(Path(folder) / "run"), RunOptions(PictureFiles(kinds)))
        this.folder.claim(this.settings())
        this.run(lambda rows: None)


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(photos: Photos, rounds: int) -> tuple[dict[str, float], int]:
    """Return the median of the pictures per second of each way, and the processes of the plain loop."""
    torch.manual_seed(0)
    loaded = LoadedModel(resnet50().eval(), Preprocessing(), source="resnet50, random weights")
    explainer = Explainer(loaded)
    some = Photos(photos.paths, min(photos.count, 2 * BATCH))
    run(explainer, some, ())  # finds the layer, and warms everything up
    processes = min((0, 1, 2), key=lambda count: timed(partial(plain, loaded, some, count)))
    ways: dict[str, Callable[[], None]] = {
        "plain loop": partial(plain, loaded, photos, processes),
        "index only": partial(run, explainer, photos, ()),
        "overlays": partial(run, explainer, photos, ("overlay",)),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(photos.count / timed(way))
    return {name: statistics.median(speeds) for name, speeds in found.items()}, processes


def memory(count: int) -> str:
    """Run generated pictures through a small network, and tell the process's memory on the way."""
    torch.manual_seed(0)
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 5)]
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), *head)
    loaded = LoadedModel(network, Preprocessing(32, 32), target_layers=("1",))
    explainer = Explainer(loaded, ExplainerOptions(batch_size=BATCH))
    seen: list[tuple[int, float]] = []
    done = 0

    def look(rows: object) -> None:
        nonlocal done
        done += BATCH
        if done % (EVERY * 5) < BATCH or done == BATCH:
            seen.append((done, _resident()))

    with tempfile.TemporaryDirectory() as folder:
        options = RunOptions(PictureFiles(()))
        this = DataSetRun(explainer, Drawn(count), RunFolder(Path(folder) / "run"), options)
        this.folder.claim(this.settings())
        seconds = timed(lambda: this.run(look))
    lines = [f"- after {pictures:,} pictures: {megabytes:.0f} MB" for pictures, megabytes in seen]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return "\n".join([f"{count:,} generated pictures in {seconds:.0f} s, peak {peak:.0f} MB:", "", *lines, ""])


def _resident() -> float:
    """Return the memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def report(speeds: dict[str, float], photos: Photos, rounds: int, processes: int) -> str:
    plain_speed = speeds["plain loop"]
    lines = [
        "# Runs over many pictures",
        "",
        f"{photos.count} photos, ResNet-50 at 224 pixels, batches of {BATCH}, {torch.get_num_threads()} threads in",
        f"torch, {processes} processes of the plain loop's DataLoader; medians of {rounds} rounds. How it is measured:",
        "`benchmarks/data_sets.py`.",
        f"Aims: {', '.join(f'{name} {aim}' for name, aim in AIMS.items())} of the plain loop.",
        "",
        f"Machine: {machine()}.",
        "",
        "| way | pictures per second | of the plain loop |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {speed:.2f} | {speed / plain_speed:.2f} |" for name, speed in speeds.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", default=str(PHOTOS), help="a folder of pictures")
    parser.add_argument("--memory", type=int, metavar="N", help="look at the memory over N generated pictures instead")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    if options.memory is not None:
        print(memory(options.memory))
        return
    samples, problems = find_samples([options.photos])
    if not samples:
        raise SystemExit("; ".join(problems))
    photos = Photos(tuple(str(sample.path) for sample in samples), options.pictures)
    speeds, processes = measure(photos, options.rounds)
    text = report(speeds, photos, options.rounds, processes)
    print(text)
    options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
