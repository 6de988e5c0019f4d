"""The user's model as a function of images: its other inputs held, one part of its output selected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from pytorch_grad_cam.engine.inputs import checked_input, device_of, lacks_batch
from pytorch_grad_cam.engine.trees import map_tensors, select_rows, tensors_in

InputKey = int | str
OutputSelector = int | str | Callable[[Any], Any]

# Where models that return more than a tensor keep one score per class; the last is how well texts fit a picture.
_SCORES = ("logits", "out", "logits_per_image")
# Parts of these names describe a picture and score no class.
_EMBEDDINGS = ("embed", "hidden", "pooler", "feature")


@dataclass(frozen=True)
class ImageModel:
    """Call it with images ``(N, C, *S)`` and it runs the model on them and on what else the model takes.

    Attributes:
        model: the user's, borrowed.
        args, keywords: what the model is called with; the images stand in one place of them.
        key: where: an index of ``args``, a name of ``keywords``, or a key of the one mapping in ``args``.
        selector: which part of the output is meant, see ``select_output``; None: all of it.
        batch: number of images ``B``; tensors with that many rows belong to the images one by one.
        row: None: called with all images; else with any number of versions of this one.
        undo_view: turns dense outputs ``(N, M, *S)`` of a changed view of the images, such as a flipped one, back to
            where the pixels of the images lie; None: the images are no such view.
    """

    model: nn.Module
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    key: InputKey
    selector: OutputSelector | None
    batch: int
    row: int | None = None
    undo_view: Callable[[Tensor], Tensor] | None = None

    def select_rows(self, rows: Tensor) -> Self:
        """Return the function for a choice of the images."""
        args, keywords = select_rows(self.args, rows, self.batch), select_rows(dict(self.keywords), rows, self.batch)
        return replace(self, args=args, keywords=keywords, batch=len(rows))

    def of_row(self, row: int) -> Self:
        """Return the function for any number of versions of one image."""
        return replace(self, row=row)

    def of_copies(self, count: int) -> Self:
        """Return the function for a batch of ``count`` versions of the one image that this is for."""
        args, keywords = self._held(count)
        return replace(self, args=tuple(args), keywords=keywords, batch=count, row=None)

    def of_view(self, undo: Callable[[Tensor], Tensor]) -> Self:
        """Return the function for a changed view of the images."""
        return replace(self, undo_view=undo)

    def __call__(self, images: Tensor) -> Any:
        args, keywords = self._held(len(images))
        if isinstance(self.key, int):
            args[self.key] = images
        elif self.key in keywords:
            keywords[self.key] = images
        else:
            args[0] = {**args[0], self.key: images}
        try:
            outputs = self.model(*args, **keywords)
        except torch.OutOfMemoryError:  # is a RuntimeError, and no fault of the inputs
            raise
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            if lacks_batch(self.model, images):
                raise ValueError(_no_batch(images)) from error
            self._refuse_other_rows(error)
            raise
        rows = [len(part) if part.ndim else 0 for part in tensors_in(outputs)]
        if rows and len(images) not in rows and lacks_batch(self.model, images):
            raise ValueError(_no_batch(images))
        self._refuse_shared_texts(outputs)
        if self.selector is not None:
            outputs = select_output(outputs, self.selector)
        undo = self.undo_view
        if undo is None:
            return outputs
        return map_tensors(outputs, lambda tensor: undo(tensor) if tensor.ndim == images.ndim else tensor)

    def _refuse_other_rows(self, error: Exception) -> None:
        """Say what may be the cause of an error: inputs of another batch size. Models may take such, as texts."""
        for tensor in self._other_inputs():
            if tensor.ndim > 1 and len(tensor) not in (1, self.batch):
                raise ValueError(
                    f"one of the model's inputs has {len(tensor)} rows, {tuple(tensor.shape)}, but the picture is a "
                    f"batch of {self.batch}, and the model fails ({error}); give all inputs the same batch"
                ) from error

    def _refuse_shared_texts(self, outputs: Any) -> None:
        """Refuse to take one row each of texts that every picture is compared with."""
        if self.row is None or self.batch == 1 or not isinstance(getattr(outputs, "logits_per_image", None), Tensor):
            return
        if any(tensor.ndim and len(tensor) == self.batch for tensor in self._other_inputs()):
            raise ValueError(
                f"every picture is compared with every text, and there are as many texts as pictures ({self.batch}); "
                "this method runs one picture at a time and cannot tell whether all texts go with it: give the "
                "pictures one by one, each as x[i : i + 1]"
            )

    def _other_inputs(self) -> list[Tensor]:
        """Return the tensors besides the images."""
        inputs: dict[InputKey, Any] = dict(enumerate(self.args))
        inputs.update(self.keywords)
        if inputs.pop(self.key, None) is None:
            inputs[0] = {name: item for name, item in self.args[0].items() if name != self.key}
        return list(tensors_in(inputs))

    def _held(self, count: int) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for ``count`` images."""

        def fitted(tensor: Tensor) -> Tensor:
            if self.row is None or not tensor.ndim or len(tensor) != self.batch:
                return tensor
            return tensor[self.row : self.row + 1].expand(count, *tensor.shape[1:])

        return map_tensors(list(self.args), fitted), map_tensors(dict(self.keywords), fitted)


