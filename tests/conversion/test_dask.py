import sys
import warnings

import pytest
from slow_source import Cut, Slow

from voxloom.conversion import convert
from voxloom.errors import DistributedError, MissingExtraError, UnreadableImageError


@pytest.fixture
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of distributed itself
        distributed = pytest.importorskip("distributed")
        cluster = distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        )
        with cluster, distributed.Client(cluster) as client:
            yield client


def test_shards_are_tasks_of_a_cluster(tmp_path, same_tree, client):
    convert(Slow(), tmp_path / "one", samples_per_shard=5)
    told = []
    with pytest.raises(UnreadableImageError, match="'s/003'"):
        convert(Cut(), tmp_path / "cut", samples_per_shard=1, dask=client)
    report = convert(
        Slow(), tmp_path / "two", samples_per_shard=5, dask=client, progress=lambda *t: told.append(t)
    )
    assert report.finished
    assert told[-1][:2] == (24, 24)
    assert same_tree(tmp_path / "one", tmp_path / "two")
    address = client.scheduler.address
    again = convert(Slow(), tmp_path / "two", samples_per_shard=5, dask=address, resume=True)
    assert again.converted == 0


def test_without_distributed_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"voxloom\[dask\]"):
        convert(Slow(), tmp_path / "store", dask="local")
    assert not (tmp_path / "store").exists()


def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("voxloom.conversion.dask.PATIENCE", "1s")
    with pytest.raises(DistributedError, match="tcp://127"):
        convert(Slow(), tmp_path / "store", dask="tcp://127.0.0.1:9")
