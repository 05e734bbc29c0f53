import json
import pickle

import numpy as np
import pytest
import tifffile

from voxloom.conversion import convert
from voxloom.errors import ConfigError, DamagedStoreError, DataError, PairingError, UnfinishedStoreError
from voxloom.formats.encoding import encode
from voxloom.formats.store import Store
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Concat, Source
from voxloom.sources import ImageFolder, Layout, PairFolder, Parts, ReadPolicy, Split, write_image
from voxloom.sources.files import class_folder, flat_folder, paired_folders
from voxloom.sources.stored import MatchedImages, StoredImages, images_at, is_store, pairs_at, store_at
from voxloom.testing.images import snapshot, write_pairs
from voxloom.testing.stores import Counting, write_store

FILES = {"target": "file", "condition": "file"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data"), 8, size=(6, 5))


def paired(folder):
    return PairFolder(folder / "edente", folder / "dente")


def both(folder):
    return Concat([ImageFolder(folder / name) for name in ("edente", "dente")])


def one(folder, name="dente"):
    return ImageFolder(folder / name)


def parts(base, kind="pairs", *, seed=0, **layout):
    return Parts(Layout(data_base_dir=base, **layout), kind, seed)


def equal(first, second):
    """Whether two sources hold the same samples under the same keys in the same order."""
    assert list(first.keys) == list(second.keys)
    assert first.schema == second.schema
    for a, b in zip(first, second, strict=True):
        assert a.key == b.key
        assert list(a) == list(b)
        assert all(a[name].dtype == b[name].dtype and np.array_equal(a[name], b[name]) for name in a)
    return True


def unordered(source):
    return source[::-1]


class Arrays(Source):
    """Samples from arrays, with one field of some axes."""

    schema, keys = None, None

    def __init__(self, array, axes, shape=None):
        self.array = array
        self.schema = Schema([Field(name="image", axes=axes, dtype=str(array.dtype), shape=shape)])
        self.keys = ["0.png"]

    def read(self, index):
        return Sample(self.keys[index], self.schema, {"image": self.array})


# ---- the same as the folder


@pytest.mark.parametrize("order", [list, unordered], ids=["in order", "turned round"])
@pytest.mark.parametrize("form", ["memmap", "arrow"])
def test_pairs_of_a_store_are_those_of_the_folders(shared, tmp_path, form, order):
    source = order(paired(shared)) if order is unordered else paired(shared)
    store = write_store(tmp_path / "store", source, format=form, encodings=FILES)
    assert equal(Layout(data_base_dir=store).pairs(store), paired(shared))


@pytest.mark.parametrize("form", ["memmap", "arrow", "hdf5", "parquet", "tar"])
def test_a_conversion_changes_nothing(shared, tmp_path, form):
    for number, source in enumerate([paired(shared), both(shared)]):
        convert(source, tmp_path / str(number), format=form, samples_per_shard=5)
        layout = Layout(data_base_dir=tmp_path / str(number))
        assert equal(layout.pairs(layout.data_base_dir), paired(shared))
        assert equal(layout.images(layout.data_base_dir), both(shared))


@pytest.mark.parametrize("make", ["folders", "images of both", "two stores", "a store and a folder"])
def test_however_the_pairs_were_converted(shared, tmp_path, make):
    store = tmp_path / "store"
    if make == "folders":
        folders = {"edente": shared / "edente", "dente": shared / "dente"}
        write_store(store, paired_folders(folders), encodings={"edente": "file", "dente": "file"})
    elif make == "images of both":
        write_store(store, unordered(both(shared)), encodings={"image": "file"})
    else:
        write_store(store / "edente", flat_folder(shared / "edente"), encodings={"image": "file"})
        (store / "dente").symlink_to(shared / "dente")
        if make == "two stores":
            (store / "dente").unlink()
            write_store(store / "dente", one(shared), encodings={"image": "file"})
    layout = Layout(data_base_dir=store)
    assert equal(layout.pairs(store), paired(shared))
    assert equal(layout.images(store), both(shared))
    side = layout.model_copy(update={"data_source": "dente"})
    assert equal(side.images(store), one(shared))


@pytest.mark.parametrize("encoding", ["file", "npy", "blosc"])
def test_images_of_a_store_are_those_of_the_folder(shared, tmp_path, encoding):
    store = Layout(data_base_dir=write_store(tmp_path / "a", one(shared), encodings={"image": encoding}))
    for source in ("both", "dente"):
        side = store.model_copy(update={"data_source": source})
        assert equal(side.images(store.data_base_dir), one(shared))


def test_files_of_one_folder_get_its_name_as_the_side_that_was_asked_for(shared, tmp_path):
    base = write_store(tmp_path / "a", flat_folder(shared / "dente"), encodings={"image": "file"})
    layout = Layout(data_base_dir=base, data_source="dente")
    assert equal(layout.images(base), one(shared))
    assert Layout(data_base_dir=base).images(base).keys[0] == "p0_00"


def test_a_split_made_on_the_folder_fits_the_store(shared, tmp_path):
    split = tmp_path / "split.json"
    folders = {"target": shared / "edente", "condition": shared / "dente"}
    store = write_store(tmp_path / "store", paired_folders(folders), encodings=FILES)
    for kind in ("pairs", "images"):
        made = parts(shared, kind)
        assert made.split == parts(store, kind).split
        made.split.save(split)
        assert parts(store, kind, split_file=split).split == Split.load(split)
        few = [parts(base, kind, subset_size=4, group=r"^(p\d)_") for base in (shared, store)]
        assert few[0].split == few[1].split


def test_a_store_may_validate(shared, tmp_path):
    other = write_pairs(tmp_path / "val", 3, size=(6, 5), seed=9)
    store = write_store(tmp_path / "store", paired(other), encodings=FILES)
    for base in (shared, store):
        made = parts(base, val_dir=store)
        assert len(made.validation) == 3
        assert equal(made.validation, parts(base, val_dir=other).validation)


# ---- the policy


@pytest.mark.parametrize("encoding", ["fixed", "npy", "blosc"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool", "int16"])
def test_types_are_those_that_a_folder_gives(tmp_path, dtype, encoding):
    pixels = (np.arange(30).reshape(5, 6) % 7).astype(dtype)
    (tmp_path / "ct").mkdir()
    tifffile.imwrite(tmp_path / "ct" / "0.tif", pixels, photometric="minisblack")
    folder = ImageFolder(tmp_path / "ct", prefix="")
    for axes, array in {"yx": pixels, "yxc": pixels[..., None], "cyx": pixels[None]}.items():
        source = Arrays(array, axes, array.shape if encoding == "fixed" else None)
        store = write_store(tmp_path / axes, source, encodings={"image": encoding})
        assert equal(images_at(store), folder)


def test_the_policy_holds_for_what_a_store_holds(tmp_path):
    bad = np.ones((4, 4), np.float32)
    bad[1, 2] = np.nan
    store = write_store(tmp_path / "nan", Arrays(bad, "yx", (4, 4)))
    with pytest.raises(DataError, match=r"nan: 0: 1 of 16 pixels are NaN"):
        images_at(store)[0]
    assert images_at(store, ReadPolicy(nonfinite="zero"))[0]["image"][0, 1, 2] == 0
    colours = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    store = write_store(tmp_path / "rgb", Arrays(colours, "yxc", (4, 4, 3)))
    with pytest.raises(DataError, match="color='luma'"):
        images_at(store)[0]
    assert images_at(store, ReadPolicy(color="luma"))[0]["image"][0, 0, 0] == 18
    store = write_store(tmp_path / "blank", Arrays(colours[..., 0] * 0, "yx", (4, 4)))
    with pytest.raises(DataError, match="all pixels are 0"):
        images_at(store, ReadPolicy(blank="error"))[0]


def test_images_that_cannot_be_read_are_left_out_and_named(tmp_path):
    data = write_pairs(tmp_path / "data", 8, size=(6, 5))
    path = data / "dente" / "p2_05.tif"
    path.write_bytes(path.read_bytes()[:100])
    store = write_store(tmp_path / "store", paired(data), encodings=FILES)
    made = parts(store, on_error="skip")
    assert len(made.source) == 7
    ((key, reason),) = made.skipped
    assert key == "p2_05"
    assert "store: p2_05" in reason
    with pytest.raises(DataError, match="p2_05"):
        list(parts(store).source)


def test_images_without_a_partner_are_refused_or_counted(tmp_path):
    data = write_pairs(tmp_path / "data", 3, size=(6, 5))
    (data / "dente" / "p0_00.tif").rename(data / "dente" / "other.tif")
    store = write_store(tmp_path / "store", both(data), encodings={"image": "file"})
    with pytest.raises(PairingError, match=r"p0_00(.|\n)*other(.|\n)*unmatched='drop'"):
        Layout(data_base_dir=store).pairs(store)
    pairs = Layout(data_base_dir=store, unmatched="drop").pairs(store)
    assert list(pairs.keys) == ["p0_01", "p1_02"]
    assert pairs.dropped == ["target/p0_00", "condition/other"]


# ---- what cannot be


def test_a_typo_in_a_name_lists_the_fields(shared, tmp_path):
    folders = {"mri": shared / "edente", "ct": shared / "dente"}
    store = write_store(tmp_path / "store", paired_folders(folders), encodings=dict.fromkeys(folders, "file"))
    with pytest.raises(ConfigError, match=r"target 'mir': .*no field .*: mri, ct\. Did you mean 'mri'"):
        Layout(target="mir", condition="ct").pairs(store)
    with pytest.raises(ConfigError, match=r"condition 'ctt'.*mri, ct"):
        Layout(target="mri", condition="ctt").pairs(store)
    with pytest.raises(ConfigError, match=r"no field of images 'both'.*mri, ct"):
        Layout().images(store)
    with pytest.raises(ConfigError, match=r"no field of images 'mr'.*mri, ct\. Did you mean 'mri'"):
        Layout(data_source="mr").images(store)
    assert Layout(data_source="ct").images(store).keys[0] == "p0_00"
    layout = Layout(target="mri", condition="ct")
    assert list(layout.images(store).keys)[:: len(folders) * 4] == ["mri/p0_00", "ct/p0_00"]


def test_a_store_of_classes_says_what_pairs_need(tmp_path):
    store = write_store(tmp_path / "store", Counting(6))
    with pytest.raises(PairingError, match=r"image' \(image\), 'label' \(class\)\. Expected two fields"):
        Layout(data_base_dir=store).pairs(store)
    images = Layout(data_base_dir=store, read=ReadPolicy(color="luma")).images(store)
    assert images.keys[0] == "class0/000000"
    assert images[0]["image"].shape == (1, 4, 6)


def test_a_store_of_one_side_does_not_pass_for_the_other(shared, tmp_path):
    store = write_store(tmp_path / "store", one(shared), encodings={"image": "file"})
    with pytest.raises(ConfigError, match=r"data_source 'edente': .* holds images of dente alone"):
        Layout(data_source="edente").images(store)
    with pytest.raises(PairingError, match="holds no pairs"):
        Layout().pairs(store)


def test_an_empty_store_trains_nothing(shared, tmp_path):
    store = write_store(tmp_path / "store", paired(shared)[:0], encodings=FILES)
    with pytest.raises(DataError, match=r"0 images to train|expected at least|no sample"):
        parts(store, "images")
    with pytest.raises(PairingError, match="0 pairs"):
        parts(store)


def test_a_store_that_is_not_whole_is_told(tmp_path):
    (tmp_path / "half" / "journal").mkdir(parents=True)
    (tmp_path / "half" / "journal" / "plan.json").touch()
    with pytest.raises(UnfinishedStoreError, match="--resume"):
        Layout().images(tmp_path / "half")
    store = write_store(tmp_path / "store", Counting(2))
    (store / "manifest.json").write_text("{")
    with pytest.raises(DamagedStoreError, match="not a whole JSON file"):
        Layout().pairs(store)


def test_the_manifest_of_another_program_makes_no_store(tmp_path):
    data = write_pairs(tmp_path / "data", 3, size=(6, 5))
    (data / "manifest.json").write_text(json.dumps({"kind": "a zip"}))
    assert store_at(data) is None
    assert equal(Layout().pairs(data), paired(data))


# ---- small things


def test_keys_keep_their_suffix_where_they_would_not_differ_without(tmp_path):
    write_image(tmp_path / "data" / "a" / "1.tif", np.eye(3))
    (tmp_path / "data" / "a" / "1.png").write_bytes(encode(np.eye(3, dtype=np.uint8), "png"))
    store = write_store(tmp_path / "s", class_folder(tmp_path / "data"), encodings={"image": "file"})
    assert StoredImages(Store(store), "image").keys == ["a/1.png", "a/1.tif"]


def test_a_dot_in_a_stem_is_no_suffix(tmp_path):
    write_image(tmp_path / "ct" / "jaw 1.ome.tif", np.eye(3))
    for name, source in {"a": one(tmp_path, "ct"), "b": flat_folder(tmp_path / "ct")}.items():
        store = write_store(tmp_path / name, source, encodings={"image": "file"})
        assert images_at(store).keys == ["jaw 1.ome"]


def test_sources_are_pickled_and_write_nothing(shared, tmp_path):
    store = write_store(tmp_path / "store", paired(shared), encodings=FILES)
    before = snapshot(store)
    pairs = Layout(data_base_dir=store).pairs(store)
    assert equal(pickle.loads(pickle.dumps(pairs)), pairs)
    assert "8 images 'target' of" in repr(pairs)
    assert snapshot(store) == before
    with pytest.raises(IndexError):
        pairs[8]


def test_two_folders_stay_a_pair_folder(shared):
    assert isinstance(pairs_at(shared / "edente", shared / "dente"), PairFolder)
    assert not isinstance(pairs_at(shared / "edente", shared / "dente"), MatchedImages)


def test_files_of_other_kinds_are_read_from_a_store(tmp_path):
    (tmp_path / "ct").mkdir()
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "ct" / "1.jpg").write_bytes(encode(grey, "jpeg"))
    store = write_store(tmp_path / "store", flat_folder(tmp_path / "ct"), encodings={"image": "file"})
    assert images_at(store)[0]["image"].shape == (1, 8, 8)


def test_a_folder_named_journal_makes_no_store(tmp_path):
    data = write_pairs(tmp_path / "data", 3, size=(6, 5))
    (data / "journal").mkdir()
    (data / "journal" / "notes.txt").touch()
    assert not is_store(data)
    assert store_at(data) is None
    assert equal(Layout().pairs(data), paired(data))
    (data / "journal" / "plan.json").touch()
    assert is_store(data)
