"""A prediction that takes its time, for processes that are killed."""

import time

import numpy as np

from voxloom.geometry import PatchSpec
from voxloom.inference.tiling import predict_volume
from voxloom.inference.volume_model import VolumeModel
from voxloom.inference.volume_plan import TiledOptions
from voxloom.ranks import Rank
from voxloom.volumes import Volume
from voxloom.volumes.creation import create
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.writing import write

SPACING = (8.0, 8.0, 8.0)
OPTIONS = TiledOptions(unit=(16, 16, 16), overlap=0.5)


class Slow:
    """Changes what it sees a little, and waits."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, tiles):
        time.sleep(self.seconds)
        return (tiles + tiles.mean(dim=(2, 3, 4), keepdim=True) / 8) / 300


def make_raw(path):
    create(path, shape=(40, 40, 40), layout=VolumeLayout(spacing=SPACING, dtype="uint8"))
    raw = Volume.open(path)
    write(raw, raw.bounding_box, np.random.default_rng(0).integers(0, 256, (40, 40, 40), dtype=np.uint8))


def task_of(raw, output, seconds=0.0, options=OPTIONS):
    tile = PatchSpec(shape=(16, 16, 16), spacing=SPACING)
    model = VolumeModel(Slow(seconds), tile, ("cell",), digest="slow")
    chosen = options.model_copy(update={"threshold": 0.4})
    return model, Volume.open(raw), output, chosen


def predict(raw, output, seconds=0.0, rank=(0, 1)):
    model, volume, output, options = task_of(raw, output, seconds)
    return predict_volume(model, volume, output, options=options, rank=Rank(*rank))
