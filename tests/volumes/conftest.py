"""Object stores on the loopback, one of each kind for all tests of this folder."""

import json
import logging
import re
import urllib.request
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest
import tensorstore as ts
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from moto.server import ThreadedMotoServer

from voxloom.volumes import engine
from voxloom.volumes.place import Place

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
GOOGLE = ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL", "GOOGLE_AUTH_TOKEN_FOR_TESTING")


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server with a bucket of the name "bucket"."""
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    with urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT")):
        pass
    yield address
    server.stop()


@pytest.fixture(scope="session")
def gcs_server():
    """The address of a GCS server; TensorStore looks where it is once in a process."""
    with pytest.MonkeyPatch.context() as patch:
        _mend_emulator(patch)
        server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket-1")
        server.start()
        server._api._httpd.socket.listen(64)  # with the usual 5, requests wait a second for their next try
        yield f"127.0.0.1:{server._api._httpd.server_address[1]}"
        server.stop()


def _mend_emulator(patch):
    """Give the emulator what Google has and it has not: empty objects, generations, ranges."""
    patch.setattr(emulator, "_read_data", partial(_read_data, emulator._read_data))
    patch.setattr(objects, "download", partial(_download, objects.download))
    for _, handlers in emulator.HANDLERS:
        if handlers.get("GET") is objects.ls:
            patch.setitem(handlers, "GET", _list_objects)


def _read_data(read, handler, query):
    data = read(handler, query)
    return b"" if data is None and query.get("uploadType") == ["media"] else data


def _download(download, request, response, storage):
    where = request.params["bucket_name"], request.params["object_id"]
    last = re.fullmatch("bytes=-([0-9]+)", request.get_header("range", ""))
    if last and (found := _found(storage, where)):
        start = max(0, len(found) - int(last[1]))
        request.get_header = lambda name, _=None: f"bytes={start}-" if name == "range" else None
    download(request, response, storage)
    if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        found = storage.get_file_obj(*where)
        response["x-goog-generation"] = found["generation"]
        if request.query.get("ifGenerationNotMatch") == [found["generation"]]:
            response.status = HTTPStatus.NOT_MODIFIED
            response.write_file(b"")


def _found(storage, where):
    try:
        return storage.get_file(*where)
    except NotFound:
        return None


def _list_objects(request, response, storage):
    objects.ls(request, response, storage)
    first, end = (request.query.get(name, [""])[0] for name in ("startOffset", "endOffset"))
    found = json.loads(response._content)
    names = [item for item in found["items"] if first <= item["name"] and (not end or item["name"] < end)]
    response.json({**found, "items": names})


@pytest.fixture
def s3(s3_server, monkeypatch):
    """A bucket that is reached as a user reaches one: through the environment."""
    for name, value in {"AWS_ENDPOINT_URL": s3_server, **KEYS}.items():
        monkeypatch.setenv(name, value)
    engine._context.cache_clear()
    yield "s3://bucket"
    engine._context.cache_clear()


@pytest.fixture
def gcs(gcs_server, monkeypatch):
    """A bucket that is reached with the one variable that Google's own clients know."""
    for name in GOOGLE:
        monkeypatch.setenv(name, "")  # so that what the code sets goes, too
        monkeypatch.delenv(name)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return "gs://bucket-1"


@pytest.fixture(params=["s3", "gcs"])
def bucket(request, tmp_path):
    """A folder in S3 and in GCS, of which no other test knows."""
    return f"{request.getfixturevalue(request.param)}/{tmp_path.name}"


@pytest.fixture
def upload():
    """Return a function that copies a folder into an object store."""

    def copy(folder, url):
        store = ts.KvStore.open(Place.of(url).kvstore(), context=engine.context()).result()
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        writes = [store.write(path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]
        for each in writes:
            each.result()
        return url

    return copy
