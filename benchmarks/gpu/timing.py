"""Seconds, memory, launches and waiting of what runs on a device; on a CPU the seconds alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

Work = Callable[[], object]


def seconds(work: Work, device: torch.device) -> float:
    """How long one call takes, on a GPU between two events and with all that it has left to do there."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1000


@dataclass(frozen=True)
class Times:
    """Medians of a work between two plain ones: its seconds, theirs, and the ratio."""

    work: float
    plain: float
    ratio: float


def beside(plain: Work, work: Work, device: torch.device, rounds: int) -> Times:
    """Run a work between two plain ones, several times, so that a drift of the speed hits both; once before that."""
    plain(), work()
    found = [[seconds(one, device) for one in (plain, work, plain)] for _ in range(rounds)]
    return Times(
        statistics.median(middle for _, middle, _ in found),
        statistics.median((before + after) / 2 for before, _, after in found),
        statistics.median(2 * middle / (before + after) for before, middle, after in found),
    )


def peak_memory(work: Work, device: torch.device) -> int | None:
    """Bytes that a call has on the device at once beyond what is there before it; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def launches_and_waits(work: Work, device: torch.device) -> tuple[int | None, int | None]:
    """How many kernels a call launches, and how often the host waits for the device in it; None where nobody counts."""
    if device.type != "cuda":
        return None, None
    work()
    torch.cuda.synchronize(device)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        work()
    names = [event.name for event in profiler.events() or ()]
    launches = sum("LaunchKernel" in name for name in names)
    if not launches:  # no right to the counters, as in many containers
        return None, None
    return launches, sum(name == "cudaStreamSynchronize" for name in names)
