"""``voxloom view`` as a user runs it: the link opens in Chromium, and the voxels are drawn."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from selenium.webdriver.support.wait import WebDriverWait

from voxloom.testing.volumes import phantom, write_volume
from voxloom.volumes import Volume, VolumeLayout

SHAPE = (16, 32, 32)
READY = "return Boolean(window.viewer && viewer.isReady() && viewer.layerManager.managedLayers.length)"
NAMES = "return viewer.layerManager.managedLayers.map(layer => [layer.name, layer.layer.type])"
SHOW = "viewer.layerManager.managedLayers.forEach((layer, k) => layer.setVisible(k === arguments[0]))"
# Read in the frame that is drawn: a canvas of WebGL is empty afterwards.
DRAWN = """
viewer.display.draw();
const gl = viewer.display.gl, [w, h] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
const pixels = new Uint8Array(4 * w * h);
gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
return pixels.reduce((hash, value) => (31 * hash + value) | 0, 7);
"""


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    raw = write_volume(folder / "raw.zarr", phantom(SHAPE))
    pred = Volume.create(
        folder / "pred.zarr",
        shape=SHAPE,
        layout=VolumeLayout(spacing=(8, 8, 8), dtype="uint8", channels=("mito", "er"), levels=1),
    )
    pred.write(pred.bounding_box, np.full((2, *SHAPE), 200, np.uint8))
    cells = Volume.create(
        folder / "cells.zarr",
        shape=SHAPE,
        layout=VolumeLayout(spacing=(8, 8, 8), dtype="uint16", levels=1),
    )
    ids = np.zeros(SHAPE, np.uint16)
    ids[:, :16], ids[:, 16:] = 3, 9
    cells.write(cells.bounding_box, ids)
    return [str(raw), str(folder / "pred.zarr"), "--labels", str(folder / "cells.zarr")]


@pytest.fixture(scope="module")
def link(volumes):
    command = [sys.executable, "-m", "voxloom", "view", *volumes]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert said.splitlines() == ["serving until Ctrl-C"]


def test_each_volume_is_drawn_as_what_it_is(browser, link):
    browser.get_log("performance")  # what an earlier page asked for
    browser.get(link)
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(READY))
    assert browser.execute_script(NAMES) == [
        ["raw.zarr", "image"],
        ["pred.zarr mito", "image"],
        ["pred.zarr er", "image"],
        ["cells.zarr", "segmentation"],
    ]
    for layer in range(4):
        browser.execute_script(SHOW, None)
        nothing = browser.execute_script(DRAWN)
        browser.execute_script(SHOW, layer)
        wait = WebDriverWait(browser, 20)
        wait.until(lambda driver: driver.execute_script(DRAWN) != nothing)  # noqa: B023
        browser.execute_script(SHOW, None)
        wait.until(lambda driver: driver.execute_script(DRAWN) == nothing)  # noqa: B023
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # It tries what could lie there, and what does not lie there is told in the log.
    assert not [text for text in severe if "404 (Not Found)" not in text]


def test_nothing_is_asked_of_another_machine(browser, link):
    browser.get_log("performance")
    browser.get("about:blank")
    browser.get(link)
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(READY))
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert any(".zarr" in url for url in asked)
    assert not [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:"))]
