"""Statistics of groups: known answers, small groups, many groups, files, text."""

import csv
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from voxloom.analysis.latents import Points, StatisticsOptions, group_statistics, latent_distance
from voxloom.errors import ConfigError, SaveError, SchemaError, UnknownNameError

OPTIONS = StatisticsOptions(bootstrap={"resamples": 200}, permutations=99, neighbours=5)


@dataclass
class Plane:
    coordinates: np.ndarray


def sample(*sizes, dims=6, apart=3.0):
    rng = np.random.default_rng(0)
    names = [f"g{i}" for i in range(len(sizes))]
    return Points.of_arrays(
        {
            n: rng.normal(size=(k, dims)) + apart * i
            for i, (n, k) in enumerate(zip(names, sizes, strict=True))
        },
        {n: [f"p{j // 2}_{j}" for j in range(k)] for n, k in zip(names, sizes, strict=True)},
    )


def measured(points, **given):
    plane = Plane(points.vectors(range(len(points)))[:, :2])
    return group_statistics(points, projected=plane, options=given.pop("options", OPTIONS), **given)


def test_the_older_numbers_are_the_same():
    points = sample(20, 14)
    a, b = points.vectors(range(20)), points.vectors(range(20, 34))
    row = measured(points).pairs[0]
    cross = [latent_distance(x, y) for x in a for y in b]
    assert row.centroid_distance == pytest.approx(latent_distance(a.mean(0), b.mean(0)), rel=1e-6)
    assert row.cross_distance.value == pytest.approx(np.mean(cross), rel=1e-6)
    assert row.plane_centroid_distance == pytest.approx(
        latent_distance(a[:, :2].mean(0), b[:, :2].mean(0)), rel=1e-6
    )
    stds = [group.std_mean for group in measured(points).groups]
    assert stds == pytest.approx([a.std(0).mean(), b.std(0).mean()], rel=1e-5)


def test_groups_that_differ_and_groups_that_do_not():
    far, near = measured(sample(30, 30)).pairs[0], measured(sample(30, 30, apart=0)).pairs[0]
    assert far.centroid_distance_corrected.low > 5
    assert far.mmd_p == 0.01
    assert far.frechet_corrected.low > 40
    assert near.centroid_distance_corrected.low == 0
    assert near.mmd_p > 0.05
    assert near.frechet_corrected.value < near.frechet_squared
    found = measured(sample(30, 30))
    assert found.silhouette.low > 0.4
    assert found.same_group_neighbours.low > 0.9
    assert found.groups[0].same_group_by_chance == pytest.approx(29 / 59)


def test_patients_in_both_groups_are_followed():
    rng = np.random.default_rng(1)
    homes = 10 * rng.normal(size=(6, 4))
    a, b = (np.repeat(homes, 2, axis=0) + rng.normal(size=(12, 4)) for _ in range(2))
    keys = [f"p{i // 2}_{i}" for i in range(12)]
    points = Points.of_arrays({"a": a, "b": b}, {"a": keys, "b": keys})
    found = measured(points, patient="key:^p[0-9]+")
    row = found.pairs[0]
    assert (row.shared_patients, row.patient_matched.value) == (6, 1.0)
    assert row.patient_distance.high < row.patient_distance_others
    distances = [each.distance for each in found.patients]
    assert distances == sorted(distances)
    one = found.patients[0]
    n = int(one.patient[1:])
    x, y = points.vectors([2 * n, 2 * n + 1]), points.vectors([12 + 2 * n, 13 + 2 * n])
    assert one.distance == pytest.approx(latent_distance(x.mean(0), y.mean(0)), rel=1e-5)
    assert (one.points_a, one.points_b, one.nearer_others) == (2, 2, 0)
    assert found.facts["intervals_over"] == "patients"
    by_options = StatisticsOptions(bootstrap={"resamples": 200, "group": "^p[0-9]+"}, permutations=99)
    assert measured(points, options=by_options).patients == found.patients


SIZES = [(1,), (2,), (5,), (1, 1), (1, 2), (2, 2), (1, 2, 3, 9)]


