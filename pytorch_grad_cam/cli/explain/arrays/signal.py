"""The command ``signal``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytorch_grad_cam.cli.explain import report
from pytorch_grad_cam.cli.explain.arrays.common import (
    array_bytes,
    each_file,
    given_as,
    load_for_arrays,
    map_stem,
    network_input,
    range_of,
    say,
)
from pytorch_grad_cam.cli.explain.arrays.signal_options import SignalOptions
from pytorch_grad_cam.cli.explain.image_explainer import ImageExplainer
from pytorch_grad_cam.data.files import check_writable, write_bytes
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.signals import Signal, read_signal
from pytorch_grad_cam.visualization.colormaps import colormap_number
from pytorch_grad_cam.visualization.signals import show_cam_on_signal


def run(options: SignalOptions) -> int:
    """Explain every signal, write its curves and the map, and say what was found.

    Returns:
        0; 1 if one failed, which is said.

    Raises:
        Exception: with a message for people where nothing at all can be done, or a single signal failed.
    """
    check_writable(options.output_dir)
    signals = {path: read_signal(path, options.key, options.index) for path in options.image_path[:1]}
    loaded, device = load_for_arrays(options)
    explainer = ImageExplainer(loaded, options, device)

    def explain(path: str) -> Sequence[str]:
        signal = signals.pop(path, None) or read_signal(path, options.key, options.index)
        inputs = network_input(signal.values, 1, options.normalize, options, loaded).to(device)
        targets = explainer.targets(inputs)
        maps, failed = explainer.maps(inputs, targets)
        files: list[Path] = []
        for result in maps:
            if result.map is None:
                continue
            stem = Path(options.output_dir) / map_stem(path, result, len(targets) > 1, loaded)
            curves, numbers = stem.with_name(f"{stem.name}_curves.png"), stem.with_name(f"{stem.name}_map.npy")
            drawn = show_cam_on_signal(
                signal.values,
                result.map,
                names=options.names or signal.names,
                rate=options.rate or signal.rate,
                signed=result.signed,
                colormap=colormap_number(options.colormap),
            )
            write_image(curves, drawn)
            write_bytes(numbers, array_bytes(result.map))
            files += [curves, numbers]
        say("signal", f"{path}, {_described(signal)}", given_as(options.normalize, options), maps, explainer, files)
        return [*failed, *report.problems(maps, loaded)]

    return each_file(options, explain)


def _described(signal: Signal) -> str:
    """Write size and values of a signal for people."""
    channels, samples = signal.values.shape
    many = f"{channels} channels of " if channels > 1 else ""
    rate = "" if signal.rate is None else f", {signal.rate:g} per second"
    return f"{many}{samples} samples{rate}, {range_of(signal.values)}"
