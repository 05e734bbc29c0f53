"""Folders as the Dataset Conversion Library leaves them, written here from its documented layout."""

import io
import json
import pickle
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from voxloom.errors import DataError, MissingDataError, MissingExtraError, SchemaError
from voxloom.sources import OlderFolder
from voxloom.testing.sources import check_source

COUNT, EACH, SIZE = 7, 3, (4, 6)
LABELS = np.arange(COUNT, dtype=np.int64) % 3


def pixels(channels=3):
    shape = (COUNT, *SIZE, channels) if channels > 1 else (COUNT, *SIZE)
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def files():
    """An image file each, of differing sizes and formats."""
    made = []
    for index in range(COUNT):
        file = io.BytesIO()
        Image.new("RGB", (5 + index, 4), index).save(file, "jpeg" if index % 2 else "png")
        made.append(file.getvalue())
    return made


def parts(values, each=EACH):
    return [values[start : start + each] for start in range(0, len(values), each)]


def memmap(root, images, labels):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        some.tofile(root / f"images/images_{number}.npy")  # without any header
        told.tofile(root / f"labels/labels_{number}.npy")


def hdf5(root, images, labels):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        for name, data in (("images", some), ("labels", told)):
            with h5py.File(root / f"{name}/{name}_{number}.h5", "w") as file:
                file.create_dataset(name, data=data)


def parquet_v1(root, images, labels):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        for name, data in (("images", some), ("labels", told)):
            pyarrow.parquet.write_table(pa.table({name: data}), root / f"{name}/{name}_{number}.parquet")


def parquet_v2(root, images, labels):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        for name, data in (("images", some), ("labels", told)):
            row = pa.table({str(column): [value] for column, value in enumerate(data)})
            pyarrow.parquet.write_table(row, root / f"{name}/{name}_{number}.parquet")


def ipc(root, images, labels, batch=1):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        for folder, name, data in (("images", "image_data", some), ("labels", "label", told)):
            table = pa.table({name: data})
            with (
                pa.OSFile(str(root / f"{folder}/{folder}_{number}.parquet"), "wb") as sink,
                pa.ipc.new_file(sink, table.schema) as writer,
            ):
                for rows in table.to_batches(max_chunksize=batch):
                    writer.write_batch(rows)


def ipc_at_once(root, images, labels):
    ipc(root, images, labels, batch=None)


def tar(root, images, labels):
    for number, (some, told) in enumerate(zip(parts(images), parts(labels), strict=True)):
        with tarfile.open(root / f"images/images_{number}.tar", "w") as archive:
            for index, data in enumerate(some):
                info = tarfile.TarInfo(f"image_{index}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        (root / f"labels/labels_{number}.json").write_text(json.dumps([int(label) for label in told]))


FIXED, FLEXIBLE = [memmap, hdf5], [parquet_v1, parquet_v2, ipc, ipc_at_once, tar]


def folder(root, write, images, labels=LABELS, **facts):
    for name in ("images", "labels", "metadata"):
        (root / name).mkdir(parents=True)
    write(root, images, labels)
    metadata = {
        "num_images_per_array": EACH, "len": len(images), "len_last_array": len(images) % EACH,
        "total_num_arrays": len(images) // EACH, **facts,  # one too low, as it sometimes is
    }  # fmt: skip
    (root / "metadata/metadata.json").write_text(json.dumps(metadata))
    return root


def fixed(root, write, channels=3, mode="RGB", labels=LABELS):
    return folder(root, write, pixels(channels), labels, mode=mode, shape=list(SIZE))


@pytest.mark.parametrize("write", FIXED)
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "CMYK")])
def test_arrays_of_one_size(tmp_path, write, channels, mode):
    source = OlderFolder(fixed(tmp_path / "x", write, channels, mode))
    check_source(source)
    images = pixels(channels).reshape(COUNT, *SIZE, channels)
    for index in range(COUNT):
        np.testing.assert_array_equal(source[index]["image"], images[index])
        assert source[index]["label"] == LABELS[index]
    assert source.schema["image"].shape == (*SIZE, channels)
    assert source.mode == mode
    assert source.keys == [str(index) for index in range(COUNT)]


@pytest.mark.parametrize("write", FLEXIBLE)
def test_files_of_any_size(tmp_path, write):
    source = OlderFolder(folder(tmp_path / "x", write, files()))
    check_source(source)
    for index, data in enumerate(files()):
        assert source.cells(index)["image"] == data
        assert source[index]["image"].shape == (4, 5 + index, 3)
        assert source[index]["label"] == LABELS[index]
    labels = pickle.loads(pickle.dumps(source.select("label")))
    assert [int(labels[index]["label"]) for index in range(COUNT)] == LABELS.tolist()


