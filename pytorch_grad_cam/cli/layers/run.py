"""The verb ``layers``: which layers of a network can be looked at."""

from __future__ import annotations

from dataclasses import replace

from pytorch_grad_cam.cli.explain.options import LayersOptions
from pytorch_grad_cam.cli.methods.run import table
from pytorch_grad_cam.cli.network import device_of, load, trial_input
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.layer_reports import LayerReport, report_layers
from pytorch_grad_cam.engine.layers import layer_name, resolve_layers
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.models.load import is_downloaded
from pytorch_grad_cam.models.weights_file import RANDOM


def layers(options: LayersOptions) -> int:
    """Print every layer: name, type, shape of the output for this input, and whether it can be a target layer."""
    picture = None if options.image_path is None else read_image(options.image_path)
    device = device_of(options)
    if options.weights is None and is_downloaded(options.model):
        options = replace(options, weights=RANDOM)  # shapes do not depend on them
    loaded = load(options, device)
    inputs = trial_input(loaded, device, picture)
    with undisturbed(loaded.model, device):
        reports = report_layers(loaded.model, lambda: loaded.model(inputs), inputs, loaded.reshape_transform)
        if loaded.target_layers is not None:
            chosen = {layer_name(loaded.model, each) for each in resolve_layers(loaded.model, loaded.target_layers)}
        else:
            try:
                chosen = {automatic_layer(loaded.model, lambda: loaded.model(inputs), inputs).name}
            except ValueError:  # then the list shows why
                chosen = set()
    height, width = inputs.shape[2:]
    print(f"{loaded.source}, for an input of {width} x {height}")
    rows = [("layer", "type", "output", "target layer?")]
    for report in reports:
        shape = "" if report.shape is None else " x ".join(map(str, report.shape))
        rows.append((report.name, report.kind, shape, _usable(report, report.name in chosen)))
    for line in table(rows):
        print(line)
    return 0


def _usable(report: LayerReport, is_chosen: bool) -> str:
    if report.problem and not is_chosen:
        return f"no: {report.problem}"
    words = ["yes", *(["the automatic choice"] if is_chosen else []), *([report.layout] if report.layout else [])]
    return ", ".join(words)
