"""What Spark is given: a predictor that is made in each worker, and rows as Spark takes them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import missing
from helpers.run_pictures import write_pictures

from pytorch_grad_cam.runs.load_explainer import load_explainer
from pytorch_grad_cam.runs.spark import SPARK_SCHEMA, batch_predictor


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    write_pictures(tmp_path / "photos", 4)
    (tmp_path / "photos/0002.png").write_bytes(b"no picture")
    return sorted((tmp_path / "photos").iterdir())


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "paths"])
def test_rows(as_bytes: bool, photos: list[Path]) -> None:
    column = np.array([each.read_bytes() if as_bytes else str(each) for each in photos], dtype=object)
    predict = pickle.loads(pickle.dumps(batch_predictor("shapes", "hirescam", classes=2)))()
    rows = predict(column)
    assert [list(row) for row in rows] == [[field.split()[0] for field in SPARK_SCHEMA.split(", ")]] * 4
    assert rows[2]["error"].startswith("the file" if as_bytes else str(photos[2])) or "picture" in rows[2]["error"]
    assert (rows[2]["class"], rows[2]["height"], rows[2]["map"].shape) == (-1, 0, (0,))
    explainer = load_explainer("shapes", "hirescam", classes=2)
    for place in (0, 1, 3):
        row, (expected,) = rows[place], explainer(str(photos[place])).maps
        assert expected.map is not None
        np.testing.assert_allclose(row["map"].reshape(row["height"], row["width"]), expected.map, atol=1e-5)
        assert (row["error"], row["class"], row["label"], row["notes"]) == ("", 2, expected.label, "")
        assert row["score"] == pytest.approx(expected.score, abs=1e-4)
        assert row["share"] == pytest.approx(expected.share, abs=1e-5)


def test_what_is_wrong_is_said_before_spark_begins() -> None:
    with pytest.raises(ValueError, match="grad"):
        batch_predictor("shapes", "gradcm")


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore")  # Spark's own
def test_spark_itself(photos: list[Path]) -> None:
    missing.package("pyspark")
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    spark: Any = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        explain = predict_batch_udf(
            batch_predictor("shapes"), return_type=StructType.fromDDL(SPARK_SCHEMA), batch_size=2
        )
        table = spark.read.format("binaryFile").load(str(photos[0].parent))
        found = {
            Path(row.path).name: row.found for row in table.select("path", explain("content").alias("found")).collect()
        }
    finally:
        spark.stop()
    explainer = load_explainer("shapes")
    for path in photos:
        row = found[path.name]
        if path.name == "0002.png":
            assert row.error
            continue
        (expected,) = explainer(str(path)).maps
        assert (row["class"], row.label, row.error) == (expected.category, expected.label, "")
        np.testing.assert_allclose(np.reshape(row.map, (row.height, row.width)), expected.map, atol=1e-5)
