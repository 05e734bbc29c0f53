from pathlib import Path

import numpy as np

from voxloom.analysis.error_maps import intensity, mean_errors
from voxloom.analysis.error_maps_section import error_maps_section
from voxloom.analysis.records import PredictionRecord
from voxloom.analysis.results import Result
from voxloom.sources.write import write_image


def write(folder: Path, name: str, target: np.ndarray, error: np.ndarray) -> None:
    write_image(folder / "target" / f"{name}.tif", target.astype(np.float32))
    write_image(folder / "prediction" / f"{name}.tif", (target + error).astype(np.float32))


def test_bias_and_size_of_the_error_are_told_apart(tmp_path: Path) -> None:
    error = np.zeros((5, 4))
    error[0, 0], error[1, 2] = 2.0, 3.0
    write(tmp_path, "a", np.full((5, 4), 10.0), error)
    error[1, 2] = -3.0
    write(tmp_path, "b", np.full((5, 4), 20.0), error)
    maps = mean_errors(PredictionRecord.read(tmp_path))
    assert maps is not None
    assert (maps.count, maps.left_out) == (2, 0)
    assert (maps.absolute[0, 0], maps.bias[0, 0]) == (2, 2)
    assert (maps.absolute[1, 2], maps.bias[1, 2]) == (3, 0)
    assert np.count_nonzero(maps.absolute) == 2
    np.testing.assert_array_equal(maps.target, 15)


def test_the_size_that_most_have_is_taken_and_the_others_are_counted(tmp_path: Path) -> None:
    for name, shape in {"a": (3, 3), "b": (4, 4), "c": (4, 4), "d": (4, 4)}.items():
        write(tmp_path, name, np.zeros(shape), np.ones(shape))
    (tmp_path / "target" / "d.tif").write_bytes(b"")
    maps = mean_errors(PredictionRecord.read(tmp_path))
    assert maps is not None
    assert (maps.absolute.shape, maps.count, maps.left_out) == ((4, 4), 2, 2)


def test_one_image_is_no_mean(tmp_path: Path) -> None:
    write(tmp_path, "a", np.zeros((3, 3)), np.ones((3, 3)))
    assert mean_errors(PredictionRecord.read(tmp_path)) is None
    assert mean_errors(PredictionRecord(tmp_path, {}, {}, ())) is None


def test_an_image_with_values_that_are_no_numbers_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name, np.zeros((3, 3)), np.full((3, 3), np.nan if name == "c" else 1.0))
    maps = mean_errors(PredictionRecord.read(tmp_path))
    assert maps is not None
    assert (maps.count, maps.left_out) == (2, 1)
    assert (maps.absolute == 1).all()
    result = Result("flow", PredictionRecord.read(tmp_path), None)
    assert "1 image left out (of another size, unreadable, or with values that are no numbers)" in str(
        error_maps_section([result])
    )


def test_colours_grow_brighter() -> None:
    brightness = intensity(np.linspace(0, 1, 50)).astype(int) @ (299, 587, 114)
    assert (np.diff(brightness) > 0).all()
    assert intensity(np.array(np.nan)).tolist() == intensity(np.array(0)).tolist()
