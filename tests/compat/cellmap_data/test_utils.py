"""Helpers: shapes, indices, metadata, pictures, links."""

from __future__ import annotations

import json
import sys
import types
from collections import Counter
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from voxloom.compat.cellmap_data import utils
from voxloom.errors import ConfigError, MissingExtraError, SchemaError
from voxloom.volumes.ome import parse


def test_shapes():
    arrays = {"a": {"shape": (4, 5), "scale": (8, 4)}, "b": {"shape": (4, 4, 4), "scale": (8, 8, 8)}}
    assert utils.is_array_2D(None) is False
    assert utils.is_array_2D(arrays, summary=all) is False
    assert utils.array_has_singleton_dim(arrays, summary=False) == {"a": False, "b": False}
    assert utils.array_has_singleton_dim(None) is False
    utils.permute_singleton_dimension(arrays, 2)
    assert arrays["a"] == {"shape": [4, 5, 1], "scale": [8, 8, 4]}
    assert arrays["b"]["shape"] == (4, 4, 4)
    with pytest.raises(SchemaError):
        utils.get_sliced_shape((4, 4, 4), 0)


def test_target_paths():
    assert utils.split_target_path("/d/crop1/[mito,er]/s") == ("/d/crop1/{label}/s", ["mito", "er"])
    assert utils.split_target_path("/d/crop1/mito/") == ("/d/crop1/mito/", ["mito"])
    with pytest.raises(SchemaError):
        utils.split_target_path("/d/[]")


def test_indices_repeat_as_little_as_can_be():
    with pytest.warns(UserWarning, match="more than once"):
        counts = Counter(utils.min_redundant_inds(5, 12).tolist())
    assert sorted(counts.values()) == [2, 2, 2, 3, 3]
    few = utils.min_redundant_inds(10**12, 1000)
    assert len(set(few.tolist())) == 1000
    assert max(few.tolist()) > 2**32
    assert utils.min_redundant_inds(5, 0).tolist() == []
    one, other = (utils.min_redundant_inds(9, 4, torch.Generator().manual_seed(1)) for _ in range(2))
    assert (one == other).all()
    with pytest.raises(ConfigError):
        utils.min_redundant_inds(0, 3)


def test_metadata_are_what_ngff_asks_for(tmp_path):
    told = utils.create_multiscale_metadata(
        "mito", [8, 4, 4], [0, 2, 2], "nanometer", ["z", "y", "x"], levels_to_add=2, out_path=tmp_path
    )
    assert json.loads((tmp_path / ".zattrs").read_text()) == told
    levels = parse(told).levels
    assert [level.path for level in levels] == ["s0", "s1", "s2"]
    assert levels[2].placement.scale == (32, 16, 16)
    assert levels[2].placement.translation == (12, 8, 8)
    later = utils.generate_base_multiscales_metadata("m", 1, [8, 8], [0, 0], ["nanometer"] * 2, ["y", "x"])
    assert utils.add_multiscale_metadata_levels(later, 1, 1)["multiscales"][0]["datasets"][1]["path"] == "s2"


def test_levels(raw_path):
    assert utils.find_level(raw_path(), {"z": 16, "y": 16, "x": 20}) == "s1"
    assert utils.find_level(raw_path(), {"z": 16, "y": 15, "x": 16}) == "s0"


@pytest.fixture
def batch():
    raw = torch.arange(2 * 16 * 20, dtype=torch.float32).reshape(2, 1, 1, 16, 20).expand(-1, -1, 6, -1, -1)
    labels = (raw[..., :8, :10] > 100).float().expand(-1, 2, -1, -1, -1)
    return raw, labels, labels * 0.5


def test_pictures(batch):
    grid = utils.get_image_grid_numpy(*batch, ["mito", "er"], fig_size=1)
    assert grid.dtype == np.uint8
    assert grid.shape == (20 + 2 * (80 + 4) + 4, 6 * (100 + 4) + 4, 4)
    red = (grid[..., :3] == (220, 30, 30)).all(-1)
    rows, columns = np.nonzero(red[:104])
    assert (np.ptp(rows), np.ptp(columns)) == (40, 50)  # the crop is 8 by 10 of 16 by 20
    one = utils.get_image_grid_numpy(*batch, ["mito", "er"], batch_size=1, fig_size=1, clim=(0, 1))
    assert one.shape[0] == 20 + 80 + 4 + 4
    pictures = utils.get_image_dict(*batch, ["mito", "er"], fig_size=1)
    plain = utils.get_image_dict(*batch, ["mito", "er"], fig_size=1, colorbar=False)
    assert pictures["er"].shape[1] > plain["er"].shape[1]
    with pytest.raises(SchemaError):
        utils.get_image_dict(*(each[0, 0] for each in batch), ["mito"])


def test_figures_need_matplotlib(batch, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="pip install matplotlib"):
        utils.get_image_grid(*batch, ["mito"])
    with pytest.raises(MissingExtraError):
        utils.get_image_grid_numpy(*batch, ["mito"], cmap="viridis")


class Figure:
    """As much of matplotlib's as is used."""

    def __init__(self, figsize, dpi):
        self.size = figsize, dpi

    def add_axes(self, box):
        return self

    def imshow(self, picture, interpolation):
        self.picture = picture

    def set_axis_off(self):
        pass


def test_figures_hold_the_pictures(batch, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", types.ModuleType("matplotlib"))
    figure = types.ModuleType("matplotlib.figure")
    figure.Figure = Figure
    monkeypatch.setitem(sys.modules, "matplotlib.figure", figure)
    figures = utils.get_fig_dict(*batch, ["mito", "er"], fig_size=1)
    assert (figures["er"].picture == utils.get_image_dict(*batch, ["mito", "er"], fig_size=1)["er"]).all()
    assert utils.get_image_grid(*batch, ["mito"], fig_size=1).size[1] == 100


def test_links(monkeypatch, raw_path):
    metadata = {
        "raw_path": "/data/jrc_a/jrc_a.zarr/recon-1/em/fibsem-uint8/",
        "target_path_str": "s3://mine/labels/{label}",
        "class_weights": {"mito": 1.0},
        "current_center": {"z": 1, "y": 2, "x": 3},
    }
    link = utils.get_neuroglancer_link(metadata)
    state = json.loads(unquote(link.partition("#!")[2]))
    assert [layer["source"] for layer in state["layers"]] == [
        "zarr://s3://janelia-cosem-datasets/jrc_a/jrc_a.zarr/recon-1/em/fibsem-uint8",
        "zarr://s3://mine/labels/mito",
    ]
    assert state["position"] == [3, 2, 1]
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert utils.open_neuroglancer(metadata) == link
    assert opened == [link]
    from voxloom.compat.cellmap_data.utils import view

    assert view.get_multiscale_voxel_sizes(raw_path()) == {"s0": [8, 8, 8], "s1": [16, 16, 16]}
