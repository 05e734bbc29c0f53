import os
from pathlib import Path

import pytest

from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.sources.split_rows import SplitRow, followed, is_volume_split, rows_from_csv, rows_from_dict


def csv(folder, text):
    path = folder / "split.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rows(folder, text):
    found = rows_from_csv(csv(folder, text))
    return [
        (row.part, os.path.relpath(row.raw, folder), *(os.path.relpath(g, folder) for g in row.gt))
        for row in found
    ]


@pytest.mark.parametrize(
    "text",
    [
        'train,a.zarr,em,b.zarr,"labels/[mito,er]"\n',
        'split,raw_path,raw_dataset,gt_path,gt_dataset\ntrain,a.zarr,em,b.zarr,"labels/[mito,er]"\n',
        'gt_dataset,gt_path,split,raw_dataset,raw_path\n"labels/[mito,er]",b.zarr,train,em,a.zarr\n',
        'train,a.zarr/em,"b.zarr/labels/[mito,er]"\n',
        'split,raw,gt\n\n# a comment, with a comma\n  train , a.zarr/em , "b.zarr/labels/[mito,er]"\n',
        '\ufeffTRAIN_1,./a.zarr/,/em/,b.zarr,"labels/[mito,er]"\n',
    ],
)
def test_the_forms_of_a_csv_say_the_same(tmp_path, text):
    assert rows(tmp_path, text) == [("train", "a.zarr/em", "b.zarr/labels/[mito,er]")]


@pytest.mark.parametrize(
    "text", ["val,a.zarr\n", "split,raw\nValidate,a.zarr\n", "validation,a.zarr,\n", "val,a.zarr,,,\n"]
)
def test_labels_may_be_left_out(tmp_path, text):
    assert rows(tmp_path, text) == [("validation", "a.zarr")]


def test_absolute_paths_and_urls_stay(tmp_path):
    found = rows_from_csv(csv(tmp_path, "train,s3://bucket/a.zarr,em,/data/gt.zarr,mito\n"))
    assert (found[0].raw, found[0].gt) == ("s3://bucket/a.zarr/em", ("/data/gt.zarr/mito",))
    assert followed(found[0]) == found


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("train,a\ntrian,b\n", ConfigError, r"row 2: split 'trian'.*Did you mean 'train'"),
        ("# c\n\ntest,a\n", ConfigError, "row 3: split 'test'"),
        ("split,raw,ground\ntrain,a,b\n", ConfigError, "row 1: column 'ground'"),
        ("split,gt\ntrain,a\n", ConfigError, "row 1: columns"),
        ("split,raw,raw\ntrain,a,b\n", ConfigError, "each once"),
        ("split,raw_pth\ntrain,a\n", ConfigError, "Did you mean 'raw_path'"),
        ("train,a,em,b,[mito,er]\n", DataError, r"row 1: 6 cells.*needs quotes"),
        ("split,raw\ntrain,a,b\n", DataError, "row 2: 3 cells"),
        ("train,a,b,c\n", DataError, "row 1: 4 cells"),
        ("train,,b\n", DataError, "row 1: no path of a raw"),
        ('train,"a\n', DataError, "quote left open"),
        ("# nothing\n", MissingDataError, "no row"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, text, error, words):
    with pytest.raises(error, match=words):
        rows_from_csv(csv(tmp_path, text))


def test_a_file_that_is_no_text_or_not_there_is_said(tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"train,\xff\xfe\n")
    with pytest.raises(DataError, match="UTF-8"):
        rows_from_csv(tmp_path / "bad.csv")
    with pytest.raises(MissingDataError, match="no such file"):
        rows_from_csv(tmp_path / "none.csv")


def made(folder, *paths):
    for path in paths:
        (folder / path).mkdir(parents=True)


def pairs(folder, raw, gt=""):
    row = SplitRow("row 1", "train", str(folder / raw), (str(folder / gt),) if gt else ())
    return [tuple(os.path.relpath(p, folder) for p in (each.raw, *each.gt)) for each in followed(row)]


def test_wildcards_pair_what_they_stand_for(tmp_path):
    made(tmp_path, "b/em.zarr", "a/em.zarr", "a/gt.zarr/mito", "b/gt.zarr/mito")
    assert pairs(tmp_path, "*/em.zarr", "*/gt.zarr/[mito,er]") == [
        ("a/em.zarr", "a/gt.zarr/[mito,er]"),
        ("b/em.zarr", "b/gt.zarr/[mito,er]"),
    ]
    assert pairs(tmp_path, "?/em.zarr") == [("a/em.zarr",), ("b/em.zarr",)]


