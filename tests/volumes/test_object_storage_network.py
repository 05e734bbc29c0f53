"""Networks between us and a bucket: busy, denied, gone for a while, silent; and what is sent over them."""

import http.client
import http.server
import re
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorstore as ts

from voxloom.errors import SaveError, VolumeReadError, VoxloomError
from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.jobs.packing import pack
from voxloom.testing.segmentation import write_split
from voxloom.testing.volumes import phantom
from voxloom.volumes import Volume, VolumeLayout, engine
from voxloom.volumes.place import Place

LAYOUT = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", chunk=(8, 8, 8), shard=(16, 16, 16))


class Network(http.server.ThreadingHTTPServer):
    """Hands requests on to a server, as long as it likes to."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, server):
        super().__init__(("127.0.0.1", 0), Gate)
        self.server = server.removeprefix("http://")
        self.lock, self.seen = threading.Lock(), []
        self.every, self.left, self.denied = 0, None, ()

    def answer(self, method, headers):
        """Return a status to refuse with, 0 to break the line off, or None to hand the request on."""
        with self.lock:
            self.seen.append((method, {name.lower(): value for name, value in headers.items()}))
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    return 0
            is_busy = self.every and len(self.seen) % self.every == 0
            return 503 if is_busy else 403 if method in self.denied else None


class Gate(http.server.BaseHTTPRequestHandler):
    def handed_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        refusal = self.server.answer(self.command, self.headers)
        if refusal is None:
            connection = http.client.HTTPConnection(self.server.server)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            connection.close()
        elif refusal:
            self.send_error(refusal)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handed_on

    def log_message(self, *arguments):
        pass


@pytest.fixture
def network(s3, s3_server, monkeypatch):
    network = Network(s3_server)
    thread = threading.Thread(target=network.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{network.server_port}")
    monkeypatch.setenv("VOXLOOM_VOLUME_RETRIES", "0")
    engine._context.cache_clear()
    yield network
    network.shutdown()
    network.server_close()
    thread.join()


@pytest.fixture
def here(network, tmp_path):
    return f"s3://bucket/{tmp_path.name}"


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = write_split(tmp_path_factory.mktemp("local"))
    one_row = path.read_text().splitlines()[:2]
    path.write_text("\n".join(one_row))
    return path


def objects(url):
    store = ts.KvStore.open(Place.of(url).kvstore(), context=engine.context()).result()
    return {name.decode(): store.read(name).result().value for name in store.list().result()}


def test_a_busy_server_is_asked_again(network, here, monkeypatch):
    monkeypatch.setenv("VOXLOOM_VOLUME_RETRIES", "8")
    engine._context.cache_clear()
    network.every = 6
    array = phantom((16, 16, 32))
    volume = Volume.create(f"{here}/em.zarr", shape=array.shape, layout=LAYOUT)
    volume.write(volume.bounding_box, array)
    again = Volume.open(volume.path)
    np.testing.assert_array_equal(again.read(again.bounding_box)[0], array)
    assert {method for method, _ in network.seen} >= {"GET", "PUT"}
    assert len(network.seen) > network.every


def interrupted(network, work, after):
    """Do some work over a line that breaks off after some requests, each time later, until it is done."""
    failures = []
    for number in range(1, 20):
        network.left = after * number
        try:
            work()
            return failures
        except VoxloomError as error:
            failures.append(str(error))
    raise AssertionError(failures)


def test_a_copy_goes_on_when_the_network_is_back(network, here, split):
    failures = interrupted(network, lambda: pack(split, f"{here}/packed"), 40)
    assert failures
    assert all(re.search("s3://bucket/.*Check the network", told) for told in failures)
    network.left = None
    pack(split, f"{here}/whole")
    assert objects(f"{here}/packed") == objects(f"{here}/whole")


def test_a_prediction_goes_on_when_the_network_is_back(network, here, split):
    tile = PatchSpec(shape=(8, 8, 8), spacing=(8, 8, 8))
    model = VolumeModel(lambda tiles: tiles / 300, tile, ("cell",), digest="darker")
    options = TiledOptions(unit=(16, 16, 16), threshold=0.5)
    raw = Volume.open(str(split.parent / "3/em.zarr"))

    def predict(name):
        return predict_volume(model, raw, f"{here}/{name}", options=options)

    failures = interrupted(network, lambda: predict("one.zarr"), 30)
    assert failures
    assert all(re.search("s3://bucket/.*Check the network", told) for told in failures)
    network.left = None
    assert predict("other.zarr").done == 4
    one, other = objects(f"{here}/one.zarr"), objects(f"{here}/other.zarr")
    assert one.pop("zarr.json").replace(b"one", b"other") == other.pop("zarr.json")
    assert one == other


def test_what_may_not_be_written_is_told(network, here):
    volume = Volume.create(f"{here}/em.zarr", shape=(16, 16, 16), layout=LAYOUT)
    network.denied = ("PUT",)
    with pytest.raises(SaveError, match=r"could not write s3://bucket/.*em\.zarr.*PERMISSION_DENIED.*rights"):
        volume.write(volume.bounding_box, np.ones((16, 16, 16), np.uint8))


def test_credentials_are_sent_where_there_are_some(network, here, monkeypatch):
    volume = Volume.create(f"{here}/em.zarr", shape=(16, 16, 16), layout=LAYOUT)
    assert "Credential=key/" in network.seen[-1][1]["authorization"]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(VolumeReadError, match=r"PERMISSION_DENIED.*credentials from the environment"):
        Volume.open(volume.path)
    assert "authorization" not in network.seen[-1][1]


def test_who_pays_for_what_is_read_from_google(gcs, upload, tmp_path, monkeypatch, caplog):
    (tmp_path / "note.json").write_text("{}")
    place = Place.of(upload(tmp_path, f"{gcs}/{tmp_path.name}"))
    monkeypatch.setenv("GS_USER_PROJECT", "mine")
    with caplog.at_level("INFO", "gcp_storage_emulator"):
        assert place.read_json("note.json") == {}
    assert "userProject=mine" in caplog.text


SILENT = """
import sys
from voxloom.errors import VolumeReadError
from voxloom.volumes import Volume
try:
    Volume.open(sys.argv[1])
except VolumeReadError as error:
    print(error)
"""


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setenv("VOXLOOM_VOLUME_RETRIES", "0")
    monkeypatch.setenv("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", "1")  # ours are 30
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/em.zarr"
        done = subprocess.run([sys.executable, "-c", SILENT, url], capture_output=True, text=True, timeout=60)
    assert f"{url}/zarr.json cannot be read" in done.stdout
    assert "Check the network" in done.stdout
    assert time.monotonic() - began < 30


def test_nobody_is_there(s3, monkeypatch):
    monkeypatch.setenv("VOXLOOM_VOLUME_RETRIES", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(VolumeReadError, match=r"s3://bucket/em\.zarr/.*Check the network and go on"):
        Volume.open("s3://bucket/em.zarr")
