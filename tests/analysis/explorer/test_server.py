"""The server answers pages of its own on this machine, with pictures by number, and says nothing else."""

import http.client
import io
import socket
import threading

import numpy as np
import pytest
from PIL import Image

from voxloom.analysis.explorer import Images, Serving, Session, make_app
from voxloom.analysis.explorer.guard import refusal
from voxloom.analysis.explorer.server import HOST
from voxloom.analysis.latents import Points
from voxloom.errors import ConfigError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

flask = pytest.importorskip("flask")

HERE = {"Host": "127.0.0.1:8050"}


class Photos(Source):
    """Two images; the second cannot be read."""

    schema = Schema([Field(name="image")])
    keys = ("a", "b")

    def read(self, index):
        if index:
            raise OSError("the disk is away")
        return Sample("a", self.schema, {"image": np.arange(400.0).reshape(1, 20, 20)})


@pytest.fixture
def session():
    points = Points.of_arrays({"g": np.eye(3)}, {"g": ["a", "b", "c"]})
    session = Session(points, images=Images(points, {"g": Photos()}))
    yield session
    session.close()


@pytest.fixture
def app(session):
    app = make_app(session)
    app.add_url_rule("/", "page", lambda: "<p>a page</p>")
    app.add_url_rule("/callback", "callback", lambda: {"read": len(flask.request.data)}, methods=["POST"])

    def broken():
        raise ZeroDivisionError("a secret of /home/user")

    app.add_url_rule("/broken", "broken", broken)
    return app


@pytest.fixture
def client(app):
    return app.test_client()


def size_of(answer):
    return Image.open(io.BytesIO(answer.data)).size


def test_pictures_come_by_number(client):
    for path, size in (
        ("/thumb/0", (80, 80)), ("/thumb/0?size=40", (40, 40)), ("/image/0", (500, 500)),
        ("/image/0?size=20", (20, 20)), ("/image/1?size=200", (200, 200)),
    ):  # fmt: skip
        answer = client.get(path, headers=HERE)
        assert (answer.status_code, answer.mimetype, size_of(answer)) == (200, "image/png", size)
        assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/panel/0/0?size=40", headers=HERE).status_code == 200


def test_the_browser_keeps_pictures_of_this_session_and_no_failures(client, session):
    kept = client.get(f"/thumb/0?v={session.version}", headers=HERE).headers["Cache-Control"]
    assert "immutable" in kept
    assert client.get("/thumb/0?v=other", headers=HERE).status_code == 409
    for path in ("/thumb/0", f"/thumb/1?v={session.version}", f"/panel/0/1?v={session.version}"):
        assert client.get(path, headers=HERE).headers["Cache-Control"] == "no-store"
    assert Session(session.points).version != session.version


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/image/3", 404),
        ("/image/-1", 404),
        ("/image/1.0", 404),
        ("/image/99999999999999999999999999", 404),
        ("/image/../../etc/passwd", 404),
        ("/image/%2e%2e%2fetc%2fpasswd", 404),
        ("/thumb/0%00", 404),
        ("/panel/0/3", 404),
        ("/panel/0", 404),
        ("/nowhere", 404),
        ("/static/x", 404),
        ("/image/0?size=1000000", 400),
        ("/image/0?size=4", 400),
        ("/image/0?size=-5", 400),
        ("/image/0?size=<script>alert(1)</script>", 400),
        ("/image/0?size=٣٣", 400),
    ],
)
def test_what_is_not_there_or_cannot_be_meant_is_refused(client, path, status):
    answer = client.get(path, headers=HERE)
    assert answer.status_code == status
    assert b"<script>" not in answer.data or answer.mimetype == "text/plain"
    assert b"Traceback" not in answer.data


def test_an_error_is_logged_and_not_told(client, caplog):
    answer = client.get("/broken", headers=HERE)
    assert answer.status_code == 500
    assert b"secret" not in answer.data
    assert "a secret of /home/user" in caplog.text


def test_each_answer_says_that_no_other_page_may_have_it(client):
    for path in ("/", "/nowhere", "/image/0"):
        headers = client.get(path, headers=HERE).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_too_large_a_request_is_refused(client):
    large = {"CONTENT_LENGTH": str(10**10)}
    assert client.post("/callback", headers=HERE, data=b"x" * 1000).json == {"read": 1000}
    assert client.post("/callback", headers=HERE, environ_overrides=large).status_code == 413


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8050", "LOCALHOST", "[::1]:8050"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8050", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2",
        "127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1:port", "127.0.0.1/x", "[::1", " ",
        "0.0.0.0",
    ],
)  # fmt: skip
def test_other_names_are_not(client, host):
    """A name of another site that was made to lead here (DNS rebinding)."""
    for path in ("/", "/image/0", "/nowhere"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.mimetype) == (403, "text/plain")
    assert refusal("GET", {})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8050"},
        {"Origin": "null"},
        {"Origin": "file://127.0.0.1:8050"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_page_cannot_post(client, headers):
    assert client.post("/callback", headers=HERE | headers).status_code == 403


def test_pages_of_its_own_can_and_a_link_leads_here(client):
    own = {"Origin": "http://127.0.0.1:8050", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/callback", headers=HERE | own).status_code == 200
    assert client.post("/callback", headers=HERE).status_code == 200  # a program
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=HERE | link).status_code == 200
    picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/image/0", headers=HERE | picture).status_code == 403


@pytest.fixture
def serve(app):
    """Return a function that serves in a thread."""
    running = []

    def begin(port=0):
        serving = Serving(app, port)
        thread = threading.Thread(target=serving.run, daemon=True)
        thread.start()
        running.append((serving, thread))
        return serving

    yield begin
    for serving, thread in running:
        serving.stop()
        thread.join(10)
        serving.close()


def ask(port, path="/", host=HOST, **headers):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_it_listens_on_this_machine_alone_and_names_no_version(serve):
    serving = serve()
    status, body, headers = ask(serving.port, "/thumb/0")
    assert (status, body[:4]) == (200, b"\x89PNG")
    assert headers["Server"].strip() == "voxloom"
    assert serving.url == f"http://127.0.0.1:{serving.port}/"
    with pytest.raises(ConnectionRefusedError):
        ask(serving.port, host="127.0.0.2")


def test_a_taken_port_gives_the_next_free_one_and_says_so(serve, caplog):
    first = serve()
    second = serve(first.port)
    assert second.port > first.port
    assert f"port {first.port} is taken" in caplog.text
    assert ask(second.port)[0] == ask(first.port)[0] == 200


def test_no_free_port_is_told(app):
    with socket.socket() as held:
        held.bind((HOST, 65535))
        held.listen()
        with pytest.raises(ConfigError, match="name another with --port"):
            Serving(app, 65535)


def test_many_ask_at_once(serve):
    serving = serve()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(serving.port, "/image/0?size=64"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({(status, body) for status, body, _ in found}) == 1
    assert len(found) == 8
