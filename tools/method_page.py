"""The pages of methods: one each, their index, and the gallery."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pytorch_grad_cam.methods import METHODS, Method
from tools.docstrings import Parts, parts_of

ROOT = Path(__file__).resolve().parents[1]
SCOREBOARD = ROOT / "docs" / "scoreboard.md"
SCENE = "../examples/images/scene_triangle_hourglass_square.png"
WRITTEN = "<!-- Written by tools/write_pages.py: change the docstring, the table METHODS or the scoreboard instead. -->"
SYMBOLS = """`A` are the activations of the target layer, `A_k(p)` channel `k` at position `p`; `G` is the gradient of
the score `s` in them; `S_k` is the sum of `A_k` over all positions; `x` is the input; `w_k` is a channel's weight; `U`
enlarges a map to the size of the input; `L` is the map."""
COST = """`F` and `B` are a forward and a backward pass of the whole network, `Ft` and `Bt` only of what follows the
target layer; `K` is the number of channels, `n` of positions, `N` of changed pictures."""
NEEDS = {
    "attention": """A vision transformer whose blocks attend over all tokens; [Networks](../networks.md) says which are
understood. The bundled network has no attention, so the picture of the scene shows its features with two such blocks
in the place of its head, trained on rendered scenes.""",
    "pooled head": """Global average pooling and one linear layer after the target layer. The bundled network has
another head, so the picture of the scene shows its features with such a head, fitted on rendered scenes.""",
}
PHOTOS = """**Pictures.** Scenes are drawn by the project itself, which knows every pixel of them, and judged by the
bundled network. It knows no photos: those are judged by a SqueezeNet 1.0 for ImageNet, which is [not part of the
project](../../benchmarks/real_data.md). The photos come with scikit-image and are free for everybody (CC0): the cup
is by Rachel Michetti, the cat by Stefan van der Walt.

![two photos side by side: a cup of espresso, the face of a cat](../images/photos/cup_and_cat.jpg)

`python -m tools.draw_gallery` and `python -m tools.draw_photos` draw the pictures anew."""
ANY_NETWORK = "Any network with a layer that has positions."


def gallery() -> str:
    """Return the gallery of all methods."""
    lines = [
        f"- [![{method.class_name}: the hourglass, the triangle](images/methods/{method.module}.jpg)"
        f"<br>**{method.class_name}**](methods/{method.module}.md)<br>{method.summary}"
        for method in METHODS.values()
    ]
    attention = [method for method in METHODS.values() if method.needs == "attention"]
    named = ", ".join(f"[{method.class_name}](methods/{method.module}.md)" for method in attention)
    return f"""# Gallery

Every method asked twice about this scene, by the bundled network: **left the hourglass, right the triangle**. Where
both are the same, the method knows no class. All have their defaults and the layer that is chosen automatically. The
pages of most methods show them on two photos, too.

![an hourglass at the left, a triangle at the right, a square above]({SCENE})

<div class="gallery" markdown="1">

{chr(10).join(lines)}

</div>

{named} need a transformer: they see the bundled network with two blocks of attention in the place of its head,
trained on such scenes. `python -m tools.draw_gallery` draws the pictures anew. What the methods are worth in numbers
says the [scoreboard](scoreboard.md), not the eye.

{WRITTEN}
"""


def index() -> str:
    """Return the index of all methods."""
    rows = [
        f"| [{method.class_name}]({method.module}.md) | `{method.name}` | {method.summary} | {method.passes} |"
        for method in METHODS.values()
    ]
    return f"""# Methods

{len(METHODS)} methods, each with its equation, cost, limits and measurements. [Which method?](../which_method.md)
chooses among them, the [gallery](../gallery.md) shows them.

| method | `--method` | highlights | passes |
| --- | --- | --- | --- |
{chr(10).join(rows)}

## Symbols

{SYMBOLS}

## Passes

Per image. {COST}

{PHOTOS}

