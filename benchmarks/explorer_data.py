"""Latents and images of any number, written once: clusters that a projection can find."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from voxloom.formats.rows import RowWriter
from voxloom.sample import Field, Schema

CLASSES, BLOCK = 12, 1000


def make(folder: Path, count: int, latent: tuple[int, int, int], side: int) -> None:
    """Write ``folder/latents`` (mu and a class) and ``folder/images`` (uint16), with the same keys."""
    keys = [f"patient{i // 50:05d}_slice{i % 50:02d}" for i in range(count)]
    mu = Field(name="image_mu", kind="latent", axes="cyx", shape=latent)
    names = tuple(f"class {k}" for k in range(CLASSES))
    label = Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=names)
    image = Field(name="image", axes="cyx", dtype="uint16", shape=(1, side, side))
    latents = RowWriter(folder / "latents", Schema([mu, label]), keys)
    images = RowWriter(folder / "images", Schema([image]), keys)
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(CLASSES, *latent)).astype("float32")
    y, x = np.mgrid[:side, :side]
    for start in range(0, count, BLOCK):
        rows = min(BLOCK, count - start)
        labels = rng.integers(CLASSES, size=rows)
        vectors = centers[labels] + 2 * rng.standard_normal((rows, *latent), dtype="float32")
        latents.write(start, {"image_mu": vectors, "label": labels})
        waves = 1000 * (1 + np.sin((labels[:, None, None] + 2) * (x + y)[None] / side))
        noise = rng.integers(0, 400, size=(rows, 1, side, side), dtype="uint16")
        images.write(start, {"image": waves[:, None].astype("uint16") + noise})
    latents.finish({"what": "benchmark"})
    images.finish({"what": "benchmark"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--latent", type=int, nargs=3, default=(4, 32, 32), metavar=("C", "H", "W"))
    parser.add_argument("--side", type=int, default=64)
    given = parser.parse_args()
    make(given.folder, given.count, tuple(given.latent), given.side)


if __name__ == "__main__":
    main()
