"""How something that was drawn is shown: in a notebook, in a window, as a file."""

from __future__ import annotations

import base64
import html
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.data.images import encoded_image

Pixels = NDArray[np.uint8]
_SEEN = 320  # pixels up to which a small picture is enlarged, a whole number of times, where a notebook shows it


def png(pixels: Pixels) -> bytes:
    """Return a picture, RGB ``(H, W, 3)``, as the bytes of a PNG file."""
    return encoded_image("shown.png", pixels)


def card(pixels: Pixels, title: str, lines: Sequence[str] = ()) -> str:
    """Return a picture with a title and lines below it as HTML that needs nothing else; texts may hold anything."""
    height, width = pixels.shape[:2]
    times = max(1, _SEEN // max(height, width))
    kind = "png" if times > 1 else "jpeg"  # a small one is enlarged, which would show the blocks of a JPEG
    picture = base64.b64encode(encoded_image(f"shown.{kind}", pixels)).decode()
    text = "".join(f"<br><small>{html.escape(line)}</small>" for line in lines)
    return (
        f'<figure style="margin:0;display:inline-block"><img width="{width * times}" style="max-width:100%" '
        f'alt="{html.escape(title)}" src="data:image/{kind};base64,{picture}">'
        f"<figcaption><b>{html.escape(title)}</b>{text}</figcaption></figure>"
    )


def show(pixels: Pixels) -> None:
    """Show a picture: in the notebook that runs, or in a window of the system's viewer."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    notebook = sys.modules.get("IPython")
    if notebook is not None and notebook.get_ipython() is not None:
        notebook.display.display(picture)
    else:
        picture.show()
