"""Volumes that are unlike what a segmenter learned from."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from voxloom.errors import ConfigError
from voxloom.jobs.prediction_input import check_input
from voxloom.testing.volumes import phantom, write_volume
from voxloom.volumes import Volume


def trained(**values):
    inputs = {"raw": {"shape": [8, 8, 8], "spacing": [8, 8, 8]}}
    return SimpleNamespace(
        facts={"inputs": ["raw"], "dtypes": {"raw": "uint8"}, "values": values},
        configs={"segmenter": {"in_channels": 1}},
        config={"segmentation_data": {"inputs": inputs}},
    )


@pytest.fixture
def volume(tmp_path):
    def make(array, classes=None):
        return Volume.open(write_volume(tmp_path / "v.zarr", array, classes=classes))

    return make


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_another_type_is_refused_unless_it_is_meant(volume, dtype):
    raw = volume(phantom((8, 8, 8)).astype(dtype))
    with pytest.raises(ConfigError, match=rf"holds {dtype}, and the network learned from uint8.*--any-type"):
        check_input(raw, trained())
    check_input(raw, trained(), any_type=True)
    check_input(raw, trained(percentiles=[1, 99]))


def test_labels_are_refused(volume):
    with pytest.raises(ConfigError, match=r"is a label image of uint8.*Expected an image"):
        check_input(volume(np.ones((8, 8, 8), np.uint8), {1: "mito"}), trained())


def test_the_same_type_is_taken_whatever_its_byte_order(volume, caplog):
    check_input(volume(phantom((8, 8, 8))), trained())
    assert not caplog.text


def test_a_plane_for_a_network_of_volumes_is_told(volume, caplog):
    with caplog.at_level(logging.WARNING):
        check_input(volume(phantom((1, 8, 8))), trained())
    assert "1 x 8 x 8 voxels (z, y, x), and the network learned from 8 x 8 x 8" in caplog.text


def test_an_older_checkpoint_knows_no_type(volume):
    older = trained()
    del older.facts["dtypes"]
    check_input(volume(phantom((8, 8, 8)).astype(np.uint16)), older)
