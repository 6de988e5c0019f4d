"""The peers: installed into a folder of their own, run in a process of their own.

The best-known CAM package has the name of ours, so the two can never share an environment. The folder is
`build/peers`, or what the variable CAM_PEERS says. `python -m benchmarks.peers` fills it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.networks import ROOT
from benchmarks.remote_process import RemoteProcess

PEERS = ("grad-cam", "torchcam", "captum", "quantus")
# Libraries that ours is used with; the examples with_*.py are run with them.
COMPANIONS = ("segmentation-models-pytorch", "monai", "torchmetrics", "lightning-utilities")
# What the peers import, by import name. Only what our environment lacks is installed; never torch,
# torchvision or numpy, because a second copy of those in the folder would shadow the first.
NEEDS = {
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "joblib": "joblib",
    "cloudpickle": "cloudpickle",
    "threadpoolctl": "threadpoolctl",
    "narwhals": "narwhals",
    "matplotlib": "matplotlib",
    "contourpy": "contourpy",
    "cycler": "cycler",
    "kiwisolver": "kiwisolver",
    "fontTools": "fonttools",
    "pyparsing": "pyparsing",
    "dateutil": "python-dateutil",
    "six": "six",
    "packaging": "packaging",
    "PIL": "pillow",
    "ttach": "ttach",
    "tqdm": "tqdm",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "imageio": "imageio",
    "tifffile": "tifffile",
    "lazy_loader": "lazy-loader",
    "networkx": "networkx",
    "pandas": "pandas",
    "pytz": "pytz",
    "cachetools": "cachetools",
}


def folder() -> Path:
    """Where the peers are: $CAM_PEERS, or `build/peers` in the repository."""
    return Path(os.environ.get("CAM_PEERS") or ROOT / "build" / "peers")


def versions() -> dict[str, str]:
    """Name and version of every peer in the folder; empty where there is none."""
    found = {dist.metadata["Name"].lower(): dist.version for dist in distributions(path=[str(folder())])}
    return {name: found[name] for name in PEERS if name in found}


def install() -> None:
    """Put the newest release of each, and what they need beyond our environment, into the folder."""
    missing = [name for module, name in NEEDS.items() if importlib.util.find_spec(module) is None]
    pip = [sys.executable, "-m", "pip", "install", "--upgrade", "--no-deps", "--target", str(folder())]
    subprocess.run([*pip, *PEERS, *COMPANIONS, *missing], check=True)


def limited(threads: int) -> dict[str, str]:
    """An environment in which torch and NumPy start that many threads, in whatever library they use."""
    return {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))}


def remote(module: str, *arguments: str, threads: int = 2) -> RemoteProcess:
    """A module of `benchmarks`, run where `import pytorch_grad_cam` finds the peer.

    `-P` keeps the current folder out of the search path; otherwise our package would be found first.
    """
    path = os.pathsep.join([str(folder()), str(ROOT)])
    return RemoteProcess([sys.executable, "-P", "-m", module, *arguments], limited(threads) | {"PYTHONPATH": path})


def main() -> None:
    parser = argparse.ArgumentParser(description="install the peers into a folder of their own")
    parser.add_argument("--if-missing", action="store_true", help="do nothing when all of them are there")
    options = parser.parse_args()
    if not (options.if_missing and len(versions()) == len(PEERS)):
        install()
    print(", ".join(f"{name} {version}" for name, version in versions().items()), "in", folder())


if __name__ == "__main__":
    main()
