"""The command ``layers``: which layers of a network can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_grad_cam.cli.arguments import TASKS, CommandParser, add_network_arguments, add_page, positive_number
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.output import aligned_columns
from pytorch_grad_cam.runs.network_options import NetworkOptions

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_grad_cam.engine.executed_layers import LayerReport
    from pytorch_grad_cam.models.loaded import LoadedModel


_EXAMPLES = ("--model resnet18", "dog.jpg --model mypackage.nets:build --size 96")


@dataclass(frozen=True)
class LayersOptions(NetworkOptions):
    """Which network's layers, for which picture."""

    image_path: str | None
    page: int
    input_shape: list[int] | None
    task: str | None


def parse(program: str, arguments: Sequence[str]) -> LayersOptions:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["layers"].description)
    parser.add_argument("--image-path", metavar="PICTURE", help="the input (default: a gray picture of the usual size)")
    add_page(parser)
    what = (
        "of one input, channels first: 1 64 64 64 for a volume, 1 150 for a signal (default: as its first convolution)"
    )
    parser.add_argument("--input-shape", nargs="+", type=positive_number(), metavar="N", help=what)
    what = "as where pictures are explained, so that its options can be repeated; the layers are the same"
    parser.add_argument("--task", choices=TASKS, help=what)
    add_network_arguments(parser)
    options = LayersOptions(**vars(parser.parse_args(arguments)))
    if options.image_path and options.input_shape:
        parser.error("--input-shape takes the place of --image-path; give one of the two")
    return options


def run(options: LayersOptions) -> int:
    """Print every layer: name, type, shape of the output for this input, and whether it can be a target layer."""
    from pytorch_grad_cam.cli.network import advising, load_network
    from pytorch_grad_cam.data.images import read_image
    from pytorch_grad_cam.engine.executed_layers import report_layers
    from pytorch_grad_cam.engine.restore import giving_back, undisturbed
    from pytorch_grad_cam.models.load import is_downloaded
    from pytorch_grad_cam.models.weights_file import RANDOM
    from pytorch_grad_cam.runs.error_text import in_one_line

    path = options.image_path
    image = None if path is None else read_image(path, max_pixels=options.max_pixels, page=options.page)
    if options.weights is None and is_downloaded(options.model):
        options = replace(options, weights=RANDOM)  # shapes do not depend on them
    loaded, device = load_network(options)
    inputs = _inputs(options, loaded, device, image)

    @giving_back
    def look() -> tuple[list[LayerReport], set[str]]:
        with undisturbed(loaded.model, device):
            reports = report_layers(loaded.model, lambda: loaded.run(inputs), inputs, loaded.reshape_transform)
            return reports, _default_layers(loaded, inputs)

    try:
        if image is None:
            reports, default_layers = look()
        else:
            with advising(loaded, options, inputs):
                reports, default_layers = look()
    except (RuntimeError, AssertionError) as error:
        if image is not None:
            raise
        raise ValueError(
            f"the network does not run on an input of {_size(inputs)} ({in_one_line(error)}); say what it takes with "
            "--input-shape, without the batch, e.g. --input-shape 1 64 64 64, or give a --image-path"
        ) from error
    print(f"{loaded.source}, for an input of {_size(inputs)}")
    rows = [("layer", "type", "output", "target layer?")]
    for report in reports:
        shape = "" if report.shape is None else " x ".join(map(str, report.shape))
        rows.append((report.name, report.kind, shape, _can_be_target(report, report.name in default_layers)))
    print(aligned_columns(rows))
    return 0


def _inputs(
    options: LayersOptions, loaded: LoadedModel, device: torch.device, image: NDArray[np.uint8] | None
) -> Tensor:
    """Return what the network is tried with: a picture or, where it takes none, noise of the form that it takes."""
    from pytorch_grad_cam.runs.inputs import takes_pictures, trial_input, trial_of_shape

    if options.input_shape is None and (image is not None or takes_pictures(loaded)):
        return trial_input(loaded, device, image)
    return trial_of_shape(loaded, device, options.input_shape)


def _size(inputs: Tensor) -> str:
    """Write the size of an input for people: width x height of a picture, channels and all axes of anything else."""
    if inputs.ndim == 4 and inputs.shape[1] in (1, 3):
        return f"{inputs.shape[3]} x {inputs.shape[2]}"
    return " x ".join(map(str, inputs.shape[1:])) + ", channels first"


def _default_layers(loaded: LoadedModel, inputs: Tensor) -> set[str]:
    """Return the names of the layers that are looked at where none is named; none if they cannot be found."""
    from pytorch_grad_cam.engine.auto_layer import automatic_layers
    from pytorch_grad_cam.engine.layers import layer_name, resolve_layers

    if loaded.target_layers is not None:
        return {layer_name(loaded.model, layer) for layer in resolve_layers(loaded.model, loaded.target_layers)}
    try:
        return {layer.name for layer in automatic_layers(loaded.model, lambda: loaded.run(inputs), inputs)}
    except ValueError:  # then the list shows why
        return set()


def _can_be_target(report: LayerReport, is_default: bool) -> str:
    if report.problem and not is_default:
        return f"no: {report.problem}"
    return ", ".join(filter(None, ["yes", "the automatic choice" if is_default else "", report.layout]))
