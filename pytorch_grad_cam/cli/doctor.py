"""The command ``doctor``: what is installed, what is missing, and whether maps come out right here."""

from __future__ import annotations

import platform
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from importlib import metadata

from pytorch_grad_cam import __version__
from pytorch_grad_cam.cli.arguments import CommandParser
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.output import aligned_columns

DISTRIBUTION = "tracelesscam"
_NEEDED = ("torch", "torchvision", "numpy", "opencv-python-headless", "pillow", "ttach", "tqdm")
_INSTEAD = {"opencv-python-headless": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")}
_FOR_DEVELOPERS = ("test", "check", "docs", "browser")
_SEED, _SHAPES = 1_000_003, ("star", "ring")  # of the scene of the self-test, and what it shows
_LEAST_RATIO = 3.0  # of a map's energy on the object that it explains to the object's share of the picture


def parse(program: str, arguments: Sequence[str]) -> Namespace:
    """Refuse all arguments but --help and --debug."""
    parser = CommandParser([""], prog=program, description=COMMANDS["doctor"].description)
    parser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    return parser.parse_args(arguments)


def run(_: Namespace) -> int:
    """Print versions, devices, extras and the result of a self-test.

    Returns:
        0, also where extras are missing; 1 where a package that is needed is missing or the self-test fails.
    """
    print(f"tracelesscam {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
    packages = [(name, _version(name)) for name in _NEEDED]
    print(aligned_columns([("package", "version"), *((name, version or "missing") for name, version in packages)]))
    print()
    print(aligned_columns([("extra", "has"), *_extras()]))
    missing = [name for name, version in packages if version is None]
    if missing:
        print(f"error: missing: {', '.join(missing)}; pip install {' '.join(missing)}", file=sys.stderr)
        return 1
    print(f"\ndevices:    {', '.join(_devices())}")
    for line in _conflicts():
        print(f"note: {line}", file=sys.stderr)
    problems = list(_self_test())
    for problem in problems:
        print(f"error: self-test: {problem}", file=sys.stderr)
    if not problems:
        print("self-test:  passed: the map of each shape of a rendered scene lies on that shape")
    return 1 if problems else 0


def _version(name: str) -> str | None:
    for each in (name, *_INSTEAD.get(name, ())):
        try:
            return metadata.version(each) + ("" if each == name else f" ({each})")
        except metadata.PackageNotFoundError:
            continue
    return None


def _extras() -> Iterator[tuple[str, str]]:
    """Yield the extras for users, each with what it has, or how to get what is missing."""
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield "(run from a folder that is not installed: pip install . says which there are)", ""
        return
    extras: dict[str, list[str]] = {}
    for line in required:
        found = re.match(r"""([\w.-]+).*extra\s*==\s*["']([\w-]+)["']""", line)
        if found and found[2] not in _FOR_DEVELOPERS:
            extras.setdefault(found[2], []).append(found[1])
    for extra, names in sorted(extras.items()):
        versions = {name: _version(name) for name in names}
        listed = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        advice = "" if all(versions.values()) else f'; pip install "{DISTRIBUTION}[{extra}]"'
        yield extra, listed + advice


def _devices() -> Iterator[str]:
    import torch

    yield f"cpu ({torch.get_num_threads()} threads)"
    for index in range(torch.cuda.device_count()):
        yield f"cuda:{index} ({torch.cuda.get_device_name(index)})"
    if torch.backends.mps.is_available():
        yield "mps"


def _conflicts() -> Iterator[str]:
    """Yield a sentence for each package that gets in the way."""
    older = _version("grad-cam")
    if older is not None and not older.endswith("post1"):
        yield (
            f"grad-cam {older} is installed, which has the same import name; pip uninstall grad-cam, then install this "
            "one again"
        )
    kinds = [name for name in ("opencv-python-headless", *_INSTEAD["opencv-python-headless"]) if _exists(name)]
    if len(kinds) > 1:
        yield f"{' and '.join(kinds)} are installed, which all are cv2; keep one of them"


def _exists(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _self_test() -> Iterator[str]:
    """Explain two shapes of a rendered scene with the bundled network; yield what is wrong."""
    import numpy as np

    from pytorch_grad_cam.data.scenes import render_scene
    from pytorch_grad_cam.runs.load_explainer import load_explainer

    scene = render_scene(_SEED, _SHAPES)
    found = load_explainer("shapes", "gradcam", classes=_SHAPES)(scene.image)
    places = {map.label.split()[-1]: place for place, map in enumerate(found.maps)}
    for each in scene.objects:
        values = np.nan_to_num(found.on_picture(places[each.label]))
        inside = float(values[each.mask].sum() / max(values.sum(), 1e-12))
        if inside < _LEAST_RATIO * each.mask.mean():
            yield f"the map of {each.label!r} has {100 * inside:.0f} % of its energy on it; it should be most of it"
