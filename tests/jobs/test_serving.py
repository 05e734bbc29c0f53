"""Local volumes for viewers in the browser: parts of files, and nothing else."""

import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from voxloom.jobs.serving import VolumeServer

VIEWER = "https://viewer.example"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "raw.zarr" / "s0").mkdir(parents=True)
    (tmp_path / "raw.zarr" / "s0" / "chunk").write_bytes(bytes(range(100)))
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "raw.zarr" / "link").symlink_to(tmp_path / "secret.txt")
    with VolumeServer([str(tmp_path / "raw.zarr")], viewer=f"{VIEWER}/v/1") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(url, method="GET", **headers):
    with urlopen(Request(url, headers=headers, method=method), timeout=10) as answer:
        return answer.status, dict(answer.headers), answer.read()


def refused(url, method="GET", **headers):
    with pytest.raises(HTTPError) as caught:
        ask(url, method, **headers)
    with caught.value as answer:
        return answer.code, dict(answer.headers)


def test_files_and_parts_of_files(server):
    chunk = f"{server.urls[0]}/s0/chunk"
    status, headers, body = ask(chunk)
    assert (status, body) == (200, bytes(range(100)))
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


def test_a_page_of_the_viewer_may_read(server):
    chunk = f"{server.urls[0]}/s0/chunk"
    for method in ("GET", "HEAD", "OPTIONS"):
        _, headers, _ = ask(chunk, method, Origin=VIEWER)
        assert headers["Access-Control-Allow-Origin"] == VIEWER
        assert headers["Access-Control-Allow-Private-Network"] == "true"
    assert ask(chunk, Host="localhost:8000")[0] == 200  # led here through another port


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
def test_a_page_of_anyone_else_may_not(server, method, headers):
    code, told = refused(f"{server.urls[0]}/s0/chunk", method, **headers)
    assert code == 403
    assert not [name for name in told if name.startswith("Access-Control")]


def test_the_place_of_a_file_cannot_be_guessed(server):
    with VolumeServer([], viewer=VIEWER) as other:
        assert other.token != server.token
        for token in ("", other.token, "0", "%C3%A4"):
            assert refused(server.urls[0].replace(server.token, token) + "/s0/chunk")[0] == 404


OTHERS = (
    "0/raw.zarr/none", "0/raw.zarr/link", "0/secret.txt", "1/raw.zarr/s0/chunk", "0/raw.zarr/../secret.txt",
    "0/raw.zarr/%2e%2e/secret.txt", "x", "", "0/raw.zarr/%00", f"0/raw.zarr/{'a' * 5000}",
)  # fmt: skip


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_is_given_out(server, path, capsys):
    assert refused(f"http://127.0.0.1:{server.server_port}/{server.token}/{path}")[0] == 404
    assert capsys.readouterr().err == ""


def test_a_part_that_is_not_there(server):
    assert refused(f"{server.urls[0]}/s0/chunk", Range="bytes=100-120")[0] == 416
