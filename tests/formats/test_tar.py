"""Shards of tar files, read as WebDataset reads them and through the index."""

import io
import re
import tarfile

import numpy as np
import pytest

from voxloom.errors import DamagedStoreError, SchemaError
from voxloom.formats.format import KEY, Column
from voxloom.formats.members import base_name, header, suffixes
from voxloom.formats.tar import Tar
from voxloom.testing.shards import check_rows, write_shard

JPEG, PNG = b"\xff\xd8\xff\xe0 a picture", b"\x89PNG\r\n\x1a\n a picture"
COLUMNS = [
    Column("image"), Column("mask"), Column("label", "int64"), Column("frame", ">u2", (2, 3)),
    Column("age", "float32"), Column("caption"), Column(KEY),
]  # fmt: skip
KEYS = ["cat/1.jpg", "dog/größe 2.v2.JPG", "x" * 300 + "/3.png", "../../4.png", "__a__/5", "/abs//6/", ""]


def rows():
    return [
        {
            "image": JPEG + b"%d" % number,
            "mask": PNG,
            "label": np.array(number - 1),
            "frame": np.full((2, 3), number, ">u2"),
            "age": np.array(number / 2, "float32"),
            "caption": f"größe {number}".encode(),
            KEY: key.encode(),
        }
        for number, key in enumerate(KEYS)
    ]


def webdataset(path):
    """Group members as WebDataset does: one sample while the name up to the first dot stays the same."""
    samples = []
    with tarfile.open(path) as archive:
        for member in archive:
            if re.match(r"__[^/]*__($|/)", member.name):
                continue
            base, suffix = re.match(r"^((?:.*/|)[^.]+)[.]([^/]*)$", member.name).groups()
            if not samples or samples[-1]["__key__"] != base:
                samples.append({"__key__": base})
            assert suffix.lower() not in samples[-1]
            samples[-1][suffix.lower()] = archive.extractfile(member).read()
    return samples


def test_webdataset_reads_our_shards(tmp_path):
    written = rows()
    write_shard(Tar(), tmp_path, COLUMNS, written)
    read = webdataset(tmp_path / "00007.tar")
    assert len(read) == len(written)
    for ours, theirs in zip(written, read, strict=True):
        assert set(theirs) == {"__key__", "jpg", "mask.png", "cls", "frame.npy", "age.npy", "txt"}
        assert (theirs["jpg"], theirs["mask.png"], theirs["txt"]) == (ours["image"], PNG, ours["caption"])
        assert int(theirs["cls"]) == ours["label"]
        assert np.array_equal(np.load(io.BytesIO(theirs["frame.npy"])), ours["frame"])
        assert np.load(io.BytesIO(theirs["age.npy"])) == ours["age"]
    assert [sample["__key__"] for sample in read[:2]] == ["cat/1%2Ejpg", "dog/größe 2%2Ev2%2EJPG"]


def test_the_true_keys_come_back(tmp_path):
    written = rows()
    write_shard(Tar(), tmp_path, COLUMNS, written)
    shard = Tar().open(tmp_path, "00007", COLUMNS, len(written))
    check_rows(shard, COLUMNS, written)
    assert [str(shard.blob(KEY, row), "utf-8") for row in range(len(KEYS))] == KEYS


def test_no_member_leads_out_of_the_folder(tmp_path):
    write_shard(Tar(), tmp_path, COLUMNS, rows())
    with tarfile.open(tmp_path / "00007.tar") as archive:
        for member in archive:
            assert tarfile.data_filter(member, str(tmp_path)).name == member.name
            assert (member.mtime, member.mode, member.uid, member.gid) == (0, 0o644, 0, 0)
            assert (member.uname, member.gname) == ("", "")


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ([Column("image")], {"image": "png"}),
        ([Column("target"), Column("condition")], {"target": "target.png", "condition": "condition.png"}),
        ([Column("cls", "uint8"), Column("label", "uint8")], {"cls": "cls", "label": "label.cls"}),
        ([Column("old", "bool"), Column("a.b", "int8", (2,))], {"old": "old.cls", "a.b": "a%2Eb.npy"}),
        ([Column("text"), Column("caption")], {"text": "txt", "caption": "caption.png"}),
        ([Column("prompt")], {"prompt": "png"}),
    ],
)
def test_suffixes(columns, names):
    assert {name: suffix.of(memoryview(PNG)) for name, suffix in suffixes(columns).items()} == names


@pytest.mark.parametrize(
    ("data", "kind"), [(b"BMW of 1972", "txt"), (b"", "txt"), (b"\0\xff", "bin"), (JPEG, "jpg")]
)
def test_a_column_of_bytes_is_named_for_what_it_holds(data, kind):
    found = suffixes([Column("one"), Column("two")])["two"]
    assert found.of(memoryview(data)) == f"two.{kind}"


def test_what_is_no_image_does_not_take_the_captions_name():
    assert suffixes([Column("image"), Column("caption")])["image"].of(memoryview(b"no image")) == "bin"


@pytest.mark.parametrize("size", [0, 1, 8**11 - 1, 8**11])
@pytest.mark.parametrize("name", ["a.jpg", "x" * 100, "x" * 101, "größe.png", "d/" * 90 + "a.npy"])
def test_headers_are_those_of_tarfile(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    assert header(name, size) == info.tobuf(tarfile.PAX_FORMAT, "utf-8")


def test_base_names_differ_where_keys_do():
    keys = [
        *KEYS,
        "cat/1%2Ejpg",
        "%5F_a__/5",
        "%",
        "%25",
        "_",
        "__",
        "a\\b",
        "a%5Cb",
        "a\nb",
        "a%0Ab",
        "/",
        "//",
    ]
    names = [base_name(key.encode()) for key in keys]
    assert len(set(names)) == len(keys)


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(SchemaError, match="not UTF-8"):
        base_name(b"\xff")


def test_the_name_of_the_index_is_taken(tmp_path):
    with pytest.raises(SchemaError, match="__members__"):
        Tar().writer(tmp_path, "0", [Column("__members__")], 1)


def test_an_index_of_another_tar_is_damage(tmp_path):
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        write_shard(Tar(), tmp_path / folder, COLUMNS, rows()[number : number + 5])
    (tmp_path / "one" / "00007.tar").write_bytes(b"x" * 512)
    with pytest.raises(DamagedStoreError, match=r"00007\.tar: has 512 bytes"):
        Tar().open(tmp_path / "one", "00007", COLUMNS, 5)


def test_nothing_is_scanned(tmp_path):
    written = rows()
    write_shard(Tar(), tmp_path, COLUMNS, written)
    path = tmp_path / "00007.tar"
    data = path.read_bytes()
    path.write_bytes(data[:512].replace(b"cat", b"\0\0\0") + data[512:])  # no header is looked at
    check_rows(Tar().open(tmp_path, "00007", COLUMNS, len(written)), COLUMNS, written)
