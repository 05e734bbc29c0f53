import numpy as np
import pytest

from voxloom.errors import SchemaError, VolumeReadError
from voxloom.geometry import PatchSpec, Pose
from voxloom.testing.volumes import write_volume
from voxloom.volumes.bits import Mark, begin_bits
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.volume import Volume

SHAPE = (20, 24, 28)
SPEC = PatchSpec(shape=(10, 12, 9), spacing=(8, 8, 8))
CENTERS = [(76.0, 92.0, 108.0), (10.0, 30.0, 200.0), (9e5, 0.0, 0.0)]
POSES = [Pose(), Pose(flip=(True, False, True), permutation=(2, 0, 1)), Pose(rotation=(20, -30, 40))]


def labels(path, dtype="uint8", *, seed=0, top=4, **where):
    values = np.random.default_rng(seed).integers(0, top, SHAPE).astype(dtype)
    return Volume.open(write_volume(path, values, classes={}, **where))


def ids(volume, center, pose):
    """The ids of a patch, and which of its voxels lie in the volume, read one by one."""
    pending = begin_patch(volume, SPEC, center, pose=pose, how=Reading("nearest"))
    inside = pending.inside()
    return pending.result()[0], np.ones(SPEC.shape, bool) if inside is None else inside


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("center", CENTERS)
def test_volumes_on_one_grid_and_on_others(tmp_path, pose, center):
    where = [{}, {}, {"origin": (8.0, 16.0, 0.0)}, {"spacing": (6.0, 8.0, 8.0)}]
    volumes = [labels(tmp_path / f"{k}", seed=k, **w) for k, w in enumerate(where)]
    pending = begin_bits([Mark(v, known=1 << k) for k, v in enumerate(volumes)], SPEC, center, pose=pose)
    read = [ids(volume, center, pose) for volume in volumes]
    np.testing.assert_array_equal(
        pending.result(), sum((i > 0).astype("u1") << k for k, (i, _) in enumerate(read))
    )
    np.testing.assert_array_equal(
        pending.known(), sum(inside.astype("u1") << k for k, (_, inside) in enumerate(read))
    )


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
@pytest.mark.parametrize("center", CENTERS)
def test_a_table_and_a_bitmask(tmp_path, pose, dtype, center):
    """0 may be in a table: what lies outside is no 0."""
    volume, mask = labels(tmp_path / "ids", dtype), labels(tmp_path / "mask", dtype, seed=1, top=64)
    table, shifts = {0: 4, 2: 1, 3: 3, 70_000: 8}, ((1, 16), (5, 64))
    marks = [Mark(volume, known=15, table=table), Mark(mask, known=80, shifts=shifts)]
    pending = begin_bits(marks, SPEC, center, pose=pose, dtype="int16")
    (values, inside), (masked, _) = ids(volume, center, pose), ids(mask, center, pose)
    wanted = np.vectorize(lambda value: table.get(int(value), 0))(values) * inside
    wanted = wanted | ((masked >> 1) & 1).astype(int) << 4 | ((masked >> 5) & 1).astype(int) << 6
    np.testing.assert_array_equal(pending.result(), wanted)
    assert pending.result().dtype == np.int16
    assert set(np.unique(pending.known())) <= {0, 95}


@pytest.mark.parametrize("dtype", ["bool", "int32", "float16", "float32", "float64"])
def test_any_positive_value(tmp_path, dtype):
    volume = labels(tmp_path / "v", dtype, top=2)
    for pose in POSES:
        values, _ = ids(volume, CENTERS[0], pose)
        np.testing.assert_array_equal(
            begin_bits([Mark(volume, 2)], SPEC, CENTERS[0], pose=pose).result(), (values > 0) * 2
        )


def test_ids_beyond_any_table(tmp_path):
    values = np.full((4, 4, 4), 2**63 + 7, np.uint64)
    values[0] = 3
    volume = Volume.open(write_volume(tmp_path / "v", values, classes={}))
    mark = Mark(volume, known=3, table={2**63 + 7: 2, 3: 1, -5: 1})
    spec = PatchSpec(shape=(4, 4, 4), spacing=(8, 8, 8))
    bits = begin_bits([mark], spec, (12, 12, 12)).result()
    assert bits[:, 0, 0].tolist() == [1, 2, 2, 2]


def test_an_empty_table_sets_nothing(tmp_path):
    for dtype in ("uint8", "int64"):
        pending = begin_bits([Mark(labels(tmp_path / dtype, dtype), 1, table={})], SPEC, CENTERS[0])
        assert not pending.result().any()
        assert pending.known().all()


@pytest.mark.parametrize("pose", POSES)
def test_the_result_goes_where_it_is_wanted(tmp_path, pose):
    pending = begin_bits([Mark(labels(tmp_path / "v"), 6)], SPEC, CENTERS[1], pose=pose, dtype="int32")
    out, wide = np.full(SPEC.shape, -1, np.int32), np.full(SPEC.shape, -1, np.int64)
    assert pending.result(out) is out
    np.testing.assert_array_equal(pending.result(wide), out)
    np.testing.assert_array_equal(pending.result(), out)
    assert (pending.shape, pending.dtype) == (SPEC.shape, np.int32)


def test_nothing_to_read():
    with pytest.raises(SchemaError, match="no marks"):
        begin_bits([], SPEC, CENTERS[0])


def test_what_cannot_be_read_is_named(tmp_path):
    volumes = [labels(tmp_path / "good"), labels(tmp_path / "bad", seed=1)]
    for chunk in (tmp_path / "bad" / "s0").rglob("*"):
        if chunk.is_file() and chunk.name != "zarr.json":
            chunk.write_bytes(b"rubbish")
    pending = begin_bits([Mark(v, 1) for v in volumes], SPEC, CENTERS[0], pose=POSES[2])
    with pytest.raises(VolumeReadError, match=r"bad: level 0, voxels"):
        pending.result()
