"""Data that change, go away or rot beneath those who read them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from voxloom.errors import VolumeReadError
from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.loading import Loader, Order
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patches import PatchSource
from voxloom.sources.volume_split import VolumeSplit
from voxloom.testing.segmentation import write_split
from voxloom.testing.volumes import phantom
from voxloom.volumes import Classes, Volume, VolumeLayout, engine

SPEC = PatchSpec(shape=(8, 8, 8), spacing=(8, 8, 8))


@pytest.fixture
def fresh():
    """Nothing is kept from one read to the next."""
    engine.set_cache(0)
    yield
    engine.set_cache(256_000_000)


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_single_bit_that_flips_is_an_error(fresh, tmp_path, compression):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint16", compression=compression, levels=1)
    array = phantom((40, 40, 40), "uint16")
    volume = Volume.create(tmp_path / "em.zarr", shape=array.shape, layout=layout)
    volume.write(volume.bounding_box, array)
    (shard,) = (tmp_path / "em.zarr/s0/c").rglob("0/0/0")
    whole = shard.read_bytes()
    chance = np.random.default_rng(0)
    for place in [*chance.integers(len(whole), size=20), len(whole) - 1, len(whole) - 60]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.integers(8)
        shard.write_bytes(flipped)
        again = Volume.open(volume.path)
        told = error_of(again)
        if told:
            assert "em.zarr: level 0, voxels" in told
            assert "damaged: copy them anew" in told
        else:  # a bit that means nothing, such as the time in the head of gzip
            np.testing.assert_array_equal(again.read(again.bounding_box)[0], array)


def error_of(volume):
    try:
        volume.read(volume.bounding_box)
    except VolumeReadError as error:
        return str(error)


@pytest.mark.parametrize("number", [0, 2])
def test_a_volume_that_goes_away_while_patches_are_read(fresh, tmp_path, number):
    datasets = VolumeSplit.from_csv(write_split(tmp_path)).open(Classes(names=("mito",))).train
    centers = [centers_of(each.raw["raw"].levels[0].grid, SPEC) for each in datasets]
    places = Random(centers, length=400, seed=0)
    source = PatchSource(datasets, inputs={"raw": SPEC}, locations=places)
    order = Order(length=len(source), batch_size=4, shuffle=False)
    batches = iter(Loader(source, None, order=order, seed=0, num_workers=number))
    next(batches)
    shutil.rmtree(tmp_path / "1/em.zarr")
    with pytest.raises(VolumeReadError, match=r"1/em\.zarr: level 0, voxels .*was removed or moved"):
        for _ in batches:
            pass


def test_a_volume_that_goes_away_while_it_is_predicted_and_comes_back(fresh, tmp_path):
    write_split(tmp_path)
    path, aside = tmp_path / "3/em.zarr", tmp_path / "aside"
    tiles = []

    def network(batch):
        tiles.append(len(batch))
        if len(tiles) == 10:
            path.rename(aside)
        return batch / 300

    model = VolumeModel(network, SPEC, ("cell",), digest="darker")
    options = TiledOptions(unit=(8, 8, 8), write=("probabilities",))
    raw = Volume.open(path)
    with pytest.raises(VolumeReadError, match=r"em\.zarr: level 0, voxels .*was removed or moved"):
        predict_volume(model, raw, str(tmp_path / "p.zarr"), options=options)
    aside.rename(path)
    report = predict_volume(model, Volume.open(path), str(tmp_path / "p.zarr"), options=options)
    assert 0 < report.done < report.units
    assert report.is_finished
    whole = predict_volume(model, Volume.open(path), str(tmp_path / "q.zarr"), options=options)
    assert bytes_of(report.output) == bytes_of(whole.output)


def bytes_of(folder):
    files = [file for file in Path(folder).rglob("*") if file.is_file() and file.name != "zarr.json"]
    return {file.relative_to(folder): file.read_bytes() for file in files}
