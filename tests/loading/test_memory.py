"""Memory of a long run over many volumes: it does not grow with the samples that were read."""

import subprocess
import sys
from pathlib import Path

import pytest

VOLUMES = 100

SCRIPT = f"""
import sys, tempfile
from pathlib import Path
import numpy as np
from voxloom.geometry import PatchSpec
from voxloom.loading import Loader, Order
from voxloom.sources.locations import Random, centers_of
from voxloom.sources.patches import PatchOptions, PatchSource
from voxloom.sources.volume_split import Dataset
from voxloom.testing.volumes import phantom, write_classes, write_volume
from voxloom.transforms.pose import SpatialAugment
from voxloom.volumes import Volume, set_cache
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Labels

def rss():
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1000

set_cache(4_000_000)  # bytes; much less than all volumes hold
folder, spec = Path(sys.argv[1]), PatchSpec(shape=(12, 20, 20), spacing=(8, 8, 8))
array = phantom((24, 32, 32))
raw = [write_volume(folder / str(n) / "raw", array) for n in range({VOLUMES})]
labels = [write_classes(folder / str(n) / "labels", {{"a": array > 99}}) for n in range({VOLUMES})]
opened = zip(Volume.open_many(raw), Labels.open_many(labels))
datasets = [Dataset(str(n), {{"raw": v}}, each) for n, (v, each) in enumerate(opened)]
centers = [centers_of(d.raw["raw"].levels[0].grid, spec) for d in datasets]

def run(length):
    source = PatchSource(
        datasets, inputs={{"raw": spec}}, targets={{"labels": spec}}, classes=Classes(names=("a", "b")),
        locations=Random(centers, length=length), options=PatchOptions(augment=SpatialAugment()),
    )
    loader = Loader(source, None, order=Order(length=length, batch_size=8), seed=0, num_workers=8)
    for batch in loader:
        pass
    loader.close()
    return rss()

print(run(200), run(400), run(1200))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_epoch_of_many_volumes_stays_flat_however_long_it_is(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    _, first, last = map(float, done.stdout.split())
    assert last - first < 20, f"resident MB after each epoch: {done.stdout}"
