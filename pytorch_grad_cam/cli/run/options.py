"""The options of the command ``run``. Importing this costs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorch_grad_cam.cli.arguments import (
    CommandParser,
    add_dtype,
    add_eigen_smooth,
    add_image_weight,
    add_layers,
    add_network_arguments,
    add_question,
    add_samples,
    add_scores,
    contrast_options,
    positive_number,
)
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.method_names import chosen_methods
from pytorch_grad_cam.runs.network_options import NetworkOptions

KINDS = ("overlay", "heatmap", "npy", "boxes", "json", "none")
EPILOG = """pictures: a folder (a subfolder's name is the label), patterns, a .csv, .jsonl or .parquet with the columns
path, label, target and id, tar shards (shard-{000..015}.tar), a Hugging Face data set on disk, or module:factory.

files:
  manifest.json     all that decides on the result
  index.jsonl       a line per picture: prediction, class explained, notes, files
  times.jsonl       how long each took
  overlays/ ...     what --save names; thumbs/ for the report

The same command goes on where it was stopped. Under torchrun, srun and Slurm arrays each process takes its share.
"""
_EXAMPLES = (
    "photos/ --output-dir RUN --model resnet50",
    "photos.csv --output-dir RUN --method gradcam hirescam --save overlay npy",
    "photos/ --output-dir RUN --only wrong --only confident",
    "photos/ --output-dir RUN --shard 3/16     (and so on; then: --merge RUN)",
    "photos/ --output-dir RUN --devices all",
    "photos/ --output-dir RUN --engine ray --ray-address auto",
)


@dataclass(frozen=True)
class RunOptions(NetworkOptions):
    """What is explained and kept; `_parser` says what each means."""

    source: list[str]
    output_dir: str | None
    merge: str | None
    method: list[str]
    target: list[str]
    contrast: tuple[str, str] | None
    rest: bool
    against: bool
    target_layers: list[str] | None
    scores: str | None
    eigen_smooth: bool
    num_samples: int | None
    noise_level: float | None
    seed: int
    save: list[str]
    colormap: str
    image_weight: float
    only: list[str]
    limit: int | None
    batch_size: int | None
    workers: int | None
    dtype: str
    channels_last: bool
    shard: str | None
    devices: list[str] | None
    engine: str
    ray_address: str | None
    retry_failed: bool
    overwrite: bool
    profile: bool


def parse(program: str, arguments: Sequence[str]) -> RunOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = _parser(program)
    options: dict[str, Any] = vars(parser.parse_args(arguments))
    if options["merge"] is None:
        if not options["source"]:
            parser.error("name the pictures: a folder, a list of them, shards ... (see below)")
        if options["output_dir"] is None:
            parser.error("name the folder of the run with --output-dir")
    elif options["source"] or options["output_dir"]:
        parser.error("--merge RUN takes nothing but the run's folder")
    options |= contrast_options(parser, options)
    if "none" in (options["save"] or ()) and len(options["save"]) > 1:
        parser.error("--save none keeps no files; give no other kind beside it")
    _check_sharing(parser, options)
    options["method"] = chosen_methods(options["method"])
    options["save"] = [] if options["save"] == ["none"] else options["save"] or ["overlay"]
    options["contrast"] = options["contrast"] and tuple(options["contrast"])
    return RunOptions(**options)


def _check_sharing(parser: argparse.ArgumentParser, options: dict[str, Any]) -> None:
    """Refuse what cannot be said together about who does the work."""
    if options["shard"] and options["overwrite"]:
        parser.error("--overwrite deletes all shares of the run; delete the folder, then begin the shares")
    given = [name for name, is_given in (("--shard", options["shard"]), ("--devices", options["devices"]),
                                         ("--engine ray", options["engine"] == "ray")) if is_given]  # fmt: skip
    if len(given) > 1:
        parser.error(f"{' and '.join(given)} share out the work in different ways; give one of them")
    if options["ray_address"] and options["engine"] != "ray":
        parser.error("--ray-address is for --engine ray")
    if options["devices"] and (options["use_cuda"] or options["device"] != "cpu"):
        parser.error("--devices takes the place of --device and --use-cuda; give one of them")


def _parser(program: str) -> argparse.ArgumentParser:
    usage = "%(prog)s SOURCE ... --output-dir RUN [options]\n       %(prog)s --merge RUN"
    parser = CommandParser(_EXAMPLES, prog=program, usage=usage, description=COMMANDS["run"].description, epilog=EPILOG)
    parser.add_argument("source", nargs="*", metavar="SOURCE", help="the pictures, see below")
    parser.add_argument("--output-dir", metavar="RUN", help="the run's folder, made if missing")
    what = "join the shares that are in this folder to one index, and do nothing else"
    parser.add_argument("--merge", metavar="RUN", help=what)
    add_network_arguments(parser)
    _add_explanation(parser)
    _add_kept(parser)
    _add_work(parser)
    return parser


def _add_explanation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("explanation")
    add_question(group)
    add_layers(group)
    add_scores(group)
    add_eigen_smooth(group)
    add_samples(group)


def _add_kept(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is kept")
    what = f"{', '.join(KINDS[:-1])}, or none: the index alone (default: overlay)"
    group.add_argument("--save", nargs="+", action="extend", choices=KINDS, metavar="KIND", help=what)
    group.add_argument("--colormap", default="jet", metavar="NAME", help="jet (default), turbo, viridis ...")
    add_image_weight(group, default=0.5)
    what = (
        "explain these alone, by what the network sees: wrong, right, confident, uncertain (with a share: "
        "uncertain=0.3) or class=NAME; given twice, both must hold"
    )
    group.add_argument("--only", action="append", default=[], metavar="WHICH", help=what)


def _add_work(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("work")
    add = group.add_argument
    add("--limit", type=positive_number("pictures"), metavar="N", help="the first N pictures only")
    what = "pictures at once (default: by their size; halved where the memory is too small)"
    add("--batch-size", type=positive_number("pictures"), metavar="N", help=what)
    what = "threads that read, draw and write (default: one per core)"
    add("--workers", type=positive_number("threads"), metavar="N", help=what)
    add_dtype(group)
    what = "channels innermost in memory: faster on a GPU in half precision"
    add("--channels-last", action="store_true", help=what)
    add("--shard", metavar="I/N", help="do the I-th of N shares of the work, from 1; all name the same RUN")
    what = "a process for each of these, with its share: all (CUDA devices), or such as cuda:0 cuda:1"
    add("--devices", nargs="+", metavar="DEVICE", help=what)
    what = "local (default), or ray: a cluster of Ray, which needs the extra ray"
    add("--engine", choices=("local", "ray"), default="local", metavar="NAME", help=what)
    what = "of the cluster: auto, ray://host:10001 (default: one of this machine alone)"
    add("--ray-address", metavar="ADDRESS", help=what)
    add("--retry-failed", action="store_true", help="do again the pictures that failed")
    add("--overwrite", action="store_true", help="delete what an earlier run left in the folder, and begin anew")
    add("--profile", action="store_true", help="say where the time went")
