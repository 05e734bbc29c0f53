"""Places exactly between two voxels: the lower one is taken, whatever floats lose, on every way."""

import numpy as np
import pytest

from voxloom.geometry import PatchSpec, Pose
from voxloom.testing.volumes import write_volume
from voxloom.volumes.bits import Mark, begin_bits
from voxloom.volumes.held import HeldVolume
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.volume import Volume

COUNT = 41
IDS = np.arange(COUNT**3, dtype=np.uint32).reshape((COUNT,) * 3)
NEAREST = Reading("nearest", fill=0)
TURNED = Pose(rotation=(0, 1e-5, 0))  # far too little to see, and yet sampled
MANY = [8.0, 5.24, 4.84, 3.3, 4.3, 0.1, 1e3 / 3]


@pytest.fixture(params=[(s, o) for s in MANY for o in (0.0, 123.4, -7e5)], ids=str)
def volume(request, tmp_path):
    """Labels of one level, of which every second voxel face is asked for."""
    spacing, origin = request.param
    path = write_volume(tmp_path / "a", IDS, spacing=(spacing,) * 3, origin=(origin,) * 3, classes={})
    return Volume.open(path)


def tile(volume, number, count=4):
    """A tile at twice the spacing, the `number`-th along x."""
    (step, *_), low = volume.levels[0].grid.spacing, volume.bounding_box.low
    spec = PatchSpec(shape=(count,) * 3, spacing=(2 * step,) * 3)
    x = low[2] + (number + 0.5) * count * 2 * step
    return spec, (low[0] + count * step, low[1] + count * step, x)


@pytest.mark.parametrize("pose", [Pose(), TURNED], ids=["straight", "turned"])
def test_neighbouring_tiles_join(volume, pose):
    found = [
        begin_patch(volume, *tile(volume, n), pose=pose, how=NEAREST).result()[0, 0, 0] for n in range(5)
    ]
    assert np.concatenate(found).tolist() == list(range(0, 40, 2))


@pytest.mark.parametrize("outside", ["pad", "mirror"])
@pytest.mark.parametrize("number", [0, 4, 5])
def test_all_ways_agree(volume, outside, number):
    """Copied, sampled, from memory; inside, and where the last voxel is half a patch's voxel."""
    spec, center = tile(volume, number)
    how = Reading("nearest", outside, 0)
    copied = begin_patch(volume, spec, center, how=how)
    turned = begin_patch(volume, spec, center, pose=TURNED, how=how)
    held = HeldVolume(volume)
    held.need(spec, center)
    held.begin()
    expected = copied.result()
    np.testing.assert_array_equal(turned.result(), expected)
    np.testing.assert_array_equal(begin_patch(held, spec, center, how=how).result(), expected)
    inside = np.empty(spec.shape, bool)
    np.testing.assert_array_equal(turned.inside(), copied.inside())
    assert (copied.inside(inside)[0, 0] == (np.arange(8 * number, 8 * number + 8, 2) < COUNT)).all()


@pytest.mark.parametrize("number", [0, 4, 5])
def test_bits_lie_where_ids_do(volume, number):
    spec, center = tile(volume, number)
    ids = begin_patch(volume, spec, center, how=NEAREST).result()[0]
    for pose in (Pose(), TURNED):
        bits = begin_bits([Mark(volume)], spec, center, pose=pose)
        np.testing.assert_array_equal(bits.result(), ids > 0)
        known = begin_patch(volume, spec, center).inside(np.empty(spec.shape, np.uint8))
        np.testing.assert_array_equal(bits.known(), known)


def test_a_place_just_beyond_the_last_face_is_filled(tmp_path):
    """What is read around it is nothing, and what it finds is the fill value, not what was in memory."""
    volume = Volume.open(write_volume(tmp_path / "a", IDS[:3, :3, :3] + 1, classes={}))
    spec = PatchSpec(shape=(1, 1, 1), spacing=(8, 8, 8))
    for aside, inside in ((-1e-3, 27), (0, 27), (1e-9, 27), (1e-3, 0)):
        center = tuple(h + aside for h in volume.bounding_box.high)
        found = begin_patch(volume, spec, center, pose=Pose(rotation=(40, 0, 0)), how=NEAREST).result()
        assert found.item() == (IDS[2, 2, 2] + 1 if inside else 0)
