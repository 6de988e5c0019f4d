"""Grad-CAM of every row of a dataset CSV: rows per second beside plain loops.

`python -m benchmarks.console` (about two minutes; `--rows 200` for a try) writes `benchmarks/results/console.md`. It
takes a .nnp network for RGB pictures, by default the one that lies beside some checkouts, and random pictures of its
input's size, written as PNG files. What is compared, each in the same process with the same number of threads:

- `nnc gradcam-batch`, the whole command: load the network, read the CSV, decode, explain, draw, write pictures and CSV.
- plain forward + tail: pictures decoded and stacked beforehand; per batch one forward pass, its gradient back to the
  layer, and the map in the input's size. Nothing is read, drawn or written.
- our Grad-CAM alone: `GradCAM(...).explain` on the same batches, with everything that it checks. Nothing is read, drawn
  or written here either, so this is the part of the command that can be held against the plain loop.
- the plain loop, drawing and writing: each map is also laid over its picture and written as a PNG file, in that loop.
- files alone: pictures are read, encoded and written in the command's threads, without a network: the bound that files
  of this size set to whatever reads and writes them.
- one by one, as the plug-in works: per row decode, a forward pass, a backward pass through the whole network, the map,
  the picture. The network is loaded once.

They take turns, round by round; the table has the median.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.cost import machine
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.cli.main import main as command
from pytorch_grad_cam.data.images import encoded_image, read_image
from pytorch_grad_cam.engine.maps import resize, unit_range
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.runner import BatchRunner
from pytorch_grad_cam.visualization.overlay import show_cam_on_image

RESULT = Path(__file__).parent / "results" / "console.md"
MODEL = Path(__file__).resolve().parents[2] / "shared" / "nnp" / "rgb" / "model.nnp"
CLASSES, BATCH = 3, 128  # the command's own choice for pictures of 32 x 32 pixels
AIM = 0.9  # of a plain loop's rows per second


class Rows:
    """A dataset in a folder, and the ways to explain it."""

    def __init__(self, folder: Path, model: Path, rows: int) -> None:
        self.folder, self.model, self.rows = folder, model, rows
        self.loaded: LoadedModel = load_model(str(model))
        height, width = self.loaded.preprocessing.resize  # type: ignore[misc]
        generator = np.random.default_rng(0)
        (folder / "images").mkdir()
        for row in range(rows):
            noise = generator.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((width, height)).save(self.source(row))
        lines = [f"images/{row}.png,{row % CLASSES}" for row in range(rows)]
        (folder / "d.csv").write_text("\n".join(["x:image,y", *lines, ""]), encoding="utf-8")
        assert self.loaded.target_layers is not None
        self.layer = self.loaded.model.get_submodule(str(self.loaded.target_layers[0]))

    def source(self, row: int) -> Path:
        return self.folder / "images" / f"{row}.png"

    def command(self) -> None:
        given = ["-m", str(self.model), "-i", str(self.folder / "d.csv"), "-o", str(self.folder / "ours.csv")]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if command(["nnc", "gradcam-batch", *given, "--batch-size", str(BATCH)]):
                raise RuntimeError("the command failed")

    def decoded(self) -> tuple[list[np.ndarray], Tensor]:
        pictures = [read_image(self.source(row)) for row in range(self.rows)]
        return pictures, torch.stack([self.loaded.preprocessing(picture) for picture in pictures])

    def plain(self, pictures: list[np.ndarray], inputs: Tensor, draw: bool) -> None:
        for start in range(0, self.rows, BATCH):
            maps = self.maps(inputs[start : start + BATCH], start)
            if draw:
                for row, map in enumerate(maps.numpy(), start):
                    self.write(row, pictures[row], map)

    def explained(self, inputs: Tensor) -> None:
        cam = GradCAM(self.loaded.model, [self.layer])
        for start in range(0, self.rows, BATCH):
            batch = inputs[start : start + BATCH]
            cam.explain(batch, ((torch.arange(len(batch)) + start) % CLASSES).tolist())

    def files_alone(self) -> None:
        """Read every picture and write it again."""

        def write(row: int, picture: np.ndarray) -> None:
            path = self.folder / "copied" / f"{row}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encoded_image(path, picture))

        def decode(row: int) -> np.ndarray:
            return read_image(self.source(row))

        BatchRunner(decode, list, write, lambda outcomes: None, BATCH).run(range(self.rows))

    def one_by_one(self) -> None:
        for row in range(self.rows):
            picture = read_image(self.source(row))
            inputs = self.loaded.preprocessing(picture)[None]
            self.write(row, picture, self.maps(inputs.requires_grad_(), row)[0].numpy())

    def maps(self, inputs: Tensor, first: int) -> Tensor:
        """Grad-CAM with nothing around it; the graph is kept from the layer on, or from an input that asks for it."""
        kept: list[Tensor] = []

        def keep(module: object, given: object, output: Tensor) -> Tensor:
            torch.set_grad_enabled(True)
            kept.append(output if output.requires_grad else output.detach().requires_grad_())
            return kept[0]

        handle = self.layer.register_forward_hook(keep)
        with torch.set_grad_enabled(inputs.requires_grad):
            outputs = self.loaded.model(inputs)
            classes = (torch.arange(len(inputs)) + first) % CLASSES
            wanted = [kept[0], inputs] if inputs.requires_grad else [kept[0]]
            grads = torch.autograd.grad(outputs.gather(1, classes[:, None]).sum(), wanted)[0]
        handle.remove()
        raw = (grads.mean((2, 3), keepdim=True) * kept[0].detach()).sum(1).relu()
        return resize(unit_range(raw), inputs.shape[2:])

    def write(self, row: int, picture: np.ndarray, map: np.ndarray) -> None:
        path = self.folder / "plain" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded_image(path, show_cam_on_image(picture, map, use_rgb=True)))


def measure(rows: Rows, rounds: int) -> dict[str, float]:
    """Return the median of the rows per second of each way."""
    pictures, inputs = rows.decoded()
    ways: dict[str, Callable[[], None]] = {
        "nnc gradcam-batch, the whole command": rows.command,
        "plain forward + tail, pictures decoded before": partial(rows.plain, pictures, inputs, False),
        "our Grad-CAM alone, pictures decoded before": partial(rows.explained, inputs),
        "plain loop, drawing and writing in it": partial(rows.plain, pictures, inputs, True),
        "files alone: read and write every picture, no network": rows.files_alone,
        "one by one, as the plug-in works": rows.one_by_one,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            found[name].append(rows.rows / (time.perf_counter() - start))
    return {name: statistics.median(speeds) for name, speeds in found.items()}


def report(speeds: dict[str, float], rows: int, rounds: int) -> str:
    ours, plain, alone, *_ = speeds.values()
    lines = [
        "# Grad-CAM of a dataset CSV",
        "",
        f"{rows} rows, batches of {BATCH}, {torch.get_num_threads()} threads in torch; medians of {rounds} rounds.",
        f"How it is measured: `benchmarks/console.py`. Aim: {AIM:.0%} of the plain loop. Our Grad-CAM alone is at",
        f"{alone / plain:.0%}; the whole command cannot be: of pictures this small, reading and writing takes several",
        "times as long as the network does.",
        "",
        f"Machine: {machine()}.",
        "",
        "| way | rows per second | the command is |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {speed:.0f} | {ours / speed:.2f} x |" for name, speed in speeds.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=MODEL, help="a .nnp network for RGB pictures")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*not every map means something")  # random pictures, arbitrary classes
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows(Path(folder), options.model, options.rows)
        text = report(measure(rows, options.rounds), options.rows, options.rounds)
    print(text)
    options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
