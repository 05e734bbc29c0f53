import json
import math
from pathlib import Path

import numpy as np
import pytest

from voxloom.analysis.calibration import LEVELS, calibration_of, central_quantile, measure_calibration
from voxloom.analysis.records import PredictionRecord
from voxloom.seeding import rng_for
from voxloom.sources.write import write_image

# Student's distribution: what tables of statistics say of the two-sided 95 % and 50 % quantiles.
STUDENT = {1: (12.706, 1.0), 2: (4.303, 0.816), 3: (3.182, 0.765), 4: (2.776, 0.741), 7: (2.365, 0.711),
           30: (2.042, 0.683)}  # fmt: skip


@pytest.mark.parametrize("freedom", STUDENT)
def test_quantiles_are_those_of_the_tables(freedom: int) -> None:
    found = [central_quantile(share, freedom) for share in (0.95, 0.5)]
    assert found == pytest.approx(STUDENT[freedom], abs=6e-4)


def test_without_degrees_of_freedom_it_is_the_normal_distribution() -> None:
    assert [central_quantile(level) for level in LEVELS] == pytest.approx(
        [0.6745, 0.9945, 1.6449, 1.96], abs=1e-4
    )
    assert central_quantile(0.9, 10_000) == pytest.approx(central_quantile(0.9), abs=1e-3)


def test_true_deviations_are_calibrated() -> None:
    rng = rng_for(0, "sigma")
    sigma = rng.uniform(0.5, 20, 200_000)
    found = calibration_of(sigma * rng.normal(size=200_000), sigma)
    assert found.ence < 0.02
    np.testing.assert_allclose(found.rmse, found.sigma, rtol=0.05)
    assert [found.coverage[level] for level in LEVELS] == pytest.approx(LEVELS, abs=0.01)


@pytest.mark.parametrize(("said", "expected"), [(0.5, 1.0), (2.0, 0.5)])
def test_the_calibration_error_is_relative_to_what_was_said(said: float, expected: float) -> None:
    rng = rng_for(0, "sigma")
    sigma = rng.uniform(1, 2, 200_000)
    found = calibration_of(sigma * rng.normal(size=200_000), said * sigma)
    assert found.ence == pytest.approx(expected, abs=0.03)
    assert (found.coverage[0.9] < 0.9) == (said < 1)


@pytest.mark.parametrize("samples", [2, 4, 8])
def test_a_perfect_sampler_is_calibrated_with_few_samples(samples: int) -> None:
    """Target and samples are drawn from one distribution; without the correction all of this is too sure."""
    rng = rng_for(0, "sampler")
    sigma = rng.uniform(1, 5, 100_000)
    target, *drawn = (sigma * rng.normal(size=100_000) for _ in range(samples + 1))
    error, deviation = np.mean(drawn, axis=0) - target, np.std(drawn, axis=0)
    found = calibration_of(error, deviation, samples=samples)
    assert [found.coverage[level] for level in LEVELS] == pytest.approx(LEVELS, abs=0.01)
    assert np.sqrt(np.mean(error**2)) == pytest.approx(
        found.factor * np.sqrt(np.mean(deviation**2)), rel=0.02
    )


def test_pixels_on_which_all_samples_agree_are_in_no_bin() -> None:
    found = calibration_of(np.array([0.0, 0.0, 3.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0]))
    assert [found.constant, found.constant_wrong] == pytest.approx([0.75, 1 / 3])
    assert (found.sigma.tolist(), found.rmse.tolist()) == ([1.0], [1.0])
    assert (found.coverage[0.5], found.coverage[0.9]) == (0, 1)  # 1 lies outside of 0.67
    alike = calibration_of(np.ones(3), np.zeros(3))
    assert math.isnan(alike.ence)
    assert math.isnan(alike.coverage[0.5])
    assert (alike.constant, alike.constant_wrong) == (1, 1)
    assert not alike.sigma.size


def test_an_empty_background_hides_no_overconfidence() -> None:
    rng = rng_for(0, "background")
    error, deviation = 3 * rng.normal(size=100_000), np.ones(100_000)
    bare = calibration_of(error, deviation)
    error[:70_000] = deviation[:70_000] = 0
    found = calibration_of(error, deviation)
    assert (found.constant, found.constant_wrong) == (0.7, 0)
    assert found.coverage == pytest.approx(bare.coverage, abs=0.01)
    assert found.coverage[0.9] < 0.45


def test_folders_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    rng = rng_for(0, "images")
    for i in range(6):
        deviation = rng.uniform(1, 2, (32, 32))
        images = {
            "target": np.zeros((32, 32)),
            "deviation": deviation,
            "prediction": deviation * rng.normal(size=(32, 32)),
        }
        for role, image in images.items():
            write_image(tmp_path / role / f"{i}.tif", image.astype(np.float32))
    (tmp_path / "target" / "0.tif").write_bytes(b"II*\0")
    write_image(tmp_path / "deviation" / "1.tif", np.zeros((8, 8)))
    (tmp_path / "target" / "2.tif").unlink()
    (tmp_path / "predict.json").write_text(json.dumps({"samples_per_image": 16}))
    found = measure_calibration(PredictionRecord.read(tmp_path))
    assert found is not None
    assert (found.images, found.left_out, found.pixels, found.samples) == (3, 2, 3 * 32 * 32, 16)


def test_large_images_are_drawn_from_and_the_draw_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxloom.analysis.calibration._MOST_PIXELS", 500)
    for role in ("target", "deviation", "prediction"):
        write_image(tmp_path / role / "a.tif", rng_for(0, role).random((64, 64), dtype=np.float32))
    first, second = (measure_calibration(PredictionRecord.read(tmp_path)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.pixels == 500
    assert (first.ence, first.coverage) == (second.ence, second.coverage)


def test_without_deviations_there_is_nothing_to_say(tmp_path: Path) -> None:
    for role in ("target", "prediction"):
        write_image(tmp_path / role / "a.tif", np.zeros((4, 4)))
    assert measure_calibration(PredictionRecord.read(tmp_path)) is None
