"""Does the thing asked for light up? Ours, method by method, beside the same method of grad-cam.

`python -m benchmarks.localisation` writes `benchmarks/results/localisation.md`. Two numbers per method: the *hits*, how
often the maximum of the map lies on the thing; and the *energy*, the mean share of the map's sum that does. Beside
them: plain CAM where the network allows it, a Gaussian in the middle of the picture, and RandomCAM.

The cases (see `benchmarks.localisation_cases`): mosaics of photos and off-centre photos, where `../shared` has the
trained networks and the photos, and the built-in scenes with the built-in network, everywhere.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import networks, peers
from benchmarks.localisation_cases import LAYERS, LocalisationCase, mosaics, off_centre, plain_cam, scenes, several
from benchmarks.remote_process import RemoteProcess
from pytorch_grad_cam.methods import METHODS, method_class, method_name

RESULT = Path(__file__).parent / "results" / "localisation.md"
ONE_PASS = (
    "gradcam",
    "hirescam",
    "gradcam++",
    "xgradcam",
    "layercam",
    "gradcamelementwise",
    "eigencam",
    "eigengradcam",
    "randomcam",
)
MADE_OF_GRADCAM = ("sess",)  # said to find several objects better than the method inside
HIT_NOISE, ENERGY_NOISE = 2, 0.02  # differences up to here are chance
REASONS = {
    "eigencam": "it looks at no class, so which of the things in a picture it marks is arbitrary.",
}
log = logging.getLogger(__name__)

Mapper = Callable[[Tensor, list[int]], np.ndarray]  # (B, 3, H, W), a class for each -> (B, H, W), not negative


@dataclass(frozen=True)
class Score:
    """How a method did on a set of cases."""

    hits: int
    asked: int
    energy: float

    def __str__(self) -> str:
        return f"{self.hits} / {self.asked}, {self.energy:.3f}"


def score(mapper: Mapper, cases: Iterable[LocalisationCase]) -> Score:
    """Score a method on all cases. A map without a positive place hits nothing and has no energy anywhere."""
    hits, energies = [], []
    for together in _batches(cases):
        pictures = torch.stack([case.image for case in together])
        maps = mapper(pictures, [case.target for case in together])
        for case, found in zip(together, maps, strict=True):
            total = float(found.sum(dtype=np.float64))
            hits.append(total > 0 and bool(case.mask.flat[found.argmax()]))
            energies.append(float(found[case.mask].sum(dtype=np.float64)) / total if total > 0 else 0.0)
    return Score(sum(hits), len(hits), float(np.mean(energies)))


def _batches(cases: Iterable[LocalisationCase]) -> Iterator[list[LocalisationCase]]:
    """Cases about the same picture, together."""
    for _, group in groupby(cases, key=lambda case: id(case.image)):
        yield list(group)


def ours(name: str, model: nn.Module, layer: str) -> Mapper:
    """A method of our table."""
    cam = method_class(name)(model, layer)

    def mapper(pictures: Tensor, classes: list[int]) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a map of nothing counts as a miss; no need to say so
            return cam(pictures, classes)

    return mapper


def grad_cam(name: str, network: str, layer: str, remote: RemoteProcess) -> Mapper:
    """The class of the same name in the package grad-cam, in its own process."""
    request = {"network": network, "layers": [layer], "method": METHODS[name].path.partition(":")[2]}

    def mapper(pictures: Tensor, classes: list[int]) -> np.ndarray:
        answer = remote.ask(request | {"input": pictures, "targets": classes})
        if "error" in answer:
            raise RuntimeError(f"grad-cam's {request['method']}: {answer['error']}")
        return answer["maps"].numpy()

    return mapper


def gaussian(pictures: Tensor, classes: list[int]) -> np.ndarray:
    """A blob in the middle of the picture, a quarter of its side wide (standard deviation), whatever is asked."""
    height, width = pictures.shape[2:]
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    blob = np.exp(-(y[:, None] ** 2 + x**2) / (2 * 0.25**2))
    return np.repeat(blob[None], len(classes), 0)


def cam(network: str, model: nn.Module) -> Mapper:
    """The positive part of plain CAM, in the size of the picture."""

    def mapper(pictures: Tensor, classes: list[int]) -> np.ndarray:
        with torch.no_grad():
            small = plain_cam(network, model, pictures, classes)
        return F.interpolate(small[:, None], pictures.shape[2:], mode="bilinear")[:, 0].relu().numpy()

    return mapper


def table(
    network: str, cases: list[LocalisationCase], methods: list[str], remote: RemoteProcess | None
) -> dict[str, tuple[Score, Score | None]]:
    """Scores of ours and of grad-cam by method, and of the baselines."""
    model, layer = networks.build(network), LAYERS[network]
    scores: dict[str, tuple[Score, Score | None]] = {"centred Gaussian": (score(gaussian, cases), None)}
    if network != "shapes":
        scores["plain CAM"] = (score(cam(network, model), cases), None)
    for name in methods:
        theirs = score(grad_cam(name, network, layer, remote), cases) if remote else None
        scores[name] = (score(ours(name, model, layer), cases), theirs)
        log.info("%s %s: %s | %s", network, name, *scores[name])
    return scores


def below(scores: dict[str, tuple[Score, Score | None]]) -> list[str]:
    """Methods of ours that are worse than grad-cam's beyond chance. RandomCAM is chance itself."""
    return [
        name
        for name, (mine, other) in scores.items()
        if other is not None
        and name != "randomcam"
        and (other.hits - mine.hits > HIT_NOISE or other.energy - mine.energy > ENERGY_NOISE)
    ]


