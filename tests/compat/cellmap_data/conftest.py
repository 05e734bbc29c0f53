"""Volumes as CellMap lays them out: raw data and crops of labels, OME-NGFF 0.4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxloom.testing.volumes import VolumeForm, phantom, write_classes, write_volume

FORM = VolumeForm(levels=2, version="0.4")
SHAPE = (40, 44, 48)
CROP_ORIGIN = (64.0, 64.0, 64.0)  # voxel 8 of the raw data
CROP = (24, 24, 24)


def blobs(shape, seed):
    """Instances of a class: boxes of ids, asymmetric."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint16)
    for number in range(1, 6):
        low = rng.integers(0, np.array(shape) - 6)
        z, y, x = (slice(a, a + n) for a, n in zip(low, rng.integers(3, 7, 3), strict=True))
        labels[z, y, x] = 300 * number
    return labels


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("VOXLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Two datasets, jrc_a with one crop and jrc_b with two; er is annotated in one of these."""
    root = tmp_path_factory.mktemp("cellmap")
    for k, name in enumerate(("jrc_a", "jrc_b")):
        recon = root / name / f"{name}.zarr" / "recon-1"
        write_volume(recon / "em/fibsem-uint8", phantom(SHAPE, seed=k), form=FORM)
        for crop in range(1, k + 2):
            masks = {"mito": blobs(CROP, 10 * k + crop)}
            if crop == 1:
                masks["er"] = (blobs(CROP, 10 * k + crop + 5) > 0).astype(np.uint8)
            where = recon / f"labels/groundtruth/crop{crop}"
            write_classes(where, masks, origin=CROP_ORIGIN, form=FORM)
    return root


@pytest.fixture
def raw_path(root):
    def path(name="jrc_a"):
        return str(root / name / f"{name}.zarr" / "recon-1/em/fibsem-uint8")

    return path


@pytest.fixture
def gt_path(root):
    def path(name="jrc_a", crop=1, classes="mito,er"):
        return str(root / name / f"{name}.zarr" / f"recon-1/labels/groundtruth/crop{crop}/[{classes}]")

    return path


@pytest.fixture
def raw():
    """The raw data of jrc_a."""
    return phantom(SHAPE, seed=0)


@pytest.fixture
def mito():
    """The ids of mito in the crop of jrc_a."""
    return blobs(CROP, 1)


@pytest.fixture
def split_csv(root, tmp_path):
    """The five columns, without a header."""
    rows = [
        ("train", "jrc_a", 1, "[mito,er]"),
        ("train", "jrc_b", 2, "[mito]"),
        ("validate", "jrc_b", 1, "[mito,er]"),
    ]
    lines = [
        f"{part},{root}/{name}/{name}.zarr,recon-1/em/fibsem-uint8,{root}/{name}/{name}.zarr,"
        f'"recon-1/labels/groundtruth/crop{crop}/{classes}"'
        for part, name, crop, classes in rows
    ]
    path = Path(tmp_path) / "datasplit.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
