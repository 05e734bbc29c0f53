import numpy as np
import pytest

from voxloom.errors import DataError, MissingDataError, SchemaError
from voxloom.geometry import Box, PatchSpec
from voxloom.testing.volumes import write_classes, write_volume
from voxloom.volumes.bits import begin_bits
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Annotation, Labels, split_path
from voxloom.volumes.volume import Volume

CLASSES = Classes(names=("er", "mito", "nucleus"))
SHAPE = (4, 6, 5)


def bits_of(labels, classes=CLASSES):
    """All voxels of the labels' first volume: positive bits and known ones."""
    grid = labels.volumes[0].levels[0].grid
    spec = {"shape": grid.shape, "spacing": grid.spacing}
    pending = begin_bits(labels.marks(classes), PatchSpec(**spec), grid.box.center, dtype=classes.dtype)
    return pending.result(), pending.known()


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 2, SHAPE, np.uint8) for name in ("mito", "er")}


def test_one_group_a_class(tmp_path, masks):
    labels = Labels.open(write_classes(tmp_path / "crop", masks))
    assert labels.annotated == {"mito", "er"}
    positive, known = bits_of(labels)
    np.testing.assert_array_equal(positive, masks["er"] | masks["mito"] << 1)
    assert (known == 3).all()  # nobody looked for nuclei


def test_a_suffix_behind_the_brackets(tmp_path, masks):
    for name, mask in masks.items():
        write_volume(tmp_path / name / "labels", mask, classes={})
    assert Labels.open(f"{tmp_path}/[mito,er]/labels").annotated == {"mito", "er"}


def test_only_what_is_wanted_is_opened(tmp_path, masks):
    path = write_classes(tmp_path / "crop", masks).replace("]", ",nothing_is_here]")
    assert Labels.open(path, classes=Classes(names=("mito", "other"))).annotated == {"mito"}
    with pytest.raises(MissingDataError, match="nothing_is_here"):
        Labels.open(path)


def test_a_label_image_with_names(tmp_path):
    ids = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint16)
    labels = Labels.open(str(write_volume(tmp_path, ids, classes={1: "mito", 2: "er", 7: "other"})))
    assert labels.annotated == {"mito", "er", "other"}
    positive, known = bits_of(labels)
    np.testing.assert_array_equal(positive, (ids == 2) + 2 * (ids == 1))
    assert (known == 3).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "float32"])
def test_what_is_above_0_is_positive(tmp_path, dtype):
    values = np.array([[[0, 1, 3, 0.4 if dtype == "float32" else 7]]]).astype(dtype)
    labels = Labels.open(str(write_volume(tmp_path / "mito", values)))
    assert bits_of(labels)[0].tolist() == [[[0, 2, 2, 2]]]


def test_a_bitmask(tmp_path):
    values = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    volume = Volume.open(write_volume(tmp_path, values, classes={}))
    labels = Labels((Annotation(volume, ("nucleus", "ribosome", "er"), is_bitmask=True),))
    positive, known = bits_of(labels)
    np.testing.assert_array_equal(positive, (values & 1) << 2 | values >> 2)
    assert (known == 5).all()


def test_labels_of_other_classes_mark_nothing(tmp_path, masks):
    labels = Labels.open(write_classes(tmp_path, masks))
    assert labels.marks(Classes(names=("nucleus",))) == []


def test_many_at_once(tmp_path, masks):
    paths = [write_classes(tmp_path / "a", masks), write_classes(tmp_path / "b", {"er": masks["er"]})]
    assert [labels.annotated for labels in Labels.open_many(paths)] == [{"mito", "er"}, {"er"}]


def test_the_box_is_what_all_volumes_share(tmp_path, masks):
    one = Labels.open(write_classes(tmp_path / "a", {"mito": masks["mito"]}))
    moved = Labels.open(write_classes(tmp_path / "b", {"er": masks["er"]}, origin=(8, 0, 0)))
    assert Labels(one.annotations + moved.annotations).box == Box((4, -4, -4), (28, 44, 36))
    assert Labels(()).box is None


def test_a_class_twice_is_refused(tmp_path, masks):
    labels = Labels.open(write_classes(tmp_path, masks))
    with pytest.raises(SchemaError, match="er, mito are annotated twice"):
        Labels(labels.annotations * 2)


@pytest.mark.parametrize("path", ["a/[]", "a/[b,]", "[a]/[b]", "a/[b,b]"])
def test_brackets_that_cannot_be_meant(path):
    with pytest.raises(SchemaError, match="brackets once"):
        split_path(path)


def test_folders_may_have_brackets_in_their_names(tmp_path, masks):
    write_classes(tmp_path / "[2024]" / "crop[1]", masks)
    crop = f"{tmp_path}/[2024]/crop[1]"
    assert Labels.open(f"{crop}/[mito,er]").annotated == {"mito", "er"}
    assert Labels.open(f"{crop}/mito").annotated == {"mito"}
    assert split_path("s3://bucket/[2024]/[mito]") == ("s3://bucket/[2024]/{label}", ("mito",))
    with pytest.raises(SchemaError, match="have to be there"):
        Labels.open(f"{tmp_path}/[2025]/crop/[mito,er]")


def test_each_that_can_be_opened_is(tmp_path, masks):
    """The errors stand where the others would, whatever is wrong."""
    path = write_classes(tmp_path / "a", masks)
    several = str(write_volume(tmp_path / "b", np.zeros((2, *SHAPE), np.uint8)))
    paths = [path, path.replace("er]", "nucleus]"), f"{tmp_path}/[]", "ftp://a/[er]", several, path]
    kinds = [type(each) for each in Labels.open_each(paths)]
    assert kinds == [Labels, MissingDataError, SchemaError, DataError, SchemaError, Labels]
    with pytest.raises(MissingDataError, match="nucleus"):
        Labels.open_many(paths)


def test_several_channels_are_refused(tmp_path):
    path = write_volume(tmp_path, np.zeros((2, *SHAPE), np.uint8))
    with pytest.raises(SchemaError, match="2 channels"):
        Labels.open(str(path))
