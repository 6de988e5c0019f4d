"""What one call found out, and how several such answers are joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.common.lazy import named
from pytorch_grad_cam.common.messages import Note
from pytorch_grad_cam.engine.trees import concatenate, select_rows

_DRAWING = "pytorch_grad_cam.visualization.explained"  # loaded when something is drawn
_LONGEST = 800  # characters of a text


@dataclass(frozen=True, repr=False)
class Explanation:
    """The maps of one call and everything needed to judge them.

    Where the pictures are known (``images``) it shows itself in a notebook.

    Attributes:
        maps: ``(B, *S)`` float32, on the model's device. Range [0, 1] by default; see ``BaseCAM.explain``.
        raw: per target layer ``(B, *s)``: signed, at the layer's resolution, before ReLU, scaling and resizing.
        weights: per target layer the channel weights ``(B, C)`` or ``(B, C, *s)``; None where a method has none.
        outputs: what the model returned, detached.
        scores: ``(B,)``, the numbers that were explained, detached; None for a method that explains none (EigenCAM).
        classes: per image the explained class, None where the target is a callable without a ``category``.
        layers: names of the target layers.
        notes: per image what makes its map meaningless, in words and as a code (``common.messages``); an empty tuple
            means nothing does.
        method: name of the class that made the maps.
        variance: ``(B, *S)``, of the maps over samples or changed views, whose mean ``maps`` is; the sum of squared
            distances from the mean by their number. None where there is one map.
        activations: per target layer ``(B, C, *s)``, at least float32, detached; empty unless ``activations=True`` asks
            for them, since they take memory as long as the explanation is kept: of a ResNet-50's last layer 0.4 MB an
            image, and the gradients as much.
        gradients: per target layer those of the scores by the activations, likewise; None of a method that takes none.
        images: the pictures, as they were given to ``cam.explain(..., images=...)``; None if they were not.
        categories: names of the classes, for drawings: the method's ``categories`` or, where the pictures are known,
            those that the network has itself; None: classes are called by their indices.

    For several targets per image (``BaseCAM.explain_each``) maps, raw, weights, scores and gradients have an axis of
    length ``K`` after the first, and classes are ``K`` per image.
    """

    maps: Tensor
    raw: tuple[Tensor, ...]
    weights: tuple[Tensor | None, ...]
    outputs: Any
    scores: Tensor | None
    classes: tuple[Any, ...]
    layers: tuple[str, ...]
    notes: tuple[tuple[Note, ...], ...]
    method: str = ""
    variance: Tensor | None = None
    activations: tuple[Tensor, ...] = ()
    gradients: tuple[Tensor | None, ...] = ()
    images: Any = None
    categories: tuple[str, ...] | None = None

    def numpy(self) -> NDArray[np.float32]:
        """Return the maps as a float32 array ``(B, *S)``."""
        array: NDArray[np.float32] = self.maps.detach().cpu().numpy()
        return array

    def of_pictures(self, images: Any) -> Explanation:
        """Return the same with the pictures that the images were made of; None: without.

        Raises:
            ValueError: for another number of pictures than images.
        """
        if images is None:
            return self
        pictures = named(_DRAWING, "pictures_of")(images, len(self.maps))
        return dataclasses.replace(self, images=pictures)

    def overlay(
        self,
        index: int = 0,
        *,
        target: int | None = None,
        picture: Any = None,
        preprocessing: Any = None,
        colormap: int | str | None = None,
        image_weight: float = 0.5,
        blend: str = "classic",
    ) -> NDArray[np.uint8]:
        """Draw one image's map over its picture.

        Args:
            index: of the image in the batch.
            target: which of several targets, for ``explain_each``.
            picture: of any kind that ``show_cam_on_image`` takes; None: that of ``images``.
            preprocessing: as for `figure`.
            colormap: name or number; None: jet, or blue, white, red for a signed map.
            image_weight, blend: as for ``show_cam_on_image``.

        Returns:
            uint8 RGB ``(H, W, 3)``.

        Raises:
            ValueError: if the picture is not known, or the map is none of a picture.
        """
        draw = named(_DRAWING, "explained_overlay")
        drawn: NDArray[np.uint8] = draw(
            self,
            index,
            target=target,
            picture=picture,
            preprocessing=preprocessing,
            colormap=colormap,
            image_weight=image_weight,
            blend=blend,
        )
        return drawn

    def grid(self, categories: Sequence[str] | None = None) -> NDArray[np.uint8]:
        """Draw all maps, each over its picture, with what they explain: uint8 RGB; at most thirty.

        Raises:
            ValueError: if the pictures are not known.
        """
        drawn: NDArray[np.uint8] = named(_DRAWING, "explained_grid")(self, categories)
        return drawn

    def show(self) -> None:
        """Show `grid`: in the notebook that runs, or in the system's viewer of pictures."""
        named("pytorch_grad_cam.visualization.shown", "show")(self.grid())

    def widget(self, categories: Sequence[str] | None = None, **options: Any) -> Any:
        """Return the maps for a notebook, one at a time, with a slider for their opacity; nothing is explained again.

        Args:
            categories: class names, by index; None: those of the explanation.
            **options: as for `overlay`: ``preprocessing``, ``colormap``, ``blend``.

        Returns:
            A widget of ipywidgets; as the last line of a cell it shows itself.

        Raises:
            ImportError: without ipywidgets.
            ValueError: if the pictures are not known, or an option is not as described.
        """
        return named(_DRAWING, "explained_widget")(self, categories, **options)

    def plot(self, categories: Sequence[str] | None = None, *, image_weight: float = 0.5, **options: Any) -> Any:
        """Draw all maps as a figure of matplotlib, a panel for each: the map over its picture, what it explains, notes.

        Args:
            categories: class names, by index; None: those of the explanation.
            image_weight: share of the picture in the overlay.
            **options: as for `overlay`: ``preprocessing``, ``colormap``, ``blend``.

        Returns:
            A ``matplotlib.figure.Figure``, which no window holds: in a notebook it shows itself, ``savefig`` writes it.

        Raises:
            ImportError: if matplotlib is missing.
            ValueError: if the pictures are not known, or an option is not as described.
        """
        return named(_DRAWING, "explained_plot")(self, categories, image_weight, **options)

    def save(self, path: str | Path) -> None:
        """Write `grid` as a file; the name ends in .png, .jpg or .jpeg.

        Raises:
            ValueError: if the pictures are not known, or for another ending.
            OSError: if it cannot be written; then nothing is left behind.
        """
        named("pytorch_grad_cam.data.images", "write_image")(path, self.grid())

    def _repr_html_(self) -> str | None:
        card: str | None = named(_DRAWING, "explained_card")(self)
        return card

    def __repr__(self) -> str:
        """Say what was found in a few lines, without the numbers."""
        notes = [f"image {index}: {'; '.join(of_image)}" for index, of_image in enumerate(self.notes) if of_image]
        scores = None if self.scores is None else [round(score, 4) for score in self.scores.flatten().tolist()[:6]]
        text = (
            f"Explanation(method={self.method!r}, maps={tuple(self.maps.shape)} on {self.maps.device}, "
            f"classes={self.classes[:6]}, scores={scores}, layers={self.layers[:3]}, notes={notes[:3]})"
        )
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]}...)"

    def figure(
        self,
        picture: Any = None,
        index: int = 0,
        *,
        target: int | None = None,
        title: str | None = None,
        categories: Sequence[str] | None = None,
        preprocessing: Any = None,
        multi_label: bool = False,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """Draw one image's map as a figure: picture, overlay, map with a colour bar, title, method and layer.

        Args:
            picture: the picture that the image was made of, of any kind that ``show_cam_on_image`` takes; None: that
                of ``images``.
            index: of the image in the batch.
            target: which of several targets, for ``explain_each``.
            title: None writes the class and its share; of an output that is no classification, the score.
            categories: class names, by index; None: those of the explanation.
            preprocessing: what made the image of the picture, such as a ``data.preprocessing.Preprocessing``: its
                ``to_picture`` puts the map where the network looked, and the rest is dimmed. None: the image is the
                whole picture.
            multi_label: each output is a yes or no of its own, so the share is a sigmoid, not a softmax.
            **options: as for ``visualization.figure.figure``: ``blend``, ``colormap``, ``image_weight``, ``side``,
                ``dark``, ``signed``, ``boxes``.

        Returns:
            uint8 RGB ``(H, W, 3)``.

        Raises:
            ValueError: if the map is none of a picture, or a picture, target or option is not as described.
        """
        draw = named(_DRAWING, "explained_figure")
        drawn: NDArray[np.uint8] = draw(
            self,
            picture,
            index,
            target=target,
            title=title,
            categories=categories,
            preprocessing=preprocessing,
            multi_label=multi_label,
            **options,
        )
        return drawn

    def first_images(self, count: int) -> Explanation:
        """Return what was found out about the first images only; all of it where there are no more."""
        batch = len(self.maps)
        if count == batch:
            return self
        rows = torch.arange(count)
        fields = ("maps", "raw", "weights", "outputs", "scores", "variance", "activations", "gradients")
        cut = {name: select_rows(getattr(self, name), rows, batch) for name in fields}
        return dataclasses.replace(self, **cut, classes=self.classes[:count], notes=self.notes[:count])


def with_pictures(found: Explanation, images: Any, method: Any) -> Explanation:
    """Add what drawings need: the pictures, if they are given, and the names of the method's classes.

    Raises:
        ValueError: for another number of pictures than images, or names by index that leave one out.
    """
    if images is None and method.categories is None:
        return found
    categories = named("pytorch_grad_cam.targets.class_names", "names_of_classes")(method.categories, method.model)
    return dataclasses.replace(found.of_pictures(images), categories=categories)


def stack_targets(explanations: Sequence[Explanation]) -> Explanation:
    """Join the explanations of ``K`` targets of the same images; see ``Explanation``."""
    first = explanations[0]
    scores = [explanation.scores for explanation in explanations if explanation.scores is not None]
    return Explanation(
        maps=torch.stack([explanation.maps for explanation in explanations], 1),
        raw=_by_layer([explanation.raw for explanation in explanations], torch.stack, 1),
        weights=_by_layer([explanation.weights for explanation in explanations], torch.stack, 1),
        outputs=first.outputs,
        scores=torch.stack(scores, 1) if scores else None,
        classes=tuple(zip(*(explanation.classes for explanation in explanations), strict=True)),
        layers=first.layers,
        notes=tuple(
            tuple(_about(note, f"target {index}") for index, notes in enumerate(of_image) for note in notes)
            for of_image in zip(*(explanation.notes for explanation in explanations), strict=True)
        ),
        method=first.method,
        activations=first.activations,
        gradients=_by_layer([explanation.gradients for explanation in explanations], torch.stack, 1),
    )


def join_batches(parts: Sequence[tuple[Explanation, int]]) -> Explanation:
    """Join the explanations of several batches; of each, its first rows, as many as stand beside it."""
    explanations = [part.first_images(count) for part, count in parts]
    first = explanations[0]
    scores = [explanation.scores for explanation in explanations if explanation.scores is not None]
    variances = [explanation.variance for explanation in explanations if explanation.variance is not None]
    return Explanation(
        maps=torch.cat([explanation.maps for explanation in explanations]),
        raw=_by_layer([explanation.raw for explanation in explanations], torch.cat, 0),
        weights=_by_layer([explanation.weights for explanation in explanations], torch.cat, 0),
        outputs=concatenate([explanation.outputs for explanation in explanations]),
        scores=torch.cat(scores) if scores else None,
        classes=tuple(chain.from_iterable(explanation.classes for explanation in explanations)),
        layers=first.layers,
        notes=tuple(chain.from_iterable(explanation.notes for explanation in explanations)),
        method=first.method,
        variance=torch.cat(variances) if variances else None,
        activations=_by_layer([explanation.activations for explanation in explanations], torch.cat, 0),
        gradients=_by_layer([explanation.gradients for explanation in explanations], torch.cat, 0),
    )


def _by_layer(values: Sequence[tuple[Tensor | None, ...]], join: Any, axis: int) -> tuple[Any, ...]:
    """Join what each explanation has of each layer; None where one has nothing."""
    return tuple(
        None if any(tensor is None for tensor in of_layer) else join(of_layer, axis)
        for of_layer in zip(*values, strict=True)
    )


def _about(note: str, what: str) -> Note:
    """Say what a note is about; a note may be a plain sentence where somebody's own class wrote it."""
    return note.about(what) if isinstance(note, Note) else Note("", f"{what}: {note}")
