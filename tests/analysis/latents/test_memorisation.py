"""Copies are told from fresh samples, near copies too, and patients from images."""

import numpy as np
import pytest

from voxloom.analysis.latents import Points, StatisticsOptions, group_statistics
from voxloom.analysis.latents.memorisation import _medians, _nearer

OPTIONS = StatisticsOptions(bootstrap={"resamples": 200}, permutations=99)


def fresh(seed, n, dims=12):
    return np.random.default_rng(seed).normal(size=(n, dims)).astype("float32")


@pytest.fixture
def train():
    return fresh(0, 300)


def rows_of(groups, train, keys=None, **options):
    points = Points.of_arrays(groups, keys)
    found = group_statistics(points, train=train, options=OPTIONS, **options)
    return {row.group: row for row in found.memorisation}, found


def test_fresh_samples_and_copies(train):
    copies = train[:60] + 0.01 * fresh(2, 60)
    half = np.concatenate([fresh(3, 30), train[:30] + 0.01 * fresh(4, 30)])
    rows, _ = rows_of({"fresh": fresh(5, 60), "copies": copies, "half": half}, Points.of_arrays({"t": train}))
    assert rows["fresh"].ratio.low < 1 < rows["fresh"].ratio.high
    assert rows["fresh"].nearer_than_train.low < 0.5 < rows["fresh"].nearer_than_train.high
    assert rows["fresh"].below_first_percentile.value < 0.1
    assert rows["fresh"].inauthentic.value < 0.6
    assert rows["copies"].ratio.high < 0.05
    assert rows["copies"].below_first_percentile.value == 1
    assert 0.9 < rows["copies"].below_first_percentile.low < 1
    assert rows["copies"].inauthentic.value == 1
    assert rows["half"].below_first_percentile.low > 0.3


def test_the_nearest_is_named(train):
    points = fresh(1, 5)
    points[3] = train[7]
    keys = {"generated": [f"g{i}" for i in range(5)]}
    trained = Points.of_arrays({"t": train}, {"t": [f"t{i}" for i in range(300)]})
    rows, _ = rows_of({"generated": points}, trained, keys)
    row = rows["generated"]
    assert (row.nearest_key, row.nearest_train_key, row.nearest_distance) == ("g3", "t7", 0.0)


def test_distances_of_training_points_are_those_of_other_patients():
    """Slices of one patient are alike; beside them each copy would seem as far as is usual."""
    patients = np.repeat(fresh(0, 50), 4, axis=0)
    slices = patients + 0.01 * fresh(1, 200)
    keys = [f"p{i // 4}_{i}" for i in range(200)]
    trained = Points.of_arrays({"t": slices}, {"t": keys})
    copies = slices[::5] + 0.01 * fresh(2, 40)
    groups = {"copies": copies}, trained, {"copies": [f"p{i}_0" for i in range(40)]}
    by_image, _ = rows_of(*groups)
    by_patient, _ = rows_of(*groups, patient="key:^p[0-9]+")
    assert by_image["copies"].ratio.value == pytest.approx(1, abs=0.25)
    assert by_patient["copies"].ratio.value < 0.05
    assert by_patient["copies"].below_first_percentile.value == 1


def test_training_data_without_patients_says_so(train):
    keys = {"a": [f"p{i}" for i in range(20)]}
    _, found = rows_of({"a": fresh(1, 20)}, Points.of_arrays({"t": train}), keys, patient="key:p.*")
    assert any("training points are taken for one patient each" in notice for notice in found.notices)


def test_the_training_data_themselves_are_noticed(train):
    rows, found = rows_of({"a": train[:40]}, Points.of_arrays({"t": train}))
    assert rows["a"].ratio.value == 0
    assert any("is it the training data?" in notice for notice in found.notices)


def test_of_many_training_points_all_are_searched(train):
    options = StatisticsOptions(bootstrap={"resamples": 200}, permutations=99, sample=30)
    points = Points.of_arrays({"a": train[-20:]})
    found = group_statistics(points, train=Points.of_arrays({"t": train}), options=options)
    assert found.memorisation[0].median_distance == 0
    assert any("30 of 300 training points" in notice for notice in found.notices)


def test_one_training_point_says_little():
    rows, _ = rows_of({"a": fresh(1, 6)}, Points.of_arrays({"t": fresh(0, 1)}))
    assert rows["a"].median_distance > 0
    assert np.isnan([rows["a"].ratio.value, rows["a"].inauthentic.value]).all()


def test_equal_distances_count_half():
    assert _nearer(np.array([0.0, 1.0, 9.0]), np.array([1.0, 2.0])).tolist() == [1.0, 0.75, 0.0]


def test_resampled_medians_scatter_around_the_median():
    rng = np.random.default_rng(0)
    values = rng.normal(size=201)
    found = _medians(values, np.arange(201), 500, rng)
    assert len(found) == 500
    assert abs(np.mean(found) - np.median(values)) < 0.05
    # the standard error of a median of a normal distribution
    assert np.std(found) == pytest.approx(np.sqrt(np.pi / 2 / 201), rel=0.35)
