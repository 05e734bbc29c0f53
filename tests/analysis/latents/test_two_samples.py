"""The MMD and its test: known answers, symmetry, and p-values that are uniform where there is nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxloom.analysis.latents import mmd2, mmd_test
from voxloom.analysis.latents.resampling import Subset
from voxloom.analysis.latents.two_samples import holm, median_bandwidth, p_value, permuted_mmd2
from voxloom.errors import SchemaError

numbers = st.floats(-10, 10, width=32)
samples = st.integers(2, 7).flatmap(lambda n: arrays(np.float64, (n, 2), elements=numbers))


def gaussian(seed, n, dims=3, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(size=(n, dims)) * scale + shift


def direct(x, y, width):
    """Equation 3 of Gretton et al. 2012, pair by pair."""

    def kernel(a, b):
        return math.exp(-((a - b) ** 2).sum() / (2 * width**2))

    n, m = len(x), len(y)
    own = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return own + other - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


@given(samples, samples)
def test_mmd_is_the_sum_over_pairs_and_symmetric(x, y):
    assert mmd2(x, y, bandwidth=2.0) == pytest.approx(direct(x, y, 2.0), abs=1e-9)
    assert mmd2(x, y) == pytest.approx(mmd2(y, x), abs=1e-9)


def test_mmd_of_gaussians_is_the_analytic_one():
    """Of two normal distributions a kernel averages to a normal density of their difference."""
    width, shift, dims = 1.5, 0.7, 3
    factor = (width**2 / (width**2 + 2)) ** (dims / 2)
    expected = 2 * factor * (1 - math.exp(-dims * shift**2 / (2 * (width**2 + 2))))
    found = mmd2(gaussian(0, 1500), gaussian(1, 1500, shift=shift), bandwidth=width)
    assert found == pytest.approx(expected, rel=0.06)


def test_mmd_is_zero_in_the_mean_where_there_is_no_difference():
    found = [mmd2(gaussian(2 * i, 10), gaussian(2 * i + 1, 15)) for i in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(300)


def test_p_values_are_uniform_where_there_is_no_difference():
    found = np.array(
        [mmd_test(gaussian(2 * i, 8), gaussian(2 * i + 1, 8), permutations=99).p for i in range(300)]
    )
    for level in (0.05, 0.25, 0.5, 0.75):
        slack = 3 * np.sqrt(level * (1 - level) / 300)
        assert abs((found <= level).mean() - level) < slack


def test_a_difference_of_variance_is_found():
    assert mmd_test(gaussian(0, 60), gaussian(1, 60, scale=2)).p < 0.01


def test_a_seed_repeats_the_test():
    x, y = gaussian(0, 9), gaussian(1, 9)
    assert mmd_test(x, y, seed=3) == mmd_test(x, y, seed=3)


def test_patients_in_both_groups_swap_their_labels():
    """A paired design: patients differ much, and the labels of each are exchanged within the patient."""
    rng, found = np.random.default_rng(4), []
    units = np.repeat(np.arange(10), 4)
    groups = np.tile([0, 0, 1, 1], 10)
    for _ in range(200):
        x = np.repeat(rng.normal(size=(10, 1)) * 5, 4, axis=0) + rng.normal(size=(40, 1))
        subset = Subset.of(np.arange(40), groups, units)
        kernel = np.exp(-((x[subset.rows] - x[subset.rows].T) ** 2) / 8)
        cells = subset.cells
        drawn = permuted_mmd2(cells.totals(kernel), cells, permutations=99, seed=0)
        first = cells.totals(kernel) * cells.other
        pairs = cells.pairs * cells.other
        own = [first[b, b].sum() / pairs[b, b].sum() for b in map(cells.of_group, (0, 1))]
        a, b = cells.of_group(0), cells.of_group(1)
        found.append(p_value(sum(own) - 2 * first[a, b].sum() / pairs[a, b].sum(), drawn))
    assert abs((np.array(found) <= 0.2).mean() - 0.2) < 0.085


def test_the_bandwidth_is_the_median_distance():
    squares = np.subtract.outer([0.0, 1.0, 3.0], [0.0, 1.0, 3.0]) ** 2
    assert median_bandwidth(squares) == 2.0
    assert median_bandwidth(np.zeros((3, 3))) == 1.0
    many = np.zeros((5, 5))
    many[0, 1:] = many[1:, 0] = 4
    assert median_bandwidth(many) == pytest.approx(0.8)


def test_one_point_has_no_mmd():
    found = mmd_test(np.zeros((1, 2)), np.ones((3, 2)))
    assert math.isnan(found.mmd2)
    assert math.isnan(found.p)


def test_equal_points_are_not_different():
    assert mmd_test(np.ones((4, 2)), np.ones((4, 2))).p == 1.0


def test_what_are_no_samples_of_one_space_is_refused():
    with pytest.raises(SchemaError, match="expected \\(n, D\\)"):
        mmd2(np.zeros((3, 2)), np.zeros((3, 4)))


def test_holm_orders_and_stops_at_one():
    assert holm([0.5, 0.9, 0.01]) == [1.0, 1.0, 0.03]
    assert holm([]) == []
