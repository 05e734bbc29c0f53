import pickle

import pytest
from pydantic import ValidationError

from voxloom.volumes.classes import Classes


def named(classes, bits):
    return {name for bit, name in enumerate(classes.all_names) if bits >> bit & 1}


def test_exclusion_holds_both_ways():
    classes = Classes(names=("a", "b", "c"), excludes={"a": ("b",)})
    assert [named(classes, bits) for bits in classes.excluded] == [{"b"}, {"a"}, set()]


def test_implications_are_followed_through():
    classes = Classes(names=("a", "b", "c", "d"), implies={"a": ("b",), "b": ("c",)}, excludes={"c": ("d",)})
    assert [named(classes, bits) for bits in classes.implied] == [{"b", "c"}, {"c"}, set(), set()]
    assert [named(classes, bits) for bits in classes.implying] == [set(), {"a"}, {"a", "b"}, set()]
    assert [named(classes, bits) for bits in classes.excluded] == [{"d"}, {"d"}, {"d"}, {"a", "b", "c"}]


def test_two_that_imply_each_other_are_one():
    classes = Classes(names=("a", "b"), implies={"a": ("b",), "b": ("a",)})
    assert [named(classes, bits) for bits in classes.implied] == [{"b"}, {"a"}]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"names": ()}, "at least one"),
        ({"names": ("a", "a")}, "each once"),
        ({"names": ("a",), "witnesses": ("a",)}, "each once"),
        ({"names": tuple(map(str, range(64)))}, "at most 63"),
        ({"names": ("mito", "er"), "excludes": {"mito": ("eer",)}}, "Did you mean 'er'"),
        ({"names": ("mito", "er"), "implies": {"mitto": ("er",)}}, "Did you mean 'mito'"),
        ({"names": ("a", "b"), "excludes": {"a": ("a",)}}, "the class itself"),
        ({"names": ("a", "b"), "excludes": {"a": ("b",)}, "implies": {"a": ("b",)}}, "are and are not"),
        (
            {"names": ("a", "b", "c"), "implies": {"a": ("b", "c")}, "excludes": {"c": ("b",)}},
            "are and are not",
        ),
        ({"names": ("a",), "exclude": {}}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Classes(**settings)


@pytest.mark.parametrize(
    ("number", "dtype"), [(8, "uint8"), (9, "int16"), (15, "int16"), (16, "int32"), (32, "int64")]
)
def test_the_smallest_integer_that_torch_computes_with(number, dtype):
    assert Classes(names=tuple(map(str, range(number)))).dtype == dtype


def test_witnesses_have_bits_behind_the_targets():
    classes = Classes(names=("a",), witnesses=("b",), excludes={"a": ("b",)})
    assert (classes.all_names, classes.bits(["b", "nothing"])) == (("a", "b"), 2)
    assert classes.reading_dtype == classes.dtype == "uint8"


def test_it_is_its_own_configuration():
    classes = Classes(names=("a", "b"), excludes={"a": ("b",)})
    assert Classes.model_validate(classes.model_dump(mode="json")) == classes
    assert pickle.loads(pickle.dumps(classes)).excluded == classes.excluded
