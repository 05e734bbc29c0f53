import numpy as np
import pytest

from voxloom.errors import DataError
from voxloom.testing.volumes import VolumeForm, write_volume
from voxloom.volumes import Volume
from voxloom.volumes import value_range as room
from voxloom.volumes.value_range import value_range


def opened(path, array, **form):
    return Volume.open(write_volume(path, array, form=VolumeForm(chunk=(32, 32, 32), **form)))


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", (0, 255)), ("int8", (-128, 127)), ("bool", (0, 1))]
)
def test_small_types_have_their_own_range(tmp_path, dtype, expected):
    assert value_range([opened(tmp_path / "a", np.zeros((4, 4, 4), dtype))]) == expected


def test_hot_pixels_do_not_count_and_volumes_are_taken_together(tmp_path):
    dim = np.linspace(0, 100, 4096).reshape(16, 16, 16).astype("float32")
    dim[0, 0, 0], dim[1, 1, 1] = 1e9, np.nan
    bright = np.linspace(50, 500, 4096).reshape(16, 16, 16).astype("float32")
    low, high = value_range([opened(tmp_path / "a", dim), opened(tmp_path / "b", bright)])
    assert 0 <= low < 1
    assert 499 < high <= 500


def test_a_coarse_level_or_few_blocks_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_ENOUGH", 1000)
    ramp = np.arange(96**3, dtype="uint32").reshape(96, 96, 96) // 96**2
    pyramid, single = (opened(tmp_path / str(n), ramp.astype("uint16"), levels=n) for n in (3, 1))
    read = []
    monkeypatch.setattr(Volume, "read", lambda self, box, s: read.append(s) or np.array([3, 90], "uint16"))
    value_range([pyramid])
    assert read == [(32.0, 32.0, 32.0)]
    monkeypatch.setattr(room, "_MOST", 64**3)
    value_range([single])
    assert read[1:] == [(8.0, 8.0, 8.0)]  # no axis is longer than two blocks: one, in the middle


def test_a_constant_volume_has_a_width_and_one_of_nan_is_refused(tmp_path):
    assert value_range([opened(tmp_path / "a", np.full((4, 4, 4), 7, "uint16"))]) == (7, 8)
    with pytest.raises(DataError, match="no finite value"):
        value_range([opened(tmp_path / "b", np.full((4, 4, 4), np.nan, "float32"))])
