"""What to say about a name that no source of networks knows: a file of another kind, or a misspelling."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

from pytorch_grad_cam.models.sources import SOURCES, sentence

_WEIGHTS_FILES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
# Files of networks that are no torch.nn.Module, by their endings: what they are.
_OTHERS = {
    (".onnx",): "an ONNX graph, which has no layers that can be watched and no gradients",
    (
        ".h5",
        ".hdf5",
        ".keras",
        ".pb",
        ".tflite",
    ): "of TensorFlow or Keras; only PyTorch networks can be explained",
    (".engine", ".trt", ".plan"): "a TensorRT engine, which has no layers that can be watched and no gradients",
    (".mlmodel", ".mlpackage"): "a Core ML model, which has no layers that can be watched and no gradients",
}
_MOST_NAMES = 8  # in a message


def unknown_network(spec: str) -> str:
    """Say what is wrong with a name that no source knows, and what to give instead."""
    lower = spec.lower()
    if lower.endswith(".py"):
        return _python_file(spec)
    for endings, what in _OTHERS.items():
        if lower.endswith(endings):
            return (
                f"{spec} is {what}; give the PyTorch network that it was made from: package.module:factory, or the "
                ".pt2 file of torch.export.save"
            )
    if lower.endswith(_WEIGHTS_FILES) or Path(spec).is_file():
        return (
            f"{spec} is a file; name the network with --model and give the file with --weights, e.g. "
            f"--model resnet50 --weights {spec}"
        )
    names = [name for source in SOURCES for name in source.listed()]
    close = difflib.get_close_matches(lower, names, n=3)
    hint = f"did you mean {' or '.join(close)}? Known" if close else "known"
    offers = sentence((source.offer for source in SOURCES), "and")
    return f"the model {spec!r} is unknown; {hint} are {offers}"


def _python_file(spec: str) -> str:
    """Say how a function in a file of Python is named; the file is read, not run."""
    path = Path(spec)
    if not path.is_file():
        return f"there is no file {spec}; check the path, and name what makes the network: module:function"
    module = ".".join((*path.parent.parts, path.stem)) if not path.is_absolute() else path.stem
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        found = []
    else:
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    more = ", ..." if len(found) > _MOST_NAMES else ""
    names = f"it has {', '.join(found[:_MOST_NAMES])}{more}; " if found else ""
    folder = f", in the folder {path.parent}" if path.is_absolute() else ""
    return (
        f"{spec} is Python code; {names}name the function or class that makes the network without "
        f"arguments: --model {module}:{found[-1] if found else 'function'}{folder}"
    )
