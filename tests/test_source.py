import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.formats import Store
from voxloom.source import Concat, Subset
from voxloom.testing.stores import Counting, write_store


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    base = tmp_path_factory.mktemp("joined")
    stores = [Store(write_store(base / str(count), Counting(count))) for count in (5, 1, 7)]
    return Concat([*stores, Counting(2)])


@settings(max_examples=40, deadline=None)
@given(indices=st.lists(st.integers(-15, 14), max_size=12), given_out=st.booleans())
def test_sources_in_a_row_gather_what_they_read(joined, indices, given_out):
    out = {"image": np.zeros((len(indices), 4, 6, 3), np.uint16)} if given_out else None
    gathered = joined.gather(indices, out=out)
    assert len(joined) == 15
    for name, array in gathered.items():
        assert array.shape == (len(indices), *joined.schema[name].shape)
        assert all(np.array_equal(array[i], joined[index][name]) for i, index in enumerate(indices))
    if given_out and indices:
        assert np.array_equal(out["image"], gathered["image"])


@settings(max_examples=40, deadline=None)
@given(chosen=st.lists(st.integers(-15, 14), min_size=1, max_size=9), data=st.data())
def test_a_subset_gathers_what_it_reads(joined, chosen, data):
    subset = Subset(joined, chosen)
    assert list(subset.keys) == [joined.keys[i] for i in chosen]
    indices = data.draw(st.lists(st.integers(0, len(chosen) - 1), max_size=6))
    gathered = subset.gather(indices)["label"]
    assert gathered.tolist() == [int(subset[i]["label"]) for i in indices]


def test_indices_outside_are_refused(joined):
    with pytest.raises(IndexError, match="of a source of 15"):
        Subset(joined, [15])
    with pytest.raises(IndexError, match="of a source of 15"):
        joined.gather([0, -16])


def test_a_batch_of_two_shapes_is_refused():
    both = Concat([Counting(2), Counting(2, shape=(3, 6, 3))])
    assert both.gather([2, 3])["image"].shape == (2, 3, 6, 3)
    with pytest.raises(SchemaError, match=r"'image' differs .*\(3, 6, 3\)"):
        both.gather([0, 2])


class Labelled(Counting):
    """The same samples, whose field label is another one."""

    def __init__(self, count, **label):
        super().__init__(count)
        self.label = label

    @property
    def schema(self):
        return super().schema.replace(super().schema["label"].model_copy(update=self.label))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"categories": ("class1", "class0")}, r"different categories: .*'class1', 'class0'.*same class"),
        ({"categories": ()}, "different categories"),
        ({"kind": "mask"}, "different kind: 'class' in .* and 'mask' in"),
        ({"axes": "c"}, "different axes"),
    ],
)  # fmt: skip
def test_sources_whose_fields_mean_other_things_are_not_joined(label, message):
    with pytest.raises(SchemaError, match=rf"'label' of sources to join has {message}"):
        Concat([Counting(2), Labelled(2, **label)])


def test_types_and_shapes_may_differ_between_joined_sources():
    assert len(Concat([Counting(2), Labelled(2, dtype="uint8", shape=None)])) == 4


@pytest.mark.parametrize("key", ["class0/000000.png", 1.5, None])
def test_an_index_is_an_integer(joined, key):
    with pytest.raises(TypeError, match=r"expected an index, an integer.*keys\.index\(key\).*by_key"):
        joined[key]
    assert joined[np.int64(-1)].key == joined[14].key
