import csv
import json
import math
from pathlib import Path

import pytest

from voxloom.analysis import METRICS, Bootstrap, Evaluation, Failure, MaskRule, Row, check_output
from voxloom.errors import ConfigError, OutputExistsError


@pytest.fixture
def found(tmp_path: Path) -> Evaluation:
    def row(method: str, name: str, value: float) -> Row:
        return Row(method, name, {**dict.fromkeys(METRICS, value), "psnr_masked": math.nan})

    for role in ("prediction", "target"):
        (tmp_path / "data" / role).mkdir(parents=True)
    return Evaluation(
        folders={role: str(tmp_path / "data" / role) for role in ("target", "prediction", "copy")},
        data_range=255.0,
        data_range_origin="given",
        mask=MaskRule(),
        rows=(
            row("prediction", "p1_a", 1.0),
            row("prediction", 'p2_b, "c"', math.inf),
            row("prediction", "p2_c", 3.0),
            row("copy", "p1_a", 0.5),
        ),
        failures=(Failure("prediction", "p3_d", "truncated"),),
        unmatched={"only in target": ("e",), "only in prediction": ()},
    )


def test_the_summary_says_everything(found: Evaluation) -> None:
    summary = found.summary(Bootstrap(seed=7))
    assert summary["kind"] == "voxloom-evaluation"
    assert summary["measured"] == {"prediction": 3, "copy": 1}
    assert summary["methods"]["prediction"]["psnr"]["mean"] == 2
    assert summary["methods"]["prediction"]["psnr"]["infinite"] == 1
    assert summary["methods"]["prediction"]["psnr_masked"]["count"] == 0
    assert summary["failed"] == 1
    assert summary["failures"] == [{"method": "prediction", "name": "p3_d", "reason": "truncated"}]
    assert summary["unmatched"]["only in target"] == ["e"]
    assert summary["mask"] == "|value| > 2.55 (1 % of the data range)"
    assert summary["bootstrap"]["seed"] == 7


def test_files(found: Evaluation, tmp_path: Path) -> None:
    summary = found.save(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert (
        written["methods"]["prediction"]["psnr"]["mean"] == summary["methods"]["prediction"]["psnr"]["mean"]
    )
    assert written["methods"]["prediction"]["psnr_masked"]["mean"] is None
    with (tmp_path / "out" / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["p1_a", 'p2_b, "c"', "p2_c", "p1_a", "p3_d"]
    assert list(rows[0]) == ["method", "name", *METRICS, "failure"]
    assert [float(row["psnr"]) for row in rows[:4]] == [1, math.inf, 3, 0.5]
    assert rows[-1]["failure"] == "truncated"


def test_all_infinite_is_written_as_text(tmp_path: Path) -> None:
    row = Row("prediction", "a", dict.fromkeys(METRICS, math.inf))
    found = Evaluation({"prediction": "p", "target": "t"}, 1.0, "given", MaskRule(), (row,), (), {})
    found.save(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "summary.json").read_text(), parse_constant=pytest.fail)
    assert written["methods"]["prediction"]["psnr"]["mean"] == "inf"


def test_an_output_that_exists_is_refused(found: Evaluation, tmp_path: Path) -> None:
    found.save(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        found.save(tmp_path / "out")
    found.save(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_an_empty_output_folder_is_taken(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    found.save(tmp_path / "out")


@pytest.mark.parametrize(
    "place", ["data/target", "data/target/evaluation", "data/prediction/../target/deep/er"]
)
def test_nothing_is_written_into_the_data(found: Evaluation, tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputExistsError, match="lies in the data folder"):
        found.save(tmp_path / place, overwrite=True)
    assert not any((tmp_path / "data" / "target").iterdir())


def test_a_link_into_the_data_is_seen_through(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data" / "target")
    with pytest.raises(OutputExistsError, match="lies in the data folder"):
        check_output(tmp_path / "link" / "out", found.folders.values(), overwrite=True)


def test_nothing_is_written_for_groups_that_do_not_match(found: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="patient"):
        found.save(tmp_path / "out", bootstrap=Bootstrap(group="patient"))
    assert not (tmp_path / "out").exists()