def section(title: str, scores: dict[str, tuple[Score, Score | None]]) -> list[str]:
    """One table as markdown lines."""
    worse = below(scores)
    rows = [f"| {name} | {mine} | {other or '-'} |" for name, (mine, other) in scores.items()]
    why = " ".join(f"{name}: {REASONS[name]}" for name in worse if name in REASONS)
    verdict = f"Below grad-cam beyond chance: {', '.join(worse)}. {why}".strip() if worse else ""
    return [f"## {title}", "", "| method | ours | grad-cam |", "| --- | --- | --- |", *rows, "", verdict, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description="hits and energy of every method, ours and grad-cam's")
    parser.add_argument("--quick", action="store_true", help="5 mosaics instead of 20, 40 scenes instead of 200")
    parser.add_argument("--methods", nargs="+", help="names as on the command line; default: those of one pass")
    parser.add_argument("--ours", action="store_true", help="leave grad-cam out")
    parser.add_argument("--seed", type=int, default=0, help="of the mosaics")
    parser.add_argument("--threads", type=int, default=2, help="per process")
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    methods = [method_name(name) for name in options.methods or ONE_PASS]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    with ExitStack() as stack:
        remote = None
        if not options.ours:
            if "grad-cam" not in peers.versions():
                parser.error("grad-cam is not installed; run `python -m benchmarks.peers`, or give --ours")
            remote = stack.enter_context(peers.remote("benchmarks.peer_worker", threads=options.threads))
        lines = [
            "# Does the thing asked for light up?",
            "",
            "Hits (the maximum of the map lies on the thing) and energy (mean share of the map's sum that does).",
            "How it is measured: `benchmarks/localisation.py`. Differences of up to 2 hits and 0.02 are chance.",
            "",
        ]
        if networks.SHARED.is_dir():
            for network in ("squeezenet", "mobilenet_v2"):
                asked = list(mosaics(network, 5 if options.quick else 20, options.seed))
                title = f"{network}, `{LAYERS[network]}`: 2 x 2 mosaics of photos, right quarter"
                lines += section(title, table(network, asked, methods, remote))
                asked = list(off_centre(network, networks.build(network)))
                title = f"{network}, `{LAYERS[network]}`: photos whose boxes miss the centre"
                lines += section(title, table(network, asked, methods, remote))
                asked = list(several(network, networks.build(network)))
                title = f"{network}, `{LAYERS[network]}`: photos with several objects"
                scores = table(network, asked, methods, remote)
                for name in MADE_OF_GRADCAM:
                    scores[name] = score(ours(name, networks.build(network), LAYERS[network]), asked), None
                lines += section(title, scores)
        asked = list(scenes(40 if options.quick else 200))
        lines += section(
            f"built-in network, `{LAYERS['shapes']}`: built-in scenes, exact masks",
            table("shapes", asked, methods, remote),
        )
    text = "\n".join(lines)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
