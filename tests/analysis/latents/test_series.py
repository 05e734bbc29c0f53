"""Series: each point once, with a mark that tells its label and its group."""

import numpy as np
import pytest

from voxloom.analysis.latents.palette import MISSING_COLOUR
from voxloom.analysis.latents.series import MISSING, Scatter, natural
from voxloom.errors import SchemaError


def scatter(labels=None, groups=None, values=None, **given):
    count = len(labels if labels is not None else values)
    groups = ["all"] * count if groups is None else groups
    return Scatter(
        coordinates=np.zeros((count, 2)),
        keys=[str(i) for i in range(count)],
        groups=np.array(groups),
        labels=None if labels is None else np.array(labels),
        values=values,
        **given,
    )


def rows(found):
    return sorted(row for series in found.series for row in series.rows.tolist())


def test_labels_come_in_natural_order_and_missing_ones_last_in_grey():
    found = scatter(["p10", MISSING, "p2", "p1"])
    assert found.label_names == ("p1", "p2", "p10", MISSING)
    assert found.label_marks[MISSING].colour == MISSING_COLOUR
    assert [entry.count for entry in found.label_entries] == [1, 1, 1, 1]
    assert rows(found) == [0, 1, 2, 3]


def test_groups_keep_their_order():
    found = scatter(["z", "a", "z"], ["z", "a", "z"])
    assert found.is_by_group
    assert found.label_names == ("z", "a")
    assert found.group_entries == ()


def test_two_groups_of_many_labels_differ_by_filling():
    labels = [f"p{i // 2}" for i in range(80)]
    found = scatter(labels, ["ct", "mr"] * 40)
    assert rows(found) == list(range(80))
    assert {(s.group, s.mark.is_filled) for s in found.series} == {("ct", True), ("mr", False)}
    assert len({(s.mark.colour, s.mark.shape) for s in found.series}) == 40
    assert [entry.mark.is_filled for entry in found.group_entries] == [True, False]


def test_more_groups_differ_by_shape():
    found = scatter(["x", "y", "x"], ["ct", "mr", "pet"])
    assert len({s.mark.shape for s in found.series}) == 3
    assert {s.label: s.mark.colour for s in found.series} == {"x": "#0072B2", "y": "#E69F00"}
    assert {entry.mark.shape for entry in found.label_entries} == {"circle"}


def test_values_are_told_by_colour_and_groups_by_marks():
    found = scatter(values=np.array([1.0, np.nan, 3.0]), groups=["a", "b", "a"])
    assert [(s.label, s.group, s.rows.tolist()) for s in found.series] == [("", "a", [0, 2]), ("", "b", [1])]
    assert found.label_entries == ()
    assert len(found.group_entries) == 2


def test_what_does_not_fit_is_refused():
    with pytest.raises(SchemaError, match="expected one of the two"):
        scatter(["a"], values=np.zeros(1))
    with pytest.raises(SchemaError, match="expected as many"):
        scatter(["a", "b"], ["x"])
    with pytest.raises(SchemaError, match="3 axes"):
        scatter(["a"], axes=("x", "y", "z"))


def test_natural_order():
    assert sorted(["b2", "b10", "", "10", "9.5", "a"], key=natural) == ["", "9.5", "10", "a", "b2", "b10"]


def test_labels_beyond_a_legend_are_drawn_by_mark():
    labels = [f"p{i}" for i in range(400)]
    found = scatter(labels, ["ct", "mr"] * 200)
    assert len(found.series) == 400
    assert len(found.drawn) < 340
    assert sorted(row for series in found.drawn for row in series.rows.tolist()) == list(range(400))


def test_an_empty_text_is_a_label():
    found = scatter(["", "x", ""])
    assert [(series.label, series.mark.colour) for series in found.series] == [
        ("", "#0072B2"),
        ("x", "#E69F00"),
    ]


def test_of_many_points_no_group_covers_the_others():
    labels = ["a"] * 1500 + ["b"] * 1500 + ["c"]
    found = scatter(labels, labels)
    assert [series.label for series in found.drawn[:5]] == ["a", "b", "c", "a", "b"]
    assert sorted(row for series in found.drawn for row in series.rows.tolist()) == list(range(3001))
    assert len(found.drawn) == 25
