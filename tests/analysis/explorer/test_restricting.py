"""What the page's application answers, and what it does not."""

import json

import numpy as np
import pytest

from voxloom.analysis.explorer import Session, SessionOptions, make_app
from voxloom.analysis.latents import Points

pytest.importorskip("dash")

from voxloom.analysis.explorer.page import make_page
from voxloom.analysis.explorer.restricting import SESSION_HEADER

HERE = {"Host": "127.0.0.1:8050"}
EVIL = "</title><script>alert(1)</script>"


@pytest.fixture
def session():
    session = Session(Points.of_arrays({"g": np.eye(3)}), options=SessionOptions(title=EVIL))
    yield session
    session.close()


@pytest.fixture
def client(session):
    app = make_app(session)
    make_page(session, app)
    return app.test_client()


def ask(client, body, **headers):
    kind = {"Content-Type": "application/json"}
    return client.post("/_dash-update-component", data=body, headers=HERE | kind | headers)


def picked(value):
    """Return what a page sends when a point is chosen."""
    inputs = [{"id": "picked", "property": "data", "value": value}]
    inputs.append({"id": "job-ready", "property": "data", "value": None})
    return json.dumps(
        {
            "output": "details.children",
            "outputs": {"id": "details", "property": "children"},
            "inputs": inputs,
            "changedPropIds": ["picked.data"],
        }
    )


def test_a_title_is_text_and_scripts_within_the_page_do_not_run(client):
    answer = client.get("/", headers=HERE)
    assert EVIL not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    scripts = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
    assert "'sha256-" in scripts
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/nowhere", "/thumb/-1", "/assets//etc/passwd", "/assets/../session.py"])
def test_there_is_one_page_only(client, path):
    answer = client.get(path, headers=HERE)
    assert answer.status_code == 404
    assert b"_dash" not in answer.data


@pytest.mark.parametrize(
    "body", ["", "{}", "null", "[1", "[]", '"x"', "[" * 100_000, '{"output": 1}', "\x00"]
)
def test_a_request_that_says_nothing_is_refused(client, body, caplog):
    answer = ask(client, body)
    assert answer.status_code == 400
    assert not caplog.text


def test_a_page_of_another_session_is_told_so(client, session):
    assert ask(client, picked([1]), **{SESSION_HEADER: session.version}).status_code == 200
    assert ask(client, picked([1])).status_code == 200  # a program
    for answer in (
        ask(client, picked([1]), **{SESSION_HEADER: "0"}),
        client.get("/thumb/1?v=0", headers=HERE),
        client.get("/keys.json", headers=HERE | {SESSION_HEADER: "0"}),
    ):
        assert answer.status_code == 409
    assert client.get("/version", headers=HERE).text == session.version


@pytest.mark.parametrize("value", [-1, [-1], [1e99], ["a"], {"a": 1}, [[1]], [True], "xx", [10**30], [3]])
def test_a_row_that_is_none_is_told_on_the_page(client, value):
    told = ask(client, picked(value)).json
    assert told["response"] == {}
    assert told["sideUpdate"]["problem"] == {"hidden": False}
    assert ".." not in told["sideUpdate"]["problem-text"]["children"]
