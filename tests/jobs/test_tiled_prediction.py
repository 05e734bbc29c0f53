"""Units of a volume as tasks of a Dask cluster."""

import numpy as np
import pytest

from voxloom.errors import DistributedError, DivergedError
from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import VolumeTask
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.jobs.tiled_prediction import predict_on_dask
from voxloom.volumes import Volume
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import write

distributed = pytest.importorskip("distributed")
TILE = PatchSpec(shape=(16, 16, 16), spacing=(8, 8, 8))


def half(tiles):
    return tiles / 510


def nothing(tiles):
    return tiles * float("nan")


@pytest.fixture
def task(tmp_path):
    path = str(tmp_path / "raw.zarr")
    create(path, shape=(32, 40, 16), layout=VolumeLayout(spacing=(8, 8, 8), dtype="uint8"))
    raw = Volume.open(path)
    write(raw, raw.bounding_box, np.arange(32 * 40 * 16, dtype=np.uint8).reshape(32, 40, 16))
    options = TiledOptions(unit=(16, 16, 16), write=("probabilities",))

    def make(network=half):
        model = VolumeModel(network, TILE, ("cell",), digest=network.__name__)
        return VolumeTask(model, raw, str(tmp_path / "p.zarr"), options)

    return make


@pytest.fixture(scope="module")
def client():
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        yield client


def test_units_on_a_cluster(task, client, tmp_path):
    seen = []
    report = predict_on_dask(task(), client, progress=lambda done, total: seen.append((done, total)))
    assert report.is_finished
    assert report.done == report.units == 6
    assert seen == [(n, 6) for n in range(1, 7)]
    raw = Volume.open(str(tmp_path / "raw.zarr")).array(0).read().result()
    made = Volume.open(report.output).array(0).read().result()
    assert np.abs(made.astype(int) - raw / 2).max() <= 0.51
    assert predict_on_dask(task(), client).done == 0


def test_an_error_of_a_worker_comes_home(task, client):
    with pytest.raises(DivergedError, match="NaN"):
        predict_on_dask(task(nothing), client)


def test_a_scheduler_that_is_not_there(task, monkeypatch):
    monkeypatch.setattr("voxloom.conversion.dask.PATIENCE", "100ms")
    with pytest.raises(DistributedError, match="no Dask scheduler"):
        predict_on_dask(task(), "tcp://127.0.0.1:1")
