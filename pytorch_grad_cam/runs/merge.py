"""Joining the shares of a run, which several processes or machines did."""

from __future__ import annotations

import heapq

from pytorch_grad_cam.runs.run_folder import INDEX, TIMES, RunFolder
from pytorch_grad_cam.runs.run_index import write_rows
from pytorch_grad_cam.runs.shards import Shard


def missing_shards(folder: RunFolder) -> list[Shard]:
    """Return the shares of a run that are not complete.

    Raises:
        ValueError: if there is no run, it was not shared out, or by different numbers of shares.
    """
    manifest, shards = folder.manifest(), folder.shards()
    if manifest is None or not shards:
        raise ValueError(f"{folder.path} has no shares of a run; give the folder that they were told with --output-dir")
    counts = sorted({shard.count for shard in shards})
    if len(counts) > 1:
        raise ValueError(
            f"{folder.path} has shares of {' and of '.join(map(str, counts))}: they are of different runs; delete the "
            f"folders of one kind in {folder.path / 'shards'}"
        )
    pictures, size = manifest["source"]["pictures"], manifest["batch_size"]
    every = [Shard(number, counts[0]) for number in range(1, counts[0] + 1)]
    begun = {shard: folder.index(shard).statuses() for shard in shards}
    return [
        shard
        for shard in every
        if any(shard.has(place // size) and place not in begun.get(shard, {}) for place in range(pictures))
    ]


def merge(folder: RunFolder) -> int:
    """Write the index of all shares, in the order of the pictures; return how many pictures it has.

    The caller holds the folder's lock. The shares stay, so that one may be done again and merged once more.

    Raises:
        ValueError: if a share is missing or not complete, which the message names.
    """
    missing = missing_shards(folder)
    if missing:
        listed = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        raise ValueError(f"{len(missing)} shares of {folder.path} are not complete yet: {listed}")
    shards = folder.shards()
    for name, indices in ((TIMES, map(folder.times, shards)), (INDEX, map(folder.index, shards))):
        rows = heapq.merge(*(index.rows() for index in indices), key=lambda row: row["position"])
        write_rows(folder.path / name, rows)
    return len(folder.index())
