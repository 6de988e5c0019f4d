"""Explainer: a network with its methods, ready for pictures, one or whole batches of them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.core.explanation import Explanation
from pytorch_grad_cam.core.several import explain_by_methods
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.engine.chunks import is_out_of_memory
from pytorch_grad_cam.engine.restore import giving_back, undisturbed
from pytorch_grad_cam.engine.trees import map_tensors, select_rows
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.class_widget import class_widget, offered_classes
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture, PictureMap
from pytorch_grad_cam.runs.picture_targets import (
    MOST_PREDICTIONS,
    ClassContrast,
    ImageTarget,
    check_task,
    class_share,
    image_targets,
    method_target,
    predictions,
    target_label,
)
from pytorch_grad_cam.runs.precision import cast_passes, casts_itself
from pytorch_grad_cam.runs.prepared_picture import PreparedPicture, batch_of, gathered
from pytorch_grad_cam.runs.ready_network import ExplainerOptions, ReadyNetwork
from pytorch_grad_cam.targets.class_choices import check_categories
from pytorch_grad_cam.targets.spec import TargetSpec

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Picture = Any  # what `read_image` takes: a path, the bytes of a file, a PIL image, an array (H, W, 3)
Seen = tuple[tuple[int, float], ...]


class Explainer:
    """Explains pictures: one, or any number of them in batches.

    The network is loaded when it is first needed, and is never changed. An explainer whose network is loaded by a
    callable can be pickled before and after: another process loads the network itself.

    Args:
        load: the network, or what loads it; to be pickled, a function of a module or a `functools.partial` of one.
        options: what is explained, and how.

    Raises:
        ValueError: when the network is loaded, for classes, layers or methods that do not suit it.
    """

    def __init__(self, load: LoadedModel | Callable[[], LoadedModel], options: ExplainerOptions | None = None) -> None:
        self._load, self.options = load, options or ExplainerOptions()
        self._ready: ReadyNetwork | None = None
        self._limit: int | None = None  # pictures at once that the memory holds, once it did not hold more

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was made of the network."""
        return self.__dict__ | {"_ready": None}

    @property
    def ready(self) -> ReadyNetwork:
        """The network, which is loaded now if it has not been."""
        if self._ready is None:
            loaded = self._load if isinstance(self._load, LoadedModel) else self._load()
            self._ready = ReadyNetwork(loaded, self.options)
        return self._ready

    @property
    def batch_size(self) -> int:
        """How many pictures are explained at once."""
        size = self.options.batch_size or self.ready.batch_size
        return size if self._limit is None else min(size, self._limit)

    def prepare(self, image: Pixels, category: int | None = None) -> PreparedPicture:
        """Do the part of the work that needs no network, in any thread.

        Args:
            image: uint8 RGB ``(H, W, 3)``.
            category: the class to explain of this picture; None: what the options say.

        Raises:
            ValueError: for a class where the options compare two.
        """
        if category is not None and self.options.compares:
            raise ValueError("the picture has a class of its own to explain, and contrast compares two others")
        return PreparedPicture(image, self.ready.preprocessing.resized(image), category)

    def gather(self, pictures: Sequence[PreparedPicture]) -> list[PreparedPicture]:
        """Put pictures together that will be explained in one call, in any thread: the last work without a network."""
        return gathered(pictures, self.ready.preprocessing, self.ready.device)

    def predict(self, pictures: Sequence[PreparedPicture | Picture]) -> list[Seen]:
        """Return what the network sees in each picture, as ``ExplainedPicture.predicted`` has it; no maps are made."""
        return self._in_pieces(pictures, self._predict_some)

    @overload
    def __call__(self, pictures: Sequence[PreparedPicture | Picture]) -> list[ExplainedPicture]: ...
    @overload
    def __call__(self, pictures: PreparedPicture | str | Path | bytes) -> ExplainedPicture: ...
    @overload
    def __call__(self, pictures: Picture) -> Any: ...

    def __call__(self, pictures: Any) -> Any:
        """Explain one picture, or several, as many at once as the memory holds.

        Args:
            pictures: a path, the bytes of a file, a PIL image, an array ``(H, W, 3)`` (uint8, or floats in [0, 1]), or
                what `prepare` returned; or a list of these.

        Returns:
            What was found out about the picture; for a list a list.

        Raises:
            OSError, ValueError: for what is no picture, see `read_image`.
            Exception: as the methods and the network do, with a message for people.
        """
        if isinstance(pictures, (list, tuple)):
            return self._in_pieces(pictures, self._explain_some)
        return self._in_pieces([pictures], self._explain_some)[0]

    def widget(self, picture: PreparedPicture | Picture, **options: Any) -> Any:
        """Explain a picture for a notebook, with a list of classes: one that is chosen is explained then.

        A slider says how opaque the map is; where there are several, of methods or objects, a list chooses which is
        shown. Classes that the network sees in the picture stand first; of a detector or a segmentation no others are
        offered. Where two classes are compared, or the network has no classes, there is no list of classes.

        Args:
            picture: as for a call.
            **options: ``colormap`` and ``blend``, as for `ExplainedPicture.overlay`.

        Returns:
            A widget of ipywidgets; as the last line of a cell it shows itself.

        Raises:
            ImportError: without ipywidgets.
            OSError, ValueError: as a call.
        """
        prepared = self._prepared(picture)

        def explain(category: int | None) -> ExplainedPicture:
            found: ExplainedPicture = self(prepared if category is None else replace(prepared, category=category))
            return found

        def offered(found: ExplainedPicture) -> list[int]:
            return [] if self.options.compares else offered_classes(self.ready, found)

        return class_widget(explain, offered, options)

    def _in_pieces(
        self, pictures: Sequence[PreparedPicture | Picture], work: Callable[[Sequence[PreparedPicture]], list[Any]]
    ) -> list[Any]:
        """Work on so many pictures at once as the memory holds; where it does not, on half as many from then on."""
        done: list[Any] = []
        while len(done) < len(pictures):
            some = [self._prepared(each) for each in pictures[len(done) : len(done) + self.batch_size]]
            try:
                done += [each for _, alike in groupby(some, lambda one: one.input_size) for each in work(list(alike))]
            except (RuntimeError, MemoryError) as error:
                if len(some) == 1 or not is_out_of_memory(error):
                    raise
                self._limit = len(some) // 2
                log.warning("%d pictures at once do not fit into the memory; going on with %d", len(some), self._limit)
        return done

    def _prepared(self, picture: PreparedPicture | Picture) -> PreparedPicture:
        return picture if isinstance(picture, PreparedPicture) else self.prepare(read_image(picture))

    def _predict_some(self, pictures: Sequence[PreparedPicture]) -> list[Seen]:
        outputs = _on_cpu(self._outputs(self._inputs(pictures)))
        return [self._seen(_kept_row(outputs, row, len(pictures))) for row in range(len(pictures))]

    def _explain_some(self, pictures: Sequence[PreparedPicture]) -> list[ExplainedPicture]:
        answers: list[list[_Answer]] = [[] for _ in pictures]
        for answer in self._answers(self._inputs(pictures), [picture.category for picture in pictures]):
            own = answers[answer.row]
            if all((answer.method, answer.target, answer.category) != known.question for known in own):
                own.append(answer)
        return [self._picture(picture, own) for picture, own in zip(pictures, answers, strict=True)]

    def _inputs(self, pictures: Sequence[PreparedPicture]) -> Tensor:
        batch = batch_of(pictures, self.ready.preprocessing, self.ready.device)
        batch = batch.to(self.ready.device, non_blocking=True)
        if self.options.channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        self.ready.find_out_scores(batch[:1])
        return batch

    @giving_back
    def _outputs(self, inputs: Tensor) -> Any:
        """Run the network alone."""
        with undisturbed(self.ready.loaded.model, self.ready.device), self._precision():
            return self.ready.loaded.run(inputs)

    def _precision(self) -> AbstractContextManager[Any]:
        return cast_passes(self.options.dtype, self.ready.device)

    def _casts_itself(self, cam: BaseCAM) -> bool:
        """Say whether a method is to see to its precision; where nothing is cast, all may share one pass."""
        return self.options.dtype != "float32" and casts_itself(cam)

    def _answers(self, inputs: Tensor, categories: Sequence[int | None]) -> Iterator[_Answer]:
        """Make all maps of a batch, of whose pictures some have a class of their own."""
        if not self.ready.asks_picture_by_picture(categories):
            asked = self.ready.questions(categories)
            targets = [target for _, target in asked]
            yield from self._explained(inputs, [spec for spec, _ in asked], targets, range(len(inputs)))
            return
        for row in range(len(inputs)):
            image = inputs[row : row + 1]
            seen = (int(inputs.shape[2]), int(inputs.shape[3]))
            own = categories[row]
            choices = self.ready.choices if own is None else [own]
            found = image_targets(self.ready.loaded, self.ready.kind, choices, self._outputs(image), seen)
            specs = [TargetSpec(method_target(target), self.options.against) for target in found]
            yield from self._explained(image, specs, found, [row])

    def _explained(
        self, inputs: Tensor, specs: Sequence[TargetSpec], targets: Sequence[ImageTarget], rows: Sequence[int]
    ) -> Iterator[_Answer]:
        """Explain images by every method; a method that looks at no class once, whatever is asked."""
        cams, options = self.ready.cams, self.ready.call_options()
        made: dict[int, list[Explanation]] = {}
        for asks, alone in product((True, False), repeat=2):
            places = [
                place for place, cam in enumerate(cams) if cam.uses_targets is asks and self._casts_itself(cam) is alone
            ]
            with warnings.catch_warnings(), nullcontext() if alone else self._precision():
                warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
                found = explain_by_methods(
                    [cams[place] for place in places],
                    inputs,
                    specs if asks else [TargetSpec()],
                    self.options.eigen_smooth,
                    **options if asks else {name: value for name, value in options.items() if name != "contrast"},
                )
            made |= dict(zip(places, found, strict=True))
        outputs = _on_cpu(made[0][0].outputs)  # the same for all methods
        kept = [_kept_row(outputs, number, len(rows)) for number in range(len(rows))]
        for place, name in enumerate(self.options.methods):
            for explanation, target in zip(made[place], targets if cams[place].uses_targets else [None], strict=True):
                maps = explanation.numpy()
                scores = [None] * len(rows) if explanation.scores is None else explanation.scores.tolist()
                for number, row in enumerate(rows):
                    yield _Answer(row, name, target, explanation, number, maps[number], scores[number], kept[number])

    def _picture(self, picture: PreparedPicture, answers: Sequence[_Answer]) -> ExplainedPicture:
        loaded = self.ready.loaded
        outputs = answers[0].outputs
        check_task(outputs, loaded)
        check_categories(outputs, loaded.categories)
        return ExplainedPicture(
            image=picture.image,
            maps=tuple(self._picture_map(answer) for answer in answers),
            predicted=self._seen(outputs),
            preprocessing=loaded.preprocessing,
            categories=loaded.categories,
            source=loaded.source,
        )

    def _seen(self, outputs: Any) -> Seen:
        return tuple(predictions(outputs, self.ready.loaded, self.ready.kind, MOST_PREDICTIONS) or ())

    def _picture_map(self, answer: _Answer) -> PictureMap:
        loaded, explanation = self.ready.loaded, answer.explanation
        notes = tuple(str(note) for note in explanation.notes[answer.place])
        return PictureMap(
            method=answer.method,
            target=answer.target,
            category=answer.category,
            label=target_label(answer.category if answer.target is None else answer.target, loaded.categories),
            score=answer.score,
            share=class_share(answer.category, answer.outputs, self.ready.kind),
            map=None if notes and answer.map.min() == answer.map.max() else answer.map,
            notes=notes,
            layers=explanation.layers,
            signed=isinstance(answer.target, ClassContrast),
            fine_grained=self.ready.cams[self.options.methods.index(answer.method)].fine_grained,
        )


@dataclass(frozen=True)
class _Answer:
    """One map of one picture."""

    row: int  # of the picture in its batch
    method: str
    target: ImageTarget
    explanation: Explanation  # of the whole batch, or of this picture alone
    place: int  # of the picture in it
    map: NDArray[np.float32]
    score: float | None
    outputs: Any  # of this picture, as a batch of one

    @property
    def category(self) -> int | None:
        """The class that is explained."""
        category: int | None = self.explanation.classes[self.place]
        return category

    @property
    def question(self) -> tuple[str, ImageTarget, int | None]:
        """What tells it from the other answers about the picture."""
        return self.method, self.target, self.category


def _on_cpu(outputs: Any) -> Any:
    return map_tensors(outputs, lambda tensor: tensor.detach().cpu())


def _kept_row(outputs: Any, row: int, batch: int) -> Any:
    """Return the outputs of one image of a batch, as a batch of one."""
    if batch == 1:
        return outputs
    if isinstance(outputs, list) and len(outputs) == batch and not isinstance(outputs[0], Tensor):
        return outputs[row : row + 1]  # of a detector, which returns one entry per image
    return select_rows(outputs, torch.tensor([row]), batch)
