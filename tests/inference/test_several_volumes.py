"""A network that sees several volumes at each place."""

import json
import pickle

import numpy as np
import pytest

from voxloom.errors import ConfigError, OutputExistsError
from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import VolumeTask, predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes import Volume

SPEC = PatchSpec(shape=(8, 8, 8), spacing=(8, 8, 8))
OPTIONS = TiledOptions(unit=(16, 16, 16), write=("values",), dtype="uint8")


def second(tiles):
    return tiles[:, 1:2]


MODEL = VolumeModel(second, SPEC, ("other",), wider=(SPEC,), digest="the second")


@pytest.fixture
def volumes(tmp_path):
    form = VolumeForm(levels=1)
    paths = [
        write_volume(tmp_path / f"{seed}.zarr", phantom((12, 20, 20), seed=seed), form=form)
        for seed in (1, 2)
    ]
    return [Volume.open(str(path)) for path in paths]


def values(volume):
    return volume.array(0).read().result()


def test_each_patch_is_of_its_own_volume(volumes, tmp_path):
    report = predict_volume(MODEL, volumes, str(tmp_path / "p.zarr"), options=OPTIONS)
    assert np.array_equal(values(Volume.open(report.output)), values(volumes[1]))
    alone = predict_volume(MODEL, volumes[0], str(tmp_path / "q.zarr"), options=OPTIONS)
    assert np.array_equal(values(Volume.open(alone.output)), values(volumes[0]))
    copy = pickle.loads(pickle.dumps(VolumeTask(MODEL, volumes, report.output, OPTIONS)))
    assert copy.plan.wider[0][0].path == volumes[1].path


def test_another_volume_is_another_prediction(volumes, tmp_path):
    output = str(tmp_path / "p.zarr")
    predict_volume(MODEL, volumes, output, options=OPTIONS)
    with pytest.raises(OutputExistsError):
        predict_volume(MODEL, volumes[:1], output, options=OPTIONS)
    task = VolumeTask(MODEL, volumes, output, OPTIONS)
    assert volumes[1].path in json.dumps(task.plan.identity())


def test_none_of_them_is_written_over(volumes):
    with pytest.raises(OutputExistsError, match="the input"):
        VolumeTask(MODEL, volumes, volumes[1].path, OPTIONS)


def test_a_volume_too_many_is_refused(volumes, tmp_path):
    with pytest.raises(ConfigError, match="3 volumes for a model of 2 patches: expected one for all"):
        predict_volume(MODEL, [*volumes, volumes[0]], str(tmp_path / "p.zarr"), options=OPTIONS)
