"""Volumes behind HTTP, S3 and GCS on the loopback, and networks that fail."""

import functools
import http.server
import threading

import boto3
import numpy as np
import pytest
from botocore.config import Config

from voxloom.errors import MissingDataError, VolumeReadError
from voxloom.testing.volumes import VolumeForm, phantom, write_volume
from voxloom.volumes import engine
from voxloom.volumes.place import Place
from voxloom.volumes.volume import Volume

ARRAY = phantom((16, 16, 16))


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; every n-th answer is a 503, and what is denied a 403."""

    every: int = 0
    denied = frozenset()
    count = 0
    lock = threading.Lock()

    def do_GET(self):
        with Handler.lock:
            Handler.count += 1
            is_busy = Handler.every and Handler.count % Handler.every == 0
        if is_busy:
            self.send_error(503)
        elif self.path.rsplit("/", 1)[-1] in Handler.denied:
            self.send_error(403)
        else:
            super().do_GET()

    def end_headers(self):
        self.send_header("ETag", f'"{self.path}"')  # which S3 has
        super().end_headers()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # with the usual 5, a burst of requests waits a second for its next try


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment without credentials, and a fresh engine that gives up soon."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    engine._context.cache_clear()
    yield monkeypatch
    engine._context.cache_clear()


@pytest.fixture
def image(tmp_path):
    form = VolumeForm(chunk=(8, 8, 8), levels=2)
    return write_volume(tmp_path / "bucket-1" / "em.zarr", ARRAY, form=form)


@pytest.fixture
def server(image):
    """A web server of the folder; Handler says how it behaves."""
    Handler.every, Handler.denied, Handler.count = 0, frozenset(), 0
    serving = functools.partial(Handler, directory=str(image.parent.parent))
    server = Server(("127.0.0.1", 0), serving)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def check(volume):
    np.testing.assert_array_equal(volume.read(volume.bounding_box)[0], ARRAY)
    assert len(volume.levels) == 2


def test_http(bare, server):
    volume = Volume.open(f"{server}/bucket-1/em.zarr/")
    assert volume.path == f"{server}/bucket-1/em.zarr"
    check(volume)
    assert volume.label_names == ()


def test_what_is_missing_behind_http(bare, server):
    with pytest.raises(MissingDataError, match=r"/em\.zar: nothing is there"):
        Volume.open(f"{server}/bucket-1/em.zar")
    with pytest.raises(MissingDataError, match=r"/s7: nothing is there\. http.*/em\.zarr holds s0, s1"):
        Volume.open(f"{server}/bucket-1/em.zarr/s7")


def test_busy_answers_are_repeated(bare, server):
    Handler.every = 5
    check(Volume.open(f"{server}/bucket-1/em.zarr"))
    assert Handler.count > 10


def test_a_network_that_is_gone_is_an_error_and_reading_goes_on_when_it_is_back(bare, server):
    bare.setenv("VOXLOOM_VOLUME_RETRIES", "1")
    engine.set_cache(0)
    volume = Volume.open(f"{server}/bucket-1/em.zarr")
    check(volume)
    Handler.every = 1
    with pytest.raises(VolumeReadError, match=r"em\.zarr: level 0, voxels .*Check the network and go on"):
        volume.read(volume.bounding_box)
    with pytest.raises(VolumeReadError, match=r"em\.zarr/zarr\.json cannot be read: .*Check the network"):
        Volume.open(f"{server}/bucket-1/em.zarr")
    Handler.every = 0
    check(volume)
    engine.set_cache(256_000_000)


def test_no_server_at_all(bare):
    bare.setenv("VOXLOOM_VOLUME_RETRIES", "1")
    with pytest.raises(VolumeReadError, match="cannot be read: "):
        Volume.open("http://127.0.0.1:1/em.zarr")


def test_anonymous_s3_that_denies_what_is_not_there(bare, server):
    """Who may not list a bucket is not told whether a file is missing."""
    bare.setenv("AWS_ENDPOINT_URL", server)
    Handler.denied = frozenset({".zattrs", ".zarray", ".zgroup", "attributes.json"})
    check(Volume.open("s3://bucket-1/em.zarr"))
    Handler.denied |= {"zarr.json"}
    with pytest.raises(VolumeReadError, match=r"s3://bucket-1/em\.zarr/.*PERMISSION_DENIED.*credentials"):
        Volume.open("s3://bucket-1/em.zarr")


def client(url):
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}), **keys)


@pytest.mark.parametrize("acl", ["public-read", "private"])
def test_s3(bare, s3_server, image, acl):
    bucket = f"bucket-{acl}"
    store = client(s3_server)
    store.create_bucket(Bucket=bucket)
    for path in sorted(image.rglob("*")):
        if path.is_file():
            key = f"em.zarr/{path.relative_to(image)}"
            store.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), ACL=acl)
    bare.setenv("AWS_ENDPOINT_URL", s3_server)
    if acl == "private":
        with pytest.raises(VolumeReadError, match="PERMISSION_DENIED"):
            Volume.open(f"s3://{bucket}/em.zarr")
        bare.setenv("AWS_ACCESS_KEY_ID", "key")
        bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    check(Volume.open(f"s3://{bucket}/em.zarr"))
    assert [v.shape for v in Volume.open_many([f"s3://{bucket}/em.zarr"] * 3)] == [(1, 16, 16, 16)] * 3


def test_gcs(gcs, image, upload):
    path = upload(image, f"{gcs}/em.zarr")
    check(Volume.open(path))
    assert Place.of(path).list_children() == ["s0", "s1", "zarr.json"]
    with pytest.raises(MissingDataError, match=r"gs://bucket-1/no\.zarr: nothing is there"):
        Volume.open(f"{gcs}/no.zarr")
