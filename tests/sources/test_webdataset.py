import gzip
import io
import tarfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, MissingDataError, SchemaError
from voxloom.sources import TarFolder
from voxloom.testing.sources import check_source
from voxloom.testing.stores import Counting, write_store


def write(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def image(form="png", value=7, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (5, 4), value).save(file, form)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def sample(key, label, value=7):
    return [
        (f"{key}.jpg", image("jpeg", value)),
        (f"{key}.cls", str(label).encode()),
        (f"{key}.seg.png", image("png", 1, "L")),
        (f"{key}.txt", f"scan of {key}".encode()),
        (f"{key}.json", b'{"age": 3}'),
        (f"{key}.latent.npy", npy(np.full((4, 4, 5), label, np.float32))),
        (f"{key}.index", b"12\n"),
    ]


def test_endings_tell_the_fields(tmp_path):
    write(tmp_path / "a-0.tar", sample("x/1", 3) + sample("x/2", 4))
    write(tmp_path / "a-1.tar", sample("x/3", 5))
    source = TarFolder(tmp_path)
    check_source(source)
    assert source.keys == ["x/1", "x/2", "x/3"]
    assert {name: (f.kind, f.axes, f.dtype) for name, f in source.schema.items()} == {
        "image": ("image", "yxc", "uint8"),
        "label": ("class", "", "int64"),
        "seg": ("mask", "yx", "uint8"),
        "text": ("text", "", "str"),
        "json": ("text", "", "str"),
        "latent": ("image", "cyx", "float32"),
        "index": ("attribute", "", "int64"),
    }
    assert [int(source[i]["label"]) for i in range(3)] == [3, 4, 5]
    assert source[1]["text"] == "scan of x/2"
    assert source.cells(0)["image"] == image("jpeg")
    assert source.nbytes(0) == sum(len(data) for _, data in sample("x/1", 3))
    assert source.select("label").nbytes(0) == 1
    with pytest.raises(SchemaError, match="no field 'labl'"):
        source.select("labl")


def test_numbers_that_start_again_in_each_tar_are_told_apart(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.tar", [("./0.cls", b"1"), ("./1.cls", b"2")])
    assert TarFolder(tmp_path).keys == ["a/0", "a/1", "b/0", "b/1"]
    write(tmp_path / "c.tar", [("0.cls", b"1"), ("1.cls", b"1"), ("0.cls", b"1")])
    with pytest.raises(DataError, match="two samples have the key 'c/0'"):
        TarFolder(tmp_path)


def test_two_images_keep_their_endings_as_names(tmp_path):
    path = write(tmp_path / "a.tar", [("1.jpg", image("jpeg")), ("1.PNG", image())])
    assert list(TarFolder(path).schema) == ["jpg", "png"]
    assert list(TarFolder(write(tmp_path / "b.tar", [("1.jpg", image()), ("2.png", image())])).schema) == [
        "image"
    ]


def test_names_that_lead_out_are_names(tmp_path):
    outside = tmp_path / "outside"
    path = write(tmp_path / "in" / "a.tar", [("../../outside/1.cls", b"1"), (f"{outside}/2.cls", b"2")])
    source = TarFolder(path)
    assert source.keys == ["../../outside/1", f"{outside}/2"]
    assert source[1]["label"] == 2
    assert not outside.exists()
    assert [p.name for p in path.parent.iterdir()] == ["a.tar"]


def test_what_is_no_part_of_a_sample_is_counted(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("d.png", tarfile.DIRTYPE), ("link.png", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    with pytest.raises(MissingDataError, match=r"no sample in 1 tars; found 2 \(d\.png, link\.png\)"):
        TarFolder(path)
    write(path, [("README", b""), (".x.png", b""), ("1.cls", b"1"), ("1.bin", b"?")])
    assert TarFolder(path).ignored.names == ["README", ".x.png", "1.bin"]


def test_samples_that_differ_are_named(tmp_path):
    members = sample("1", 1) + sample("2", 2)[1:]
    with pytest.raises(DataError, match=r"a\.tar: sample '2' .*missing fields: image; further fields: none"):
        TarFolder(write(tmp_path / "a.tar", members))
    with pytest.raises(DataError, match=r"two members for one field: 1\.cls, 1\.CLS"):
        TarFolder(write(tmp_path / "a.tar", [("1.cls", b"1"), ("1.CLS", b"1")]))


def test_bad_values_are_named(tmp_path):
    path = write(tmp_path / "a.tar", [("1.cls", b"dog"), ("1.txt", b"\xff"), ("1.png", b"no")])
    source = TarFolder(path)
    with pytest.raises(DataError, match=r"a\.tar: label of '1' is b'dog'"):
        source.select("label")[0]
    with pytest.raises(DataError, match=r"a\.tar: text of '1' is not UTF-8"):
        source.select("text")[0]
    with pytest.raises(DataError, match=r"a\.tar: image of '1'"):
        _ = source.schema


def test_tars_that_cannot_be_read(tmp_path):
    good = write(tmp_path / "a.tar", sample("1", 1)).read_bytes()
    (tmp_path / "a.tar").write_bytes(gzip.compress(good))
    with pytest.raises(DataError, match=r"a\.tar: compressed"):
        TarFolder(tmp_path)
    (tmp_path / "a.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match=r"a\.tar: cut, or not a tar"):
        TarFolder(tmp_path)
    with pytest.raises(MissingDataError, match="no such tar"):
        TarFolder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="no tar in this folder"):
        TarFolder(tmp_path / "empty")


def test_a_tar_that_shrinks_is_noticed(tmp_path):
    path = write(tmp_path / "a.tar", [("1.cls", b"1")])
    source = TarFolder(path)
    path.write_bytes(path.read_bytes()[:512])
    with pytest.raises(DataError, match="has become shorter"):
        source[0]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.integers(0, 20_000), value=st.integers(0, 255), cut=st.booleans())
def test_damage_raises_errors_of_ours(tmp_path, place, value, cut):
    data = bytearray(write(tmp_path / "good" / "a.tar", sample("1", 1) + sample("2", 2)).read_bytes())
    place %= len(data)
    if cut:
        del data[place:]
    else:
        data[place] = value
    (tmp_path / "a.tar").write_bytes(data)
    with suppress(DataError):
        source = TarFolder(tmp_path / "a.tar")
        for index in range(len(source)):
            source[index]


def test_keys_of_our_shards_are_read_back(tmp_path):
    """A store of tars, its shards alone, and a store made of those: one set of keys."""
    keys = ["cat/1.jpg", "100%", "../x", "__a__/b", "a\nb", "é.png"]
    store = write_store(tmp_path / "store", Keyed(keys), format="tar")
    source = TarFolder(store / "shards")
    assert sorted(source.keys) == sorted(keys)
    assert {sample.key: int(sample["label"]) for sample in source} == {key: i for i, key in enumerate(keys)}


class Keyed(Counting):
    """Samples with these keys."""

    def __init__(self, keys):
        super().__init__(len(keys), classes=len(keys))
        self.named = keys

    @property
    def keys(self):
        return self.named


def test_keys_of_others_stay_as_they_are(tmp_path):
    write(tmp_path / "0.tar", sample("50%2Eoff", 1) + sample("100%", 2))
    assert TarFolder(tmp_path).keys == ["50%2Eoff", "100%"]
    write(tmp_path / "0.tar", sample("%FF", 1))
    assert TarFolder(tmp_path).keys == ["%FF"]


def test_an_integer_that_is_too_large_is_refused(tmp_path):
    write(tmp_path / "0.tar", [("a.cls", b"9223372036854775808")])
    with pytest.raises(SchemaError, match=r"label of 'a' is 9223372036854775808"):
        TarFolder(tmp_path)[0]
