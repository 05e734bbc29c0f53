"""Distances beside those of training points: ties, chances, and intervals that hold what they should."""

import math

import numpy as np
import pytest

from voxloom.analysis.latents.distances import squared_distances
from voxloom.analysis.latents.nearness import Nearness, _weighted_median
from voxloom.analysis.summary import Bootstrap

QUICK = Bootstrap(resamples=100)


def nearness(distances, reference, units=None, reference_units=None):
    reference = np.sort(np.asarray(reference, float))
    units = np.arange(len(distances)) if units is None else units
    known = np.arange(len(reference)) if reference_units is None else reference_units
    return Nearness(np.asarray(distances, float), units, reference, known, QUICK)


def of_points(rng, train, points, dims):
    """Nearness of fresh points of the training points' own distribution."""
    trained, fresh = rng.normal(size=(train, dims)), rng.normal(size=(points, dims))
    own = squared_distances(trained)
    np.fill_diagonal(own, np.inf)
    return nearness(np.sqrt(squared_distances(fresh, trained).min(1)), np.sqrt(own.min(1)))


def test_equal_distances_count_half():
    found = [nearness([d], [1.0, 2.0]).nearer.value for d in (0.0, 1.0, 9.0)]
    assert found == [1.0, 0.75, 0.0]


@pytest.mark.parametrize(("train", "least"), [(30, 0.82), (100, 0.87)])
def test_intervals_hold_what_fresh_samples_have(train, least):
    rng = np.random.default_rng(train)
    found = [of_points(rng, train, 200, 8) for _ in range(80)]
    assert np.mean([each.nearer.low <= 0.5 <= each.nearer.high for each in found]) > least
    assert np.mean([each.ratio.low <= 1 <= each.ratio.high for each in found]) > least


@pytest.mark.parametrize("train", [199, 300, 450])
def test_below_the_first_percentile_lie_one_in_a_hundred(train):
    rng = np.random.default_rng(train)
    found = [of_points(rng, train, 200, 3).below_first.value for _ in range(150)]
    expected = (train + 1) // 200 * 2 / (train + 1)
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / np.sqrt(150))


def test_what_few_cannot_bear_is_left_out():
    rng = np.random.default_rng(0)
    assert math.isnan(of_points(rng, 198, 50, 3).below_first.value)
    assert math.isnan(of_points(rng, 900, 50, 3).below_first.low)
    assert of_points(rng, 1000, 50, 3).below_first.high > 0
    assert math.isnan(of_points(rng, 19, 50, 3).nearer.low)
    assert math.isnan(nearness([1.0, 2.0], rng.random(50)).ratio.low)
    none = nearness([1.0], [])
    assert np.isnan([none.ratio.value, none.nearer.value, none.below_first.value]).all()


def test_patients_are_drawn_and_not_their_slices():
    rng = np.random.default_rng(1)
    distances, reference = np.repeat(rng.random(30), 8), np.repeat(np.sort(rng.random(30)), 8)
    patients = np.repeat(np.arange(30), 8)
    by_slice = nearness(distances, reference + 1e-9 * np.arange(240))
    by_patient = nearness(distances, reference + 1e-9 * np.arange(240), patients, patients)
    widths = [each.high - each.low for each in (by_slice.nearer, by_patient.nearer)]
    assert widths[1] > 2 * widths[0]
    assert by_patient.ratio.high - by_patient.ratio.low > by_slice.ratio.high - by_slice.ratio.low


def test_what_is_the_same_in_each_resample_has_an_interval():
    found = nearness(np.zeros(40), 1 + np.arange(60.0)).nearer
    assert (found.value, found.high) == (1, 1)
    assert 0.9 < found.low < 1


def test_medians_of_resamples_scatter_around_the_median():
    rng = np.random.default_rng(0)
    values = np.sort(rng.normal(size=201))
    found = _weighted_median(values, rng.multinomial(201, np.full(201, 1 / 201), size=500) * 1.0)
    assert abs(np.mean(found) - np.median(values)) < 0.05
    # the standard error of a median of a normal distribution
    assert np.std(found) == pytest.approx(np.sqrt(np.pi / 2 / 201), rel=0.35)
