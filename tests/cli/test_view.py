"""``voxloom view``: a link or a state, and a server behind it."""

import json
from urllib.parse import unquote

import pytest

from voxloom.jobs.serving import VolumeServer
from voxloom.testing.volumes import phantom, write_volume


@pytest.fixture
def raw(tmp_path):
    return write_volume(tmp_path / "raw.zarr", phantom((8, 16, 16)))


@pytest.fixture
def served(monkeypatch):
    """For whom the command served what, and where."""
    found = []
    monkeypatch.setattr(
        VolumeServer, "serve_forever", lambda server: found.append((server.origin, server.urls))
    )
    return found


def test_a_link_leads_to_the_files(call, raw, served):
    done = call("view", raw, "--viewer", "http://localhost:8080/v/3")
    assert done.code == 0, done.err
    state = json.loads(unquote(done.out.partition("#!")[2]))
    assert done.out.startswith("http://localhost:8080/v/3/#!")
    assert served == [("http://localhost:8080", [state["layers"][0]["source"].removeprefix("zarr://")])]


def test_the_files_that_a_state_leads_to_are_served(call, raw, served, tmp_path):
    done = call("view", raw, "--state", tmp_path / "st.json")
    assert done.code == 0, done.err
    assert "#!" not in done.out
    (layer,) = json.loads((tmp_path / "st.json").read_text())["layers"]
    ((_, urls),) = served
    assert [layer["source"]] == [f"zarr://{url}" for url in urls]
    assert "until Ctrl-C" in done.err
