from pathlib import Path

import numpy as np
from click.testing import CliRunner

from voxloom.analysis import evaluate
from voxloom.cli.report import command
from voxloom.errors import OutputExistsError
from voxloom.sources.write import write_image


def test_a_report_of_runs_and_predictions(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 1, "split": "train", "loss": 1.0}\n')
    image = np.eye(16)
    for role in ("prediction", "target"):
        write_image(tmp_path / "out" / role / "a.tif", image)
    evaluate(tmp_path / "out" / "prediction", tmp_path / "out" / "target").save(
        tmp_path / "out" / "evaluation"
    )
    output = tmp_path / "report.html"
    arguments = [str(run), "--predictions", str(tmp_path / "out"), "-o", str(output)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert str(output) in result.output
    assert "Images measured" in output.read_text()  # the evaluation beside the predictions was found
    assert isinstance(CliRunner().invoke(command, arguments).exception, OutputExistsError)
    assert CliRunner().invoke(command, [*arguments, "--overwrite"]).exit_code == 0


def test_models_are_told_apart_by_their_names(tmp_path: Path) -> None:
    for name, error in (("one", 0.1), ("two=2", 0.2)):
        for role, change in (("prediction", error), ("target", 0.0)):
            for image in "ab":
                write_image(tmp_path / name / role / f"{image}.tif", np.eye(16) + change)
        evaluate(tmp_path / name / "prediction", tmp_path / name / "target").save(
            tmp_path / name / "evaluation"
        )
    output = tmp_path / "report.html"
    arguments = [
        "--predictions",
        f"A={tmp_path / 'one'}",
        "--predictions",
        str(tmp_path / "two=2"),
        "-o",
        str(output),
    ]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    page = output.read_text()
    assert "Paired differences from A" in page
    assert "two=2 · 2 images" in page  # a folder whose name holds a =
