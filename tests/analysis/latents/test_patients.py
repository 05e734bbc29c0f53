"""Patients in two groups: who is nearest, ties, and no distance twice."""

import numpy as np
import pytest

from voxloom.analysis.latents import patients
from voxloom.analysis.latents.estimates import share_of
from voxloom.analysis.latents.patients import PatientCells
from voxloom.analysis.summary import Bootstrap

QUICK = Bootstrap(resamples=200)


def follow(real, made, plane=None):
    count = len(real)
    of_group = [{f"p{i:02d}": i + shift for i in range(count)} for shift in (0, count)]
    cells = PatientCells(of_group, np.ones(2 * count, int), np.concatenate([real, made]), plane)
    return cells.follow(0, 1, ["real", "made"], QUICK)


@pytest.mark.parametrize("dims", [1, 4, 1000])
def test_a_generator_of_one_image_matches_by_chance_alone(dims):
    rng = np.random.default_rng(dims)
    rows, found = follow(rng.normal(size=(40, dims)), np.repeat(rng.normal(size=(1, dims)), 40, 0) + 7)
    assert {(row.nearer_others, row.equally_near) for row in rows} == {(0, 39)}
    assert found.patient_matched.value == pytest.approx(1 / 40)
    assert found.patient_matched_by_chance == 1 / 40
    assert found.patient_matched.high < 0.2


def test_a_tie_of_two_is_half_a_match():
    made = np.array([[0.0], [0.0], [5.0], [9.0]])
    rows, found = follow(np.array([[0.0], [1.0], [5.0], [20.0]]), made)
    assert {row.patient: (row.nearer_others, row.equally_near) for row in rows} == {
        "p00": (0, 1),
        "p01": (0, 1),
        "p02": (0, 0),
        "p03": (0, 0),
    }
    assert found.patient_matched.value == pytest.approx(3 / 4)
    far, _ = follow(np.array([[0.0], [1.0]]), np.array([[2.0], [0.0]]))
    assert [(row.nearer_others, row.equally_near) for row in far] == [(0, 1), (1, 0)]


def test_distances_of_all_to_all_are_found_once(monkeypatch):
    calls, found = [], patients.squared_distances
    monkeypatch.setattr(patients, "squared_distances", lambda *given: calls.append(1) or found(*given))
    rows, numbers = follow(np.eye(5), 2 * np.eye(5))
    assert len(calls) == 1
    assert numbers.patient_distance.value == pytest.approx(1)
    assert numbers.patient_distance_others == pytest.approx(np.sqrt(5))
    assert (numbers.shared_patients, numbers.patient_matched.value, len(rows)) == (5, 1.0, 5)


def test_one_shared_patient_and_none():
    rows, found = follow(np.zeros((1, 2)), np.ones((1, 2)))
    assert (len(rows), found.shared_patients) == (1, 1)
    assert np.isnan([found.patient_matched.value, found.patient_matched_by_chance]).all()
    nobody = PatientCells([{}, {}], np.zeros(0, int), np.zeros((0, 2)), None).follow(0, 1, "ab", QUICK)
    assert (nobody[0], nobody[1].shared_patients) == ([], 0)


def test_equal_shares_do_not_look_certain():
    found = share_of(np.full(10, 0.5), [str(i) for i in range(10)], QUICK)
    assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
