"""The command ``run``: explain any number of pictures, batch by batch, and keep what was found in a folder."""

from __future__ import annotations

import sys
from dataclasses import replace

from pytorch_grad_cam.cli.run.devices import run_on_devices
from pytorch_grad_cam.cli.run.joining import join, join_if_last
from pytorch_grad_cam.cli.run.options import RunOptions
from pytorch_grad_cam.cli.run.work import Said, explainer_of, folder_of, prepared
from pytorch_grad_cam.runs.data_set_run import FAILED, DataSetRun, Report
from pytorch_grad_cam.runs.ray_engine import run_on_ray
from pytorch_grad_cam.runs.run_folder import RunFolder
from pytorch_grad_cam.runs.shards import Shard, local_rank


def run(options: RunOptions) -> int:
    """Explain the pictures and say what came of them.

    Returns:
        0; 1 if a picture failed, which is said; 130 after Ctrl-C.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    if options.merge is not None:
        return join(RunFolder(options.merge))
    if options.devices is not None:
        return run_on_devices(options)
    return _run_share(options, _share(options))


def _share(options: RunOptions) -> Shard | None:
    """Return the share of the run that this process does, and take the GPU that is meant for it."""
    if options.shard is not None:
        return Shard.parse(options.shard)
    shard = None if options.engine == "ray" else Shard.from_environment()
    if shard is not None and options.overwrite:
        raise ValueError(
            f"this process is share {shard} of a run, and --overwrite deletes all shares; delete the folder, then "
            "begin the shares"
        )
    if shard is not None:
        _take_own_gpu()
    return shard


def _take_own_gpu() -> None:
    """Let "cuda" mean a GPU that no other process on this machine has, where they all see all of them."""
    import torch

    rank, count = local_rank(), torch.cuda.device_count()
    if rank is not None and count > 1:
        torch.cuda.set_device(rank % count)


def _run_share(options: RunOptions, shard: Shard | None) -> int:
    folder = folder_of(options)
    on_ray = options.engine == "ray"
    this = prepared(_on_cpu(options) if on_ray else options, shard)
    with folder.writing(shard):
        if options.overwrite:
            folder.clear()
        folder.claim(this.settings())
        said = Said(this)
        try:
            with said.bar() as report:
                if on_ray:
                    _run_with_ray(options, this, report)
                else:
                    this.run(report)
        except KeyboardInterrupt:
            print(f"error: interrupted; {said.progress()}; the same command goes on there", file=sys.stderr)
            return 130
    said.end(options.profile)
    if shard is not None:
        join_if_last(folder)
    return 1 if said.counts[FAILED] else 0


def _on_cpu(options: RunOptions) -> RunOptions:
    return replace(options, device="cpu", use_cuda=False)


def _run_with_ray(options: RunOptions, run: DataSetRun, report: Report) -> None:
    """Have a cluster do the work; this process, which only keeps it, needs no GPU."""
    gpu = options.use_cuda or options.device.startswith("cuda")
    worker = run.on(explainer_of(replace(options, device="cuda", use_cuda=False) if gpu else options))
    run_on_ray(run, worker, report, gpu=gpu, address=options.ray_address)
