"""Colours and marks: told apart by every reader, the same whatever the number of labels."""

import numpy as np
import pytest

from voxloom.analysis.latents import palette
from voxloom.analysis.latents.palette import OKABE_ITO, Mark, colours, least_difference, marks


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 24, 40, 64])
def test_there_are_as_many_marks_as_labels_and_all_differ(count):
    found = marks(count)
    assert len({(m.colour, m.shape, m.is_filled) for m in found}) == count
    assert len({(m.colour, m.shape) for m in found}) == count


def test_336_labels_differ_and_the_next_come_again():
    found = marks(337)
    assert len(set(found[:336])) == 336
    assert found[336] == found[0]


def test_the_first_colours_stay_as_others_join():
    for count in (3, 8, 12, 24):
        assert colours(64)[:count] == colours(count)
    assert colours(8) == OKABE_ITO


@pytest.mark.parametrize(("count", "least"), [(2, 0.29), (8, 0.075), (16, 0.07), (24, 0.055)])
def test_colours_are_told_apart_by_colour_blind_readers(count, least):
    assert least_difference(colours(count)) > least
    by_chance = np.random.default_rng(0).integers(0, 256, (24, 3))
    assert least_difference(f"#{r:02x}{g:02x}{b:02x}" for r, g, b in by_chance.tolist()) < 0.03


def test_grey_is_what_every_reader_sees_alike():
    seen = palette._seen(np.array([[0.5, 0.5, 0.5]]))[0]
    np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=1e-4)
    assert abs(seen[0][1:]).max() < 1e-4


def test_two_labels_differ_by_filling_and_black_turns_white_on_a_dark_page():
    assert [m.is_filled for m in marks(2)] == [True, False]
    assert {m.shape for m in marks(2)} == {"circle"}
    assert Mark("#000000").on_dark == "#f2f2f2"
    assert Mark("#0072B2").on_dark == "#0072B2"
