import errno
import os
import threading
import urllib.request

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from voxloom.errors import OutputExistsError, SaveError
from voxloom.volumes.creation import create, create_labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.place import Place
from voxloom.volumes.saving import claimed, has_files, remove_all, saved, write_file, write_json
from voxloom.volumes.volume import Volume

LAYOUT = VolumeLayout(spacing=(8, 4, 4), dtype="uint8", chunk=(8, 8, 8), shard=(32, 32, 32), levels=3)
SHAPE = (40, 33, 40)


@pytest.fixture(scope="module")
def bucket():
    """An S3 server on this machine, with one bucket; the address of a folder in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")):
        pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield "s3://bucket"
    server.stop()


def test_a_volume_in_object_storage(bucket):
    path = f"{bucket}/em/raw.zarr"
    create(path, shape=SHAPE, layout=LAYOUT)
    volume = Volume.open(path)
    array = np.random.default_rng(0).integers(0, 255, (1, *SHAPE), np.uint8)
    volume.write(volume.bounding_box, array)
    volume.downsample()
    create_labels(path, "ids", shape=SHAPE, layout=LAYOUT.model_copy(update={"kind": "labels"}))
    again = Volume.open(path)
    np.testing.assert_array_equal(again.read(again.bounding_box), array)
    assert again.label_names == ("ids",)
    assert Place.of(path).list_children() == ["labels", "s0", "s1", "s2", "zarr.json"]
    with pytest.raises(OutputExistsError):
        create(path, shape=SHAPE, layout=LAYOUT)
    create(path, shape=SHAPE, layout=LAYOUT, resume=True)
    assert again.read(again.bounding_box).any()
    create(path, shape=SHAPE, layout=LAYOUT, overwrite=True)
    assert Place.of(path).list_children() == ["s0", "s1", "s2", "zarr.json"]


def test_web_servers_are_only_read():
    with pytest.raises(SaveError, match="web servers are only read"):
        create("http://127.0.0.1:9/raw.zarr", shape=SHAPE, layout=LAYOUT)


def test_one_claim_waits_for_the_other(tmp_path):
    """The second begins when the first has ended, and then the file is gone."""
    place, inside, order = Place.of(tmp_path / "new" / "folder"), threading.Event(), []

    def first():
        with claimed(place, ".claim"):
            inside.set()
            order.append("first begins")
            waited.wait(0.2)
            order.append("first ends")

    waited = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with claimed(place, ".claim"):
        order.append("second begins")
    thread.join()
    assert order == ["first begins", "first ends", "second begins"]
    assert not has_files(place)


def test_a_claim_that_does_not_end_well_leaves_its_file(tmp_path):
    with pytest.raises(KeyError), claimed(Place.of(tmp_path), ".claim"):
        raise KeyError
    assert (tmp_path / ".claim").exists()
    with claimed(Place.of(tmp_path), ".claim"):
        pass
    assert not (tmp_path / ".claim").exists()


def test_what_makes_a_store_whole_goes_first_and_one_file_stays(tmp_path):
    place = Place.of(tmp_path / "raw.zarr")
    for name in ("zarr.json", "s0/c/0", ".a", ".kept", "z"):
        write_file(place, name, b"x")
    write_json(place.join("s1"), "zarr.json", {"a": "ä"})
    assert place.join("s1").read_json("zarr.json") == {"a": "ä"}
    remove_all(place, first=("zarr.json", ".zattrs"), but=".kept")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".kept"]


class Failing:
    def __init__(self, told):
        self._told = told

    def result(self):
        raise ValueError(self._told)


FULL = "RESOURCE_EXHAUSTED: Error writing \"a/0\": No space left on device [os_error_code='28']"
DENIED = "PERMISSION_DENIED: Access Denied [source locations='x.cc:1']"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (FULL, "No space left on device. Free some space or name another folder, then go on."),
        (DENIED, "PERMISSION_DENIED: Access Denied. Name a place that can be written"),
    ],
)
def test_what_the_system_said_and_the_cure(told, message):
    with pytest.raises(SaveError) as caught:
        saved(Failing(told), "a")
    assert str(caught.value).startswith(f"could not write a: {message}")


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    fcntl, handles = pytest.importorskip("fcntl"), []

    def flock(handle, _):
        handles.append(handle)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SaveError, match=r"No locks available\. Have the file system mounted with locks"):
        create(tmp_path / "raw.zarr", shape=SHAPE, layout=LAYOUT)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handles[0])
