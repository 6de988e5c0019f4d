"""One picture, one explanation: the command that cam.py runs."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pytorch_grad_cam.cli.options import Options
from pytorch_grad_cam.data.images import check_writable, read_image, write_image
from pytorch_grad_cam.explanation import Explanation
from pytorch_grad_cam.methods import METHODS, method_class
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.utils.image import show_cam_on_image

TOP = 5  # predicted classes that are listed
_SHOWN = 8  # names in a line


def explain(options: Options) -> int:
    """Read a picture, explain the network's view of it, write the overlay and print what was found.

    Returns:
        0, or 1 if the map means nothing and was therefore not drawn.

    Raises:
        Exception: with a message for people where something given cannot be used.
    """
    picture = read_image(options.image_path)
    path = Path(options.output_dir, f"{options.method}_cam.jpg")
    check_writable(path.parent)
    device = _device(options)
    loaded = load_model(
        options.model,
        options.weights,
        device,
        trust_pickle=options.trust_pickle,
        size=options.size,
        mean=options.mean,
        std=options.std,
        squash=options.squash,
    )
    target = None if options.target is None else find_class(options.target, loaded.categories)
    layers = options.target_layers or loaded.target_layers
    cam = method_class(options.method)(loaded.model, layers, loaded.reshape_transform)
    if target is not None and not cam.uses_targets:
        print(f"warning: {options.method} looks at no class; --target is ignored", file=sys.stderr)
        target = None
    inputs = loaded.preprocessing(picture)[None].to(device)  # (1, C, h, w)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not every map means something")  # said below, from the notes
        explanation = cam.explain(inputs, target, aug_smooth=options.aug_smooth, eigen_smooth=options.eigen_smooth)
    for line in _report(options, loaded, explanation, inputs, chosen=layers is None):
        print(line)
    map_ = explanation.numpy()[0]  # (h, w)
    notes = "; ".join(explanation.notes[0])
    if notes and map_.min() == map_.max():
        print(f"error: nothing was drawn, the map means nothing: {notes}", file=sys.stderr)
        return 1
    if notes:
        print(f"note: {notes}", file=sys.stderr)
    on_picture = loaded.preprocessing.to_picture(map_, picture.shape[:2])  # (H, W)
    write_image(path, show_cam_on_image(picture, on_picture, use_rgb=True))
    print(f"written:    {path}")
    return 0


def find_class(wanted: str, categories: tuple[str, ...] | None) -> int:
    """Turn what was typed, an index or a class name, into an index.

    Args:
        wanted: an index from 0, or a name; quotes around it, case and ``_`` for a blank do not count.
        categories: the names of all classes, or None if there are none.

    Raises:
        ValueError: if there is no such class, or if several have that name; the message lists the candidates.
    """
    wanted = wanted.strip().strip("'\"").strip()
    if wanted.lstrip("+-").isdecimal():
        return _checked_index(int(wanted), categories)
    if categories is None:
        raise ValueError(
            f"the class {wanted!r} cannot be found by name: this network has no class names; give an index"
        )
    exact = [index for index, name in enumerate(categories) if name == wanted]
    same = exact or [index for index, name in enumerate(categories) if _plain(name) == _plain(wanted)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ValueError(f"{wanted!r} names several classes: {_listed(same, categories)}; give the index")
    part = [index for index, name in enumerate(categories) if _plain(wanted) in _plain(name)]
    part.sort(key=lambda index: _plain(wanted) not in _plain(categories[index]).split())  # whole words first
    by_name = {_plain(name): index for index, name in enumerate(categories)}
    close = part or [by_name[name] for name in difflib.get_close_matches(_plain(wanted), by_name, n=3)]
    known = f"give a name or an index from 0 to {len(categories) - 1}"
    hint = f"did you mean {_listed(close, categories)}? G{known[1:]}" if close else known
    raise ValueError(f"no class is called {wanted!r}; {hint}")


def _checked_index(index: int, categories: tuple[str, ...] | None) -> int:
    if categories is not None and not 0 <= index < len(categories):
        raise ValueError(f"the class index {index} is out of range; this network has 0 to {len(categories) - 1}")
    if index < 0:
        raise ValueError(f"the class index {index} is negative; classes count from 0")
    return index


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _listed(indices: list[int], categories: tuple[str, ...]) -> str:
    more = ", ..." if len(indices) > _SHOWN else ""
    return ", ".join(f"{categories[index]!r} ({index})" for index in indices[:_SHOWN]) + more


def _device(options: Options) -> torch.device:
    if options.use_cuda:
        if torch.cuda.is_available():
            return torch.device("cuda")
        print("warning: --use-cuda: there is no usable CUDA device, using the CPU", file=sys.stderr)
        return torch.device("cpu")
    try:
        device = torch.device(options.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"the device {options.device!r} cannot be used here; --device cpu always can") from error
    return device


def _report(
    options: Options, loaded: LoadedModel, explanation: Explanation, inputs: Tensor, chosen: bool
) -> Iterable[str]:
    """The lines that say what was looked at and found."""
    height, width = inputs.shape[2:]
    part = "the whole picture" if loaded.preprocessing.crop is None else "its centre"
    mean, std = (" ".join(f"{number:g}" for number in numbers) for numbers in _normalisation(loaded))
    yield f"picture:    {options.image_path}"
    yield f"model:      {loaded.source}; sees {part} at {width} x {height}, mean {mean}, std {std}"
    yield from _predictions(explanation.outputs, loaded)
    index = explanation.classes[0]
    if index is None:
        yield f"explained:  no class; {METHODS[options.method].summary}"
    else:
        yield f"explained:  {_named(index, loaded)}{'' if options.target else ' (the top class)'}"
    how = " (chosen automatically)" if chosen else ""
    more = f", ... ({len(explanation.layers)} in all)" if len(explanation.layers) > _SHOWN else ""
    yield f"layer:      {', '.join(explanation.layers[:_SHOWN])}{more}{how}"


def _normalisation(loaded: LoadedModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return loaded.preprocessing.mean, loaded.preprocessing.std


def _predictions(outputs: Any, loaded: LoadedModel) -> Iterable[str]:
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        return
    scores = outputs[0].float().cpu()
    if loaded.multi_label or len(scores) == 1:
        shares = scores.sigmoid()
        listed = [index for index in shares.argsort(descending=True).tolist() if shares[index] > 0.5]
    else:
        shares = scores if _are_shares(scores) else scores.softmax(0)
        listed = shares.topk(min(TOP, len(shares))).indices.tolist()
    head = "predicted:"
    for index in listed:
        yield f"{head:12}{100 * shares[index]:5.1f} %  {_named(index, loaded)}"
        head = ""
    if not listed:
        yield f"{head:12}no class above 50 %"


def _are_shares(scores: Tensor) -> bool:
    """Whether the network ends in a softmax of its own, which must not be applied twice."""
    return bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < 1e-3


def _named(index: int, loaded: LoadedModel) -> str:
    known = loaded.categories is not None and 0 <= index < len(loaded.categories)
    return f"{index} {loaded.categories[index]}" if known and loaded.categories else f"{index}"