@pytest.mark.parametrize("write", FLEXIBLE)
def test_threads_read_the_same(tmp_path, write):
    source = OlderFolder(folder(tmp_path / "x", write, files()))
    order = np.random.default_rng(0).integers(0, COUNT, 80).tolist()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda index: source.cells(index)["image"], order))
    assert found == [files()[index] for index in order]


@pytest.mark.parametrize("write", [memmap, hdf5, tar])
def test_a_last_file_that_is_full(tmp_path, write):
    images = pixels()[:6] if write in FIXED else files()[:6]
    source = OlderFolder(folder(tmp_path / "x", write, images, LABELS[:6], shape=list(SIZE)))
    assert len(source) == 6
    check_source(source)


def test_dense_masks_as_arrays_and_as_files(tmp_path):
    masks = np.random.default_rng(1).integers(0, 9, (COUNT, *SIZE, 3), np.uint8)
    source = OlderFolder(fixed(tmp_path / "a", memmap, labels=masks))
    check_source(source)
    assert source.schema["label"].kind == "mask"
    np.testing.assert_array_equal(source[6]["label"], masks[6])
    grey = OlderFolder(fixed(tmp_path / "b", memmap, 1, "L", labels=masks[..., 0].copy()))
    check_source(grey)
    assert grey.schema["label"].axes == "yx"
    files_too = OlderFolder(folder(tmp_path / "c", ipc, files(), files()))
    check_source(files_too)
    assert files_too.schema["label"].kind == "mask"
    assert files_too.cells(3)["label"] == files()[3]


@pytest.mark.parametrize(
    ("mapping", "names"),
    [
        ({"cat": 0, "dog": 1}, ("cat", "dog")),
        ({"0": "cat", "1": "dog"}, ("cat", "dog")),
        ({"dog": 2, "cat": 0}, ("cat", "1", "dog")),
        ({"10": 0, "9": 1}, ("10", "9")),
    ],
)
def test_class_names_in_either_direction(tmp_path, mapping, names):
    root = fixed(tmp_path / "x", memmap)
    path = root / "metadata/class_to_integer_mapping.json"
    path.write_text(json.dumps(mapping))
    assert OlderFolder(root).schema["label"].categories == names
    for wrong in ('["cat"]', '{"cat": "dog"}', '{"a": 0, "b": 0}', '{"a": -1}', '{"a": 99999999999}', "{"):
        path.write_text(wrong)
        with pytest.raises(DataError, match="class_to_integer_mapping"):
            OlderFolder(root)


@pytest.mark.parametrize("write", [*FIXED, *FLEXIBLE])
def test_stray_files_are_left_alone(tmp_path, write):
    root = folder(tmp_path / "x", write, pixels() if write in FIXED else files(), shape=list(SIZE))
    for name in ("images/.DS_Store", "labels/.nfs0001", "images/notes.txt", "images/images_0.npy~"):
        (root / name).touch()
    assert len(OlderFolder(root)) == COUNT


def test_ten_files_and_more_are_in_the_order_of_their_numbers(tmp_path):
    images = np.repeat(np.arange(40, dtype=np.uint8), 24).reshape(40, *SIZE)
    source = OlderFolder(folder(tmp_path, memmap, images, np.arange(40), shape=list(SIZE)))
    assert [int(source[index]["image"].max()) for index in range(40)] == list(range(40))
    assert source.keys[:2] == ["00", "01"]


@pytest.mark.parametrize("write", [*FIXED, *FLEXIBLE])
@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_another_number_of_samples_is_refused(tmp_path, write, count):
    root = folder(tmp_path, write, pixels() if write in FIXED else files(), shape=list(SIZE))
    path = root / "metadata/metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"len": count}))
    with pytest.raises(DataError, match="the metadata speak of"):
        OlderFolder(root)


@pytest.mark.parametrize("write", [*FIXED, *FLEXIBLE])
def test_missing_and_surplus_files_are_refused(tmp_path, write):
    root = folder(tmp_path, write, pixels() if write in FIXED else files(), shape=list(SIZE))
    first = next((root / "images").glob("images_0.*"))
    surplus = first.with_stem("images_3")
    surplus.write_bytes(first.read_bytes())
    with pytest.raises(DataError, match="4 files, and the metadata speak of 3"):
        OlderFolder(root)
    surplus.unlink()
    first.unlink()
    with pytest.raises(MissingDataError, match=rf"{first.name} is missing"):
        OlderFolder(root)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ('{"len": 7}', "num_images_per_array"),
        ('{"num_images_per_array": 0, "len": 7}', "greater than 0"),
        ('{"num_images_per_array": 3, "len": 7}', "no shape"),
        ('{"num_images_per_array": 3, "len": 7, "shape": [4, 5]}', "4 x 5 pixels"),
        ("{", "not a JSON file"),
    ],
)
def test_bad_metadata(tmp_path, facts, message):
    root = fixed(tmp_path, memmap)
    (root / "metadata/metadata.json").write_text(facts)
    with pytest.raises(DataError, match=message):
        OlderFolder(root)


