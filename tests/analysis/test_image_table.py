import math
from pathlib import Path

import pytest

from voxloom.analysis.image_table import image_tables
from voxloom.analysis.records import EvaluationRecord
from voxloom.analysis.results import Result


def result(values: dict[str, dict[str, float]]) -> Result:
    return Result("model", None, EvaluationRecord(Path("e"), {}, values, ()))


def test_every_image_and_metric_that_there_is() -> None:
    (table,) = image_tables(
        [result({"a<b": {"psnr": 20.0, "mae": math.nan}, "c": {"psnr": math.inf}}), Result("none")]
    )
    assert "every image, 2" in table
    assert "a&lt;b" in table
    assert [label in table for label in ("PSNR", "MAE", "SSIM")] == [True, True, False]
    assert "<td>inf</td><td>-</td>" in table
    assert "<details open" not in table


def test_of_very_many_the_worst_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxloom.analysis.image_table.MOST_ROWS", 2)
    values = {str(i): {"psnr": value} for i, value in enumerate((3.0, math.nan, 1.0, 2.0))}
    (table,) = image_tables([result(values)])
    assert "the 2 images of 4 with the lowest PSNR" in table
    assert table.count("<tr>") == 1 + 2
    assert table.index("<td>2</td>") < table.index("<td>3</td>")


def test_a_thousand_images_stay_small() -> None:
    metrics = ("psnr", "ssim", "mae", "psnr_masked", "ssim_masked", "mae_masked", "dice", "iou")
    values = {f"patient{i:04d}_slice012": dict.fromkeys(metrics, i / 7) for i in range(1000)}
    (table,) = image_tables([result(values)])
    assert len(table) < 250_000
