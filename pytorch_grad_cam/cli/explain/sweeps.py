"""What is drawn beside the maps of one picture: the same class at every stage, and the heads of a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.attention_rollout import AttentionRollout
from pytorch_grad_cam.cli.explain.drawing import ImageDrawing
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer, MapResult
from pytorch_grad_cam.cli.explain.image_files import target_slug
from pytorch_grad_cam.cli.explain.owners import comment_for
from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.runs.picture_targets import ClassContrast, ImageTarget, shared_label
from pytorch_grad_cam.visualization.overlay import overlay_map
from pytorch_grad_cam.visualization.sheet import contact_sheet, labelled_grid

LAYERS, ATTENTION = "layers", "attention"
_SIDE, _SMALL_SIDE = 192, 112  # pixels of a tile, and where there are many
_MANY = 6  # tiles in a row
_EMPTY = np.full((8, 8, 3), 225, np.uint8)


@dataclass(frozen=True)
class SweepFiles:
    """The files of the sweeps of one picture."""

    explainer: ImageExplainer
    drawing: ImageDrawing
    kinds: Sequence[str]  # what to save, of `options.KINDS`: "npy" brings the numbers too

    def names(self, targets: Sequence[ImageTarget]) -> list[str]:
        """Return the names of all files."""
        endings = [".jpg", ".npz"] if "npy" in self.kinds else [".jpg"]
        stems = [self._stem(target, targets) for target in targets] if self.drawing.options.layer_sweep else []
        stems += [ATTENTION] if self.drawing.options.attention_grid else []
        return [stem + ending for stem in stems for ending in endings]

    def contents(self, inputs: Tensor, targets: Sequence[ImageTarget]) -> tuple[dict[str, bytes], list[str]]:
        """Return the files by name, and a sentence for each method that has no layers to sweep.

        Raises:
            ValueError: if none of the methods has, or the network has no attention over all tokens.
        """
        files: dict[str, bytes] = {}
        left_out: list[str] = []
        if self.drawing.options.layer_sweep:
            for target in targets:
                rows, left_out = self._layer_rows(inputs, target)
                files |= self._layer_files(self._stem(target, targets), rows)
        if self.drawing.options.attention_grid:
            files |= self._attention_files(inputs)
        return files, left_out

    def _stem(self, target: ImageTarget, targets: Sequence[ImageTarget]) -> str:
        if len(targets) == 1 and not isinstance(target, ClassContrast):
            return LAYERS
        return f"{LAYERS}_{target_slug(target, self.drawing.loaded.categories)}"

    def _layer_rows(self, inputs: Tensor, target: ImageTarget) -> tuple[dict[str, list[MapResult]], list[str]]:
        """Return the maps at each layer by method, and a sentence for each method without layers."""
        found = {
            name: self.explainer.layer_maps(name, inputs, target if cam.uses_targets else None)
            for name, cam in self.explainer.cams.items()
        }
        rows = {name: results for name, results in found.items() if results is not None}
        left_out = [f"{name} looks at no layer that can be chosen" for name in found if name not in rows]
        if not rows:
            raise ValueError(f"--layer-sweep: {'; '.join(left_out)}; add a method such as --method gradcam")
        return rows, left_out

    def _layer_files(self, stem: str, rows: dict[str, list[MapResult]]) -> dict[str, bytes]:
        drawing = self.drawing
        first = next((result for results in rows.values() for result in results if result.category is not None), None)
        label = "picture"
        if first is not None:
            names = drawing.loaded.categories
            label = shared_label(first.category, first.target, first.outputs, first.kind, names)
        layers = _without_common_beginning([result.layers[-1] for result in next(iter(rows.values()))])
        tiles = [
            [None if result.map is None else drawing.overlay(result) for result in results] for results in rows.values()
        ]
        if len(rows) == 1:
            drawn = [_EMPTY if tile is None else tile for tile in tiles[0]]
            captions = [
                name if tile is not None else f"{name}: no map" for name, tile in zip(layers, tiles[0], strict=True)
            ]
            columns = min(len(layers) + 1, _MANY)
            sheet = contact_sheet([drawing.image, *drawn], [label, *captions], columns, _SIDE)
        else:
            side = _SIDE if len(layers) <= _MANY else _SMALL_SIDE
            cells = [[drawing.image, *row] for row in tiles]
            sheet = labelled_grid(cells, list(rows), [label, *layers], side)
        arrays = {
            f"{name}/{result.layers[-1]}": drawing.on_image(result.map)
            for name, results in rows.items()
            for result in results
            if result.map is not None
        }
        return self._files(stem, sheet, arrays)

    def _attention_files(self, inputs: Tensor) -> dict[str, bytes]:
        """Draw the attention of each head, the mean of a block's heads first; each scaled to its own maximum."""
        heads = AttentionRollout(self.drawing.loaded.model).head_maps(inputs)
        arrays = {name: maps[0].float().cpu().numpy() for name, maps in heads.items()}  # (heads, h, w)
        count = max(map(len, arrays.values()))
        cells: list[list[NDArray[np.uint8] | None]] = []
        for maps in arrays.values():
            row: list[NDArray[np.uint8] | None] = [self._blended(map) for map in (maps.mean(0), *maps)]
            cells.append(row + [None] * (count - len(maps)))
        columns = ["mean", *(f"head {number}" for number in range(1, count + 1))]
        rows = [f"block {number}" for number in range(1, len(cells) + 1)]
        sheet = labelled_grid(cells, rows, columns, _SMALL_SIDE)
        return self._files(ATTENTION, sheet, arrays)

    def _blended(self, map: NDArray[np.float32]) -> NDArray[np.uint8]:
        values = np.clip(self.drawing.on_image(map / (map.max() or 1)), 0, 1)
        return overlay_map(
            self.drawing.image, values, True, self.drawing.colormap(False), self.drawing.options.image_weight
        )

    def _files(self, stem: str, sheet: NDArray[np.uint8], arrays: dict[str, NDArray[np.float32]]) -> dict[str, bytes]:
        files = {
            f"{stem}.jpg": encoded_image("a.jpg", sheet, comment_for(self.drawing.source, self.drawing.options.page))
        }
        if "npy" in self.kinds:
            file = BytesIO()
            np.savez(file, **arrays)  # type: ignore[arg-type]
            files[f"{stem}.npz"] = file.getvalue()
        return files


def _without_common_beginning(names: Sequence[str]) -> list[str]:
    """Return dotted names without the parts that all begin with, so that captions fit; each keeps its last part."""
    parts = [name.split(".") for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return [".".join(each[shared:]) for each in parts]
