"""Images with masks: two folders, one store, and batches where both have moved together.

    python examples/dense_masks.py

Masks take the nearest pixel and stay integers, whatever is done to their images.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import voxloom
from voxloom.loading import Loader, Order


def draw(folder: Path, count: int = 10) -> Path:
    """Draw cells: a photograph in ``images``, and a palette image of the same name in ``masks``."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        rows, columns = np.mgrid[:48, :64]
        mask = np.zeros((48, 64), np.uint8)
        for label in (1, 2):
            y, x = rng.uniform(12, 36), rng.uniform(12, 52)
            mask[(rows - y) ** 2 + (columns - x) ** 2 < 80] = label
        pixels = np.stack([60 + 80 * mask] * 3, axis=-1) + rng.integers(0, 20, (48, 64, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.jpg")
        indexed = Image.fromarray(mask).convert("P")
        indexed.putdata(mask.ravel().tolist())
        indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        indexed.save(folder / "masks" / f"{number}.png")
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = draw(Path(folder, "data"))
        store = voxloom.convert(data, Path(folder, "store"), format="memmap", size=(32, 48)).store()
        print(store)
        print("all masks:", store.column("mask").shape, "values", np.unique(store.column("mask")).tolist())
        order = Order(length=len(store), batch_size=4, seed=0)
        for batch in Loader(store, None, order=order, seed=0):
            print(tuple(batch["image"].shape), tuple(batch["mask"].shape), batch["mask"].dtype)


if __name__ == "__main__":
    main()
