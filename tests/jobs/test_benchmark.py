import numpy as np
import pytest
from PIL import Image

from voxloom.conversion import convert
from voxloom.formats.store import Store
from voxloom.jobs.benchmark import bench_formats, files_of
from voxloom.loading.bench import BenchSettings
from voxloom.sources.opening import open_source


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.fromarray(np.full((6, 5, 3), 40 * i, np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def test_formats_are_tried_on_some_samples(photos, monkeypatch):
    monkeypatch.setattr("voxloom.jobs.benchmark._MOST", 1)
    found = list(bench_formats(photos, BenchSettings(seconds=0.01), formats=["memmap"]))
    assert [what for what, _ in found] == [str(photos), "1 of 5 samples as memmap"]


def test_the_files_of_a_store(photos, tmp_path):
    store = convert(photos, tmp_path / "s", samples_per_shard=3).path
    names = [path.relative_to(store).as_posix() for path in files_of(Store(store), store)]
    assert names == [
        "manifest.json",
        *sorted(f"shards/{f.name}" for s in Store(store).manifest.shards for f in s.files),
    ]
    assert files_of(Store(store), store / "manifest.json") == [store / "manifest.json"]


def test_the_files_of_a_table_are_those_that_it_names(photos, tmp_path):
    (photos / "stray.png").write_bytes(b"no image")
    (tmp_path / "t.csv").write_text(
        "path,mask,age\nphotos/1.png,photos/3.png,4\nphotos/0.png,photos/3.png,5\n"
    )
    files = files_of(open_source(tmp_path / "t.csv"), tmp_path / "t.csv")
    assert files == [photos / "1.png", photos / "3.png", photos / "0.png"]
