"""What is compared each with each, and intervals that hold what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.analysis.latents import Points, StatisticsOptions, group_statistics, squared_distances
from voxloom.analysis.latents.pairs import Compared
from voxloom.analysis.latents.resampling import Subset, balanced
from voxloom.analysis.summary import Bootstrap


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(6, 80))
def test_a_balanced_sample_has_as_many_of_each_as_there_are(sizes, limit):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = balanced(groups, limit, seed=1)
    taken = np.bincount(groups[rows], minlength=len(sizes))
    assert len(set(rows.tolist())) == len(rows) <= limit
    assert (taken >= np.minimum(sizes, limit // len(sizes))).all()
    if sum(sizes) <= limit:
        assert rows.tolist() == list(range(sum(sizes)))


def of(groups, units, x, **bootstrap):
    subset = Subset.of(np.arange(len(x)), np.asarray(groups), np.asarray(units))
    squares = squared_distances(x[subset.rows])
    return Compared(subset, squares, Bootstrap(**{"resamples": 300, **bootstrap}), permutations=99, seed=0)


def test_cells_sum_over_the_points_of_a_unit():
    x = np.random.default_rng(0).normal(size=(6, 2))
    compared = of([0, 1, 0, 1, 0, 1], [7, 7, 7, 9, 8, 9], x)
    cells = compared.cells
    assert (cells.groups.tolist(), cells.units.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 2])
    assert cells.counts.tolist() == [2, 1, 1, 2]
    totals = cells.totals(squared_distances(x))
    assert totals[0, 3] != 0
    assert cells.totals(compared.squares)[0, 3] == pytest.approx(
        sum(((x[i] - x[j]) ** 2).sum() for i in (0, 2) for j in (3, 5))
    )
    assert not cells.other[0, 2]


def test_the_spread_of_images_is_the_trace_of_the_covariance():
    x = np.random.default_rng(0).normal(size=(30, 5)) * [1, 2, 3, 4, 5]
    compared = of(np.arange(30) // 15, np.arange(30), x)
    for group, found in enumerate(compared.spreads()):
        part = x[15 * group : 15 * group + 15]
        assert found.value == pytest.approx(np.sqrt(np.trace(np.cov(part.T))))
        assert found.low < found.value < found.high


def test_patients_are_drawn_as_a_whole():
    """The slices of a patient are alike: intervals over images would be far too narrow."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(20, 3)), 10, axis=0) + 0.1 * rng.normal(size=(200, 3))
    groups, patients = np.arange(200) // 100, np.arange(200) // 10
    (_, _, images), (_, _, by_patient) = (
        next(of(groups, units, x).pairs()) for units in (np.arange(200), patients)
    )
    wide = by_patient.cross_distance.high - by_patient.cross_distance.low
    narrow = images.cross_distance.high - images.cross_distance.low
    assert wide > 2 * narrow
    assert images.mmd_p < 0.05 < by_patient.mmd_p


def test_units_in_both_groups_are_drawn_together():
    weights = of([0, 0, 1, 1], [0, 1, 0, 1], np.eye(4)).cells.weights(50, 0)
    np.testing.assert_array_equal(weights[:, :2], weights[:, 2:])
    assert (weights[:, :2].sum(1) == 2).all()


def test_no_group_is_ever_empty_where_units_have_one():
    weights = of([0, 1, 1, 2, 2, 2], range(6), np.eye(6)).cells.weights(50, 0)
    np.testing.assert_array_equal(np.add.reduceat(weights, [0, 1, 3], 1), np.tile([1, 2, 3], (50, 1)))


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_intervals_hold_the_true_distance(shift):
    """Nineteen of twenty do; the plain distance of centroids is nowhere near it in many dimensions."""
    options = StatisticsOptions(bootstrap={"resamples": 200}, permutations=99)
    true, held, plain = shift * np.sqrt(24), 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = {"a": rng.normal(size=(15, 24)), "b": rng.normal(size=(15, 24)) + shift}
        row = group_statistics(Points.of_arrays(x), options=options).pairs[0]
        held += row.centroid_distance_corrected.low <= true <= row.centroid_distance_corrected.high
        plain.append(row.centroid_distance)
    assert held >= 34
    assert np.mean(plain) > true + 0.3
