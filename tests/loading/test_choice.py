from __future__ import annotations

import numpy as np
import pytest

from voxloom.errors import MissingDataError, SchemaError, UnknownNameError
from voxloom.loading import balanced_weights, by_class, by_key, labels_of
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source


class Animals(Source):
    """Refuses to decode an image."""

    schema = Schema(
        [
            Field(name="image"),
            Field(name="label", kind="class", axes="", categories=("cat", "dog", "eel")),
            Field(name="side", kind="class", axes=""),
        ]
    )
    keys = ("x/0.png", "x/1.png", "y/2.png", "y/3.png", "y/10.png")

    def read(self, index):
        raise AssertionError("an image was decoded")

    def select(self, *names):
        assert "image" not in names
        return Labels(names)


class Labels(Source):
    keys = Animals.keys

    def __init__(self, names):
        self.schema = Animals.schema.only(*names)

    schema = None

    def read(self, index):
        values = {"label": np.array([0, 1, 1, 2, 1])[index], "side": np.array(index % 2)}
        return Sample(self.keys[index], self.schema, {name: values[name] for name in self.schema})


def test_labels_are_read_without_images():
    assert labels_of(Animals()).tolist() == [0, 1, 1, 2, 1]
    assert labels_of(Animals()[1:4]).tolist() == [1, 1, 2]
    assert labels_of(Animals(), "side").dtype == np.int64
    with pytest.raises(SchemaError, match="'image' is of kind 'image'; expected 'class'"):
        labels_of(Animals(), "image")
    with pytest.raises(SchemaError, match="no field 'lable'"):
        labels_of(Animals(), "lable")


@pytest.mark.parametrize(
    ("classes", "indices"),
    [("dog", [1, 2, 4]), (["eel", "cat"], [0, 3]), (2, [3]), ([0, "dog"], [0, 1, 2, 4]), ([], [])],
)
def test_classes_by_name_and_number(classes, indices):
    assert by_class(Animals(), classes).indices.tolist() == indices


def test_a_part_of_a_part():
    part = by_class(by_key(Animals(), "y/*"), "dog")
    assert list(part.keys) == ["y/2.png", "y/10.png"]
    assert list(by_class(Animals(), 1, field="side").keys) == ["x/1.png", "y/3.png"]


def test_an_unknown_class_names_the_known():
    with pytest.raises(UnknownNameError, match=r"no class 'dgo'.*cat, dog, eel\. Did you mean 'dog'"):
        by_class(Animals(), "dgo")
    with pytest.raises(UnknownNameError, match=r"no class 3 in field 'label': expected a number in \[0, 3\)"):
        by_class(Animals(), [3])
    with pytest.raises(UnknownNameError, match="none has a name"):
        by_class(Animals(), "left", field="side")


def test_keys_by_pattern_and_in_the_order_that_is_wanted():
    assert by_key(Animals(), "*/?.png").indices.tolist() == [0, 1, 2, 3]
    assert by_key(Animals(), ["y/10.png", "x/0.png"]).indices.tolist() == [4, 0]
    with pytest.raises(MissingDataError, match=r"no key of .* matches 'z\*'"):
        by_key(Animals(), "z*")
    with pytest.raises(MissingDataError, match=r"1 of 2 keys are not in .*'y/2.pgn'.*Did you mean 'y/2.png'"):
        by_key(Animals(), ["x/0.png", "y/2.pgn"])


def test_balanced_weights_give_each_class_the_same_sum():
    labels = labels_of(Animals())
    weights = balanced_weights(labels)
    assert [weights[labels == c].sum() for c in range(3)] == pytest.approx([1, 1, 1])
