"""A picture in a notebook of which one class after the other can be explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytorch_grad_cam.common.extras import need
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture
from pytorch_grad_cam.runs.ready_network import ReadyNetwork
from pytorch_grad_cam.targets.class_choices import class_label
from pytorch_grad_cam.visualization.widget import MapView

_AS_ASKED = "as asked"  # what the explainer explains without a class of the picture's own


def class_widget(
    explain: Callable[[int | None], ExplainedPicture],
    offered: Callable[[ExplainedPicture], Sequence[int]],
    options: Mapping[str, Any],
) -> Any:
    """Return a picture with its controls as a widget of ipywidgets.

    Args:
        explain: returns what is found out about the picture when a class is asked for; None: what is explained first.
        offered: returns the classes that can be asked for, by what was found out first.
        options: of the drawing, as for `ExplainedPicture.map_panels`.

    Raises:
        ImportError: without ipywidgets.
    """
    widgets = need("ipywidgets")
    found = explain(None)
    view = MapView(found.map_panels(**options))
    classes = offered(found)
    if not classes:
        return view.box()
    names = [class_label(index, found.categories) for index in classes]
    chosen = widgets.Dropdown(description="class", options=[_AS_ASKED, *names])

    def explain_it(change: Mapping[str, Any]) -> None:
        place = change["new"]
        try:
            view.show(explain(classes[place - 1] if place else None).map_panels(**options))
        except Exception as error:  # of a callback it goes into a log that few read; the old map must not stay, either
            view.say(f"{type(error).__name__}: {error}")
            raise

    chosen.observe(explain_it, "index")
    return view.box(chosen)


def offered_classes(ready: ReadyNetwork, found: ExplainedPicture) -> list[int]:
    """Return the classes that a picture can be asked for: first what is seen in it, then those of a classifier."""
    seen = [index for index, _ in found.predicted]
    if ready.loaded.task == "classification":
        if ready.kind is None:
            return []
        seen += range(max(2, ready.kind.count))
    return list(dict.fromkeys(seen))