@pytest.mark.parametrize("patient", [None, "key:^p[0-9]+"])
@pytest.mark.parametrize("sizes", SIZES)
def test_small_groups_are_measured_as_far_as_they_can_be(tmp_path, sizes, patient):
    points = sample(*sizes)
    found = measured(points, patient=patient, train=sample(sizes[0]))
    assert len(found.pairs) == math.comb(len(sizes), 2)
    assert all(math.isfinite(row.centroid_distance) for row in found.pairs)
    assert math.isnan(found.groups[0].spread.value) == (
        sizes[0] == 1 or (sizes[0] == 2 and patient is not None)
    )
    if min(sizes) < 3:
        assert any(notice.startswith("fewer than 3") for notice in found.notices)
    found.save(tmp_path)
    text = (tmp_path / "statistics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["groups"][0]["points"] == sizes[0]
    assert "nan" not in "".join(path.read_text() for path in tmp_path.glob("*.csv"))
    assert found.table()


def test_equal_points_are_no_trouble():
    points = Points.of_arrays({"a": np.ones((4, 3)), "b": np.ones((4, 3))})
    found = measured(points, train=Points.of_arrays({"t": np.ones((5, 3))}))
    row = found.pairs[0]
    assert (row.centroid_distance, row.mmd2.value, row.mmd_p, row.frechet_squared) == (0, 0, 1, 0)
    assert math.isnan(found.memorisation[0].ratio.value)


def test_many_groups():
    found = measured(sample(*[4] * 40, apart=0.5))
    assert (len(found.groups), len(found.pairs)) == (40, 780)
    assert any("780 pairs" in notice for notice in found.notices)
    assert "... 760 more in pairs.csv" in found.table()
    assert any("permutations=15600) or more" in notice for notice in found.notices)
    assert "p adjusted" in found.table()
    assert all(row.mmd_p_holm >= row.mmd_p for row in found.pairs)
    assert "p adjusted" not in measured(sample(9, 9)).table()
    few = measured(sample(*[4] * 40), options=StatisticsOptions(groups=3, permutations=99))
    assert not any("permutations" in notice for notice in few.notices)
    assert len(few.pairs) == 3


def test_of_many_points_a_sample_is_compared_and_said():
    options = StatisticsOptions(sample=40, permutations=99, neighbours=5)
    found = measured(sample(100, 8), options=options)
    assert [row.points for row in found.groups] == [100, 8]
    assert any("40 of 108 points" in notice for notice in found.notices)
    assert found.facts["measured_on"]["frechet"].startswith("40 points")
    assert found.pairs[0].cross_distance.value == pytest.approx(
        measured(sample(100, 8)).pairs[0].cross_distance.value, rel=0.1
    )
    assert found == measured(sample(100, 8), options=options)


def test_what_is_written(tmp_path):
    found = measured(sample(6, 6), train=sample(9))
    paths = found.save(tmp_path / "new")
    names = ["groups.csv", "pairs.csv", "patients.csv", "memorisation.csv", "statistics.json"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(names)
    with paths[1].open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["mmd2_low"]) <= float(row["mmd2"]) <= float(row["mmd2_high"])
    assert row["shared_patients"] == ""
    written = json.loads(paths[-1].read_text())
    assert written["kind"] == "group_statistics"
    assert written["pairs"][0]["cross_distance"]["value"] == found.pairs[0].cross_distance.value
    assert written["projection"]["neighbours"] == 5
    assert "full vectors" in written["facts"]["measured_on"]["spread, centroid_distance_corrected, "
        "cross_distance, mmd2, silhouette of a group"]  # fmt: skip
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError):
        found.save(tmp_path / "file")


def test_what_is_told():
    text = measured(sample(12, 12), train=sample(9), patient="key:^p[0-9]+").table()
    for word in ("spread", "g0 | g1", "shared patients", "trustworthiness of the projection", "inauthentic"):
        assert word in text
    assert "note: fewer than 10 patients in g0, g1: intervals are narrower" in text
    assert "nan" not in text


def test_groups_by_a_label_and_no_projection():
    found = group_statistics(sample(20), by="key:[02468]$|[13579]$", options=OPTIONS)
    assert [row.group for row in found.groups] == [str(i) for i in range(10)]
    assert found.projection is None
    assert math.isnan(found.pairs[0].plane_cross_distance)


def test_what_cannot_be_meant_is_refused():
    points = sample(4, 4)
    with pytest.raises(UnknownNameError):
        group_statistics(points, by="side")
    with pytest.raises(ConfigError, match="finds nothing"):
        group_statistics(points, patient="key:zzz")
    with pytest.raises(SchemaError, match="one of the same points"):
        group_statistics(points, projected=Plane(np.zeros((3, 2))))
    with pytest.raises(SchemaError, match="same checkpoint"):
        group_statistics(points, train=sample(3, dims=5))
