"""A network on its device with its methods, and what is asked of each picture: what an `Explainer` makes once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.engine.inputs import device_of, fixed_batch
from pytorch_grad_cam.engine.layers import STAGES
from pytorch_grad_cam.methods import method_class
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.runs.inputs import USUAL_SIDE, BatchPreprocessing
from pytorch_grad_cam.runs.picture_targets import ClassContrast, ImageTarget, parse_contrast, read_scores
from pytorch_grad_cam.runs.precision import DTYPES
from pytorch_grad_cam.targets.class_choices import ClassChoice, TopClasses, parse_classes
from pytorch_grad_cam.targets.score_kinds import ScoreKind
from pytorch_grad_cam.targets.spec import REST, Contrast, TargetSpec

_ROWS, _MOST_ROWS = 32, 128  # pictures of a batch: of the usual size, and of small ones


@dataclass(frozen=True)
class ExplainerOptions:
    """What is explained, and how.

    Attributes:
        methods: names of the table of methods.
        classes: indices or names, or "top-3"; none: each picture's top class.
        contrast: two classes, in the place of ``classes``: what speaks for the first rather than the second; or
            "rest": what speaks for a class rather than for all others together.
        against: explain what speaks against the class.
        layers: target layers, modules or dotted names; None: the automatic choice, on the first batch; ("stages",):
            one for each of the last three resolutions.
        scores: what a classifier's numbers are, one of ``targets.score_kinds.SCORE_KINDS``; None: it is found out.
        batch_size: pictures at once; None: by their size.
        dtype: of the network's passes, "float32", "bfloat16" or "float16" (autocast: weights stay as they are); of
            methods that run changed inputs, such as scorecam, of those passes only.
        channels_last: pass pictures on with their channels innermost in memory, which convolutions on a GPU are faster
            for in half precision; the maps are the same but for rounding.
        eigen_smooth: first principal component of the weighted activations instead of their sum.
        settings: attributes of methods, such as ``num_samples`` or ``seed``; a method that has none ignores them.

    Raises:
        ValueError: for an unknown method or type, or what cannot go together.
    """

    methods: tuple[str, ...] = ("gradcam",)
    classes: tuple[int | str, ...] = ()
    contrast: Contrast = None
    against: bool = False
    layers: tuple[Any, ...] | None = None
    scores: str | None = None
    batch_size: int | None = None
    dtype: str = "float32"
    channels_last: bool = False
    eigen_smooth: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError("no method was named; give one, such as gradcam")
        for name in self.methods:
            method_class(name)  # says what is wrong with a name
        if self.contrast not in (None, REST) and (
            not isinstance(self.contrast, (tuple, list)) or len(self.contrast) != 2
        ):
            raise ValueError(f"contrast={self.contrast!r} must be two classes, or 'rest'")
        if self.compares and (self.classes or self.against):
            raise ValueError("contrast compares two classes: it goes with neither classes nor against")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} is unknown; give one of {', '.join(DTYPES)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size} is no number of pictures; give a whole number from 1 on")

    @property
    def compares(self) -> bool:
        """Whether two classes are compared, so that no other class can be asked for."""
        return self.contrast not in (None, REST)


class ReadyNetwork:
    """A network that is loaded, its methods, and what is asked of it.

    Attributes:
        loaded: the network.
        device: where it is.
        preprocessing: makes batches of pictures.
        cams: the methods, in their order.
        choices: the classes that were asked for.
        kind: what the scores are, once `find_out_scores` was called; None for a network that is no classifier.
    """

    def __init__(self, loaded: LoadedModel, options: ExplainerOptions) -> None:
        self.loaded, self._options = loaded, options
        self.device = device_of(loaded.model)
        self.preprocessing = BatchPreprocessing(loaded.preprocessing)
        self.choices: list[ClassChoice] = parse_classes([str(each) for each in options.classes], loaded.categories)
        pair = [str(each) for each in options.contrast or ()] if options.compares else None
        self._contrast = parse_contrast(pair, loaded.categories, loaded.task)
        self._rest: Contrast = REST if options.contrast == REST else None
        if self._rest and loaded.task != "classification":
            raise ValueError(f"contrast={REST!r} sets a class against all others; it does not go with {loaded.task}")
        layers: Any = options.layers or loaded.target_layers
        layers = STAGES if options.layers == (STAGES,) else layers
        self.cams = [_method(name, loaded, layers, options) for name in options.methods]
        self.kind: ScoreKind | None = None
        self._knows_scores = False

    @property
    def batch_size(self) -> int:
        """How many pictures to explain at once, where nobody says it: the smaller they are, the more."""
        fixed = fixed_batch(self.loaded.model)
        if fixed is not None:
            return fixed
        size = self.loaded.preprocessing.crop or self.loaded.preprocessing.resize or USUAL_SIDE
        height, width = (size, size) if isinstance(size, int) else size
        return max(_ROWS, min(_MOST_ROWS, _ROWS * USUAL_SIDE**2 // (height * width)))

    def asks_picture_by_picture(self, categories: Sequence[int | None]) -> bool:
        """Say whether what is asked depends on what the network finds in a picture: objects, regions of a class.

        Args:
            categories: classes of the pictures' own.
        """
        named = bool(self.choices) or any(category is not None for category in categories)
        return self.loaded.task == "detection" or (self.loaded.task == "segmentation" and named)

    def find_out_scores(self, inputs: Tensor) -> None:
        """Find out, once, what a classifier's scores are, by a picture ``(1, C, h, w)``."""
        if not self._knows_scores:
            self.kind, self.loaded = read_scores(self.loaded, inputs, self._options.scores)
            self._knows_scores = True

    def questions(self, categories: Sequence[int | None]) -> list[tuple[TargetSpec, ImageTarget]]:
        """Return what is asked of the pictures of a batch, each question with how it is called.

        Args:
            categories: the class that is asked of each picture; None: what the options say. Where one has a class, the
                others are asked for their top class.

        Raises:
            ValueError: for the top classes of a network that is no classifier.
        """
        against = self._options.against
        if any(category is not None for category in categories):
            own: list[Any] = list(categories)
            return [(TargetSpec(own, against, self._rest), None)]
        if self._contrast is not None:
            pair = (self._contrast.first, self._contrast.second)
            return [(TargetSpec(contrast=pair), self._contrast)]
        asked: list[tuple[TargetSpec, ImageTarget]] = []
        for choice in self.choices:
            if not isinstance(choice, TopClasses):
                asked.append((TargetSpec(choice, against, self._rest), choice))
                continue
            if self.kind is None:
                raise ValueError(f"top-{choice.count} needs a network that returns one number per class; give indices")
            count = min(choice.count, max(2, self.kind.count))
            asked += [(TargetSpec(None, against, self._rest, rank=rank), None) for rank in range(count)]
        return asked or [(TargetSpec(None, against, self._rest), None)]

    def call_options(self) -> dict[str, Any]:
        """Return the options of a call that every question takes."""
        options: dict[str, Any] = {}
        if self.loaded.forward_kwargs:
            options["forward_kwargs"] = self.loaded.forward_kwargs
        if isinstance(self._contrast, ClassContrast):
            options["contrast"] = (self._contrast.first, self._contrast.second)
        elif self._rest:
            options["contrast"] = self._rest
        return options


def _method(name: str, loaded: LoadedModel, layers: Any, options: ExplainerOptions) -> BaseCAM:
    """Make a method's object, with those of the settings that it has."""
    cam = method_class(name)(loaded.model, layers, loaded.reshape_transform, output=loaded.output)
    cam.keeps_last_pass = False  # nobody asks for it
    for attribute, value in ({"dtype": DTYPES[options.dtype]} | dict(options.settings)).items():
        if value is not None and hasattr(cam, attribute):
            setattr(cam, attribute, value)
    return cam