def test_what_is_no_such_folder(tmp_path):
    with pytest.raises(MissingDataError, match="no folder of the Dataset Conversion Library"):
        OlderFolder(tmp_path)
    root = fixed(tmp_path / "x", memmap)
    (root / "images/images_0.tar").touch()
    with pytest.raises(MissingDataError, match=r"found \.npy and \.tar"):
        OlderFolder(root)


def test_other_columns_and_compressed_data_are_refused(tmp_path):
    root = folder(tmp_path / "a", parquet_v1, files())
    pyarrow.parquet.write_table(pa.table({"pictures": files()[:3]}), root / "images/images_0.parquet")
    with pytest.raises(DataError, match=r"columns \['pictures'\]. Expected one of images"):
        OlderFolder(root)
    root = fixed(tmp_path / "b", hdf5)
    with h5py.File(root / "images/images_1.h5", "w") as file:
        file.create_dataset("images", data=pixels()[:3], compression="gzip")
    with pytest.raises(DataError, match=r"images_1\.h5: images is in chunks"):
        OlderFolder(root)
    root = folder(tmp_path / "c", tar, files())
    (root / "labels/labels_0.json").write_text('["a", "b", "c"]')
    with pytest.raises(DataError, match="a label 'a' among the labels"):
        OlderFolder(root)


@pytest.mark.parametrize(("write", "library"), [(hdf5, "h5py"), (ipc, "pyarrow"), (parquet_v1, "pyarrow")])
def test_missing_libraries_are_named(tmp_path, monkeypatch, write, library):
    root = folder(tmp_path, write, pixels() if write in FIXED else files(), shape=list(SIZE))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        OlderFolder(root)


def test_a_mode_that_is_not_a_plain_one_is_told(tmp_path, caplog):
    OlderFolder(fixed(tmp_path, memmap, 3, "HSV"))
    assert "mode HSV" in caplog.text


@pytest.mark.parametrize("write", [*FIXED, *FLEXIBLE])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_raises_errors_of_ours(tmp_path, write, data):
    root = tmp_path / "x"
    if not root.exists():
        folder(root, write, pixels() if write in FIXED else files(), shape=list(SIZE))
    path = data.draw(st.sampled_from(sorted(p for p in root.rglob("*_0.*") if p.is_file())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place]
    if not data.draw(st.booleans()):
        changed += bytes([data.draw(st.integers(0, 255))]) + whole[place + 1 :]
    path.write_bytes(changed)
    try:
        source = OlderFolder(root)
        for index in range(len(source)):
            source[index]
    except DataError:
        pass
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("each", [1, 10**9])
def test_metadata_that_claim_too_much_are_found_out_at_once(tmp_path, each):
    for name in ("images", "labels", "metadata"):
        (tmp_path / name).mkdir()
    np.zeros((3, 4, 4), np.uint8).tofile(tmp_path / "images" / "images_0.npy")
    np.arange(3).tofile(tmp_path / "labels" / "labels_0.npy")
    facts = {"num_images_per_array": each, "len": 10**9, "mode": "L", "shape": [4, 4]}
    (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts))
    started = time.monotonic()
    with pytest.raises(
        DataError, match=r"images_1\.npy, images_2\.npy, .* is missing|speak of 1000000000 rows"
    ):
        OlderFolder(tmp_path)
    assert time.monotonic() - started < 20  # it was 200


@pytest.mark.parametrize("write", [hdf5, parquet_v1])
def test_a_class_number_that_is_too_large_is_refused(tmp_path, write):
    for name in ("images", "labels", "metadata"):
        (tmp_path / name).mkdir()
    write(tmp_path, list(files()) if write is parquet_v1 else pixels(), np.full(COUNT, 2**63 + 1, np.uint64))
    facts = {"num_images_per_array": EACH, "len": COUNT, "mode": "RGB", "shape": list(SIZE)}
    (tmp_path / "metadata" / "metadata.json").write_text(json.dumps(facts))
    with pytest.raises(SchemaError, match="a label of 9223372036854775809"):
        OlderFolder(tmp_path)
