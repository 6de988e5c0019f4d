"""Shares of a run, joined to one index."""

from __future__ import annotations

from pytorch_grad_cam.runs.merge import merge, missing_shards
from pytorch_grad_cam.runs.run_folder import INDEX, RunFolder


def join(folder: RunFolder) -> int:
    """Join the shares, and say so; return the exit code.

    Raises:
        Exception: with a message for people if that cannot be done.
    """
    if folder.manifest() is None:
        raise FileNotFoundError(f"{folder.path} is no run: it has no manifest.json")
    with folder.writing(None):
        count = merge(folder)
    print(f"written:    {folder.path / INDEX}, {count} pictures")
    return 0


def join_if_last(folder: RunFolder) -> None:
    """Join the shares if none is missing any more; several processes may end at once, of which one does it."""
    missing = missing_shards(folder)
    if missing:
        print(f"shares:     {len(missing)} of {missing[0].count} are not complete yet; then --merge {folder.path}")
        return
    try:
        join(folder)
    except RuntimeError:  # another one is at it, or will be when it ends
        print("shares:     all are complete; another process is joining them")
