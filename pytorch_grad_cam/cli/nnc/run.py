"""The command ``nnc``: what the XAI plug-ins of Neural Network Console do, for one picture or a dataset CSV."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from pytorch_grad_cam.cli.classes import class_label
from pytorch_grad_cam.cli.network import chosen_device, load_network, network_summary
from pytorch_grad_cam.cli.nnc.dataset import explain_dataset
from pytorch_grad_cam.common.messages import MeaninglessMapWarning
from pytorch_grad_cam.data.images import FORMATS, check_writable, encoded_image, read_image, write_bytes
from pytorch_grad_cam.nnc.network import SATURATED_ADVICE, console_network
from pytorch_grad_cam.nnc.options import NncOptions


def run(options: NncOptions) -> int:
    """Run one of the four plug-ins.

    Returns:
        0; 1 if a row failed; 130 if Ctrl-C ended the work on many.

    Raises:
        Exception: with a message for people where nothing can be done.
    """
    with warnings.catch_warnings():  # out here: filters are shared by all threads
        warnings.simplefilter("ignore", MeaninglessMapWarning)  # said from the notes
        return explain_dataset(options) if options.batch else _explain_picture(options)


def _explain_picture(options: NncOptions) -> int:
    output = Path(options.output)
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"{output.name} does not say which format to write; end it in {', '.join(FORMATS)}")
    check_writable(output.parent)
    assert options.image is not None
    image = read_image(options.image, max_pixels=options.max_pixels)  # before the network is loaded, which takes longer
    device = chosen_device(options)
    loaded = load_network(options, device)
    network = console_network(loaded, options, device, progress=sys.stderr.isatty())
    request = network.request(image, options.class_index)
    (drawn,) = network.explainer([request])
    write_bytes(output, encoded_image(output, drawn.draw()))
    print(f"picture:    {options.image}")
    print(f"model:      {network_summary(loaded, request.input_size)}")
    print(f"explained:  {class_label(options.class_index, loaded.categories)}, {options.score} {drawn.score:.6g}")
    print(f"written:    {output}")
    for note in drawn.notes:
        print(f"note: the map means nothing: {note}", file=sys.stderr)
    if network.is_saturated(drawn):
        print(f"warning: the probability is {drawn.score:.7g}: {SATURATED_ADVICE}", file=sys.stderr)
    return 0
