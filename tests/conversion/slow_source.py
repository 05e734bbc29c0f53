"""A source that takes its time; as a command, its conversion: STORE SECONDS [name=value] ..."""

import ast
import os
import signal
import sys
import time

import numpy as np

from voxloom.conversion import convert
from voxloom.errors import UnreadableImageError
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source

SAMPLES = 24


class Slow(Source):
    """Samples that follow from their number, each after a while."""

    schema = Schema(
        [
            Field(name="image", axes="yx", dtype="uint16"),
            Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=("a", "b")),
        ]
    )

    keys = ()

    def __init__(self, seconds=0.0, samples=SAMPLES):
        self.seconds = seconds
        self.keys = [f"s/{i:03d}" for i in range(samples)]

    def read(self, index):
        time.sleep(self.seconds)
        rng = np.random.default_rng(index)
        image = rng.integers(0, 2**16, (3 + index % 4, 5), dtype=np.uint16)
        return Sample(self.keys[index], self.schema, {"image": image, "label": np.array(index % 2)})


class Deadly(Slow):
    """Sample 3 ends the process that reads it, as the system does when memory runs out."""

    def read(self, index):
        if index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


class Cut(Slow):
    """Sample 3 cannot be read."""

    def read(self, index):
        if index == 3:
            raise UnreadableImageError("s/003: cut")
        return super().read(index)


if __name__ == "__main__":
    store, seconds, *settings = sys.argv[1:]
    named = dict(each.split("=", 1) for each in settings)
    values = {name: ast.literal_eval(value) for name, value in named.items()}
    print(convert(Slow(float(seconds)), store, **{"samples_per_shard": 2, **values}))
