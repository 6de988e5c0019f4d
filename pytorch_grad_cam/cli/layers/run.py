"""The command ``layers``: which layers of a network can be looked at."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from pytorch_grad_cam.cli.layers.options import LayersOptions
from pytorch_grad_cam.cli.network import chosen_device, load_network
from pytorch_grad_cam.cli.text_table import aligned_columns
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.engine.auto_layer import automatic_layer
from pytorch_grad_cam.engine.executed_layers import LayerReport, report_layers
from pytorch_grad_cam.engine.layers import layer_name, resolve_layers
from pytorch_grad_cam.engine.restore import undisturbed
from pytorch_grad_cam.models.load import is_downloaded
from pytorch_grad_cam.models.loaded import LoadedModel
from pytorch_grad_cam.models.weights_file import RANDOM
from pytorch_grad_cam.runs.inputs import trial_input


def run(options: LayersOptions) -> int:
    """Print every layer: name, type, shape of the output for this input, and whether it can be a target layer."""
    image = None if options.image_path is None else read_image(options.image_path, max_pixels=options.max_pixels)
    device = chosen_device(options)
    if options.weights is None and is_downloaded(options.model):
        options = replace(options, weights=RANDOM)  # shapes do not depend on them
    loaded = load_network(options, device)
    inputs = trial_input(loaded, device, image)
    with undisturbed(loaded.model, device):
        reports = report_layers(loaded.model, lambda: loaded.model(inputs), inputs, loaded.reshape_transform)
        default_layers = _default_layers(loaded, inputs)
    height, width = inputs.shape[2:]
    print(f"{loaded.source}, for an input of {width} x {height}")
    rows = [("layer", "type", "output", "target layer?")]
    for report in reports:
        shape = "" if report.shape is None else " x ".join(map(str, report.shape))
        rows.append((report.name, report.kind, shape, _can_be_target(report, report.name in default_layers)))
    for line in aligned_columns(rows):
        print(line)
    return 0


def _default_layers(loaded: LoadedModel, inputs: Tensor) -> set[str]:
    """Return the names of the layers that are looked at where none is named; none if they cannot be found."""
    if loaded.target_layers is not None:
        return {layer_name(loaded.model, layer) for layer in resolve_layers(loaded.model, loaded.target_layers)}
    try:
        return {automatic_layer(loaded.model, lambda: loaded.model(inputs), inputs).name}
    except ValueError:  # then the list shows why
        return set()


def _can_be_target(report: LayerReport, is_default: bool) -> str:
    if report.problem and not is_default:
        return f"no: {report.problem}"
    words = ["yes", *(["the automatic choice"] if is_default else []), *([report.layout] if report.layout else [])]
    return ", ".join(words)
