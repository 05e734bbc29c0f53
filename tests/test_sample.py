from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxloom.errors import SchemaError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Concat, Map, Source, Subset

IMAGE = Field(name="image", axes="cyx", dtype="uint16", spacing=(0.5, 0.5), unit="micrometer")
MASK = Field(name="mask", kind="mask", dtype="uint8", categories=("none", "cell"))


class Numbers(Source):
    """Sample i holds first + i, and it is counted how often samples are gathered in one go."""

    def __init__(self, length, first=0, schema=None):
        self._keys = [f"k{first + i}" for i in range(length)]
        self._first = first
        self._schema = schema or Schema([IMAGE])
        self.gathered = []

    @property
    def schema(self):
        return self._schema

    @property
    def keys(self):
        return self._keys

    def read(self, index):
        return Sample(self._keys[index], self._schema, {"image": np.full((1, 1, 1), self._first + index)})

    def __getitems__(self, indices):
        self.gathered.append(list(indices))
        return super().__getitems__(indices)


def values(samples):
    return [int(sample["image"][0, 0, 0]) for sample in samples]


def plus_ten(sample):
    return sample.with_arrays({"image": sample["image"] + 10})


class TestSchema:
    def test_it_keeps_the_order_and_looks_up_by_name(self):
        schema = Schema([MASK, IMAGE])
        assert (list(schema), schema["mask"], "image" in schema, len(schema)) == (
            ["mask", "image"], MASK, True, 2,
        )  # fmt: skip

    def test_a_name_that_stands_twice_is_refused(self):
        with pytest.raises(SchemaError, match="a field name stands twice"):
            Schema([IMAGE, MASK, IMAGE])

    def test_an_unknown_name_lists_the_fields_and_the_nearest(self):
        with pytest.raises(SchemaError, match=r"'maks'\. Fields: image, mask\. Did you mean 'mask'\?"):
            Schema([IMAGE, MASK])["maks"]

    def test_it_goes_through_plain_values_and_pickle(self):
        schema = Schema([IMAGE, MASK])
        assert list(Schema.from_list(schema.to_list()).values()) == [IMAGE, MASK]
        assert list(pickle.loads(pickle.dumps(schema)).values()) == [IMAGE, MASK]
        assert schema.to_list()[1] == {
            "name": "mask", "kind": "mask", "dtype": "uint8", "categories": ["none", "cell"],
        }  # fmt: skip

    def test_replace_puts_in_place_or_adds_and_leaves_the_old(self):
        schema = Schema([IMAGE, MASK])
        other = Field(name="image", dtype="float32")
        assert list(schema.replace(other, Field(name="label", kind="class")).values())[:2] == [other, MASK]
        assert schema["image"] == IMAGE

    def test_what_geometry_moves(self):
        kinds = ["image", "mask", "latent", "class", "attribute", "text"]
        assert [k for k in kinds if Field(name="x", kind=k).is_spatial] == ["image", "mask", "latent"]


class TestSample:
    def test_with_arrays_leaves_the_sample_as_it_was(self):
        sample = Numbers(1)[0]
        changed = plus_ten(sample)
        assert (values([sample, changed]), changed.key, changed.schema) == ([0, 10], "k0", sample.schema)

    def test_it_can_be_given_a_schema_with_its_arrays(self):
        schema = Schema([IMAGE, MASK])
        changed = Numbers(1)[0].with_arrays({"mask": np.ones((1, 1, 1))}, schema)
        assert list(changed) == list(changed.schema) == ["image", "mask"]

    def test_it_pickles_with_key_and_schema(self):
        sample = pickle.loads(pickle.dumps(Numbers(1, first=4)[0]))
        assert (sample.key, values([sample]), list(sample.schema)) == ("k4", [4], ["image"])


class TestSource:
    def test_indices_count_from_both_ends(self):
        source = Numbers(3)
        assert values([source[0], source[-1], source[np.int64(1)]]) == [0, 2, 1]
        assert values(source) == [0, 1, 2]

    @pytest.mark.parametrize("index", [3, -4])
    def test_an_index_outside_says_what_was_expected(self, index):
        with pytest.raises(IndexError, match=rf"sample {index} of a source of 3: .* \[-3, 3\)"):
            Numbers(3)[index]

    @given(st.slices(6))
    def test_a_slice_is_a_subset(self, chosen):
        part = Numbers(6)[chosen]
        assert isinstance(part, Subset)
        assert values(part) == list(range(6))[chosen]
        assert list(part.keys) == [f"k{i}" for i in range(6)][chosen]


class TestConcat:
    @given(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    def test_it_is_one_source_after_the_other(self, lengths):
        starts = [100 * i for i in range(len(lengths))]
        whole = Concat([Numbers(n, start) for n, start in zip(lengths, starts, strict=True)])
        expected = [start + i for n, start in zip(lengths, starts, strict=True) for i in range(n)]
        assert values(whole) == expected
        assert list(whole.keys) == [f"k{value}" for value in expected]

    def test_no_sources_and_other_fields_are_refused(self):
        with pytest.raises(SchemaError, match="expected at least one"):
            Concat([])
        with pytest.raises(SchemaError, match=r"different fields: \[\('image',\), \('mask',\)\]"):
            Concat([Numbers(1), Numbers(1, schema=Schema([MASK]))])


class TestSubsetAndMap:
    def test_a_subset_keeps_its_order_and_may_repeat(self):
        part = Subset(Numbers(5), [4, 0, 4])
        assert (values(part), list(part.keys), list(part.schema)) == (
            [4, 0, 4],
            ["k4", "k0", "k4"],
            ["image"],
        )

    def test_a_subset_of_a_subset(self):
        assert values(Subset(Subset(Numbers(5), [4, 2, 0]), [2, 0])) == [0, 4]

    def test_a_map_applies_its_function_as_it_is_read(self):
        mapped = Map(Numbers(2), plus_ten)
        assert (values(mapped), list(mapped.keys), list(mapped.schema)) == ([10, 11], ["k0", "k1"], ["image"])

    def test_an_empty_map_has_the_schema_of_its_source(self):
        assert list(Map(Numbers(0), plus_ten).schema) == ["image"]

    def test_samples_are_gathered_by_the_innermost_source_in_one_go(self):
        source = Numbers(5)
        assert values(Map(Subset(source, [4, 3, 2]), plus_ten).__getitems__([2, 0])) == [12, 14]
        assert source.gathered == [[2, 4]]

    def test_sources_pickle(self):
        copy = pickle.loads(pickle.dumps(Map(Subset(Concat([Numbers(2), Numbers(2, 5)]), [3]), plus_ten)))
        assert values(copy) == [16]
