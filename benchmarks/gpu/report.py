"""What was found, as one Markdown file for people and one JSON file with all numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.cost import machine
from benchmarks.gpu.aims import judged
from benchmarks.gpu.bench import Bench, Result, Row
from pytorch_grad_cam import __version__

NOT = {None: "not measured", True: "met", False: "**not met**"}


def facts(bench: Bench) -> dict[str, Any]:
    """Return what the numbers depend on."""
    found: dict[str, Any] = {
        "machine": machine(torch.get_num_threads()),
        "pytorch_grad_cam": __version__,
        "torch": torch.__version__,
        "device": str(bench.device),
        "smoke": bench.smoke,
    }
    if bench.on_gpu:
        properties = torch.cuda.get_device_properties(bench.device)
        found |= {
            "name": properties.name,
            "memory GB": round(properties.total_memory / 1e9, 1),
            "capability": f"{properties.major}.{properties.minor}",
            "CUDA": torch.version.cuda,
            "cuDNN": torch.backends.cudnn.version(),
            "TF32 of matrices and convolutions, where nothing else is said": [
                torch.backends.cuda.matmul.allow_tf32,
                torch.backends.cudnn.allow_tf32,
            ],
        }
    return found


def written(value: Any) -> str:
    """Write a number for people: three digits, or as many as it has before the point."""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "-" if value is None else str(value)


def table(rows: Sequence[Row]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return [*lines, *(f"| {' | '.join(written(row.get(column)) for column in columns)} |" for row in rows)]


def section(name: str, result: Result) -> list[str]:
    """Return the lines of one part."""
    lines = [f"## {name}. {result.title}", ""]
    if result.skipped:
        return [*lines, f"Skipped: {result.skipped}.", ""]
    if result.rows:
        lines += [*table(result.rows), ""]
    lines += [line for note in result.notes for line in (note, "")]
    if result.left_out:
        lines += [f"No time was left for: {', '.join(result.left_out)}.", ""]
    lines += [line for label, why in result.failed.items() for line in (f"Failed: {label}: {why}", "")]
    return [*lines, f"{result.seconds:g} s.", ""]


def markdown(bench: Bench, results: Mapping[str, Result]) -> str:
    """Return the page."""
    about = facts(bench)
    lines = ["# On a GPU", ""]
    if bench.smoke:
        lines += ["**A try with tiny networks: its numbers mean nothing.**", ""]
    lines += ["Written by `python -m benchmarks.gpu`; all numbers are in `gpu.json` beside this file.", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    lines += ["", "## Aims, on an H200", ""]
    aims = [{**aim, "met": NOT[aim["met"]]} for aim in judged(results, bench)]
    lines += [*table(aims), ""]
    for name, result in results.items():
        lines += section(name, result)
    return "\n".join(lines)


def write(folder: Path, bench: Bench, results: Mapping[str, Result]) -> None:
    """Write ``gpu.md`` and ``gpu.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.md").write_text(markdown(bench, results), encoding="utf-8")
    content = {
        "about": facts(bench),
        "aims": judged(results, bench),
        "parts": {name: asdict(result) for name, result in results.items()},
    }
    (folder / "gpu.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
