"""A volume that was written anew is told from what it was."""

import os

import numpy as np
import pytest

from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.stamp import stamp_of
from voxloom.volumes.volume import Volume

SHAPE = (64, 64, 64)


def made(path, chunk=16, **given):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", chunk=(chunk,) * 3, shard=None, levels=2, **given)
    volume = Volume.create(path, shape=SHAPE, layout=layout, overwrite=True)
    volume.write(volume.bounding_box, np.ones(SHAPE, np.uint8))
    volume.downsample()
    return volume


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_reading_and_what_lies_beside_change_nothing(tmp_path, version):
    volume = made(tmp_path / "raw.zarr", version=version)
    before = stamp_of(volume)
    volume.read(volume.bounding_box)
    (tmp_path / "raw.zarr" / "labels").mkdir()
    (tmp_path / "raw.zarr" / "s0" / ".zzz").write_text("")
    assert stamp_of(Volume.open(volume.path)) == before


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_written_anew_it_has_another_stamp(tmp_path, version):
    volume = made(tmp_path / "raw.zarr", version=version)
    stamps = [stamp_of(volume, level) for level in (0, 1)]
    volume.write(volume.bounding_box, np.full(SHAPE, 2, np.uint8))
    assert stamp_of(volume) != stamps[0]
    assert stamp_of(volume, 1) == stamps[1]
    volume.downsample()
    assert stamp_of(volume, 1) != stamps[1]
    assert len({*stamps, stamp_of(volume)}) == 3


def test_a_large_volume_is_looked_at_here_and_there(tmp_path, monkeypatch):
    volume = made(tmp_path / "raw.zarr", chunk=8)
    looked = []
    real = os.stat
    monkeypatch.setattr("pathlib.Path.stat", lambda path: looked.append(path) or real(path))
    stamp_of(volume)
    assert len(looked) == 64
    assert len({path.parent.parent for path in looked}) == 8


def test_an_empty_volume_has_one_too(tmp_path):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    volume = Volume.create(tmp_path / "raw.zarr", shape=SHAPE, layout=layout)
    assert stamp_of(volume) == stamp_of(volume)
