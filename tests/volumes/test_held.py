import numpy as np
import pytest

from voxloom.errors import VolumeReadError
from voxloom.geometry import PatchSpec, Pose
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes.held import HeldVolume
from voxloom.volumes.patch import Reading, begin_patch
from voxloom.volumes.volume import Volume

FINE = PatchSpec(shape=(4, 6, 5), spacing=(8, 8, 8))
COARSE = PatchSpec(shape=(3, 4, 4), spacing=(16, 16, 16))
OUTSIDE = (-1000.0, 0.0, 0.0)


@pytest.fixture
def volume(tmp_path):
    return Volume.open(write_volume(tmp_path / "em.zarr", phantom((20, 24, 28)), form=VolumeForm(levels=2)))


def held(volume, wanted):
    made = HeldVolume(volume)
    for spec, center, pose in wanted:
        made.need(spec, center, pose=pose)
    made.begin()
    return made


@pytest.mark.parametrize("outside", ["pad", "mirror"])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_patches_of_several_levels_in_and_out(volume, outside, interpolation):
    turned = Pose(rotation=(30, 10, 0))
    wanted = [
        (spec, center, pose)
        for spec in (FINE, COARSE)
        for center in ((50.0, 60.0, 71.0), (0.0, 3.0, 7.0), (150.0, 190.0, 220.0))
        for pose in (Pose(), turned)
    ]
    part, how = held(volume, wanted), Reading(interpolation, outside, 3)
    for spec, center, pose in wanted:
        np.testing.assert_array_equal(
            begin_patch(part, spec, center, pose=pose, how=how).result(),
            begin_patch(volume, spec, center, pose=pose, how=how).result(),
        )


def test_patches_far_outside_hold_padding(volume):
    part = held(volume, [(FINE, OUTSIDE, Pose())])
    assert (begin_patch(part, FINE, OUTSIDE, how=Reading(fill=9)).result() == 9).all()


def test_it_is_read_once(volume, monkeypatch):
    centers = [(40.0, 60.0, 80.0 + n) for n in range(0, 40, 8)]
    part = held(volume, [(FINE, center, Pose()) for center in centers])
    monkeypatch.setattr(Volume, "array", None)  # what is on disk is out of reach
    for center in centers:
        begin_patch(part, FINE, center).result()


def test_a_failed_read_names_the_volume(tmp_path):
    path = write_volume(tmp_path / "em.zarr", phantom((20, 24, 28)))
    for chunk in (path / "s0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"short")
    part = held(Volume.open(path), [(FINE, (40.0, 40.0, 40.0), Pose())])
    with pytest.raises(VolumeReadError, match=r"em\.zarr"):
        begin_patch(part, FINE, (40.0, 40.0, 40.0))
