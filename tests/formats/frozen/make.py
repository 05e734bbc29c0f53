"""Write the stores that later versions have to open: ``python make.py v2`` makes a folder of that name here.

Never write over an older one: those bytes are the promise.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from voxloom.formats import FORMATS, Store
from voxloom.formats.encoding import encode
from voxloom.sample import Field, Schema
from voxloom.source import Source
from voxloom.testing.stores import write_store

HERE = Path(__file__).parent
ENCODINGS = {"image": "file", "mask": "file", "frame": "blosc", "points": "npy", "note": "text"}


class Everything(Source):
    """Five samples with a field of each kind and encoding."""

    schema = Schema(
        [
            Field(name="image", axes="yxc", dtype="uint8"),
            Field(name="mask", kind="mask", axes="yx", dtype="uint8", categories=("none", "cell")),
            Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=("b", "a")),
            Field(name="frame", axes="yxc", dtype="uint16", spacing=(4.0, 8.0), unit="nanometer"),
            Field(name="points", kind="attribute", axes="nc", dtype="float64"),
            Field(name="code", kind="latent", axes="cyx", dtype="float32", shape=(2, 3, 4)),
            Field(name="old", kind="attribute", axes="n", dtype=">i2", shape=(3,)),
            Field(name="note", kind="text", axes="", dtype="str", shape=()),
        ]
    )
    keys = tuple(f"a b/é {i}.png" for i in range(5))

    def read(self, index):
        raise NotImplementedError

    def cells(self, index):
        rng = np.random.default_rng(index)
        pixels = rng.integers(0, 255, (4 + index, 6, 3), dtype=np.uint8)
        mask = Image.fromarray(np.eye(4 + index, 6, dtype=np.uint8))
        mask.putpalette([0, 0, 0, 250, 10, 20])
        return {
            "image": _file(Image.fromarray(pixels), ("png", "jpeg", "tiff", "bmp", "png")[index]),
            "mask": _file(mask, "png"),
            "label": np.array(index % 2, np.int64),
            "frame": encode(rng.integers(0, 4000, (5, 3 + index, 1), dtype=np.uint16), "blosc"),
            "points": rng.normal(size=(index, 2)),
            "code": rng.normal(size=(2, 3, 4)).astype(np.float32),
            "old": np.array([index, -1, 300], ">i2"),
            "note": np.array("" if index == 2 else f"no. {index}: µm"),
        }


def _file(image, format):
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def facts(store):
    """Return what each sample holds, as plain values."""
    return [{"key": sample.key} | {name: told(array) for name, array in sample.items()} for sample in store]


def told(array):
    if array.dtype.kind == "U":
        return str(array)
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
    return f"{array.dtype.str} {list(array.shape)} {digest}"


def main(version):
    for name in FORMATS:
        write_store(
            HERE / version / name, Everything(), format=name, samples_per_shard=3, encodings=ENCODINGS
        )
    samples = facts(Store(HERE / version / "memmap"))
    text = json.dumps(samples, indent=1, ensure_ascii=False)
    (HERE / version / "samples.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
