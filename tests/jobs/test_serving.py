"""Local volumes for viewers in the browser: parts of files, and nothing else."""

import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from voxloom.jobs.serving import VolumeServer


@pytest.fixture
def server(tmp_path):
    (tmp_path / "raw.zarr" / "s0").mkdir(parents=True)
    (tmp_path / "raw.zarr" / "s0" / "chunk").write_bytes(bytes(range(100)))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "raw.zarr" / "link").symlink_to(tmp_path / "secret.txt")
    with VolumeServer([str(tmp_path / "raw.zarr")]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(url, method="GET", **headers):
    with urlopen(Request(url, headers=headers, method=method), timeout=10) as answer:
        return answer.status, dict(answer.headers), answer.read()


def test_files_and_parts_of_files(server):
    chunk = f"{server.urls[0]}/s0/chunk"
    status, headers, body = ask(chunk)
    assert (status, body) == (200, bytes(range(100)))
    assert headers["Access-Control-Allow-Origin"] == "*"
    for asked, expected in {
        "bytes=10-19": (10, 20),
        "bytes=-16": (84, 100),
        "bytes=90-200": (90, 100),
    }.items():
        status, headers, body = ask(chunk, Range=asked)
        assert (status, body) == (206, bytes(range(*expected)))
        assert headers["Content-Range"] == f"bytes {expected[0]}-{expected[1] - 1}/100"
    status, headers, body = ask(chunk, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "100", b"")
    assert ask(chunk, "OPTIONS")[0] == 204


OTHERS = (
    "0/raw.zarr/none", "0/raw.zarr/link", "0/secret.txt", "1/raw.zarr/s0/chunk", "0/raw.zarr/../secret.txt",
    "0/raw.zarr/%2e%2e/secret.txt", "x", "",
)  # fmt: skip


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_is_given_out(server, path):
    with pytest.raises(HTTPError, match="404"), urlopen(f"http://127.0.0.1:{server.server_port}/{path}"):
        pass


def test_a_part_that_is_not_there(server):
    with pytest.raises(HTTPError, match="416"):
        ask(f"{server.urls[0]}/s0/chunk", Range="bytes=100-120")
