"""Segmentation and detection: does the object that a trained network found light up?

`python -m benchmarks.tasks` (about five minutes) writes `benchmarks/results/tasks.md`. Asked is about what the network
found and what is really there: for DeepLabV3 the class of a masked photo (is it on the mask?) and the labelled classes
of Pascal VOC photos (in their boxes?), for FastestDet each object whose box and label are right (in its true box?). Two
numbers per method: the *hits*, how often the maximum of the map lies inside; and the *energy*, the mean share of the
map's sum that does. What a map without any knowledge would get is the share of the picture that is inside. Needs
`../shared/data`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import functional as pictures

from benchmarks import networks
from benchmarks.networks import SHARED
from pytorch_grad_cam.engine.boxes import Box
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.targets.classification import Target
from pytorch_grad_cam.targets.detection import detected_objects, overlaps
from pytorch_grad_cam.targets.segmentation import SemanticSegmentationTarget, predicted_classes
from pytorch_grad_cam.visualization.overlay import draw_boxes, show_cam_on_image
from pytorch_grad_cam.visualization.sheet import contact_sheet

RESULT = Path(__file__).parent / "results" / "tasks.md"
METHODS = ("gradcam", "hirescam", "layercam", "ablationcam")
SIDES = {"deeplab": 257, "fastestdet": 352}
LAYERS = {"deeplab": ("backbone",), "fastestdet": ("backbone.stage4", "spp")}


@dataclass(frozen=True, eq=False)
class TaskCase:
    """`image` (3, H, W) is ready for the network, `photo` the same picture; `mask` (H, W) is true on the object."""

    photo: np.ndarray
    image: Tensor
    target: Target
    mask: np.ndarray
    label: str


def _photo(path: Path, network: str) -> tuple[np.ndarray, Tensor]:
    side = SIDES[network]
    photo = Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    image = pictures.to_tensor(photo)
    return np.asarray(photo), image * 2 - 1 if network == "deeplab" else image


def _box_mask(box: Tensor, side: int) -> np.ndarray:
    places = np.arange(side) + 0.5
    left, top, right, bottom = box.tolist()
    return ((places >= top) & (places <= bottom))[:, None] & ((places >= left) & (places <= right))


def masked(model: nn.Module) -> Iterator[TaskCase]:
    """The photos with pixel masks of VOC classes."""
    folder, side = SHARED / "masks", SIDES["deeplab"]
    names = json.loads((SHARED / "voc_classes.json").read_text(encoding="utf-8"))
    for file, category in (("pigeon", 3), ("voc_2011_000025", 6)):
        mask = Image.open(folder / f"{file}_mask.png").resize((side, side), Image.Resampling.NEAREST)
        photo, image = _photo(folder / f"{file}.jpg", "deeplab")
        target = SemanticSegmentationTarget(category)
        yield TaskCase(photo, image, target, np.asarray(mask) == category, names[category])


def segmented(model: nn.Module, least: float = 0.01) -> Iterator[TaskCase]:
    """Photos with boxes, for each labelled class that the network sees in a share of `least` of the picture."""
    folder, side = SHARED / "voc2012", SIDES["deeplab"]
    names = json.loads((SHARED / "voc_classes.json").read_text(encoding="utf-8"))
    for row in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        photo, image = _photo(folder / row["file"], "deeplab")
        with torch.no_grad():
            found = predicted_classes(model(image[None])["out"][0])
        to_side = torch.tensor([side / row["width"], side / row["height"]] * 2)
        for label in sorted({thing["label"] for thing in row["objects"]}):
            if float((found == names.index(label)).float().mean()) >= least:
                boxes = [torch.tensor(thing["box"]) * to_side for thing in row["objects"] if thing["label"] == label]
                inside = np.logical_or.reduce([_box_mask(box, side) for box in boxes])
                yield TaskCase(photo, image, SemanticSegmentationTarget(names.index(label)), inside, label)


def detected(model: nn.Module) -> Iterator[TaskCase]:
    """Photos with boxes, for each object that the detector finds with the right label and an overlap above 0.5."""
    folder, side = SHARED / "voc2012", SIDES["fastestdet"]
    names = json.loads((SHARED / "coco_classes.json").read_text(encoding="utf-8"))
    for row in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        photo, image = _photo(folder / row["file"], "fastestdet")
        with torch.no_grad():
            output = {name: part[0] for name, part in model(image[None]).items()}
        to_side = torch.tensor([side / row["width"], side / row["height"]] * 2)
        for item in detected_objects(output):
            true = [torch.tensor(t["box"]) * to_side for t in row["objects"] if t["label"] == names[item.category]]
            if not true:
                continue
            shared = overlaps(torch.tensor(item.box), torch.stack(true))
            if shared.max() > 0.5:
                yield TaskCase(
                    photo, image, item.target, _box_mask(true[int(shared.argmax())], side), names[item.category]
                )


def table(model: nn.Module, layer: str, cases: list[TaskCase], drawn: Path | None) -> list[str]:
    """One table as markdown lines; with ``drawn`` also the first maps as a picture."""
    lines = ["| method | hits | energy | seconds per map |", "| --- | --- | --- | --- |"]
    chance = float(np.mean([case.mask.mean() for case in cases]))
    cells = []
    for name in METHODS:
        cam, hits, energy, start = method_class(name)(model, layer), [], [], time.perf_counter()
        for index, case in enumerate(cases):
            map = cam(case.image[None], case.target)[0]
            total = float(map.sum(dtype=np.float64))
            hits.append(total > 0 and bool(case.mask.flat[map.argmax()]))
            energy.append(float(map[case.mask].sum(dtype=np.float64)) / total if total > 0 else 0.0)
            if drawn and index < 8:
                picture = show_cam_on_image(case.photo, map, use_rgb=True)
                box = getattr(case.target, "box", None)
                if box is not None:
                    outline = [int(side) for side in box.clamp(0, len(picture)).tolist()]
                    picture = draw_boxes(picture, [Box(*outline, 0, 0.0)])
                cells.append((picture, f"{name}: {case.label} {energy[-1]:.2f}"))
        seconds = (time.perf_counter() - start) / len(cases)
        lines.append(f"| {name} | {sum(hits)} / {len(hits)} | {np.mean(energy):.3f} | {seconds:.2f} |")
    lines.append(f"| share of the picture | - | {chance:.3f} | - |")
    if drawn:
        drawn.parent.mkdir(parents=True, exist_ok=True)
        sheet = contact_sheet([cell for cell, _ in cells], [text for _, text in cells])
        Image.fromarray(sheet).save(drawn)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="hits and energy of maps for segmentation and detection")
    parser.add_argument("--most", type=int, default=20, help="cases of each kind, at most")
    parser.add_argument("--pictures", type=Path, help="folder for contact sheets of the first maps")
    parser.add_argument("--output", type=Path, default=RESULT, help="markdown file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # a map of nothing counts as a miss; no need to say so
    lines = [
        "# Segmentation and detection: does the object light up?",
        "",
        "Hits (the maximum of the map lies on the object) and energy (mean share of the map's sum that does), one CPU",
        "thread. How it is measured: `benchmarks/tasks.py`.",
        "",
    ]
    kinds = (
        ("DeepLabV3 (VOC), photos with masks", "deeplab", masked),
        ("DeepLabV3 (VOC), VOC photos, classes it finds, in their boxes", "deeplab", segmented),
        ("FastestDet (COCO), VOC photos, objects it finds, in their boxes", "fastestdet", detected),
    )
    for title, name, make_cases in kinds:
        model = networks.build(name)
        every = list(make_cases(model))
        some = every[:: max(1, -(-len(every) // options.most))]
        for layer in LAYERS[name]:
            file = f"{make_cases.__name__}_{layer}.png"
            found = table(model, layer, some, options.pictures / file if options.pictures else None)
            lines += [f"## {title}; layer `{layer}`", "", *found, ""]
            print("\n".join(lines[-len(found) - 3 :]), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