def prepare_inputs(
    model: nn.Module,
    inputs: Any,
    *,
    forward_kwargs: Mapping[str, Any] | None = None,
    image: InputKey | None = None,
    selector: OutputSelector | None = None,
    allow_nonfinite: bool = False,
    keep_graph: bool = False,
) -> tuple[Tensor, ImageModel]:
    """Check everything the model is called with, and single out the images.

    Args:
        model: the network; of one spread over several devices, the original is run.
        inputs: a tensor; a tuple or list of the model's arguments; or a mapping, handed on as keywords where the
            model's ``forward`` has such names, else as one argument. A list of images for a model that takes one is
            stacked.
        forward_kwargs: further keywords.
        image: which of several inputs the map is drawn for; None: the first tensor ``(B, C, *S)`` of floats.
        selector: which part of the output is meant.
        allow_nonfinite: let NaN and infinity pass.
        keep_graph: do not cut inputs from their graphs.

    Returns:
        The images ``(B, C, *S)``, see ``checked_input``, and the model as a function of them.

    Raises:
        TypeError, ValueError: if there is no image.
    """
    model = _unwrapped(model)
    if forward_kwargs is not None and not isinstance(forward_kwargs, Mapping):
        raise TypeError(
            f"forward_kwargs must be a mapping from names to values, not {forward_kwargs!r}; give e.g. {{'mask': mask}}"
        )
    keywords = dict(forward_kwargs or {})
    inputs = _stacked_images(model, inputs)
    args: tuple[Any, ...] = ()
    if isinstance(inputs, Mapping):
        by_key: Mapping[Any, Any] = inputs
        if _takes_keywords(model, inputs):
            keywords |= inputs
        else:
            args = (dict(inputs),)
    elif isinstance(inputs, (tuple, list)):
        args = tuple(inputs)
        by_key = dict(enumerate(inputs))
    else:
        if image not in (None, 0):
            raise ValueError(f"image={image!r} is none of the inputs: one tensor was given; leave out image=")
        args, by_key, image = (inputs,), {0: inputs}, 0
    key = _image_key(by_key, image)
    images = checked_input(model, by_key[key], allow_nonfinite, keep_graph)
    dtype, device = images.dtype, device_of(model)

    def moved(tensor: Tensor) -> Tensor:
        tensor = (tensor if keep_graph else tensor.detach()).to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    args, keywords = map_tensors(args, moved), map_tensors(keywords, moved)
    return images, ImageModel(model, args, keywords, key, selector, len(images))


