"""Copies are told from fresh samples, near copies too, and patients from images."""

import numpy as np
import pytest

from voxloom.analysis.latents import Points, StatisticsOptions, group_statistics
from voxloom.analysis.latents.memorisation import Training
from voxloom.analysis.summary import Bootstrap
from voxloom.errors import DataError

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
    assert rows["fresh"].inauthentic.low < rows["fresh"].inauthentic_of_train
    assert rows["copies"].ratio.high < 0.05
    assert rows["copies"].below_first_percentile.value == 1
    assert rows["copies"].inauthentic.value == 1
    assert rows["copies"].inauthentic_of_train < 0.7
    assert 0.9 < rows["copies"].nearer_than_train.low < 1
    assert rows["half"].below_first_percentile.value > 0.3


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
    assert by_patient["copies"].inauthentic.value == 1
    assert np.isnan(by_patient["copies"].below_first_percentile.value)  # of 50 patients


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


@pytest.mark.parametrize("dims", [1, 2, 16])
def test_fresh_samples_are_as_inauthentic_as_held_out_training_points(dims):
    """By theory 2/3 on a line and 0.62 in a plane; in many dimensions hubs make it less than one half."""
    turned = np.linalg.qr(fresh(9, 32, 32))[0][:dims]
    trained = Points.of_arrays({"t": fresh(0, 1000, dims) @ turned})
    rows, found = rows_of({"a": fresh(1, 800, dims) @ turned}, trained)
    row = rows["a"]
    assert row.inauthentic_of_train == pytest.approx({1: 0.667, 2: 0.62, 16: 0.31}[dims], abs=0.05)
    assert row.inauthentic.value == pytest.approx(row.inauthentic_of_train, abs=0.06)
    assert "of held-out training" in found.table()


def test_a_held_out_patient_is_held_out_with_all_slices():
    """Two slices are nearest to one of another patient, who would else have the second for nearest."""
    trained = np.array([[0.0], [0.5], [2.0], [10.0], [20.0], [21.0]])
    units = np.array([0, 0, 1, 2, 3, 4])
    training = Training(Points.of_arrays({"t": trained}), units, Bootstrap(resamples=100))
    points = Points.of_arrays({"a": np.array([[5.0]])})
    seen = training.see(points, np.arange(1), limit=9, seed=0)
    # 0 and 0.5 -> 2, whose third is 10; 2 -> 0.5, whose third is 10; 10 -> 2, whose third is 0.5; 20 and 21
    assert seen.inauthentic == pytest.approx(5 / 6)
    np.testing.assert_allclose(seen.among, [1.0, 1.0, 1.5, 1.5, 2.0, 8.0])
    assert np.bincount(seen.among_units).tolist() == [2, 1, 1, 1, 1]


def test_few_training_points_say_what_they_can():
    rows, found = rows_of({"a": fresh(1, 40)}, Points.of_arrays({"t": fresh(0, 15)}))
    row = rows["a"]
    assert np.isnan([row.below_first_percentile.value, row.nearer_than_train.low, row.ratio.low]).all()
    assert np.isnan(row.inauthentic.low)
    assert row.ratio.value == pytest.approx(1, abs=0.4)
    assert "fewer than 20 training images: no intervals beside them." in found.notices
    assert "fewer than 199 training images: too few for a first percentile." in found.notices
    _, found = rows_of({"a": fresh(1, 40)}, Points.of_arrays({"t": fresh(0, 30)}))
    told = "fewer than 50 training images: intervals beside them are narrower than they should be."
    assert told in found.notices


def test_training_points_that_are_not_finite_are_named():
    broken = fresh(0, 30)
    broken[7, 2] = np.nan
    trained = Points.of_arrays({"t": broken}, {"t": [f"t{i}" for i in range(30)]})
    with pytest.raises(DataError, match="the vector of t7 holds a value that is not finite"):
        rows_of({"a": fresh(1, 5)}, trained)


def test_long_vectors_are_looked_up_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.distances._QUERY_BYTES", 4 * 12 * 7)
    monkeypatch.setattr("voxloom.analysis.latents.distances._AGAIN_BYTES", 4 * 12 * 9)
    trained = Points.of_arrays({"t": fresh(0, 60)})
    few, _ = rows_of({"a": fresh(1, 40)}, trained)
    monkeypatch.undo()
    whole, _ = rows_of({"a": fresh(1, 40)}, trained)
    assert few == whole
