from __future__ import annotations

import importlib
import logging
import subprocess
import sys

import pytest

from voxloom.compat import aliases
from voxloom.errors import CompatError


@pytest.fixture(autouse=True)
def no_older_names(monkeypatch):
    """Begin without the older names, and forget those that a test brings in."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    older = ("pti_ldm_vae", "cellmap_data")
    for name in [name for name in sys.modules if name.split(".")[0] in older]:
        monkeypatch.delitem(sys.modules, name)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in older]:
        sys.modules.pop(name)


@pytest.fixture
def original(tmp_path, monkeypatch):
    """Install something under the older name."""
    package = tmp_path / "site" / "pti_ldm_vae"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("IS_THE_ORIGINAL = True\n")
    monkeypatch.syspath_prepend(package.parent)
    return package


def test_the_older_names_are_the_adapters_themselves():
    aliases.install()
    for name in (
        "analysis",
        "analysis.metrics",
        "data",
        "models",
        "utils",
        "utils.distributed",
        "utils.visualization",
    ):
        older = importlib.import_module(f"pti_ldm_vae.{name}")
        assert older is importlib.import_module(f"voxloom.compat.pti_ldm_vae.{name}")
    aliases.install()


def test_attributes_lead_down_from_the_top():
    aliases.install()
    import pti_ldm_vae

    assert pti_ldm_vae.utils.visualization.visualize_2d_image is pti_ldm_vae.utils.visualize_2d_image


def test_ours_wins_over_an_installed_one_and_says_so(original, caplog):
    aliases.install()
    assert not hasattr(sys.modules["pti_ldm_vae"], "IS_THE_ORIGINAL")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(original) in record.getMessage()
    assert "because voxloom.compat was asked for" in record.getMessage()


def test_without_the_request_the_installed_one_is_used(original):
    import voxloom.compat

    assert voxloom.compat
    assert importlib.import_module("pti_ldm_vae").IS_THE_ORIGINAL


def test_one_that_is_in_use_already_is_not_replaced(original):
    importlib.import_module("pti_ldm_vae")
    with pytest.raises(CompatError, match="at the top"):
        aliases.install()
    assert sys.modules["pti_ldm_vae"].IS_THE_ORIGINAL


def test_nothing_is_said_where_ours_is_the_only_one(caplog):
    aliases.install()
    assert not caplog.records


def test_the_folder_on_the_path_does_the_same(monkeypatch, caplog):
    monkeypatch.syspath_prepend(aliases.SHIM_FOLDER)
    from pti_ldm_vae.utils import visualize_2d_image

    assert visualize_2d_image.__module__.startswith("voxloom.compat")
    assert not caplog.records


def test_a_notebook_imports_one_line():
    code = "import voxloom.compat.aliases; from pti_ldm_vae.data import ToTuple; print(ToTuple.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "voxloom.compat.pti_ldm_vae.data.transforms\n"


# -- CellMap-Data, which loads when it is asked for --------------------------------------------------


@pytest.fixture
def other_original(tmp_path, monkeypatch):
    """Install something under the other older name."""
    package = tmp_path / "site" / "cellmap_data"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("IS_THE_ORIGINAL = True\n")
    monkeypatch.syspath_prepend(package.parent)
    return package


MODULES = [
    "base_dataset", "base_image", "dataloader", "dataset", "dataset_writer", "datasplit", "empty_image",
    "image", "image_writer", "multidataset", "mutable_sampler", "sampler", "subdataset", "transforms",
    "transforms.augment", "transforms.augment.binarize", "transforms.augment.gaussian_blur",
    "transforms.augment.gaussian_noise", "transforms.augment.nan_to_num", "transforms.augment.normalize",
    "transforms.augment.random_contrast", "transforms.augment.random_gamma", "utils", "utils.figs",
    "utils.geometry", "utils.metadata", "utils.misc", "utils.sampling", "utils.view",
]  # fmt: skip


@pytest.mark.parametrize("shim", [True, False])
def test_each_module_of_cellmap_data_is_the_adapter_itself(shim, monkeypatch, caplog):
    if shim:  # as in a worker that is spawned
        monkeypatch.syspath_prepend(aliases.SHIM_FOLDER)
        monkeypatch.setattr(
            sys, "meta_path", [f for f in sys.meta_path if "voxloom" not in type(f).__module__]
        )
    else:
        aliases.install_when_asked()
        aliases.install_when_asked()
    from cellmap_data.dataset import CellMapDataset

    assert CellMapDataset.__module__ == "voxloom.compat.cellmap_data.dataset"
    for name in MODULES:
        older = importlib.import_module(f"cellmap_data.{name}")
        assert older is importlib.import_module(f"voxloom.compat.cellmap_data.{name}")
    assert not caplog.records


def test_ours_wins_over_an_installed_cellmap_data_and_says_so(other_original, caplog):
    aliases.install_when_asked()
    assert not caplog.records  # nobody asked yet
    assert not hasattr(importlib.import_module("cellmap_data"), "IS_THE_ORIGINAL")
    (record,) = caplog.records
    assert str(other_original) in record.getMessage()


def test_a_cellmap_data_in_use_is_not_replaced(other_original, monkeypatch, caplog):
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if "voxloom" not in type(f).__module__])
    importlib.import_module("cellmap_data")
    aliases.install_when_asked()
    assert "at the top" in caplog.text
    assert sys.modules["cellmap_data"].IS_THE_ORIGINAL
    with pytest.raises(CompatError, match="at the top"):
        aliases.install("cellmap_data")


def test_nothing_of_cellmap_data_loads_unless_it_is_asked_for():
    code = "import voxloom.compat.aliases, sys; print('tensorstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
