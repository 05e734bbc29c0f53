"""Patches against scipy, on a phantom without any symmetry and with voxels that are no cubes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from voxloom.errors import SchemaError, VolumeReadError
from voxloom.geometry import PatchSpec, Pose
from voxloom.testing.volumes import VolumeForm, write_volume
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.placement import TIE
from voxloom.volumes.volume import Volume

SHAPE, SPACING, ORIGIN = (22, 36, 41), (12.0, 6.0, 4.0), (60.0, -30.0, 8.0)
MIDDLE = tuple(o + s * (n - 1) / 2 for o, s, n in zip(ORIGIN, SPACING, SHAPE, strict=True))
FINE = PatchSpec(shape=(9, 11, 13), spacing=(8, 4, 5))


def smooth(dtype, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), 1.5)
    values = (noise - noise.min()) / np.ptp(noise)
    kind = np.dtype(dtype)
    return values.astype(kind) if kind.kind == "f" else (values * np.iinfo(kind).max * 0.99).astype(kind)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    made = {}

    def volume(dtype):
        if dtype not in made:
            array, path = smooth(dtype), tmp_path_factory.mktemp("volume")
            form = VolumeForm(chunk=(8, 16, 16))
            made[dtype] = (
                array,
                Volume.open(write_volume(path, array, spacing=SPACING, origin=ORIGIN, form=form)),
            )
        return made[dtype]

    return volume


def places(spec, center, pose):
    """(3, z, y, x): where the voxels of a patch lie, in voxels; the definition of `Pose` spelled out."""
    counts = np.indices(spec.shape).astype(float)
    offsets = [(i - (n - 1) / 2) * s for i, n, s in zip(counts, spec.shape, spec.spacing, strict=True)]
    world = np.tensordot(pose.matrix, np.stack(offsets), 1) + np.reshape(center, (3, 1, 1, 1))
    if pose.displacement is not None:
        span = pose.span or spec.size
        points = pose.displacement.shape[1:]
        at = [1 + (o / size + 0.5) * (n - 3) for o, size, n in zip(offsets, span, points, strict=True)]
        at = [np.clip(a, 1, n - 2) for a, n in zip(at, points, strict=True)]
        world = world + np.stack(
            [ndimage.map_coordinates(c, at, order=3, prefilter=False) for c in pose.displacement]
        )
    return (world - np.reshape(ORIGIN, (3, 1, 1, 1))) / np.reshape(SPACING, (3, 1, 1, 1))


def lies_inside(at):
    limits = np.reshape(SHAPE, (3, 1, 1, 1)) - 0.5
    return ((at >= TIE - 0.5) & (at < limits + TIE)).all(axis=0)


def expected(array, spec, center, *, pose, how):
    at = places(spec, center, pose)
    order = {"linear": 1, "nearest": 0}[how.interpolation]
    mode = "reflect" if how.outside == "mirror" else "nearest"
    found = ndimage.map_coordinates(array.astype(float), at, order=order, mode=mode)
    return found if how.outside == "mirror" else np.where(lies_inside(at), found, how.fill)


def read(volume, spec, center, pose=None, **how):
    return begin_patch(volume, spec, center, pose=pose or Pose(), how=Reading(**how)).result()[0]


angle = st.floats(-180, 180)
poses = st.builds(
    Pose,
    flip=st.tuples(*[st.booleans()] * 3),
    permutation=st.permutations([0, 1, 2]).map(tuple),
    rotation=st.tuples(angle, angle, angle) | st.sampled_from([(0.0, 0.0, 0.0), (90.0, 0.0, 180.0)]),
)
shapes = st.tuples(*[st.integers(1, 14)] * 3)
steps = st.tuples(*[st.sampled_from([3.0, 4.0, 6.0, 12.0, 20.0])] * 3)
specs = st.builds(lambda shape, spacing: PatchSpec(shape=shape, spacing=spacing), shapes, steps)
centers = st.tuples(st.floats(0, 360), st.floats(-60, 220), st.floats(-30, 200))


@settings(max_examples=60, deadline=None)
@given(pose=poses, spec=specs, center=centers, outside=st.sampled_from(["pad", "mirror"]))
def test_linear_patches_are_scipys(volumes, pose, spec, center, outside):
    array, volume = volumes("float32")
    how = Reading(outside=outside, fill=-3)
    found, wanted = (
        read(volume, spec, center, pose, outside=outside, fill=-3),
        expected(array, spec, center, pose=pose, how=how),
    )
    at = places(spec, center, pose)
    # on a face to the last digit, either side is right
    settled = (np.abs((at + 0.5) % 1) > 1e-3).all(axis=0) | lies_inside(at)
    np.testing.assert_allclose(found[settled], wanted[settled], atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(pose=poses, spec=specs, center=centers, outside=st.sampled_from(["pad", "mirror"]))
def test_nearest_patches_are_scipys(volumes, pose, spec, center, outside):
    array, volume = volumes("uint16")
    how = Reading("nearest", outside=outside, fill=7)
    found = read(volume, spec, center, pose, interpolation="nearest", outside=outside, fill=7)
    at = places(spec, center, pose)
    tie = (np.abs((at + 0.5) - np.rint(at + 0.5)) < 2e-3).any(axis=0)
    np.testing.assert_array_equal(found[~tie], expected(array, spec, center, pose=pose, how=how)[~tie])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_turn_about_each_axis_is_scipys_affine_transform(volumes, axis, dtype):
    """The matrix is made by scipy too, in x, y, z."""
    array, volume = volumes(dtype)
    degrees = np.zeros(3)
    degrees[axis] = 25
    turned = Rotation.from_euler("ZYX", degrees, degrees=True).as_matrix()[::-1, ::-1]
    matrix = np.diag(1 / np.array(SPACING)) @ turned @ np.diag(FINE.spacing)
    middle = (np.array(MIDDLE) - ORIGIN) / SPACING
    offset = middle - matrix @ ((np.array(FINE.shape) - 1) / 2)
    wanted = ndimage.affine_transform(array.astype(float), matrix, offset, FINE.shape, order=1)
    found = read(volume, FINE, MIDDLE, Pose(rotation=tuple(degrees)))
    np.testing.assert_allclose(found, wanted, atol=1e-3 if dtype == "float32" else 0.501)


@pytest.mark.parametrize("span", [None, (100.0, 70.0, 90.0)])
def test_bent_patches_are_scipys(volumes, span):
    array, volume = volumes("float32")
    bend = np.random.default_rng(1).uniform(-14, 14, (3, 4, 6, 7))
    pose = Pose(rotation=(10, -20, 30), displacement=bend, span=span)
    spec = PatchSpec(shape=(10, 20, 30), spacing=(6, 4, 3))
    for center in (MIDDLE, ORIGIN):
        wanted = expected(array, spec, center, pose=pose, how=Reading(fill=5))
        np.testing.assert_allclose(read(volume, spec, center, pose, fill=5), wanted, atol=1e-3)


def keys(t):
    t = np.abs(t)
    return np.where(
        t < 1, (1.5 * t - 2.5) * t * t + 1, np.where(t < 2, ((-0.5 * t + 2.5) * t - 4) * t + 2, 0)
    )


@pytest.mark.parametrize("center", [MIDDLE, (66.0, 50.0, 100.0)])
def test_cubic_patches_are_keys_sums(volumes, center):
    array, volume = volumes("float32")
    pose = Pose(rotation=(10, 20, 30))
    at = places(FINE, center, pose)
    padded = np.pad(array, 12, mode="edge").astype(float)
    near = np.floor(np.clip(at, 0, np.reshape(SHAPE, (3, 1, 1, 1)) - 1)).astype(int)
    held = np.clip(at, 0, np.reshape(SHAPE, (3, 1, 1, 1)) - 1)
    wanted = np.zeros(FINE.shape)
    for tap in np.ndindex(4, 4, 4):
        one = near + np.reshape(tap, (3, 1, 1, 1)) - 1
        wanted += keys(held - one).prod(axis=0) * padded[tuple(one + 12)]
    found = read(volume, FINE, center, pose, interpolation="cubic", fill=9)
    np.testing.assert_allclose(found, np.where(lies_inside(at), wanted, 9), atol=1e-5)


def test_cubics_are_near_scipys_spline(volumes):
    array, volume = volumes("float32")
    pose = Pose(rotation=(10, 20, 30))
    spline = ndimage.map_coordinates(array.astype(float), places(FINE, MIDDLE, pose), order=3)
    assert np.abs(read(volume, FINE, MIDDLE, pose, interpolation="cubic") - spline).max() < 0.02


@pytest.mark.parametrize(
    ("interpolation", "dtype"),
    [
        *(("nearest", dtype) for dtype in ("bool", "uint64", "float16")),
        *(("linear", dtype) for dtype in ("bool", "int8", "uint16", "int64", "float16")),
        *(("cubic", dtype) for dtype in ("int16", "uint8")),
    ],
)
def test_each_type_keeps_its_type(tmp_path, dtype, interpolation):
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    top = np.iinfo(kind).max if kind.kind in "iu" else 1
    low = np.iinfo(kind).min if kind.kind in "iu" else 0
    array = np.where(rng.random((6, 7, 8)) < 0.5, low, top).astype(kind)  # overshoots on both sides
    volume = Volume.open(write_volume(tmp_path / "v", array))
    spec, center = PatchSpec(shape=(4, 5, 6), spacing=(5, 5, 5)), (20, 24, 28)
    found = read(volume, spec, center, Pose(rotation=(30, 0, 0)), interpolation=interpolation)
    assert found.dtype == kind
    at = places(spec, center, Pose(rotation=(30, 0, 0)))
    at = (at * np.reshape(SPACING, (3, 1, 1, 1)) + np.reshape(ORIGIN, (3, 1, 1, 1))) / 8
    if interpolation == "linear":
        wanted = ndimage.map_coordinates(array.astype(float), at, order=1, mode="nearest")
        wanted = wanted if kind.kind == "f" else np.floor(wanted + 0.5)
        scale = max(float(top) - float(low), 1.0)
        np.testing.assert_allclose(found / scale, wanted / scale, atol=2e-3 if dtype == "float16" else 5e-3)
    elif interpolation == "cubic":
        assert {low, top} <= set(found.flat)
    else:
        at = np.floor(at + 0.5).astype(int)
        np.testing.assert_array_equal(found, array[tuple(at)])


def test_refused_where_it_stands_out(volumes):
    _, volume = volumes("uint8")
    with pytest.raises(VolumeReadError, match=r"reaches from voxel .* level 0, which has \(22, 36, 41\)"):
        read(volume, FINE, ORIGIN, outside="refuse")
    read(volume, FINE, MIDDLE, outside="refuse")


@pytest.mark.parametrize("fill", [-1, 256, 0.5, float("nan")])
def test_a_fill_that_the_type_cannot_hold(volumes, fill):
    with pytest.raises(SchemaError, match="fill"):
        read(volumes("uint8")[1], FINE, MIDDLE, fill=fill)


@pytest.mark.parametrize("pose", [Pose(), Pose(rotation=(20, 30, 10))])
def test_a_patch_wholly_outside_is_fill(volumes, pose):
    far = begin_patch(volumes("uint8")[1], FINE, (9e5, 0, 0), pose=pose, how=Reading(fill=9))
    assert (far.result() == 9).all()
    assert not far.inside().any()


@pytest.mark.parametrize("pose", [Pose(), Pose(flip=(True, False, True)), Pose(rotation=(20, 30, 10))])
@pytest.mark.parametrize("center", [MIDDLE, (60.0, 60.0, 100.0)])
def test_inside_is_what_the_fill_leaves(volumes, pose, center):
    pending = begin_patch(volumes("uint8")[1], FINE, center, pose=pose, how=Reading("nearest", fill=255))
    inside = pending.inside()
    np.testing.assert_array_equal(pending.result()[0] != 255, True if inside is None else inside)
    filled = pending.inside(np.empty(FINE.shape, np.uint8))
    np.testing.assert_array_equal(filled, 1 if inside is None else inside)


@pytest.mark.parametrize("pose", [Pose(), Pose(rotation=(20, 30, 10))])
def test_the_result_goes_where_it_is_wanted(volumes, pose):
    pending = begin_patch(volumes("uint8")[1], FINE, MIDDLE, pose=pose)
    made = pending.result()
    for out in (np.empty((1, *FINE.shape), "u1"), np.empty((1, *FINE.shape), ">u2"),
                np.empty((1, *FINE.shape[::-1]), "u1").transpose(0, 3, 2, 1)):  # fmt: skip
        assert pending.result(out) is out
        np.testing.assert_array_equal(out, made)
    assert (pending.shape, pending.dtype) == (made.shape, made.dtype)


def test_channels_and_levels(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 16), np.uint8)
    volume = Volume.open(write_volume(tmp_path / "v", array, form=VolumeForm(levels=3)))
    coarse = begin_patch(volume, PatchSpec(shape=(4, 4, 4), spacing=(16, 16, 16)), (60, 60, 60))
    np.testing.assert_array_equal(coarse.result(), volume.array(1).read().result()[:, 2:6, 2:6, 2:6])
    between = begin_patch(volume, PatchSpec(shape=(4, 4, 4), spacing=(24, 24, 24)), (60, 60, 60)).result()
    assert between.shape == (3, 4, 4, 4)


def test_what_cannot_be_read_is_named(tmp_path):
    path = write_volume(tmp_path / "v", np.full((32, 32, 32), 5, np.uint8))
    for chunk in (path / "s0").rglob("*"):
        if chunk.is_file() and chunk.name != "zarr.json":
            chunk.write_bytes(b"rubbish")
    volume = Volume.open(path)
    for pose in (Pose(), Pose(rotation=(30, 0, 0))):
        pending = begin_patch(
            volume, PatchSpec(shape=(8, 8, 8), spacing=(8, 8, 8)), (100, 100, 100), pose=pose
        )
        with pytest.raises(VolumeReadError, match=r"v: level 0, voxels \[\d+:\d+, .*cannot be read"):
            pending.result()
