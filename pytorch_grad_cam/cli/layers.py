"""The command ``layers``: which layers of a network can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_grad_cam.cli.arguments import CommandParser, add_network_arguments, add_page
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.output import aligned_columns
from pytorch_grad_cam.runs.network_options import NetworkOptions

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_grad_cam.engine.executed_layers import LayerReport
    from pytorch_grad_cam.models.loaded import LoadedModel


_EXAMPLES = ("--model resnet18", "dog.jpg --model mypackage.nets:build --size 96")


@dataclass(frozen=True)
class LayersOptions(NetworkOptions):
    """Which network's layers, for which picture."""

    image_path: str | None
    page: int


def parse(program: str, arguments: Sequence[str]) -> LayersOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["layers"].description)
    parser.add_argument("--image-path", metavar="PICTURE", help="the input (default: a gray picture of the usual size)")
    add_page(parser)
    add_network_arguments(parser)
    return LayersOptions(**vars(parser.parse_args(arguments)))


def run(options: LayersOptions) -> int:
    """Print every layer: name, type, shape of the output for this input, and whether it can be a target layer."""
    from pytorch_grad_cam.cli.network import advising, load_network
    from pytorch_grad_cam.data.images import read_image
    from pytorch_grad_cam.engine.executed_layers import report_layers
    from pytorch_grad_cam.engine.restore import giving_back, undisturbed
    from pytorch_grad_cam.models.load import is_downloaded
    from pytorch_grad_cam.models.weights_file import RANDOM
    from pytorch_grad_cam.runs.inputs import trial_input

    path = options.image_path
    image = None if path is None else read_image(path, max_pixels=options.max_pixels, page=options.page)
    if options.weights is None and is_downloaded(options.model):
        options = replace(options, weights=RANDOM)  # shapes do not depend on them
    loaded, device = load_network(options)
    inputs = trial_input(loaded, device, image)

    @giving_back
    def look() -> tuple[list[LayerReport], set[str]]:
        with undisturbed(loaded.model, device):
            reports = report_layers(loaded.model, lambda: loaded.run(inputs), inputs, loaded.reshape_transform)
            return reports, _default_layers(loaded, inputs)

    with advising(loaded, options, inputs):
        reports, default_layers = look()
    height, width = inputs.shape[2:]
    print(f"{loaded.source}, for an input of {width} x {height}")
    rows = [("layer", "type", "output", "target layer?")]
    for report in reports:
        shape = "" if report.shape is None else " x ".join(map(str, report.shape))
        rows.append((report.name, report.kind, shape, _can_be_target(report, report.name in default_layers)))
    print(aligned_columns(rows))
    return 0


def _default_layers(loaded: LoadedModel, inputs: Tensor) -> set[str]:
    """Return the names of the layers that are looked at where none is named; none if they cannot be found."""
    from pytorch_grad_cam.engine.auto_layer import automatic_layer
    from pytorch_grad_cam.engine.layers import layer_name, resolve_layers

    if loaded.target_layers is not None:
        return {layer_name(loaded.model, layer) for layer in resolve_layers(loaded.model, loaded.target_layers)}
    try:
        return {automatic_layer(loaded.model, lambda: loaded.run(inputs), inputs).name}
    except ValueError:  # then the list shows why
        return set()


def _can_be_target(report: LayerReport, is_default: bool) -> str:
    if report.problem and not is_default:
        return f"no: {report.problem}"
    return ", ".join(filter(None, ["yes", "the automatic choice" if is_default else "", report.layout]))
