import math

import numpy as np
import pytest

from voxloom.analysis import Bootstrap
from voxloom.analysis.paired import paired_differences
from voxloom.seeding import rng_for

Values = dict[str, dict[str, float]]


def values(numbers: np.ndarray, metric: str = "psnr") -> Values:
    return {f"{i:03d}": {metric: float(value)} for i, value in enumerate(numbers)}


def test_a_shift_that_is_small_beside_the_spread_of_images_is_seen() -> None:
    hard = rng_for(0, "images").normal(25, 5, size=200)
    first, second = values(hard), values(hard + 0.3 + 0.5 * rng_for(0, "noise").normal(size=200))
    found = paired_differences(first, second)["psnr"]
    assert found.count == 200
    assert 0.15 < found.low < 0.3 < found.high < 0.45
    assert found.is_clear
    assert 0.6 < found.better < 0.85
    error = 5 / math.sqrt(200)
    assert found.high - found.low < error  # the intervals of the two means alone are far wider


def test_the_interval_is_that_of_the_mean_difference() -> None:
    change = rng_for(0, "change").normal(0.0, 2.0, size=400)
    found = paired_differences(values(np.zeros(400)), values(change))["psnr"]
    error = change.std(ddof=1) / math.sqrt(400)
    assert (found.low, found.high) == pytest.approx(
        (change.mean() - 1.96 * error, change.mean() + 1.96 * error), abs=0.03
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_images_have_no_interval(count: int) -> None:
    found = paired_differences(values(np.zeros(count)), values(np.ones(count)))["psnr"]
    assert (found.count, found.units, found.mean) == (count, count, 1)
    assert math.isnan(found.low)
    assert not found.is_clear


@pytest.mark.parametrize(("count", "quantile"), [(6, 2.571), (8, 2.365), (20, 2.093)])
def test_the_interval_of_few_images_is_as_wide_as_students(count: int, quantile: float) -> None:
    change = rng_for(0, "few", count).normal(size=count)
    found = paired_differences(values(np.zeros(count)), values(change))["psnr"]
    width = 2 * quantile * change.std(ddof=1) / math.sqrt(count)
    assert found.high - found.low == pytest.approx(width, rel=0.12)  # plain percentiles: 0.7 of it for 6


def test_a_lower_error_is_better() -> None:
    found = paired_differences(values(np.ones(4), "mae"), values(np.array([0.5, 0.5, 2, 1]), "mae"))["mae"]
    assert found.mean == 0
    assert found.better == pytest.approx((2 + 0.5) / 4)  # an equal one counts half
    assert not found.is_clear


def test_only_shared_finite_values_count() -> None:
    first = {"a": {"psnr": 1.0}, "b": {"psnr": math.inf}, "c": {"psnr": math.nan}, "d": {"ssim": 1.0}}
    second = {"a": {"psnr": 2.0}, "b": {"psnr": 1.0}, "c": {"psnr": 1.0}, "e": {"psnr": 1.0}}
    found = paired_differences(first, second)
    assert list(found) == ["psnr"]
    assert (found["psnr"].count, found["psnr"].mean) == (1, 1.0)
    assert math.isnan(found["psnr"].low)
    assert not found["psnr"].is_clear
    assert paired_differences(first, {}) == {}


def test_groups_are_drawn_whole() -> None:
    change = np.repeat(np.arange(8.0), 10)
    names = [f"p{i // 10}_s{i % 10}" for i in range(80)]
    first = {name: {"psnr": 0.0} for name in names}
    second = {name: {"psnr": float(c)} for name, c in zip(names, change, strict=True)}
    alone, grouped = (
        paired_differences(first, second, Bootstrap(group=g))["psnr"] for g in (None, r"^(p\d)")
    )
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert (alone.count, alone.units, grouped.units) == (80, 80, 8)


def test_many_images_of_few_patients_have_no_interval() -> None:
    names = [f"p{i % 3}_{i}" for i in range(60)]
    first, second = ({name: {"psnr": value} for name in names} for value in (0.0, 1.0))
    assert math.isnan(paired_differences(first, second, Bootstrap(group=r"^(p\d)"))["psnr"].low)
