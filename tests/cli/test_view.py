"""``voxloom view``: a link or a state, and a server behind it."""

import json
import socket
from contextlib import suppress
from urllib.parse import unquote

import numpy as np
import pytest

from voxloom.jobs.serving import VolumeServer
from voxloom.sources import write_image
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


def test_without_another_viewer_it_is_served_from_here(call, raw, served):
    done = call("view", raw)
    assert done.code == 0, done.err
    ((origin, _),) = served
    assert origin.startswith("http://127.0.0.1:")
    assert done.out.startswith(f"{origin}/v/")


def test_without_the_package_the_viewer_on_the_web_is_named(call, raw, served, monkeypatch):
    monkeypatch.setattr("voxloom.jobs.neuroglancer_client.find_spec", lambda name: None)
    done = call("view", raw)
    assert done.code == 0, done.err
    assert done.out.startswith("https://neuroglancer-demo.appspot.com/#!")
    assert "voxloom[view]" in done.err
    assert "the volumes stay here" in done.err


def test_a_link_is_opened_if_asked(call, raw, served, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    done = call("view", raw, "--browser")
    assert [done.out.strip()] == opened


@pytest.fixture
def taken():
    """A port in use behind one that is free."""
    for _ in range(50):
        with socket.socket() as before, socket.socket() as port:
            before.bind(("127.0.0.1", 0))
            with suppress(OSError):
                port.bind(("127.0.0.1", before.getsockname()[1] + 1))
                port.listen()
                before.close()
                yield port.getsockname()[1]
                return
    pytest.fail("no two free ports in a row")


def test_ports_in_use_are_told(call, raw, served, taken):
    done = call("view", raw, "--port", taken)
    assert done.code == 1
    assert f"port {taken}: " in done.err
    done = call("view", raw, "--port", taken - 1)
    assert done.code == 1
    assert f"port {taken}, for the files: " in done.err


def test_a_folder_of_images_is_told_as_what_it_is(call, tmp_path):
    write_image(tmp_path / "slices" / "1.tif", np.eye(4))
    done = call("view", tmp_path / "slices")
    assert done.code == 1
    assert f"{tmp_path / 'slices'}: no volume. Expected OME-Zarr or N5" in done.err
    assert "voxloom inspect says what it holds" in done.err
