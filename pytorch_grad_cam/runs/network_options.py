"""What a run must know to load its network. Importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and how it sees a picture; `cli.arguments` says what each means."""

    model: str
    weights: str | None
    categories: str | None
    prompt: list[str] | None
    trust_pickle: bool
    size: int | None
    squash: bool
    pad: bool
    max_pixels: int
    mean: list[float] | None
    std: list[float] | None
    device: str
    use_cuda: bool
    debug: bool
