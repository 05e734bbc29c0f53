"""Predictions from and into object storage, markers and all; and from a network that goes away."""

import urllib.request

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from slow_network import make_raw, predict, task_of

from voxloom.errors import VoxloomError
from voxloom.inference.tiling import VolumeTask
from voxloom.volumes import Volume, engine


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server on this machine, with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")):
        pass
    for name, value in {
        "AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "VOXLOOM_VOLUME_RETRIES": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    engine._context.cache_clear()
    yield server
    engine._context.cache_clear()
    server.stop()


def voxels(path):
    return Volume.open(path).array(0).read().result()


def test_object_storage_is_as_good_as_a_disk(bucket, tmp_path):
    raw, local, output = "s3://bucket/raw.zarr", str(tmp_path / "p.zarr"), "s3://bucket/made/p.zarr"
    make_raw(raw)
    task = VolumeTask(*task_of(raw, output))
    task.begin()
    assert list(task.run([3, 4])) == [3, 4]
    report = predict(raw, output)
    assert (report.done, report.is_finished) == (25, True)
    predict(raw, local)
    assert np.array_equal(voxels(output), voxels(local))
    assert predict(raw, output).done == 0
    bucket.stop()
    with pytest.raises(VoxloomError, match="s3://bucket"):
        predict(raw, str(tmp_path / "q.zarr"))
