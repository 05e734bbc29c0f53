"""Centroids and deviations of groups from one reading; groups and units of points."""

import numpy as np
import pytest

from voxloom.analysis.latents import Points
from voxloom.analysis.latents.moments import moments
from voxloom.analysis.latents.partition import Partition
from voxloom.errors import DataError


def test_moments_are_those_of_each_group(monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.points._BLOCK_BYTES", 4 * 5 * 3)
    x = np.random.default_rng(0).normal(size=(20, 5)) + 1000
    groups = np.random.default_rng(1).integers(-1, 3, size=20)
    groups[:3] = [0, 1, 2]
    cells = np.where(np.arange(20) % 2, np.arange(20) // 2, -1)
    found = moments(Points.of_arrays({"a": x}), groups, cells)
    x = x.astype("float32")
    for group in range(3):
        np.testing.assert_allclose(found.centroids[group], x[groups == group].mean(0), rtol=1e-6)
        assert found.std_mean[group] == pytest.approx(x[groups == group].std(0).mean(), rel=1e-3)
    np.testing.assert_allclose(found.cells, x[1::2], rtol=1e-7)


def test_what_is_not_finite_is_named():
    x = np.zeros((4, 3))
    x[2, 1] = np.nan
    points = Points.of_arrays({"a": x}, {"a": ["k0", "k1", "k2", "k3"]})
    with pytest.raises(DataError, match="vector of k2 holds a value that is not finite"):
        moments(points, np.zeros(4, int), np.full(4, -1))


def partition(keys, *, by="group", patient="key:^p[0-9]+", most=10):
    points = Points.of_arrays({name: np.zeros((len(k), 2)) for name, k in keys.items()}, keys)
    return Partition.of(points, by, patient=patient, most=most)


def test_groups_keep_their_order_and_units_are_patients():
    found = partition({"z": ["p1_0", "p1_1", "x"], "a": ["p1_2", "p2_0", "y"]})
    assert found.names == ("z", "a")
    assert found.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.units[0] == found.units[1] == found.units[3]
    assert len(set(found.units.tolist())) == 4
    assert found.unit_counts().tolist() == [2, 3]
    assert found.notices == ("2 points without a patient (key:^p[0-9]+): each counts as one of its own.",)
    codes, of_group, notice = found.shared(2, 0)
    assert codes.tolist() == [0, 0, -1, 1, -1, -1]
    assert of_group == [{"p1": 0}, {"p1": 1}]
    assert not notice


def test_of_many_groups_the_largest_are_measured():
    keys = {f"g{i}": [f"p{j}" for j in range(i + 1)] for i in range(5)}
    found = partition(keys, most=2, patient=None)
    assert found.names == ("g3", "g4")
    assert found.counts.tolist() == [4, 5]
    assert found.kept.tolist() == list(range(6, 15))
    assert "5 groups" in found.notices[0]


def test_patients_whose_centroids_do_not_fit_are_drawn(monkeypatch):
    monkeypatch.setattr("voxloom.analysis.latents.partition._CELLS_BYTES", 8 * 2 * 7)
    keys = [f"p{i}" for i in range(10)]
    codes, of_group, notice = partition({"a": keys, "b": keys}).shared(2, 0)
    assert [len(cells) for cells in of_group] == [3, 3]
    assert of_group[0].keys() == of_group[1].keys()
    assert sorted(codes[codes >= 0].tolist()) == list(range(6))
    assert notice.startswith("10 patients in several groups: 3 were drawn")