{WRITTEN}
"""


def method_pages(with_photo: Sequence[Method]) -> Iterator[tuple[Method, str]]:
    """Yield every method with its page."""
    for method in METHODS.values():
        yield method, _page(method, parts_of(method.load()), method in with_photo)


def _page(method: Method, parts: Parts, has_photo: bool) -> str:
    name = method.class_name
    photo = f"""![{name} asked for the espresso and for the cat](../images/photos/{method.module}.jpg)

Two [photos](README.md) in one picture: above what speaks for "espresso", below for "Egyptian cat"."""
    no_photo = "No [photos](README.md) here: the network that judges them has no attention."
    if method.needs != "attention":
        no_photo = f"""No [photos](README.md) here; where the network that judges them is at hand,
`python -m tools.draw_photos {method.name}` draws the picture."""
    arguments = parts.sections.get("Args", "")
    raises = parts.sections.get("Raises", "")
    note = parts.sections.get("Note", "")
    aliases = ", ".join(f"`{alias}`" for alias in method.aliases)
    return f"""# {name}

{parts.summary}

![{name} asked for the hourglass and for the triangle](../images/methods/{method.module}.jpg)

The same scene twice: left what speaks for the hourglass, right for the triangle. [All methods](../gallery.md) on it.

{photo if has_photo else no_photo}

## How it works

{parts.equation}

The [symbols](README.md#symbols) are those of all pages.

## Use

```bash
python cam.py --image-path dog.jpg --method {method.name}
```

```python
from pytorch_grad_cam import {name}

maps = {name}({"vit" if method.needs == "attention" else "model"})(input_tensor)  # float32 (B, H, W) in [0, 1]
```

{f"Other spellings on the command line: {aliases}." if aliases else ""}

{"**Arguments** beside those of every method:" if arguments else "No arguments but those of every method."}

{arguments}

{"**Raises**" if raises else ""}

{raises}

[All arguments of a call](../python.md#arguments-of-a-call)

## Cost

`{method.passes}` per image ([what the letters mean](README.md#passes)).

## Needs and limits

{NEEDS[method.needs] if method.needs else ANY_NETWORK}

{note[:1].upper() + note[1:]}

## Measured

{_measured(method)}

## Source

{_linked(parts.sections["Source"])}

{WRITTEN}
"""


def _linked(source: str) -> str:
    """Return a source with links to where arXiv and DOI lead."""
    source = re.sub(r"\barXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
    return re.sub(r"\bdoi:(10\.[^\s,]*[^\s,.])", r"[doi:\1](https://doi.org/\1)", source)


def _measured(method: Method) -> str:
    """Return the method's rows of the scoreboard, a list for each of its tables."""
    found = []
    for heading, columns, rows in _tables():
        if method.name in rows:
            cells = [
                f"| {column} | {cell} |" for column, cell in zip(columns, rows[method.name], strict=True) if cell != "-"
            ]
            found.append(f"{heading}:\n\n| measure | {method.class_name} |\n| --- | --- |\n" + "\n".join(cells))
    if not found:
        return "Not on the [scoreboard](../scoreboard.md), whose networks it does not suit."
    what = "Means and 95 % intervals from the [scoreboard](../scoreboard.md), which has the other methods beside it; "
    return what + "↑ more is better, ↓ less.\n\n" + "\n\n".join(found)


@cache
def _tables() -> tuple[tuple[str, list[str], dict[str, list[str]]], ...]:
    """Return heading, columns and rows, by the name of the method, of each main table of the scoreboard."""
    found = []
    for section in SCOREBOARD.read_text(encoding="utf-8").split("\n## ")[1:]:
        main = section.partition("\n### ")[0]
        lines = re.findall(r"^\| (.+) \|$", main, re.MULTILINE)
        cells = [line.split(" | ") for line in lines]
        rows = {row[0].strip("`"): row[1:] for row in cells[2:]}
        if cells:
            found.append((section.partition("\n")[0], cells[0][1:], rows))
    return tuple(found)
