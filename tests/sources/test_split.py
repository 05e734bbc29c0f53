import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources import Split, split_by_fraction, subset

stems = st.lists(st.text("abc019_", min_size=1, max_size=6), min_size=1, max_size=60, unique=True)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 100)


class Names(Source):
    def __init__(self, *keys):
        self._keys = keys

    schema = Schema([Field(name="image")])

    @property
    def keys(self):
        return self._keys

    def read(self, index):
        return Sample(self.keys[index], self.schema, {"image": np.zeros((1, 1, 1))})


@settings(deadline=None)
@given(stems, fractions, seeds)
def test_counts_are_exact_and_nothing_is_lost(keys, fraction, seed):
    split = split_by_fraction(keys, fraction, seed)
    wanted = round(fraction * len(keys))
    assert len(split.train) == (min(max(wanted, 1), len(keys) - 1) if len(keys) > 1 else 1)
    assert sorted((*split.train, *split.validation)) == sorted(keys)
    assert list(split.train) == [key for key in keys if key in split.train]


@settings(deadline=None)
@given(stems, fractions, seeds, st.randoms())
def test_the_order_of_the_keys_does_not_matter(keys, fraction, seed, random):
    shuffled = list(keys)
    random.shuffle(shuffled)
    assert set(split_by_fraction(shuffled, fraction, seed).train) == set(
        split_by_fraction(keys, fraction, seed).train
    )


@settings(deadline=None)
@given(stems, fractions, seeds, st.text("xyz", min_size=1, max_size=5))
def test_a_file_more_moves_at_most_one_other(keys, fraction, seed, new):
    before = split_by_fraction(keys, fraction, seed)
    after = split_by_fraction([*keys, new], fraction, seed)
    moved = set(before.train) - set(after.train) | set(before.validation) - set(after.validation)
    assert len(moved) <= 1


@settings(deadline=None)
@given(stems, fractions, seeds)
def test_one_stem_in_two_folders_is_never_divided(keys, fraction, seed):
    both = [f"{side}/{stem}" for side in ("dente", "edente") for stem in keys]
    split = split_by_fraction(both, fraction, seed)
    for part in (split.train, split.validation):
        assert {k.split("/")[1] for k in part if k[0] == "d"} == {
            k.split("/")[1] for k in part if k[0] == "e"
        }
    alone = split_by_fraction(keys, fraction, seed)
    assert abs(len(split.train) - 2 * len(alone.train)) <= 2


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=60), fractions, seeds)
def test_groups_stay_whole_and_the_count_is_the_nearest(patients, fraction, seed):
    keys = [f"x/p{patient}_{i:02}" for i, patient in enumerate(patients)]
    split = split_by_fraction(keys, fraction, seed, group=r"^p(\d+)_")
    sides = [{key.split("_")[0] for key in part} for part in (split.train, split.validation)]
    assert not sides[0] & sides[1]
    if len(set(patients)) > 1:
        assert all(sides)
        largest = max(patients.count(patient) for patient in patients)
        off = abs(len(split.train) - round(fraction * len(keys)))
        assert off <= largest


def test_another_seed_gives_another_split():
    keys = [str(i) for i in range(50)]
    assert split_by_fraction(keys, 0.5, 1) == split_by_fraction(keys, 0.5, 1)
    assert split_by_fraction(keys, 0.5, 1) != split_by_fraction(keys, 0.5, 2)


def test_the_split_of_a_release_stays_as_it_is():
    keys = [f"{i:03}" for i in range(12)]
    assert split_by_fraction(keys, 0.75, 42).validation == ("000", "004", "005")


def test_a_group_may_be_the_whole_match():
    split = split_by_fraction(["a/p1_x", "a/p1_y", "a/p2_x"], 0.6, 0, group=r"p\d")
    assert {len(split.train), len(split.validation)} == {1, 2}


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ConfigError, match="training share"):
        split_by_fraction(["a", "b"], fraction, 0)


def test_a_group_that_is_not_found_names_the_keys():
    with pytest.raises(DataError, match="is not found in 'x/other'"):
        split_by_fraction(["x/p1", "x/other"], 0.5, 0, group=r"p(\d)")
    with pytest.raises(DataError, match=r"'k9' and 5 more"):
        split_by_fraction([f"k{i}" for i in range(15)], 0.5, 0, group="(z)")
    with pytest.raises(DataError, match="'ab'"):
        split_by_fraction(["ab", "acb"], 0.5, 0, group="a(c)?b")


