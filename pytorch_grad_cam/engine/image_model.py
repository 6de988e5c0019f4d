"""The user's model as a function of one picture: its other inputs held, one part of its output picked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from pytorch_grad_cam.engine.fixed_batch import choose
from pytorch_grad_cam.engine.inputs import checked_input, device_of, lacks_batch
from pytorch_grad_cam.engine.picture_lists import as_batch
from pytorch_grad_cam.engine.trees import map_tensors, tensors_in

Place = int | str
Pick = int | str | Callable[[Any], Any]


@dataclass(frozen=True)
class Network:
    """Call it with images ``(N, C, *S)`` and it runs the model on them and on what else the model takes.

    Attributes:
        model: the user's, borrowed.
        args, keywords: what the model is called with; the image stands in one place of them.
        place: where: an index of ``args``, a name of ``keywords``, or a key of the one mapping in ``args``.
        pick: which part of the output is meant, see ``picked``; None: all of it.
        batch: number of images ``B``; tensors with that many rows belong to the images one by one.
        row: None: called with all images; else with any number of versions of this one.
    """

    model: nn.Module
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    place: Place
    pick: Pick | None
    batch: int
    row: int | None = None

    def of_rows(self, rows: Tensor) -> Self:
        """Return the network for a choice of the images."""
        args, keywords = choose(self.args, rows, self.batch), choose(dict(self.keywords), rows, self.batch)
        return replace(self, args=args, keywords=keywords, batch=len(rows))

    def of_row(self, row: int) -> Self:
        """Return the network for any number of versions of one image."""
        return replace(self, row=row)

    def __call__(self, image: Tensor) -> Any:
        args, keywords = self._held(len(image))
        if isinstance(self.place, int):
            args[self.place] = image
        elif self.place in keywords:
            keywords[self.place] = image
        else:
            args[0] = {**args[0], self.place: image}
        try:
            outputs = self.model(*args, **keywords)
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            if lacks_batch(self.model, image):
                raise ValueError(_no_batch(image)) from error
            self._refuse_other_rows(error)
            raise
        rows = [len(part) if part.ndim else 0 for part in tensors_in(outputs)]
        if rows and len(image) not in rows and lacks_batch(self.model, image):
            raise ValueError(_no_batch(image))
        self._refuse_shared_texts(outputs)
        return outputs if self.pick is None else picked(outputs, self.pick)

    def _refuse_other_rows(self, error: Exception) -> None:
        """Say what may be the cause of an error: inputs of another batch size. Models may take such, as texts."""
        for tensor in self._others():
            if tensor.ndim > 1 and len(tensor) not in (1, self.batch):
                raise ValueError(
                    f"one of the model's inputs has {len(tensor)} rows, {tuple(tensor.shape)}, but the picture is a "
                    f"batch of {self.batch}, and the model fails ({error}); give all inputs the same batch"
                ) from error

    def _refuse_shared_texts(self, outputs: Any) -> None:
        """Refuse to take one row each of texts that every picture is compared with."""
        if self.row is None or self.batch == 1 or not isinstance(getattr(outputs, "logits_per_image", None), Tensor):
            return
        if any(tensor.ndim and len(tensor) == self.batch for tensor in self._others()):
            raise ValueError(
                f"every picture is compared with every text, and there are as many texts as pictures ({self.batch}); "
                "this method runs one picture at a time and cannot tell whether all texts go with it: give the "
                "pictures one by one, each as x[i : i + 1]"
            )

    def _others(self) -> list[Tensor]:
        """Return the tensors besides the picture."""
        given: dict[Place, Any] = dict(enumerate(self.args))
        given.update(self.keywords)
        if given.pop(self.place, None) is None:
            given[0] = {name: item for name, item in self.args[0].items() if name != self.place}
        return list(tensors_in(given))

    def _held(self, count: int) -> tuple[list[Any], dict[str, Any]]:
        def fitted(tensor: Tensor) -> Tensor:
            if self.row is None or not tensor.ndim or len(tensor) != self.batch:
                return tensor
            return tensor[self.row : self.row + 1].expand(count, *tensor.shape[1:])

        return [map_tensors(item, fitted) for item in self.args], {
            name: map_tensors(item, fitted) for name, item in self.keywords.items()
        }


def door(
    model: nn.Module,
    given: Any,
    forward_kwargs: Mapping[str, Any] | None,
    image: Place | None,
    pick: Pick | None,
    allow_nonfinite: bool,
    keep_graph: bool,
) -> tuple[Tensor, Network]:
    """Check everything the model is called with, and single out the picture.

    Args:
        model: the network; of one spread over several devices, the original is run.
        given: a tensor; a tuple or list of the model's arguments; or a mapping, handed on as keywords where the model's
            ``forward`` has such names, else as one argument. A list of pictures for a model that takes one is stacked.
        forward_kwargs: further keywords.
        image: which of several inputs the map is drawn for; None: the first tensor ``(B, C, *S)`` of floats.
        pick: which part of the output is meant.
        allow_nonfinite: let NaN and infinity pass.
        keep_graph: do not cut inputs from their graphs.

    Returns:
        The picture ``(B, C, *S)``, see ``checked_input``, and the network.

    Raises:
        TypeError, ValueError: if there is no picture.
    """
    model = _alone(model)
    if forward_kwargs is not None and not isinstance(forward_kwargs, Mapping):
        raise TypeError(
            f"forward_kwargs must be a mapping from names to values, not {forward_kwargs!r}; give e.g. {{'mask': mask}}"
        )
    keywords = dict(forward_kwargs or {})
    given = as_batch(model, given)
    args: tuple[Any, ...] = ()
    if isinstance(given, Mapping):
        where: Mapping[Any, Any] = given
        if _takes(model, given):
            keywords |= given
        else:
            args = (dict(given),)
    elif isinstance(given, (tuple, list)):
        args = tuple(given)
        where = dict(enumerate(given))
    else:
        if image not in (None, 0):
            raise ValueError(f"image={image!r} is none of the inputs: one tensor was given; leave out image=")
        args, where, image = (given,), {0: given}, 0
    place = _place(where, image)
    inputs = checked_input(model, where[place], allow_nonfinite, keep_graph)
    dtype, device = inputs.dtype, device_of(model)

    def moved(tensor: Tensor) -> Tensor:
        tensor = (tensor if keep_graph else tensor.detach()).to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    args, keywords = map_tensors(args, moved), map_tensors(keywords, moved)
    return inputs, Network(model, args, keywords, place, pick, len(inputs))


def picked(outputs: Any, pick: Pick) -> Any:
    """Return one part of a model's outputs: an index, a key, an attribute, or what a callable makes of them.

    Raises:
        ValueError: if there is no such part; the message lists what there is.
    """
    if callable(pick):
        return pick(outputs)
    try:
        if isinstance(pick, str) and not isinstance(outputs, Mapping):
            return getattr(outputs, pick)
        return outputs[pick]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        if isinstance(outputs, Mapping):
            parts = f"the keys {', '.join(map(repr, outputs))}"
        elif isinstance(outputs, (tuple, list)):
            parts = f"the indices 0 to {len(outputs) - 1}"
        else:
            parts = f"a {type(outputs).__name__}"
        raise ValueError(f"output={pick!r} is no part of what the model returns: it has {parts}") from error


def _no_batch(image: Tensor) -> str:
    return (
        f"the input has the shape {tuple(image.shape)}, which the model takes for one image without a batch axis; "
        "give (B, C, *S), for a single image x[None]"
    )


def _alone(model: nn.Module) -> nn.Module:
    """Return what ``DataParallel`` or ``DistributedDataParallel`` wraps.

    Replicas are other modules in other threads, where no layer of the original runs; and the distributed wrapper makes
    every process wait for the others, which need not explain anything.
    """
    while isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        model = model.module
    return model


def _takes(model: nn.Module, names: Mapping[Any, Any]) -> bool:
    """Say whether the model's forward has all these names as keywords."""
    parameters = inspect.signature(model.forward).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return True
    return all(name in parameters for name in names)


def _place(where: Mapping[Any, Any], image: Place | None) -> Place:
    if image is not None:
        if image not in where:
            raise ValueError(f"image={image!r} is none of the inputs: {', '.join(map(repr, where))}")
        return image
    for place, item in where.items():
        if isinstance(item, Tensor) and item.is_floating_point() and 3 <= item.ndim <= 5:
            found: Place = place
            return found
    forms = {key: tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__ for key, item in where.items()}
    raise ValueError(
        f"none of the inputs is a picture (B, C, *S) of floating type: {forms}; name the one for the map with image="
    )
