"""The folder of a run that nobody ran: as many rows as wanted, with small pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pytorch_grad_cam.data.images import encoded_image
from pytorch_grad_cam.runs.run_index import json_line

METHODS = ("gradcam", "hirescam")
CLASSES = 40
HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script><img src=x onerror=\"document.title='owned'\">",
    "a\"b'c`d${document.title='owned'}",
    "two\nlines\r\tand more",
    "long" * 75,
    "שלום \u202etxt.exe",
    "lone \udc80\ud800 surrogates",
    "line\u2028paragraph\u2029",
    "@@DATA@@ &lt; \\u003c \\' \\",
    "__proto__",
)


def generated_run(folder: Path, rows: int = 60, *, to_come: int = 0, files: bool = True, hostile: bool = False) -> Path:
    """Write a run with two methods and 40 classes.

    Every 7th picture is seen as the next class, every 11th has a note and no map, every 23rd failed, every 29th was
    not asked for. Picture i has the confidence ``(i * 37 % 1000) / 1000``, and half of that as energy with gradcam.

    Args:
        folder: of the run.
        rows: how many pictures.
        to_come: pictures of the source that have no row yet.
        files: whether the pictures lie there; else the index only names them.
        hostile: ids, classes, notes and all other texts as somebody may choose them who wants to break the page.
    """
    folder.mkdir(parents=True)
    source = HOSTILE[0] if hostile else "photos"
    manifest = {
        "format": 1,
        "model": HOSTILE[1] if hostile else "tiny net",
        "methods": list(METHODS),
        "save": {"kinds": ["overlay", "npy"], "colormap": "jet"},
        "batch_size": 16,
        "source": {"description": source, "pictures": rows + to_come, "digest": "0"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    listed = [_row(place, hostile) for place in range(rows)]
    (folder / "index.jsonl").write_bytes(b"".join(map(json_line, listed)))
    times = ({"position": row["position"], "status": row["status"], "ms": row["position"] % 50 + 0.5} for row in listed)
    (folder / "times.jsonl").write_bytes(b"".join(map(json_line, times)))
    if files:
        _write_pictures(folder, listed)
    return folder


def _class(index: int, hostile: bool) -> dict[str, Any]:
    return {"index": index, "name": f"{HOSTILE[index % len(HOSTILE)]} {index}" if hostile else f"class {index}"}


def _row(place: int, hostile: bool) -> dict[str, Any]:
    id = f"{HOSTILE[place % len(HOSTILE)]}#{place}" if hostile else f"photo{place:05d}"
    stem = f"p{place:05d}-0a" if hostile else id
    label = _class(place % CLASSES, hostile)
    row = {"position": place, "id": id, "origin": f"/photos/{id}.jpg", "label": label["name"]}
    if place % 23 == 22:
        return row | {"status": "failed", "error": HOSTILE[place % 10] if hostile else "is not a picture"}
    seen = _class((place + (place % 7 == 6)) % CLASSES, hostile)
    share = place * 37 % 1000 / 1000
    row |= {"right": seen == label, "predicted": [seen | {"share": share}, label | {"share": round(1 - share, 3)}]}
    if place % 29 == 28:
        return row | {"status": "skipped"}
    note = (HOSTILE[place % 10] if hostile else "the gradient is zero") if place % 11 == 10 else None
    maps = [
        {
            "method": method,
            "class": seen,
            "label": f"{seen['index']} {seen['name']}",
            "score": round(20 * share, 6),
            "share": share,
            "energy": None if note else round(share / (2 + number), 6),
            "layers": ["layer4"],
            "notes": [note] if note else [],
            "files": {}
            if note
            else {
                "heat": f"thumbs/{stem}.{method}.heat.jpg",
                "overlay": f"overlays/{stem}.{method}.jpg",
                "npy": f"maps/{stem}.{method}.npy",
            },
        }
        for number, method in enumerate(METHODS)
    ]
    return row | {"status": "done", "height": 120, "width": 160, "maps": maps, "thumb": f"thumbs/{stem}.jpg"}


def _write_pictures(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write a few pictures, to which all names are links."""
    for name in ("thumbs", "overlays"):
        (folder / name).mkdir()
    across, down = np.meshgrid(np.linspace(0, 255, 160), np.linspace(0, 255, 120))
    kinds = {"thumb": (across, down, across), "heat": (255 - across, down * 0, across), "overlay": (down, across, down)}
    made = {}
    for kind, planes in kinds.items():
        made[kind] = folder / f".{kind}.jpg"
        made[kind].write_bytes(encoded_image("a.jpg", np.stack(planes, 2).astype(np.uint8)))
    for row in rows:
        wanted = {row["thumb"]: "thumb"} if "thumb" in row else {}
        for each in row.get("maps", ()):
            wanted |= {path: kind for kind, path in each["files"].items() if kind in made}
        for path, kind in wanted.items():
            os.symlink(made[kind].resolve(), folder / path)