def select_output(outputs: Any, selector: OutputSelector) -> Any:
    """Return one part of a model's outputs: an index, a key, an attribute, or what a callable makes of them.

    Raises:
        ValueError: if there is no such part; the message lists what there is.
    """
    if callable(selector):
        return selector(outputs)
    try:
        if isinstance(selector, str) and not isinstance(outputs, Mapping):
            return getattr(outputs, selector)
        return outputs[selector]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        if isinstance(outputs, Mapping):
            parts = f"the keys {', '.join(map(repr, outputs))}"
        elif isinstance(outputs, (tuple, list)):
            parts = f"the indices 0 to {len(outputs) - 1}"
        else:
            parts = f"a {type(outputs).__name__}"
        raise ValueError(f"output={selector!r} is no part of what the model returns: it has {parts}") from error


def scores_inside(outputs: Any) -> tuple[OutputSelector, Tensor] | None:
    """Return where in a model's outputs, for a batch or one image, the scores are, and these; None if nowhere."""
    for name in _SCORES:
        part = outputs.get(name) if isinstance(outputs, Mapping) else getattr(outputs, name, None)
        if isinstance(part, Tensor):
            return name, part
    parts = enumerate(outputs) if isinstance(outputs, (tuple, list)) else ()
    return next(((index, part) for index, part in parts if isinstance(part, Tensor)), None)


def embedding_inside(outputs: Any) -> str | None:
    """Return the name of an embedding in outputs whose parts have names and hold no scores; None if there is none."""
    names = list(outputs) if isinstance(outputs, Mapping) else list(getattr(outputs, "_fields", ()))
    names = names or list(getattr(outputs, "__dataclass_fields__", ()))
    named = [str(name) for name in names if any(word in str(name).lower() for word in _EMBEDDINGS)]
    return named[0] if named and not any(name in names for name in _SCORES) else None


def _no_batch(images: Tensor) -> str:
    return (
        f"the input has the shape {tuple(images.shape)}, which the model takes for one image without a batch axis; "
        "give (B, C, *S), for a single image x[None]"
    )


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return what ``DataParallel`` or ``DistributedDataParallel`` wraps.

    Replicas are other modules in other threads, where no layer of the original runs; and the distributed wrapper makes
    every process wait for the others, which need not explain anything.
    """
    while isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    return model


def _stacked_images(model: nn.Module, inputs: Any) -> Any:
    """Stack a list of images ``(C, H, W)`` for a model that takes such a list; leave everything else as it is.

    Such a model, like torchvision's detectors, takes a batch ``(B, C, H, W)`` just as well: iterating over it gives the
    images. For other models a list holds several inputs.
    """
    if not isinstance(inputs, list) or not all(isinstance(item, Tensor) and item.ndim == 3 for item in inputs):
        return inputs
    if not inputs or not _takes_list(model):
        return inputs
    sizes = list(dict.fromkeys(tuple(item.shape) for item in inputs))
    if len(sizes) > 1:
        raise ValueError(
            f"the pictures have the sizes {', '.join(map(str, sizes))}, so their maps make no batch; explain them one "
            "by one, each as picture[None]"
        )
    return torch.stack(inputs)


def _takes_list(model: nn.Module) -> bool:
    """Say whether the model's forward begins with ``images``, or with something it declares to be a list of tensors."""
    first = next(iter(inspect.signature(model.forward).parameters.values()), None)
    if first is None:
        return False
    declared = str(first.annotation).replace("torch.", "").replace("typing.", "").lower()
    return first.name == "images" or declared.startswith("list[tensor")


def _takes_keywords(model: nn.Module, names: Mapping[Any, Any]) -> bool:
    """Say whether the model's forward has all these names as keywords."""
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return takes_any or all(name in parameters for name in names)


def _image_key(by_key: Mapping[Any, Any], image: InputKey | None) -> InputKey:
    """Return where among the inputs the images are."""
    if image is not None:
        if image not in by_key:
            raise ValueError(f"image={image!r} is none of the inputs: {', '.join(map(repr, by_key))}")
        return image
    for key, item in by_key.items():
        if isinstance(item, Tensor) and item.is_floating_point() and 3 <= item.ndim <= 5:
            return key  # type: ignore[no-any-return]
    forms = {
        key: tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__ for key, item in by_key.items()
    }
    raise ValueError(
        f"none of the inputs is a picture (B, C, *S) of floating type: {forms}; name the one for the map with image="
    )
