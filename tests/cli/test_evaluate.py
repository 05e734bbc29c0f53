import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from voxloom.cli.evaluate import command
from voxloom.errors import OutputExistsError
from voxloom.seeding import rng_for
from voxloom.sources.write import write_image


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in "abc":
        image = rng_for(0, name).random((16, 16))
        write_image(tmp_path / "data" / "target" / f"{name}.tif", image)
        write_image(tmp_path / "data" / "condition" / f"{name}.tif", 1 - image)
        write_image(tmp_path / "out" / "prediction" / f"{name}.tif", 0.9 * image)
    return tmp_path


def call(folders: Path, *options: str) -> Result:
    given = ["--pred", str(folders / "out" / "prediction"), "--target", str(folders / "data" / "target")]
    return CliRunner().invoke(command, [*given, *options])


def test_a_table_and_two_files_beside_the_predictions(folders: Path) -> None:
    before = {path: path.read_bytes() for path in (folders / "data").rglob("*.tif")}
    result = call(folders, "--condition", str(folders / "data" / "condition"), "--data-range", "1")
    assert result.exit_code == 0, result.output
    assert "PSNR (dB)" in result.output
    assert "copy" in result.output
    assert "Data range 1 (given)" in result.output
    output = folders / "out" / "evaluation"
    assert sorted(path.name for path in output.iterdir()) == ["per_image.csv", "summary.json"]
    assert {path: path.read_bytes() for path in (folders / "data").rglob("*.tif")} == before
    assert len(list((folders / "data").rglob("*"))) == len(before) + 2


def test_options_reach_the_evaluation(folders: Path) -> None:
    result = call(
        folders, "--mask-threshold", "0.5", "--seed", "3", "--group", ".", "-o", str(folders / "o"),
        "--baseline", f"other={folders / 'data' / 'condition'}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    summary = json.loads((folders / "o" / "summary.json").read_text())
    assert summary["mask"] == "value > 0.5"
    assert (summary["bootstrap"]["seed"], summary["bootstrap"]["group"]) == (3, ".")
    assert list(summary["methods"]) == ["prediction", "other"]


def test_an_existing_output_is_refused_before_anything_is_read(folders: Path) -> None:
    assert call(folders).exit_code == 0
    for path in (folders / "out" / "prediction").iterdir():
        path.write_bytes(b"unreadable by now")
    assert isinstance(call(folders).exception, OutputExistsError)


def test_what_was_left_out_is_told(folders: Path) -> None:
    (folders / "out" / "prediction" / "a.tif").write_bytes(b"")
    write_image(folders / "data" / "target" / "z.tif", np.ones((16, 16)))
    result = call(folders)
    assert result.exit_code == 0
    assert "Not measured: a (prediction)" in result.output
    assert "1 only in target: z" in result.output


@pytest.mark.parametrize("given", ["x", "=x", "x=", "target=x"])
def test_a_baseline_needs_a_name_and_a_folder(folders: Path, given: str) -> None:
    result = call(folders, "--baseline", given)
    assert result.exit_code == 2
    assert "NAME=DIR" in result.output


def test_every_option_has_a_help() -> None:
    output = CliRunner().invoke(command, ["--help"]).output
    assert all(option.help for option in command.params if hasattr(option, "help"))  # type: ignore[attr-defined]
    assert "--mask-threshold" in output
