import math

import numpy as np
import pytest

from voxloom.analysis import METRICS, Bootstrap, format_table
from voxloom.analysis.summary import summarize
from voxloom.errors import ConfigError
from voxloom.seeding import rng_for


def names(count: int) -> list[str]:
    return [f"{i:03d}" for i in range(count)]


def test_the_interval_is_that_of_the_mean() -> None:
    values = rng_for(0, "values").normal(10, 2, size=400)
    low, high = Bootstrap().interval(values, names(400))
    error = values.std(ddof=1) / math.sqrt(400)
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.03
    )


def test_the_seed_decides() -> None:
    values = rng_for(0, "values").normal(size=20)
    assert Bootstrap(seed=1).interval(values, names(20)) == Bootstrap(seed=1).interval(values, names(20))
    assert Bootstrap(seed=1).interval(values, names(20)) != Bootstrap(seed=2).interval(values, names(20))


def test_a_higher_confidence_is_wider() -> None:
    values = rng_for(0, "values").normal(size=20)
    narrow, wide = (Bootstrap(confidence=c).interval(values, names(20)) for c in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_groups_are_drawn_whole() -> None:
    # Slices of one patient are all alike: 40 of them say no more than the 4 patients.
    values = np.repeat([1.0, 2.0, 3.0, 4.0], 10)
    slices = [f"p{i // 10}_s{i % 10}" for i in range(40)]
    alone, grouped = (Bootstrap(group=g).interval(values, slices) for g in (None, r"^(p\d)_"))
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])
    assert Bootstrap(group="p\\d").interval(values, slices) == grouped


def test_a_group_that_does_not_match() -> None:
    with pytest.raises(ConfigError, match="'001'"):
        Bootstrap(group="p").interval(np.zeros(2), ["p0", "001"])
    with pytest.raises(ConfigError, match="regular expression"):
        Bootstrap(group="(").interval(np.zeros(2), ["p0", "001"])


def test_infinite_and_missing_values_are_counted_and_left_out() -> None:
    found = summarize(np.array([1.0, 2.0, 6.0, np.inf, np.nan]), names(5), Bootstrap())
    assert (found["count"], found["infinite"]) == (4, 1)
    assert (found["mean"], found["median"], found["min"], found["max"]) == (3, 2, 1, 6)
    assert found["std"] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert 1 <= found["ci_low"] <= 3 <= found["ci_high"] <= 6


@pytest.mark.parametrize(
    ("values", "mean"), [([math.inf] * 2, math.inf), ([math.nan] * 2, math.nan), ([], math.nan)]
)
def test_when_nothing_finite_is_left(values: list[float], mean: float) -> None:
    found = summarize(np.array(values), names(len(values)), Bootstrap())
    assert found["mean"] == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found["std"])


def test_one_image_has_no_interval() -> None:
    found = summarize(np.array([2.0]), ["a"], Bootstrap())
    assert found["mean"] == 2
    assert math.isnan(found["ci_low"])
    assert math.isnan(found["std"])


def test_the_table_shows_every_metric_of_every_method() -> None:
    row = summarize(np.array([1.0, 2.0]), ["a", "b"], Bootstrap())
    lone = summarize(np.array([np.nan]), ["a"], Bootstrap())
    table = format_table(
        {"methods": {"prediction": dict.fromkeys(METRICS, row), "copy": dict.fromkeys(METRICS, lone)}}
    )
    lines = table.splitlines()
    assert len(lines) == 1 + len(METRICS)
    assert lines[0].split()[-2:] == ["prediction", "copy"]
    assert all("[" in line and line.endswith(" -") for line in lines[1:])
