import json

import numpy as np
import pytest
import tensorstore as ts

from voxloom.errors import MissingDataError, VolumeMetadataError, VolumeReadError
from voxloom.volumes.volume import Volume


def write_n5(path, array, **attributes):
    """Write an array (its axes x first) with further attributes."""
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": f"{path}/"}}
    metadata = {"blockSize": [4] * array.ndim, "compression": {"type": "gzip"}}
    ts.open({**spec, "metadata": metadata}, create=True, dtype=str(array.dtype), shape=array.shape).result()[
        ...
    ] = array
    file = path / "attributes.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **attributes}))
    return path


def group(path, **attributes):
    path.mkdir(parents=True, exist_ok=True)
    (path / "attributes.json").write_text(json.dumps({"n5": "2.0.0", **attributes}))
    return path


@pytest.fixture
def stored():
    return np.arange(6 * 5 * 4, dtype="uint16").reshape(6, 5, 4)  # x, y, z


def test_axes_are_stored_x_first(tmp_path, stored):
    path = write_n5(tmp_path / "a.n5" / "raw", stored, resolution=[4, 8, 40], units=["nm", "nm", "um"])
    volume = Volume.open(path)
    assert volume.shape == (1, 4, 5, 6)
    assert volume.levels[0].grid.spacing == (40_000, 8, 4)
    np.testing.assert_array_equal(volume.read(volume.bounding_box)[0], stored.T)


@pytest.mark.parametrize(
    "attributes",
    [
        {"resolution": [4, 8, 40], "unit": "nm"},
        {"pixelResolution": {"dimensions": [4, 8, 40], "unit": "nm"}},
        {"pixelResolution": [0.004, 0.008, 0.04], "units": ["um", "um", "um"]},
        {"transform": {"axes": ["z", "y", "x"], "scale": [40, 8, 4], "units": ["nm"] * 3}},
    ],
)
def test_resolutions_of_several_writers(tmp_path, stored, attributes):
    grid = Volume.open(write_n5(tmp_path / "raw", stored, **attributes)).levels[0].grid
    assert grid.spacing == pytest.approx((40, 8, 4))
    assert grid.origin == (0, 0, 0)


def test_offsets(tmp_path, stored):
    own = write_n5(tmp_path / "a", stored, resolution=[4, 8, 40], offset=[1, 2, 3], unit="um")
    assert Volume.open(own).levels[0].grid.origin == (3000, 2000, 1000)
    transform = {"axes": ["z", "y", "x"], "scale": [40, 8, 4], "translate": [3, 2, 1], "units": ["nm"] * 3}
    assert Volume.open(write_n5(tmp_path / "b", stored, transform=transform)).levels[0].grid.origin == (
        3,
        2,
        1,
    )


def test_missing_resolution_or_unit_names_the_option(tmp_path, stored):
    with pytest.raises(VolumeMetadataError, match=r"raw: the metadata say no scale.*spacing=\(z, y, x\)"):
        Volume.open(write_n5(tmp_path / "raw", stored))
    bare = write_n5(tmp_path / "bare", stored, resolution=[4, 8, 40])
    with pytest.raises(VolumeMetadataError, match=r"axis x has no unit.*unit='nanometer'"):
        Volume.open(bare)
    assert Volume.open(bare, unit="um").levels[0].grid.spacing == (40_000, 8000, 4000)
    assert Volume.open(bare, spacing=(1, 2, 3)).levels[0].grid.spacing == (1, 2, 3)
    wrong = write_n5(tmp_path / "wrong", stored, resolution=[4, "8", 40], unit="nm")
    with pytest.raises(VolumeMetadataError, match=r"resolution .* expected a list of 3 numbers"):
        Volume.open(wrong)


def test_channels_come_last_where_axes_are_not_named(tmp_path):
    array = np.arange(6 * 5 * 4 * 3, dtype="uint8").reshape(6, 5, 4, 3)
    volume = Volume.open(write_n5(tmp_path / "a", array, resolution=[1, 1, 1, 1], unit="nm"), channels=[2])
    np.testing.assert_array_equal(volume.read(volume.bounding_box)[0], array[..., 2].T)
    named = write_n5(tmp_path / "b", array, resolution=[1, 1, 1, 1], unit="nm", axes=["y", "x", "c", "z"])
    assert Volume.open(named).shape == (4, 3, 6, 5)


def pyramid(path, stored, **own):
    write_n5(path / "s0", stored, **own)
    write_n5(path / "s1", stored[::2, ::2, ::2].copy(), downsamplingFactors=[2, 2, 2])
    return path


def test_a_pyramid_of_downsampling_factors(tmp_path, stored):
    path = group(tmp_path / "em", pixelResolution={"dimensions": [4, 8, 40], "unit": "nm"})
    grids = [level.grid for level in Volume.open(pyramid(path, stored)).levels]
    assert [grid.spacing for grid in grids] == [(40, 8, 4), (80, 16, 8)]
    assert [grid.origin for grid in grids] == [(0, 0, 0), (20, 4, 2)]


def test_a_pyramid_whose_scales_the_group_lists(tmp_path, stored):
    path = group(tmp_path / "em", scales=[[1, 1, 1], [2, 2, 1]], resolution=[4, 8, 40], units=["nm"] * 3)
    write_n5(path / "s0", stored)
    write_n5(path / "s1", stored[::2, ::2].copy())
    grids = [level.grid for level in Volume.open(path).levels]
    assert (grids[1].spacing, grids[1].origin) == ((40, 16, 8), (0, 4, 2))


def test_a_pyramid_without_a_word_has_its_spacing_stated(tmp_path, stored):
    path = pyramid(group(tmp_path / "em"), stored)
    with pytest.raises(VolumeMetadataError, match=r"em: the metadata say no scale"):
        Volume.open(path)
    grids = [level.grid for level in Volume.open(path, spacing=(40, 8, 4)).levels]
    assert (grids[1].spacing, grids[1].origin) == ((80, 16, 8), (20, 4, 2))


def test_a_pyramid_that_names_levels_and_transforms(tmp_path, stored):
    def entry(name, factor):
        scale = [40 * factor, 8 * factor, 4 * factor]
        move = [(factor - 1) / 2 * s / factor for s in scale]
        axes = {"axes": ["z", "y", "x"], "units": ["nm"] * 3}
        return {"path": name, "transform": {**axes, "scale": scale, "translate": move}}

    path = group(tmp_path / "em", multiscales=[{"datasets": [entry("s0", 1), entry("s1", 2)]}])
    volume = Volume.open(pyramid(path, stored))
    assert [level.grid.origin for level in volume.levels] == [(0, 0, 0), (20, 4, 2)]
    assert Volume.open(path, spacing=(80, 16, 8)).levels[1].grid.spacing == (160, 32, 16)


def test_a_group_that_is_no_image(tmp_path, stored):
    write_n5(group(tmp_path / "a.n5") / "raw", stored)
    with pytest.raises(
        MissingDataError, match=r"a\.n5: a group without multiscales metadata, which holds raw"
    ):
        Volume.open(tmp_path / "a.n5")


def test_missing_blocks_are_zero_or_refused(tmp_path, stored):
    path = write_n5(tmp_path / "raw", stored + 1, resolution=[1, 1, 1], unit="nm")
    (path / "1" / "0" / "0").unlink()
    volume = Volume.open(path)
    found = volume.read(volume.bounding_box)[0]
    assert found[:, :4, :4].all()
    assert not found[:, :4, 4:].any()
    strict = Volume.open(path, strict=True)
    with pytest.raises(VolumeReadError, match="is missing"):
        strict.read(strict.bounding_box)
