import json
from pathlib import Path

import numpy as np
import pytest

from voxloom.analysis.records import RunRecord
from voxloom.analysis.results import folder_names, read_results
from voxloom.errors import MissingDataError
from voxloom.sources.write import write_image


def predictions(folder: Path, **facts: object) -> Path:
    write_image(folder / "prediction" / "a.tif", np.zeros((4, 4)))
    (folder / "predict.json").write_text(json.dumps(facts))
    return folder


def evaluation(folder: Path, measured: Path | None = None) -> Path:
    folder.mkdir(parents=True)
    folders = {"prediction": str(measured / "prediction")} if measured else {}
    (folder / "summary.json").write_text(json.dumps({"folders": folders, "label": folder.name}))
    return folder


def run(folder: Path) -> RunRecord:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    return RunRecord.read(folder)


def paired(results: list) -> list[tuple[str, str | None]]:
    return [(r.name, r.evaluation.folder.name if r.evaluation else None) for r in results]


def test_predictions_are_named_for_the_run_that_made_them(tmp_path: Path) -> None:
    runs = [run(tmp_path / name) for name in ("vae", "flow", "gan")]
    made = predictions(tmp_path / "out", checkpoint=str(tmp_path / "flow" / "checkpoints" / "best.pt"))
    other = predictions(tmp_path / "elsewhere", checkpoint="/gone/best.pt")
    assert paired(read_results([made, other], (), runs=runs)) == [("flow", None), ("elsewhere", None)]


def test_as_many_as_runs_are_taken_in_order(tmp_path: Path) -> None:
    runs = [run(tmp_path / name) for name in ("flow", "gan")]
    made = [predictions(tmp_path / name) for name in ("out1", "out2")]
    judged = [evaluation(tmp_path / name) for name in ("e1", "e2")]
    assert paired(read_results(made, judged, runs=runs)) == [("flow", "e1"), ("gan", "e2")]


def test_a_given_name_is_kept(tmp_path: Path) -> None:
    made = [("A", predictions(tmp_path / "p")), ("B", predictions(tmp_path / "q"))]
    judged = {"B": evaluation(tmp_path / "e"), "C": evaluation(tmp_path / "f")}
    assert paired(read_results(made, judged)) == [("A", None), ("B", "e"), ("C", "f")]


def test_an_evaluation_finds_what_it_measured(tmp_path: Path) -> None:
    made = [predictions(tmp_path / name) for name in ("p", "q")]
    judged = evaluation(tmp_path / "e", made[1])
    assert paired(read_results(made, judged)) == [("p", None), ("q", "e")]


def test_an_evaluation_beside_the_predictions_is_found(tmp_path: Path) -> None:
    made = predictions(tmp_path / "p")
    evaluation(made / "evaluation")
    assert paired(read_results(str(made), ())) == [("p", "evaluation")]


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    made = [predictions(tmp_path / name / "out") for name in ("p", "q")]
    assert [name for name, _ in paired(read_results(made, ()))] == ["out", "out (2)"]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="nowhere"):
        read_results(tmp_path / "nowhere", ())
    with pytest.raises(MissingDataError, match="not an evaluation"):
        read_results((), tmp_path)


def test_folders_of_one_name_are_told_apart_by_what_is_above(tmp_path):
    folders = [tmp_path / "a" / "x" / "ldm", tmp_path / "b" / "x" / "ldm", tmp_path / "b" / "vae"]
    assert folder_names(folders) == ["a/x/ldm", "b/x/ldm", "vae"]
    assert folder_names([tmp_path, tmp_path]) == [tmp_path.name, f"{tmp_path.name} (2)"]
