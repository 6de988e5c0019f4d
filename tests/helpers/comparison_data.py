"""The data of a comparison that nobody ran, in the form that `pytorch_grad_cam.evaluation.comparison` documents."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

METRICS = (("insertion", "faithfulness", True), ("deletion", "faithfulness", False), ("gridpg", "localisation", True))
REFERENCES = ("random", "uniform")


def comparison_data(pictures: int = 6, methods: int = 3, *, hostile: bool = False, size: int = 24) -> dict[str, Any]:
    """Return data with pictures and maps: of method 0 every value is best, of the last it is worst.

    Args:
        pictures: how many; the first judged by no metric, as a blank map is.
        methods: how many, beside two reference maps.
        hostile: names as somebody may choose them who wants their markup to run.
        size: side of a picture.
    """
    draw = np.random.default_rng(0)
    evil = '<script>document.title="owned"</script><img src=x onerror=\'document.title="owned"\'>' if hostile else ""
    names = [f"method{index}{evil if index == 0 else ''} layer{index}" for index in range(methods)]
    images = [
        {"id": f"photo{index:03d}{evil if index == 1 else ''}", "class": index, "label": f"thing{index}", "score": 0.5}
        for index in range(pictures)
    ]
    levels = dict(zip([*names, *REFERENCES], np.linspace(0.9, 0.1, methods + 2), strict=True))
    rows = [_row(name, level, pictures, draw) for name, level in levels.items()]
    return {
        "format": 1,
        "model": f"Net{evil}",
        "settings": {"seed": 0, "confidence": 0.95, "resamples": 2000, "batch_size": 16},
        "images": images,
        "metrics": [_metric(*metric, evil) for metric in METRICS],
        "rows": rows,
        "differences": [
            {
                "metric": "insertion",
                "first": name,
                "second": "random",
                "value": 0.2,
                "low": -0.1 if name == names[-1] else 0.1,
                "high": 0.3,
                "pictures": pictures - 1,
                "better": None if name == names[-1] else True,
            }
            for name in names
        ],
        "verdicts": [{"question": "Which methods beat the reference maps?", "answer": f"method0 does. {evil}"}],
        "times": {name: 2.0 * 3.0**index for index, name in enumerate(names)},
        "pictures": [_picture(image["id"], list(levels), size, draw) for image in images],
    }


def _metric(name: str, family: str, higher: bool, evil: str) -> dict[str, Any]:
    return {
        "name": name,
        "family": family,
        "higher_is_better": higher,
        "range": [0, 1],
        "summary": f"What {name} says. {evil}",
        "parameters": {"steps": 28, "fill": "blur"},
        "source": "somebody, 2020",
    }


def _row(name: str, level: float, pictures: int, draw: np.random.Generator) -> dict[str, Any]:
    scores = {}
    for metric, _, higher in METRICS:
        values = np.clip((level if higher else 1 - level) + draw.normal(0, 0.03, pictures), 0, 1).tolist()
        mean = float(np.mean(values[1:]))
        scores[metric] = {
            "value": mean,
            "low": mean - 0.02,
            "high": mean + 0.02,
            "judged": pictures - 1,
            "not_judged": 1,
            "reason": "blank",
            "values": [None, *values[1:]],
        }
    reference = name in REFERENCES
    return {
        "id": name,
        "method": name.split()[0],
        "layers": [] if reference else [name.split()[-1]],
        "kind": "reference" if reference else "method",
        "reason": None,
        "maps": pictures,
        "forward": 0.0 if reference else 1.0,
        "backward": 0.0 if reference else 1.0,
        "scores": scores,
    }


def _picture(name: str, rows: list[str], size: int, draw: np.random.Generator) -> dict[str, Any]:
    photo = Image.fromarray(draw.integers(0, 255, (size, size, 3), dtype=np.uint8))
    maps = {row: _url(Image.fromarray(draw.integers(0, 255, (7, 7), dtype=np.uint8)), "PNG") for row in rows[:-1]}
    return {"id": name, "image": _url(photo, "JPEG"), "maps": maps}


def _url(image: Image.Image, kind: str) -> str:
    memory = io.BytesIO()
    image.save(memory, kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(memory.getvalue()).decode()
