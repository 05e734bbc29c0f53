"""The scatter as plain data: marks, groups, and what has no name of its own."""

import numpy as np
import pytest

from voxloom.analysis.explorer.figure import MOST_NAMES, Colouring, figure
from voxloom.analysis.latents.palette import MISSING_COLOUR
from voxloom.analysis.latents.series import Scatter


def drawn(by, rows=None, dims=2):
    places = np.zeros((len(by.values), dims), np.float32)
    rows = np.arange(len(places)) if rows is None else np.asarray(rows)
    return figure(places, by, rows=rows, theme="light", titles=["x", "y", "z"][:dims], key="k")


def looks(trace):
    symbol = trace["marker"]["symbol"]
    return trace["marker"]["color"], symbol.removesuffix("-open"), not symbol.endswith("-open")


@pytest.mark.parametrize("groups", [("target",), ("target", "condition"), ("mr", "ct", "pet")])
@pytest.mark.parametrize("count", [2, 5, 30])
def test_each_name_and_group_looks_as_in_the_figures(groups, count):
    names = tuple(f"p{i}" for i in range(count))
    codes, group_codes = np.tile(np.arange(count), len(groups)), np.repeat(np.arange(len(groups)), count)
    page = drawn(Colouring("patient", codes, names, groups, group_codes))
    picture = Scatter(
        coordinates=np.zeros((len(codes), 2)),
        keys=[""] * len(codes),
        groups=np.array(groups)[group_codes],
        labels=np.array(names)[codes],
    )
    expected = {(s.label, s.group): (s.mark.colour, s.mark.shape, s.mark.is_filled) for s in picture.series}
    assert {(trace["name"], trace["meta"]["group"]): looks(trace) for trace in page["data"]} == expected
    told = [each["name"] for each in page["layout"]["meta"]["groups"]]
    assert told == [entry.name for entry in picture.group_entries]


def test_groups_keep_their_marks_and_no_name_is_grey():
    by = Colouring(
        "group", np.array([0, 1, 1]), ("target", "condition"), ("target", "condition"), np.arange(3)
    )
    page = drawn(by)
    assert [looks(trace) for trace in page["data"]] == [
        ("#0072B2", "circle", True), ("#E69F00", "circle", False)
    ]  # fmt: skip
    assert page["layout"]["meta"]["groups"] == []
    none = drawn(Colouring("patient", np.array([0, 1, 1]), ("1", "(none)"), ("a",), np.zeros(3, int)))
    assert [trace["marker"]["color"] for trace in none["data"]] == ["#0072B2", MISSING_COLOUR]


def test_numbers_tell_their_groups_and_what_has_none():
    values, groups = np.array([1.0, np.nan, 3.0, 4.0]), np.array([0, 0, 1, 1])
    page = drawn(Colouring("age", values, None, ("a", "b"), groups))
    told = [(t["name"], t["meta"]["group"], t["meta"]["count"], looks(t)[2]) for t in page["data"]]
    assert told == [("no value", "a", 1, True), ("age", "a", 1, True), ("age", "b", 2, False)]
    assert {trace["marker"].get("cmax") for trace in page["data"][1:]} == {4.0}


@pytest.mark.parametrize("dims", [2, 3])
def test_too_many_names_are_one_and_what_a_filter_leaves_nothing_of_stays_in_the_legend(dims):
    codes = np.concatenate([np.arange(MOST_NAMES + 5), np.arange(MOST_NAMES)])
    by = Colouring(
        "patient", codes, tuple(map(str, range(MOST_NAMES + 5))), ("a",), np.zeros(len(codes), int)
    )
    page = drawn(by, rows=[0], dims=dims)
    assert [(t["name"], t["meta"]["count"]) for t in page["data"][:3]] == [
        ("5 others", 0),
        ("0", 1),
        ("1", 0),
    ]
    assert len(page["data"]) == MOST_NAMES + 1
