import csv
import io
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import ConfigError, DataError, MissingDataError, MissingExtraError, SchemaError
from voxloom.sample import Field
from voxloom.sources import table
from voxloom.testing.sources import check_source


@pytest.fixture
def root(tmp_path):
    for name in ("img/1.png", "img/2 b.png", "seg/1.png", "seg/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (5, 4), 7).save(tmp_path / name)
    return tmp_path


def write(root, text, name="t.csv", encoding="utf-8"):
    (root / name).write_bytes(text.encode(encoding))
    return root / name


ROWS = "image,mask,label,age,weight,note\nimg/1.png,seg/1.png,dog,3,2.5,a\nimg/2 b.png,seg/2.png,cat,4,1,b\n"


def test_columns_become_fields(root):
    source = table(write(root, ROWS))
    check_source(source)
    assert source.keys == ["img/1.png", "img/2 b.png"]
    assert {name: (field.kind, field.dtype) for name, field in source.schema.items()} == {
        "image": ("image", "uint8"),
        "mask": ("mask", "uint8"),
        "label": ("class", "int64"),
        "age": ("attribute", "int64"),
        "weight": ("attribute", "float64"),
        "note": ("text", "str"),
    }
    assert source.schema["label"].categories == ("cat", "dog")
    assert [int(source[i]["label"]) for i in range(2)] == [1, 0]
    assert source[1]["weight"] == 1.0
    assert source[1]["note"] == "b"
    assert source.select("age")[1] == {"age": np.array(4)}


def test_a_table_as_spreadsheets_write_it(root):
    text = 'image;x,"label"\r\n"img/1.png","say ""dog"", twice"\r\n\r\n'.replace("image;x", "image")
    source = table(write(root, text, encoding="utf-8-sig"))
    assert source.schema["label"].categories == ('say "dog", twice',)
    tabbed = table(write(root, ROWS.replace(",", "\t"), "t.tsv"))
    assert dict(tabbed[0].schema) == dict(table(write(root, ROWS))[0].schema)


def test_columns_of_paths_can_be_named(root):
    path = write(root, "scan,truth\nimg/1.png,seg/1.png\n")
    assert [field.kind for field in table(path).schema.values()] == ["image", "image"]
    source = table(path, images=["scan"], masks=["truth"])
    assert [field.kind for field in source.schema.values()] == ["image", "mask"]
    assert table(path, images=["scan"]).schema["truth"].kind == "text"
    with pytest.raises(ConfigError, match=r"no column 'truht'.*Did you mean 'truth'"):
        table(path, masks=["truht"])


def test_absolute_paths_and_keys_of_ones_own(root):
    text = f"key,image\nfirst,{root / 'img/1.png'}\nsecond,{root / 'img/1.png'}\n"
    source = table(write(root, text))
    assert source.keys == ["first", "second"]
    assert list(source.schema) == ["image"]
    check_source(source)


def test_names_that_look_like_numbers_stay_names(root):
    source = table(write(root, "image,code,label\nimg/1.png,007,3\nimg/2 b.png,1_0,0\n"))
    assert source[0]["code"] == "007"
    assert source.schema["label"] == Field(name="label", kind="class", axes="", dtype="int64", shape=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty table"),
        ("image,label\n", "no row in this table"),
        ("image,\nimg/1.png,a\n", "a name for each column"),
        ("image,image\nimg/1.png,a\n", "each another one"),
        ("image,label\nimg/1.png,a,b\n", "row 2 has 3 cells and the header 2"),
        ("image,note\nimg/1.png,\n", r"row 2, column 'note' is ''. Fill it"),
        ("image,note\nimg/1.png,a\n ,b\n", r"row 3, column 'image' is ' '. Fill it"),
        ("image\nimg/1.png\nimg/9.png\n", r"'image' names .*img/9\.png, which is not there \(1 of the fir"),
        ("image\nimg/7.png\n", r"Column 'image' looks like it, but .*img/7\.png is not there"),
        ("a,b\n1,2\n", r"no column holds paths .* Columns: a, b\. Say which .*images="),
        ("image\nimg/1.png\nimg/1.png\n", "rows 2 and 3 have the key 'img/1.png'"),
        ('image,a\n"img/1.png,b\n', "Is a quote left open"),
    ],
)  # fmt: skip
def test_bad_tables_say_where(root, text, message):
    with pytest.raises(DataError, match=rf"t\.csv: .*{message}"):
        table(write(root, text))


def test_one_odd_cell_among_numbers_is_named(root):
    for number in range(9):
        Image.new("L", (2, 2)).save(root / f"{number}.png")
    rows = "".join(f"{n}.png,{'n/a' if n == 4 else n}\n" for n in range(9))
    with pytest.raises(DataError, match="row 6, column 'age' is 'n/a', and all other rows are numbers"):
        table(write(root, "image,age\n" + rows))


def test_other_encodings_and_files_are_refused(root):
    with pytest.raises(DataError, match=r"not UTF-8 \(byte 0xe9 at 6\)"):
        table(write(root, "image,\u00e9\nimg/1.png,1\n", encoding="latin-1"))
    with pytest.raises(DataError, match="not a table"):
        table(write(root, "", "t.xlsx"))
    with pytest.raises(MissingDataError, match="no such table"):
        table(root / "none.csv")


