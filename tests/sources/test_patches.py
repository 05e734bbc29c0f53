import pickle

import numpy as np
import pytest

from voxloom.errors import SchemaError, VolumeReadError
from voxloom.geometry import Grid, PatchSpec
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.tiles import Tiled
from voxloom.sources.volume_split import Dataset
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.transforms.pose import Elastic, SpatialAugment
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels
from voxloom.volumes.volume import Volume

SHAPE = (12, 20, 24)
SPEC = PatchSpec(shape=(4, 8, 6), spacing=(8, 8, 8))
CLASSES = Classes(names=("mito", "er", "nucleus"), excludes={"nucleus": ("mito",)})
RAW = phantom(SHAPE)
MASKS = {
    name: (np.random.default_rng(n).random(SHAPE) < 0.3).astype(np.uint8)
    for n, name in enumerate(["mito", "er"])
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crop")
    raw = Volume.open(write_volume(folder / "raw", RAW))
    return Dataset("crop", {"raw": raw}, Labels.open(write_classes(folder / "labels", MASKS)))


def random_source(datasets, *, length=20, seed=0, options=None, inputs=None, targets=None):
    centers = [centers_of(next(iter(d.raw.values())).levels[0].grid, SPEC) for d in datasets]
    return PatchSource(
        datasets,
        inputs=inputs or {"raw": SPEC},
        targets={"labels": SPEC} if targets is None else targets,
        classes=CLASSES,
        locations=Random(centers, length=length, seed=seed),
        options=options,
    )


def crop(array, source, index):
    """The same patch by numpy."""
    grid = source.datasets[0].raw["raw"].levels[0].grid
    middle = grid.index(source.location(index).center)
    start = [round(c - (n - 1) / 2) for c, n in zip(middle, SPEC.shape, strict=True)]
    return array[tuple(slice(s, s + n) for s, n in zip(start, SPEC.shape, strict=True))]


def test_patches_are_what_the_arrays_hold(dataset):
    source = random_source([dataset])
    for index in range(len(source)):
        sample = source[index]
        np.testing.assert_array_equal(sample["raw"][0], crop(RAW, source, index))
        mito, er = (crop(MASKS[name], source, index) for name in ("mito", "er"))
        np.testing.assert_array_equal(sample["labels"][0], mito | er << 1)
        # a nucleus is known to be absent where there is a mitochondrion, and else unknown
        np.testing.assert_array_equal(sample["labels_known"][0], 3 | mito << 2)


def test_the_schema_says_what_comes(dataset):
    source = random_source([dataset])
    raw, labels, known = source.schema.values()
    assert (raw.kind, raw.axes, raw.dtype, raw.shape) == ("image", "czyx", "uint8", (1, 4, 8, 6))
    assert (raw.spacing, raw.unit) == ((8, 8, 8), "nanometer")
    assert (labels.kind, labels.categories, labels.dtype) == ("mask", CLASSES.names, "uint8")
    assert known.name == "labels_known"
    for name, array in source[3].items():
        assert (array.shape, array.dtype) == (source.schema[name].shape, source.schema[name].dtype)


@pytest.mark.parametrize("squeeze", [True, False])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_any_axis(dataset, axis, squeeze):
    shape = [6, 6, 6]
    shape[axis] = 1
    spec = PatchSpec(shape=shape, spacing=(8, 8, 8))
    tiles = Tiled([dataset.raw["raw"].levels[0].grid], spec)
    source = PatchSource(
        [dataset],
        inputs={"raw": spec},
        targets={"labels": spec},
        classes=CLASSES,
        locations=tiles,
        options=PatchOptions(squeeze=squeeze),
    )
    axes = "".join(a for n, a in enumerate("zyx") if n != axis) if squeeze else "zyx"
    assert source.schema["raw"].axes == "c" + axes
    assert len(source.schema["raw"].spacing) == len(axes)
    sample = source[0]
    wanted = RAW[tuple(slice(0, n) for n in shape)]
    np.testing.assert_array_equal(sample["raw"].ravel(), wanted.ravel())
    assert sample["labels"].shape == source.schema["labels"].shape


def test_gather_fills_what_it_is_given(dataset):
    source = random_source([dataset])
    alone = source.gather([3, -1, 5])
    out = {name: np.zeros_like(array) for name, array in alone.items()}
    filled = source.gather([3, -1, 5], out=out)
    for name, array in filled.items():
        assert array is out[name]
        np.testing.assert_array_equal(array, alone[name])
        for row, index in enumerate([3, 19, 5]):
            np.testing.assert_array_equal(array[row], source[index][name])


def test_memory_in_pieces_is_filled_too(dataset):
    source = random_source([dataset])
    out = {
        name: np.zeros((*array.shape, 2), array.dtype)[..., 0]
        for name, array in source.gather([3, 4]).items()
    }
    source.gather([3, 4], out=out)
    for name, array in source.gather([3, 4]).items():
        np.testing.assert_array_equal(out[name], array)


def test_many_shapes_and_spacings_at_once(dataset):
    wide = PatchSpec(shape=(2, 4, 3), spacing=(16, 16, 16))
    small = PatchSpec(shape=(2, 4, 4), spacing=(8, 8, 8))
    source = random_source(
        [Dataset("crop", {"raw": dataset.raw["raw"], "wide": dataset.raw["raw"]}, dataset.labels)],
        inputs={"raw": SPEC, "wide": wide},
        targets={"labels": SPEC, "middle": small},
    )
    sample = source[4]
    assert {name: array.shape[1:] for name, array in sample.items()} == {
        "raw": (4, 8, 6), "wide": (2, 4, 3), "labels": (4, 8, 6), "labels_known": (4, 8, 6),
        "middle": (2, 4, 4), "middle_known": (2, 4, 4),
    }  # fmt: skip
    np.testing.assert_array_equal(sample["middle"], sample["labels"][:, 1:3, 2:6, 1:5])


@pytest.mark.parametrize(
    "augment",
    [
        SpatialAugment(),
        SpatialAugment(rotation=40),
        SpatialAugment(elastic=Elastic(spacing=50, sd=10, probability=1)),
    ],
)
def test_one_pose_a_sample_shared_by_all(dataset, tmp_path, augment):
    """Raw that holds the labels, read as nearest, is the labels."""
    twin = Volume.open(write_volume(tmp_path, MASKS["mito"]))
    source = random_source(
        [Dataset("crop", {"raw": twin, "small": twin}, dataset.labels)],
        inputs={"raw": SPEC, "small": PatchSpec(shape=(2, 2, 2), spacing=(8, 8, 8))},
        options=PatchOptions(augment=augment, interpolation="nearest", outside="pad"),
    )
    turned = 0
    for sample in (source[index] for index in range(8)):
        known = (sample["labels_known"] & 1).astype(bool)
        np.testing.assert_array_equal(sample["raw"][known], sample["labels"][known] & 1)
        np.testing.assert_array_equal(sample["small"], sample["raw"][:, 1:3, 3:5, 2:4])
        turned += known.any()
    assert turned


def test_each_epoch_draws_anew_and_the_same_each_time(dataset):
    source = random_source([dataset], options=PatchOptions(augment=SpatialAugment()))
    later = source.at_epoch(3)
    assert source.at_epoch(0) is source
    assert later.schema == source.schema
    assert len(later) == len(source)
    assert [later.location(i) for i in range(5)] != [source.location(i) for i in range(5)]
    again = random_source([dataset], options=PatchOptions(augment=SpatialAugment())).at_epoch(3)
    for index in range(5):
        np.testing.assert_array_equal(again[index]["raw"], later[index]["raw"])
    assert again.at_epoch(0)[2].key == source[2].key


def test_keys_are_unique_and_say_where(dataset):
    grid = dataset.raw["raw"].levels[0].grid
    one_place = Grid((1, 1, 1), grid.spacing, grid.box.center)
    source = PatchSource([dataset], inputs={"raw": SPEC}, locations=Random([one_place], length=3))
    assert list(source.keys) == [f"crop/00000{n}_z44_y76_x92" for n in range(3)]
    assert source[1].key == source.keys[1]


def test_keys_of_large_volumes_lead_back_to_the_place(dataset):
    """Of a volume of some millimetres, to a fraction of a voxel."""
    center = (2_345_678.0, 1_234_567.5, 92.0)
    grid = Grid((1, 1, 1), (8.0, 8.0, 8.0), center)
    source = PatchSource([dataset], inputs={"raw": SPEC}, locations=Random([grid], length=1))
    assert source.keys[0] == "crop/000000_z2345678_y1234567.5_x92"


def test_it_travels_to_other_processes(dataset):
    source = random_source([dataset]).at_epoch(2)
    twin = pickle.loads(pickle.dumps(source))
    for name, array in source[7].items():
        np.testing.assert_array_equal(twin[7][name], array)


def test_a_dataset_without_labels_is_unknown(dataset):
    source = random_source([Dataset("raw only", dataset.raw, None)])
    assert not source[0]["labels"].any()
    assert not source[0]["labels_known"].any()


def test_labels_are_unknown_outside_their_volume(dataset, tmp_path):
    path = write_classes(tmp_path, {"er": MASKS["er"][4:]}, origin=(32, 0, 0))
    source = random_source([Dataset("crop", dataset.raw, Labels.open(path))])
    for index in range(len(source)):
        inside = crop(np.arange(SHAPE[0])[:, None, None] * np.ones(SHAPE), source, index) >= 4
        np.testing.assert_array_equal(source[index]["labels_known"][0] == 2, inside)


def test_witnesses_tell_and_do_not_appear(dataset):
    classes = Classes(names=("nucleus",), witnesses=("mito",), excludes={"nucleus": ("mito",)})
    source = random_source([dataset])
    source = PatchSource(
        [dataset], inputs={}, targets={"labels": SPEC}, classes=classes, locations=source.locations
    )
    sample = source[5]
    assert not sample["labels"].any()
    np.testing.assert_array_equal(sample["labels_known"][0], crop(MASKS["mito"], source, 5))


def test_witnesses_may_need_wider_integers_than_the_targets(dataset):
    names = tuple(f"c{n}" for n in range(7))
    classes = Classes(names=("er", *names), witnesses=("mito",), excludes={"c6": ("mito",)})
    assert (classes.dtype, classes.reading_dtype) == ("uint8", "int16")
    source = random_source([dataset])
    source = PatchSource(
        [dataset], inputs={}, targets={"labels": SPEC}, classes=classes, locations=source.locations
    )
    sample = source[5]
    assert sample["labels"].dtype == source.schema["labels"].dtype == "uint8"
    np.testing.assert_array_equal(sample["labels"][0], crop(MASKS["er"], source, 5))
    np.testing.assert_array_equal(sample["labels_known"][0], 1 | crop(MASKS["mito"], source, 5) << 7)


@pytest.mark.parametrize("names", [("raw",), ("labels", "labels_known"), ("labels_known", "raw"), ("small",)])
def test_fields_that_are_not_selected_are_not_read(dataset, names):
    source = random_source(
        [Dataset("crop", {"raw": dataset.raw["raw"], "small": dataset.raw["raw"]}, dataset.labels)],
        inputs={"raw": SPEC, "small": PatchSpec(shape=(2, 2, 2), spacing=(8, 8, 8))},
        options=PatchOptions(augment=SpatialAugment(elastic=Elastic(spacing=50, sd=10, probability=1))),
    )
    chosen = source.select(*names)
    assert tuple(chosen.schema) == names
    inner = chosen if isinstance(chosen, PatchSource) else chosen.source
    assert len(inner.schema) <= len(names) + 1
    for index in (0, 3):
        sample = chosen.at_epoch(1)[index]
        for name in names:
            np.testing.assert_array_equal(sample[name], source.at_epoch(1)[index][name])
    with pytest.raises(SchemaError, match="Did you mean"):
        source.select("rwa")


def test_outside(dataset):
    far = Random([Grid((1, 1, 1), (8.0, 8.0, 8.0), (1e5, 0.0, 0.0))], length=2)

    def patch(**options):
        options = PatchOptions(**options)
        return PatchSource([dataset], inputs={"raw": SPEC}, locations=far, options=options)[0]["raw"]

    assert (patch(fill=7) == 7).all()
    with pytest.raises(VolumeReadError, match="expected a patch within"):
        patch(outside="refuse")


def test_indices_outside(dataset):
    source = random_source([dataset])
    for index in (20, -21):
        with pytest.raises(IndexError):
            source[index]
        with pytest.raises(IndexError):
            source.gather([0, index])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": {"rwa": SPEC}}, "Did you mean 'raw'"),
        ({"classes": None}, "without classes"),
        ({"targets": {"raw": SPEC}}, "stands twice"),
        ({"datasets": []}, "there is none"),
    ],
)
def test_what_does_not_fit_is_refused(dataset, change, words):
    settings = {
        "datasets": [dataset],
        "inputs": {"raw": SPEC},
        "targets": {"labels": SPEC},
        "classes": CLASSES,
    }
    settings |= {"locations": random_source([dataset]).locations, **change}
    with pytest.raises(SchemaError, match=words):
        PatchSource(settings.pop("datasets"), **settings)


def test_types_that_differ_are_refused(dataset, tmp_path):
    other = Volume.open(write_volume(tmp_path, RAW.astype(np.uint16)))
    with pytest.raises(SchemaError, match=r"of uint16 \('other'\), 1 channels of uint8 \('crop'\)"):
        random_source([dataset, Dataset("other", {"raw": other}, None)])
