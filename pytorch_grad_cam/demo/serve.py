"""Serve the page of the demo: nothing is fetched, no file of the machine can be read, nothing stays behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.data.scenes import TEST_SEEDS, render_scene
from pytorch_grad_cam.demo.answers import Answers

_SCENES = (("star", "ring"), ("heart", "arrow", "circle"), ("crescent", "cross"), ("triangle", "hourglass", "square"))
_SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Limits:
    """What the server takes.

    Attributes:
        queue: questions that may wait; who comes later is told so.
        upload: bytes of a file.
    """

    queue: int = 20
    upload: int = 20 * 2**20


@contextmanager
def serving(
    answers: Answers,
    examples: Sequence[NDArray[np.uint8]] = (),
    limits: Limits | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> Iterator[str]:
    """Serve the page as long as the block runs; afterwards the server is gone, and all pictures with it.

    Args:
        answers: what is shown.
        examples: pictures that can be taken with a click.
        limits: what the server takes.
        host: address to listen on; "0.0.0.0" for everybody.
        port: None: a free one from 7860 on.

    Yields:
        The address of the page.

    Raises:
        ImportError: if Gradio is missing.
        OSError: if the port cannot be had.
    """
    limits = limits or Limits()
    with TemporaryDirectory(prefix="cam-demo-") as folder, _settings({**_SETTINGS, "GRADIO_TEMP_DIR": folder}):
        need("gradio")  # by its settings above
        logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks its own server whether it is there
        from pytorch_grad_cam.demo.page import STYLE, Page

        paths = [Path(folder, "examples", f"example{number}.png") for number in range(1, len(examples) + 1)]
        for path, image in zip(paths, examples, strict=True):
            write_image(path, image)
        blocks = Page(answers, paths).blocks
        blocks.queue(max_size=limits.queue, default_concurrency_limit=len(answers.desks), api_open=False)
        try:
            blocks.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                css=STYLE,
                allowed_paths=[],
                max_file_size=limits.upload,
                footer_links=[],
                run_history=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                enable_monitoring=False,
                show_error=False,
            )
            yield str(blocks.local_url)
        finally:
            blocks.close(verbose=False)


def scenes() -> list[NDArray[np.uint8]]:
    """Render the examples for the bundled network, which never saw them."""
    return [render_scene(seed, shapes).image for seed, shapes in zip(TEST_SEEDS, _SCENES, strict=False)]


@contextmanager
def _settings(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, by which Gradio is told what it may do, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
