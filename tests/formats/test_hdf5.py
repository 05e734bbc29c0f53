"""Shards of HDF5 files, read by h5py as by us."""

import subprocess
import sys

import h5py
import imagecodecs
import numpy as np
import pytest

from voxloom.errors import DamagedStoreError, MissingExtraError
from voxloom.formats.format import KEY, Column
from voxloom.formats.hdf5 import Hdf5
from voxloom.testing.shards import DTYPES, rows_of, write_shard

COLUMNS = [Column("frame", "uint16", (40, 30)), Column("label", "int64"), Column("caption"), Column(KEY)]
PATH = "00007.h5"


@pytest.fixture(params=Hdf5.compressions)
def compression(request):
    return request.param


def smooth(samples):
    grid = np.add.outer(np.arange(40), np.arange(30)).astype("uint16")
    return [
        {"frame": grid + number, "label": np.array(number), "caption": b"x" * number, KEY: b"%d" % number}
        for number in range(samples)
    ]


def decoded(dataset):
    """What a reader with the plug-in of the registered filter sees."""
    chunks = [dataset.id.read_direct_chunk((row, 0, 0))[1] for row in range(len(dataset))]
    frames = [np.frombuffer(imagecodecs.blosc_decode(chunk), dataset.dtype) for chunk in chunks]
    return np.stack(frames).reshape(dataset.shape)


def test_others_read_what_we_write(compression, tmp_path):
    rows = smooth(5)
    write_shard(Hdf5(), tmp_path, COLUMNS, rows, compression=compression)
    with h5py.File(tmp_path / PATH) as file:
        frames = decoded(file["frame"]) if compression == "blosc" else file["frame"][:]
        assert np.array_equal(frames, [row["frame"] for row in rows])
        assert file["label"][:].tolist() == [0, 1, 2, 3, 4]
        assert file["caption.offsets"][:].tolist() == [0, 0, 1, 3, 6, 10]
        assert file["caption"][:].tobytes() == b"x" * 10
        assert file["frame"].chunks == (None if compression == "none" else (1, 40, 30))


def test_blosc_is_the_registered_filter(tmp_path):
    write_shard(Hdf5(), tmp_path, COLUMNS, smooth(2), compression="blosc")
    with h5py.File(tmp_path / PATH) as file:
        number, _, options, _ = file["frame"].id.get_create_plist().get_filter(0)
    assert (number, options[2:4]) == (32001, (2, 2400))


def test_small_samples_are_not_chunked(tmp_path):
    write_shard(Hdf5(), tmp_path, COLUMNS, smooth(2), compression="gzip")
    with h5py.File(tmp_path / PATH) as file:
        assert file["label"].chunks is None


def test_fewer_samples_than_planned_leave_datasets_of_those(compression, tmp_path):
    write_shard(Hdf5(), tmp_path, COLUMNS, smooth(3), planned=9, compression=compression)
    with h5py.File(tmp_path / PATH) as file:
        assert file["frame"].shape == (3, 40, 30)
        assert file["label"].shape == (3,)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype[1] not in "MU" and dtype != ">c8"])
def test_h5py_sees_the_types(dtype, tmp_path):
    columns = [Column("x", dtype, (2,))]
    (path,) = write_shard(Hdf5(), tmp_path, columns, rows_of(columns, 3))
    with h5py.File(path) as file:
        assert file["x"].dtype == np.dtype(dtype) or dtype == "complex128"


def test_compression_saves_space_and_decodes_into_the_slot(tmp_path):
    columns, sizes = COLUMNS[:1], {}
    for compression in Hdf5.compressions:
        folder = tmp_path / compression
        folder.mkdir()
        rows = [{"frame": row["frame"]} for row in smooth(20)]
        (path,) = write_shard(Hdf5(), folder, columns, rows, compression=compression)
        sizes[compression] = path.stat().st_size
        out = np.zeros((3, 40, 30), "uint16")
        Hdf5().open(folder, "00007", columns, 20).take("frame", np.array([19, 0, 7]), out)
        assert np.array_equal(out, [rows[number]["frame"] for number in (19, 0, 7)])
    assert sizes["gzip"] < sizes["none"] / 2
    assert sizes["blosc"] < sizes["none"] / 1.5


@pytest.mark.parametrize("compression", ["gzip", "blosc"])
def test_a_flipped_byte_of_a_compressed_sample_is_found(compression, tmp_path):
    rows = smooth(3)
    (path,) = write_shard(Hdf5(), tmp_path, COLUMNS, rows, compression=compression)
    with h5py.File(path) as file:
        place, size, _ = file["frame.chunks"][1].tolist()
    data = bytearray(path.read_bytes())
    data[place + size // 2] ^= 1
    path.write_bytes(data)
    shard = Hdf5().open(tmp_path, "00007", COLUMNS, 3)
    out = np.zeros((1, 40, 30), "uint16")
    shard.take("frame", np.array([0]), out)
    with pytest.raises(DamagedStoreError, match="sample 1 of column 'frame' was changed"):
        shard.take("frame", np.array([1]), out)


def test_a_file_of_somebody_else_is_refused(tmp_path):
    with h5py.File(tmp_path / PATH, "w") as file:
        file["frame"] = np.zeros((3, 40, 30), "uint16")
    with pytest.raises(DamagedStoreError, match="no index of ours"):
        Hdf5().open(tmp_path, "00007", COLUMNS, 3)


def test_reading_needs_no_h5py_and_writing_says_how_to_get_it(tmp_path, monkeypatch):
    rows = smooth(2)
    write_shard(Hdf5(), tmp_path, COLUMNS, rows)
    code = "; ".join(
        [
            "import sys, pathlib",
            "from voxloom.formats.hdf5 import Hdf5",
            "from voxloom.formats.format import Column",
            f"columns = {COLUMNS!r}",
            f"shard = Hdf5().open(pathlib.Path({str(tmp_path)!r}), '00007', columns, 2)",
            "assert bytes(shard.blob('caption', 1)) == b'x'",
            "assert 'h5py' not in sys.modules",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r'pip install "voxloom\[hdf5\]"'):
        Hdf5().writer(tmp_path, "1", COLUMNS, 1)


def test_what_is_discarded_leaves_nothing_open(compression, tmp_path):
    writer = Hdf5().writer(tmp_path, "1", COLUMNS, 2, compression=compression)
    writer.append(smooth(1)[0])
    writer.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["1.h5"]
