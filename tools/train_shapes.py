"""Train the built-in network on rendered scenes, store its weights, and measure what was stored.

    python -m tools.train_shapes

Two things save most of the time. First the network sees windows of 64 x 64 pixels around one object,
at a quarter of the cost and with less to search; whole scenes follow. And besides the classes, a 1 x 1
convolution on the last maps learns which of their cells show which class; it is thrown away afterwards. Both
also see to it that what the network looks at is the object.

Everything follows from the seeds: with the same number of threads the same machine trains the same network.
The 1,000 scenes of `TEST_SEEDS` are rendered after the last step, for the final line alone.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pytorch_grad_cam.data.scenes import SHAPES, SIZES, TEST_SEEDS, TRAIN_SEEDS, VALIDATION_SEEDS, render_scene
from pytorch_grad_cam.models.shapes import WEIGHTS, ShapesNet, load_shapes, preprocess

CHUNK = 250  # scenes a process renders at a time
CELL = 8  # pixels of the picture per cell of the last maps
WINDOW = 8  # cells
SMALLEST = 20.0  # diameter in pixels, below what the network is measured on: what is hard there is practised here
log = logging.getLogger("train_shapes")


class Rendered(NamedTuple):
    """Scenes, or windows of them, as arrays."""

    images: np.ndarray  # uint8 (N, H, W, 3)
    labels: np.ndarray  # float32 (N, 10): 1 there, 0 not there, -1 cut off too much to say
    cells: np.ndarray  # uint8 (N, H / 8, W / 8, 10): pixels, of the 64 of a cell, that show the class


def render_chunk(seeds: range, smallest: float) -> Rendered:
    """Render some scenes in this process."""
    images, cells = [], np.zeros((len(seeds), 16, 16, len(SHAPES)), dtype=np.uint8)
    for row, seed in enumerate(seeds):
        scene = render_scene(seed, smallest=smallest)
        images.append(scene.image)
        for item in scene.objects:
            cells[row, :, :, item.index] = item.mask.reshape(16, CELL, 16, CELL).sum((1, 3))
    return Rendered(np.stack(images), cells.any((1, 2)).astype(np.float32), cells)


def render_all(seeds: range, workers: int, smallest: float = SIZES[0]) -> Rendered:
    """Render in several processes; the result does not depend on their number."""
    chunks = [(seeds[start : start + CHUNK], smallest) for start in range(0, len(seeds), CHUNK)]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for the processes to come: one thread each
    with multiprocessing.get_context("spawn").Pool(workers) as pool:  # forking torch threads may hang
        return joined(pool.starmap(render_chunk, chunks, chunksize=1))


def window(scenes: Rendered, row: int, rng: np.random.Generator) -> Rendered:
    """Cut a window that shows one object of a scene, or, one time in ten, any."""
    images, labels, cells = (part[row] for part in scenes)
    corner = rng.integers(0, 16 - WINDOW + 1, 2)
    if rng.random() < 0.9:
        shown = np.argwhere(cells[:, :, rng.choice(np.flatnonzero(labels))])  # cells (N, 2) of one object
        middle = shown.mean(0) - (WINDOW - 1) / 2 + rng.uniform(-2, 2, 2)
        corner = np.clip(np.round(middle).astype(int), 0, 16 - WINDOW)
    (top, left), (bottom, right) = corner, corner + WINDOW
    inside = cells[top:bottom, left:right]
    share = inside.sum((0, 1), dtype=np.float32) / np.maximum(cells.sum((0, 1), dtype=np.float32), 1)
    judged = np.select([share >= 0.7, share < 0.1], [1.0, 0.0], -1.0).astype(np.float32)
    return Rendered(images[top * CELL : bottom * CELL, left * CELL : right * CELL], judged, inside)


def augment(scenes: Rendered, rng: np.random.Generator) -> Rendered:
    """Change what no class minds: quarter turns, mirror image, order of the colours, negative."""
    turns, step = rng.integers(4), rng.choice([1, -1])
    images, cells = (np.rot90(part, turns, axes=(1, 2))[:, ::step] for part in (scenes.images, scenes.cells))
    images = images[..., rng.permutation(3)]
    return Rendered(255 - images if rng.random() < 0.5 else images, scenes.labels, cells)


def joined(parts: Iterable[Rendered]) -> Rendered:
    """Put several together."""
    return Rendered(*map(np.concatenate, zip(*parts, strict=True)))


def measure(model: nn.Module, scenes: Rendered) -> tuple[float, float]:
    """Recall and precision over all objects of all scenes together, at a probability of 0.5."""
    model.eval()
    with torch.no_grad():
        starts = range(0, len(scenes.images), 100)
        logits = [model(preprocess(scenes.images[start : start + 100])) for start in starts]
    found, wanted = torch.cat(logits).numpy() > 0, scenes.labels > 0
    hits = (found & wanted).sum()
    return hits / wanted.sum(), hits / max(1, found.sum())


def batches(scenes: Rendered, windows: int, epochs: int, rng: np.random.Generator) -> Iterator[Rendered]:
    """First `windows` batches of 128 windows, then whole scenes, 32 at a time, `epochs` times over."""
    for _ in range(windows):
        cut = [window(scenes, row, rng) for row in rng.integers(0, len(scenes.images), 128)]
        yield Rendered(*map(np.stack, zip(*cut, strict=True)))
    for _ in range(epochs):
        for rows in rng.permutation(len(scenes.images))[: len(scenes.images) // 32 * 32].reshape(-1, 32):
            yield Rendered(*(part[rows] for part in scenes))


def loss_of(model: ShapesNet, where: nn.Module, batch: Rendered) -> Tensor:
    """Binary cross-entropy per class, and per class and cell."""
    features = model.features(preprocess(batch.images))
    labels = torch.from_numpy(batch.labels)
    judged = (labels >= 0).float()
    by_class = F.binary_cross_entropy_with_logits(model.head(features), labels.clamp(min=0), weight=judged)
    shown = torch.from_numpy(np.minimum(batch.cells, 32)).permute(0, 3, 1, 2) / 32  # half a cell is enough
    return by_class + 4 * F.binary_cross_entropy_with_logits(where(features), shown)


def train(scenes: Rendered, check: Rendered, windows: int, epochs: int, seed: int) -> ShapesNet:
    """AdamW under a one-cycle schedule."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = ShapesNet().to(memory_format=torch.channels_last)
    where = nn.Conv2d(model.head.hidden.in_features // 2, len(SHAPES), 1)
    steps = windows + epochs * (len(scenes.images) // 32)
    optimizer = torch.optim.AdamW([*model.parameters(), *where.parameters()], lr=4e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    begin, total = time.monotonic(), 0.0
    for step, batch in enumerate(batches(scenes, windows, epochs, rng), start=1):
        model.train()
        size = len(batch.labels) // 8
        eighths = (Rendered(*(part[i * size : (i + 1) * size] for part in batch)) for i in range(8))
        loss = loss_of(model, where, joined(augment(part, rng) for part in eighths))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 250 == 0 or step == steps:
            values = step, steps, total / 250, *measure(model, check), time.monotonic() - begin
            log.info("step %d of %d: loss %.4f, validation recall %.4f, precision %.4f, %.0f s", *values)
            total = 0.0
    return model


def parser() -> argparse.ArgumentParser:
    """The options, apart so that a test can read the defaults."""
    raw = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    options.add_argument("--out", type=Path, default=WEIGHTS, help="where to store the weights")
    options.add_argument("--scenes", type=int, default=12_000, help="how many of TRAIN_SEEDS to use")
    options.add_argument("--windows", type=int, default=2_500, help="batches of windows, before")
    options.add_argument("--epochs", type=int, default=6, help="passes over the whole scenes")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=2)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, train, store, measure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    begin = time.monotonic()
    scenes = render_all(TRAIN_SEEDS[: options.scenes], options.threads, SMALLEST)
    check = render_all(VALIDATION_SEEDS, options.threads)
    log.info("rendered %d scenes in %.0f s", len(scenes.images) + len(check.images), time.monotonic() - begin)
    model = train(scenes, check, options.windows, options.epochs, options.seed)
    # half precision: no picture is decided by the digits lost, and the file is half as large
    state = model.state_dict().items()
    torch.save({name: v.half() if v.is_floating_point() else v for name, v in state}, options.out)
    stored = load_shapes(weights=options.out)
    recall, precision = measure(stored, render_all(TEST_SEEDS, options.threads))
    log.info("stored file, 1,000 unseen scenes: recall %.4f, precision %.4f", recall, precision)
    log.info("%.0f s in all", time.monotonic() - begin)


if __name__ == "__main__":
    main()