@pytest.mark.parametrize("group", ["(", "(a)(b)"])
def test_a_bad_expression(group):
    with pytest.raises(ConfigError, match="group"):
        split_by_fraction(["ab", "abc"], 0.5, 0, group=group)


def test_nothing_to_split_and_repeated_keys():
    with pytest.raises(DataError, match="no keys"):
        split_by_fraction([], 0.5, 0)
    with pytest.raises(DataError, match="'a' twice"):
        split_by_fraction(["a", "a"], 0.5, 0)


@pytest.mark.parametrize("name", ["split.json", "split.csv", "SPLIT.JSON"])
def test_a_split_is_read_back(tmp_path, name):
    split = Split(train=("edente/é 1", 'a,"b"'), validation=("c;d",))
    split.save(tmp_path / name)
    assert Split.load(tmp_path / name) == split


@pytest.mark.parametrize(
    "text", ["key,split\na,train\nb,validation\n", "\ufeffkey;split\r\na;train\r\nb; validation\r\n"]
)
def test_csv_of_a_spreadsheet(tmp_path, text):
    (tmp_path / "split.csv").write_bytes(text.encode())
    assert Split.load(tmp_path / "split.csv") == Split(train=("a",), validation=("b",))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name,part\na,train\n", "expected key and split"),
        ("a.csv", "key,split\na,train\nb,test\n", r"line 3: 'test' for the key 'b'"),
        ("a.csv", "", "expected key and split"),
        ("a.json", '{"train": ["a"]', "not a split"),
        ("a.json", '{"train": ["a"], "val": []}', "not a split"),
        ("a.txt", "", "ends in .json or .csv"),
    ],
)
def test_files_that_hold_no_split(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        Split.load(tmp_path / name)


def test_a_missing_split_file(tmp_path):
    with pytest.raises(MissingDataError, match=r"gone\.json: no such split file"):
        Split.load(tmp_path / "gone.json")


def test_decomposed_keys_in_a_file_match(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"train": ["cafe\u0301"], "validation": []}))
    assert Split.load(tmp_path / "a.json").train == ("caf\u00e9",)


def test_a_split_is_applied_in_the_order_of_the_source(caplog):
    with caplog.at_level(logging.WARNING):
        train, validation = Split(train=("c", "a"), validation=("b",)).apply(Names("a", "b", "c", "d"))
    assert (train.keys, validation.keys) == (["a", "c"], ["b"])
    assert "'d': left out" in caplog.text


def test_keys_that_the_source_lacks_are_named():
    with pytest.raises(
        MissingDataError, match=r"names 'slice_3', which the data lacks. Did you mean 'slice_2'"
    ):
        Split(train=("slice_1", "slice_3"), validation=()).apply(Names("slice_1", "slice_2"))


def test_a_key_in_both_parts_or_twice_in_the_source_is_refused():
    with pytest.raises(DataError, match="the split holds 'a' twice"):
        Split(train=("a",), validation=("a",)).apply(Names("a"))
    with pytest.raises(DataError, match="the source holds 'a' twice"):
        Split(train=("a",), validation=()).apply(Names("a", "a"))


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(1, 70), seeds)
def test_a_subset_takes_an_even_share_of_each_folder(sizes, size, seed):
    keys = [f"{folder}/{i}" for folder, count in enumerate(sizes) for i in range(count)]
    chosen = subset(keys, size, seed=seed)
    assert len(chosen) == min(size, len(keys))
    assert chosen == [key for key in keys if key in set(chosen)]
    shares = [sum(key.startswith(f"{folder}/") for key in chosen) for folder in range(len(sizes))]
    most = max(shares)
    assert all(share >= most - 1 or share == count for share, count in zip(shares, sizes, strict=True))


def test_a_subset_by_group_takes_the_same_stems_of_each_folder():
    keys = [f"{side}/p{i % 3}_{i}" for side in ("dente", "edente") for i in range(30)]
    by_folder = subset(keys, 10, seed=3)
    assert {k.split("/")[1] for k in by_folder[:5]} == {k.split("/")[1] for k in by_folder[5:]}
    by_patient = subset(keys, 9, group=r"^(p\d)", seed=3)
    assert [sum(f"/p{i}_" in key for key in by_patient) for i in range(3)] == [3, 3, 3]
    assert subset(keys, 9, seed=3) != subset(keys, 9, seed=4)
    with pytest.raises(ConfigError, match="at least 1"):
        subset(keys, 0, seed=0)
