"""The arguments that describe a network, which most commands share. Importing this costs nothing."""

from __future__ import annotations

from argparse import ArgumentParser

from pytorch_grad_cam.cli.arguments import positive_number
from pytorch_grad_cam.common.limits import MAX_PIXELS
from pytorch_grad_cam.models.sources import SOURCES, sentence


def add_network_arguments(parser: ArgumentParser, *short: str, default: str = "resnet50") -> None:
    """Add what describes the network, and --debug; ``short`` are other names of --model."""
    group = parser.add_argument_group("network")
    group.add_argument(
        *short,
        "--model",
        default=default,
        metavar="NAME",
        help=f"{sentence((source.help for source in SOURCES), 'or')} (default: {default})",
    )
    group.add_argument(
        "--weights",
        metavar="FILE",
        help="state dict (.pth, .safetensors), published ones by name (IMAGENET1K_V2), or random",
    )
    group.add_argument(
        "--trust-pickle",
        action="store_true",
        help="unpickle Python objects in --weights or a .pt2; that can run any code in the file",
    )
    group.add_argument("--categories", metavar="FILE", help="class names, one per line, or a JSON list")
    group.add_argument(
        "--size",
        type=positive_number("pixels"),
        metavar="N",
        help="the network sees N x N pixels (default: as it was trained)",
    )
    group.add_argument(
        "--squash", action="store_true", help="squash the whole picture to that size instead of cropping its centre"
    )
    group.add_argument(
        "--max-pixels",
        type=positive_number("pixels"),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse pictures with more pixels than this (default: {MAX_PIXELS // 1_000_000} million)",
    )
    group.add_argument(
        "--mean", type=float, nargs="+", metavar="X", help="per channel, of values in 0..1 (default: as it was trained)"
    )
    group.add_argument("--std", type=float, nargs="+", metavar="X", help="likewise; one number each for gray pictures")
    group.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda, cuda:1, mps (default: cpu)")
    group.add_argument("--use-cuda", action="store_true", help="use the GPU if there is one, else the CPU")
    group.add_argument("--debug", action="store_true", help="show the full traceback of an error")