def test_parquet_tables(root):
    columns = {
        "image": ["img/1.png", "img/2 b.png"],
        "label": pa.array(["dog", "cat"]).dictionary_encode(),
        "age": pa.array([3, 4], pa.int16()),
        "weight": pa.array([2.5, 1], pa.float32()),
        "seen": [True, False],
    }
    pyarrow.parquet.write_table(pa.table(columns), root / "t.parquet")
    source = table(root / "t.parquet")
    check_source(source)
    assert {name: field.dtype for name, field in source.schema.items()} == {
        "image": "uint8", "label": "int64", "age": "int16", "weight": "float32", "seen": "bool",
    }  # fmt: skip
    assert source.schema["label"].categories == ("cat", "dog")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["a", None]), "row 1 of column 'x' is empty"),
        (pa.array([[1], [2]]), "column 'x' holds list"),
    ],
)
def test_parquet_columns_that_cannot_be_fields(root, column, message):
    content = pa.table({"image": ["img/1.png", "img/2 b.png"], "x": column})
    pyarrow.parquet.write_table(content, root / "t.parquet")
    with pytest.raises(DataError, match=message):
        table(root / "t.parquet")


def test_a_damaged_parquet_table_and_a_missing_library(root, monkeypatch):
    (root / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a Parquet file"):
        table(root / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"voxloom\[arrow\]"):
        table(root / "t.parquet")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1),
)
def test_what_is_written_is_read(root, numbers, text):
    content = io.StringIO()
    rows = csv.writer(content)
    rows.writerow(["key", "image", "number", "text"])
    rows.writerows([i, "img/1.png", number, f"<{text}>"] for i, number in enumerate(numbers))
    source = table(write(root, content.getvalue()))
    assert [float(source[i]["number"]) for i in range(len(source))] == numbers
    assert source[0]["text"] == f"<{text}>"


def images(root, rows, header):
    """Write a table whose rows all name one image, with keys of their own."""
    text = "".join(f"k{number},img/1.png,{row}\n" for number, row in enumerate(rows))
    return table(write(root, f"key,image,{header}\n{text}"))


@pytest.mark.parametrize(
    "cells",
    [
        ["12345678901234567890", "12345678901234567891"],  # float64 would make them one
        ["9223372036854775808", "1"],
        ["1.9", "1.10"],
        ["1e400", "1"],
        ["1e-400", "1"],
        ["9007199254740993.0", "1.5"],
        ["nan", "inf"],
        ["0.12345678901234567891", "1"],
        ["1e99999999999999999999", "1e-99999999999999999999"],
        ["\u0663", "4"],
    ],
)
def test_numbers_that_would_lose_a_digit_stay_text(root, cells):
    source = images(root, cells, "x")
    assert source.schema["x"].kind == "text"
    assert [str(sample["x"]) for sample in source] == cells


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["9223372036854775807", "-9223372036854775808"], "int64"),
        (["0.50", "1.00"], "float64"),
        (["1.000000000000000056e-01", "2.000000000000000000e+00"], "float64"),  # as numpy.savetxt writes
        (["1.0", "1.25", "1e+16"], "float64"),
        (["nan", "-inf", "2.5"], "float64"),
        (["-0", "1"], "float64"),
    ],
)
def test_numbers_that_lose_nothing_are_numbers(root, cells, dtype):
    source = images(root, cells, "x")
    assert source.schema["x"].dtype == dtype
    assert [repr(float(sample["x"])) for sample in source] == [repr(float(cell)) for cell in cells]


def test_keys_and_paths_are_never_numbers(root):
    for name in ("1.10", "1.1"):
        Image.new("L", (5, 4)).save(root / name, "png")
    assert table(write(root, "key,image\n1.10,img/1.png\n1.1,img/1.png\n")).keys == ["1.10", "1.1"]
    assert table(write(root, "scan\n1.10\n1.1\n"), images=["scan"]).keys == ["1.10", "1.1"]


@pytest.mark.parametrize("cells", [["1.10", "1.1"], ["nan", "inf"], ["007", "7"], ["1" * 20, "1"]])
def test_names_of_classes_are_kept_as_written(root, cells):
    source = images(root, cells, "label")
    assert source.schema["label"].categories == tuple(sorted(cells))
    assert [source.schema["label"].categories[int(sample["label"])] for sample in source] == cells


def test_a_class_number_that_is_too_large_is_refused(root):
    content = pa.table(
        {"image": ["img/1.png", "img/2 b.png"], "label": pa.array([1, 2**63 + 1], pa.uint64())}
    )
    pyarrow.parquet.write_table(content, root / "t.parquet")
    with pytest.raises(SchemaError, match="row 1 of column 'label' is 9223372036854775809"):
        table(root / "t.parquet")


def test_a_number_is_no_path_though_a_file_has_its_name(root):
    Image.new("L", (5, 4)).save(root / "3", "png")
    assert table(write(root, "image,age\nimg/1.png,3\n")).schema["age"].kind == "attribute"
