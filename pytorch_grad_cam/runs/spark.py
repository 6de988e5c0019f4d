"""Explanations of pictures in a table of Spark: what ``pyspark.ml.functions.predict_batch_udf`` is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytorch_grad_cam.runs.error_text import in_one_line
from pytorch_grad_cam.runs.explained_picture import ExplainedPicture
from pytorch_grad_cam.runs.explainer import Explainer
from pytorch_grad_cam.runs.load_explainer import load_explainer

# What a row of the new column holds, in Spark's own words; map is of what the network saw, row by row. Spark takes no
# nulls from a predictor: what is missing is "", -1, NaN or an empty map of height 0.
SPARK_SCHEMA = (
    "error string, class int, label string, share double, score double, "
    "height int, width int, map array<float>, notes string"
)
Predict = Callable[[NDArray[Any]], list[dict[str, Any]]]


def batch_predictor(*arguments: Any, **options: Any) -> Callable[[], Predict]:
    """Return what ``predict_batch_udf`` takes as ``make_predict_fn``: each worker of Spark loads the network once.

    The column holds pictures: paths, which every worker can read, or the bytes of files, as Spark's own source
    ``binaryFile`` has them in ``content``. The new column has the fields of `SPARK_SCHEMA`, of the first method and
    class; a picture that cannot be explained has ``error`` and nothing else (class -1, an empty map). Batches are cut
    by Spark, so numbers may differ from those of ``cam run`` in the last digits.

    Args:
        *arguments: as for `load_explainer`: the network's name, methods. They are sent to the workers.
        **options: likewise.

    Raises:
        ValueError: for options that cannot be; in a worker, for what the network does not have.
    """
    load_explainer(*arguments, **options)  # says here, and not in a worker, what is wrong; no network is loaded
    return partial(_predictor, arguments, options)


def _predictor(arguments: tuple[Any, ...], options: dict[str, Any]) -> Predict:
    return partial(_predict, load_explainer(*arguments, **options))


def _predict(explainer: Explainer, pictures: NDArray[Any]) -> list[dict[str, Any]]:
    """Explain a batch at once; if that fails, picture by picture."""
    listed = [bytes(each) if isinstance(each, (bytes, bytearray, memoryview)) else each for each in pictures.tolist()]
    try:
        return [_record(each) for each in explainer(listed)]
    except Exception:  # one of them; which one, and why, the next line finds out
        return [_alone(explainer, each) for each in listed]


def _alone(explainer: Explainer, picture: Any) -> dict[str, Any]:
    try:
        return _record(explainer([picture])[0])
    except Exception as error:  # a damaged file may raise anything
        return _fields(error=in_one_line(error))


def _record(found: ExplainedPicture) -> dict[str, Any]:
    first = found.maps[0]
    return _fields(first.category, first.label, first.share, first.score, first.map, "; ".join(first.notes))


def _fields(
    category: int | None = None,
    label: str = "",
    share: float | None = None,
    score: float | None = None,
    map: NDArray[np.float32] | None = None,
    notes: str = "",
    error: str = "",
) -> dict[str, Any]:
    values = np.empty((0, 0), np.float32) if map is None else map
    return {
        "error": error,
        "class": -1 if category is None else category,
        "label": label,
        "share": math.nan if share is None else share,
        "score": math.nan if score is None else score,
        "height": values.shape[0],
        "width": values.shape[1],
        "map": values.ravel(),
        "notes": notes,
    }
