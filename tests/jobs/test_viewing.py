"""Neuroglancer states of volumes, and the server that gives them out."""

import json
import threading
from urllib.parse import unquote

import numpy as np
import pytest
import tensorstore as ts

from voxloom.errors import SchemaError
from voxloom.jobs.serving import VolumeServer
from voxloom.jobs.viewing import NEUROGLANCER, neuroglancer_link, neuroglancer_state, with_labels
from voxloom.label_colours import colour_of_label
from voxloom.volumes import Volume
from voxloom.volumes.creation import create, create_labels
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import write

SHAPE, SPACING = (20, 40, 60), (16.0, 8.0, 8.0)


@pytest.fixture
def pred(tmp_path):
    path = str(tmp_path / "pred.zarr")
    create(path, shape=SHAPE, layout=VolumeLayout(spacing=SPACING, dtype="uint8", channels=("mito", "er")))
    labels = VolumeLayout(spacing=SPACING, dtype="uint8", kind="labels", classes={1: "mito"})
    create_labels(path, "cells", shape=SHAPE, layout=labels)
    volume = Volume.open(path)
    write(volume, volume.bounding_box, np.full((2, *SHAPE), 100, np.uint8))
    ids = np.zeros(SHAPE, np.uint8)
    ids[:, :20] = 1
    write(volume.label("cells"), volume.bounding_box, ids)
    return path


def test_a_state_has_layers_for_each_volume(pred):
    volumes = with_labels([pred])
    state = neuroglancer_state(volumes, ["http://a/0/pred.zarr", "http://a/1/cells"])
    assert state["dimensions"]["z"] == [16.0 * 1e-9, "m"]
    assert state["position"] == [9.5, 19.5, 29.5]
    mito, er, labels = state["layers"]
    assert (mito["type"], mito["source"]) == ("image", "zarr://http://a/0/pred.zarr")
    assert [mito["name"], er["name"]] == ["pred.zarr mito", "pred.zarr er"]
    assert (mito["localPosition"], er["localPosition"]) == ([0], [1])
    for number, layer in ((1, mito), (2, er)):
        assert '"#{:02x}{:02x}{:02x}"'.format(*colour_of_label(number)) in layer["shader"]
    assert mito["shaderControls"]["normalized"]["range"] == [0, 255]
    assert (labels["type"], labels["segments"]) == ("segmentation", ["1"])
    link = neuroglancer_link(state)
    assert json.loads(unquote(link.partition("#!")[2])) == state


def test_an_image_is_drawn_between_its_own_values(tmp_path):
    path = str(tmp_path / "raw.zarr")
    create(path, shape=(4, 150, 150), layout=VolumeLayout(spacing=(8, 8, 8), dtype="float32", levels=1))
    volume = Volume.open(path)
    values = np.zeros((4, 150, 150), np.float32)
    values[:, 50:100, 50:100] = np.linspace(-3, 5, 50)
    write(volume, volume.bounding_box, values)
    (layer,) = neuroglancer_state([volume], ["http://a/raw.zarr"])["layers"]
    low, high = layer["shaderControls"]["normalized"]["range"]
    assert -3 <= low < -2.5
    assert 4 < high <= 5


def test_labels_are_what_is_said_to_be_labels(tmp_path):
    for name, dtype in {"cells": "uint16", "raw": "float32"}.items():
        layout = VolumeLayout(spacing=(8, 8, 8), dtype=dtype, levels=1)
        create(str(tmp_path / f"{name}.zarr"), shape=(4, 8, 8), layout=layout)
    cells, raw = (Volume.open(str(tmp_path / f"{name}.zarr")) for name in ("cells", "raw"))
    (layer,) = neuroglancer_state([cells], ["u"], labels=[f"{tmp_path}/./cells.zarr/"])["layers"]
    assert layer["type"] == "segmentation"
    with pytest.raises(SchemaError, match="expected integers in one channel for labels"):
        neuroglancer_state([raw], ["u"], labels=[raw.path])


def test_what_the_server_gives_out_is_a_volume(pred):
    with VolumeServer([pred], viewer=NEUROGLANCER) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        spec = {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": f"{server.urls[0]}/s0/"}}
        array = ts.open(spec, open=True).result()
        assert (array[0, :5, :5, :5].read().result() == 100).all()
        server.shutdown()
        thread.join()


def test_a_channel_has_the_colour_of_its_class(tmp_path):
    layout = VolumeLayout(spacing=(8, 8, 8), dtype="uint8", channels=("mito", "er"))
    create(tmp_path / "p.zarr", shape=(8, 8, 8), layout=layout)
    kept = json.loads((tmp_path / "p.zarr" / "zarr.json").read_text())["attributes"]["ome"]["omero"][
        "channels"
    ]
    expected = ["{:02X}{:02X}{:02X}".format(*colour_of_label(value)) for value in (1, 2)]
    assert [channel["color"] for channel in kept] == expected
    state = neuroglancer_state([Volume.open(tmp_path / "p.zarr")], ["http://x"])
    for layer, colour in zip(state["layers"], expected, strict=True):
        assert f"#{colour.lower()}" in layer["shader"]