def test_folders_may_have_brackets_in_their_names(tmp_path):
    made(tmp_path, "a[1]/em.zarr", "a[1]/gt.zarr/mito")
    expected = [("a[1]/em.zarr", "a[1]/gt.zarr/[mito,er]")]
    assert pairs(tmp_path, "a[1]/em.zarr", "*[1]/gt.zarr/[mito,er]") == expected


def test_one_raw_volume_may_have_many_crops(tmp_path):
    made(tmp_path, "a.zarr/em", "a.zarr/gt/crop1", "a.zarr/gt/crop2", "b.zarr/em", "b.zarr/gt/crop9")
    assert pairs(tmp_path, "a.zarr/em", "a.zarr/gt/crop*/[er]/s0") == [
        ("a.zarr/em", f"a.zarr/gt/crop{n}/[er]/s0") for n in (1, 2)
    ]
    assert pairs(tmp_path, "*.zarr/em", "*.zarr/gt/crop*") == [
        ("a.zarr/em", "a.zarr/gt/crop1"), ("a.zarr/em", "a.zarr/gt/crop2"), ("b.zarr/em", "b.zarr/gt/crop9"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "gt", "error", "words"),
    [
        ("*/nothing", "", MissingDataError, "nothing is there"),
        ("*/em", "*/gt", DataError, r"b/em has no partner \(1 have none\)"),
        ("a/em", "a/[mito]/*", DataError, "after the brackets"),
    ],
)
def test_wildcards_that_do_not_go_together_are_refused(tmp_path, raw, gt, error, words):
    made(tmp_path, "a/em", "b/em", "a/gt")
    with pytest.raises(error, match=words):
        pairs(tmp_path, raw, gt)


def test_urls_take_no_wildcards_but_queries():
    query = SplitRow("row 1", "train", "https://host/em.zarr?version=2")
    assert followed(query) == [query]
    with pytest.raises(DataError, match="local files"):
        followed(SplitRow("row 1", "train", "s3://bucket/*/em.zarr"))


def test_a_dict_says_the_same(tmp_path):
    found = rows_from_dict(
        {
            "train": [{"raw": "a", "gt": ["b/[mito]", Path("/c")]}, {"raw": {"em": "a", "light": Path("d")}}],
            "validate": [{"raw": "e", "gt": None}],
        },
        base=tmp_path,
    )
    at = {name: str(tmp_path / name) for name in "abde"}
    assert [row.part for row in found] == ["train", "train", "validation"]
    assert (found[0].raw, found[0].gt) == (at["a"], (f"{at['b']}/[mito]", "/c"))
    assert found[1].raw == {"em": at["a"], "light": at["d"]}
    assert (found[2].gt, found[1].origin) == ((), "train 2")


@pytest.mark.parametrize(
    ("datasets", "error", "words"),
    [
        ({}, MissingDataError, "without any"),
        ({"train": []}, MissingDataError, "without any"),
        ({"tran": []}, ConfigError, "Did you mean 'train'"),
        ({"train": [{"raw": "a", "target": "b"}]}, ConfigError, "train 1.*raw and gt"),
        ({"train": [{"gt": "b"}]}, ConfigError, "raw and gt"),
    ],
)
def test_a_wrong_dict_is_refused(datasets, error, words):
    with pytest.raises(error, match=words):
        rows_from_dict(datasets)


def test_wildcards_and_several_volumes_do_not_mix():
    row = SplitRow("row 1", "train", {"em": "/a/*"}, ())
    with pytest.raises(DataError, match="several volumes"):
        followed(row)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("# c\ntrain,a,b\n", True),
        ("validate,a,em,b,gt\n", True),
        ("split,raw_path,gt_path\n", True),
        ("key,split\n1,train\n", False),
        ("image,label\na.png,cat\n", False),
        ("training.png,cat,1,2\n", False),
        ("", False),
        ('"\n', False),
    ],
)
def test_a_split_of_volumes_is_told_from_other_tables(tmp_path, text, is_one):
    assert is_volume_split(csv(tmp_path, text)) is is_one
    assert not is_volume_split(tmp_path / "none.csv")
    assert not is_volume_split(tmp_path)
