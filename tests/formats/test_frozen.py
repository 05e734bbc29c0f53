"""Stores that an earlier version has written open for ever."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from voxloom.formats import FORMATS, Store
from voxloom.sources.opening import open_source

FROZEN = Path(__file__).parent / "frozen"
STORES = sorted(path.parent for path in FROZEN.glob("v*/*/manifest.json"))


@pytest.fixture(scope="module")
def make():
    spec = spec_from_file_location("make_frozen_stores", FROZEN / "make.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_format_is_there():
    assert {store.name for store in STORES} >= {"arrow", "hdf5", "memmap", "parquet", "tar"}
    assert len(STORES) >= 5


@pytest.mark.parametrize("folder", STORES, ids=lambda path: "-".join(path.parts[-2:]))
def test_it_holds_what_it_held(folder, make):
    expected = json.loads((folder.parent / "samples.json").read_text(encoding="utf-8"))
    store = Store(folder, verify=True)
    assert make.facts(store) == expected
    assert len(store.manifest.shards) == 2
    assert store.schema["frame"].spacing == (4.0, 8.0)
    assert store.schema["label"].categories == ("b", "a")
    assert store.get(1, "mask", "pil").mode == "P"
    assert store.column("label").tolist() == [0, 1, 0, 1, 0]
    assert isinstance(open_source(folder), Store)
    assert folder.name in FORMATS
