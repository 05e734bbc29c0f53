"""A folder with a folder for each class, from files to a trained classifier.

    python examples/class_folder.py photos photos_store

Without arguments it draws some images in a temporary folder and takes those.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import voxloom
from voxloom.loading import Loader, Order


def draw(folder: Path, count: int = 24) -> Path:
    """Draw bright squares and dark ones, of differing sizes, as a camera would leave them."""
    rng = np.random.default_rng(0)
    for name, brightness in (("bright", 200), ("dark", 60)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            shape = (rng.integers(40, 80), rng.integers(40, 80), 3)
            pixels = rng.normal(brightness, 30, shape).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.jpg")
    return folder


def convert(photos: Path, store: Path) -> voxloom.Store:
    """Bring the images to one size; run again after a crash, and it goes on where it stopped."""
    report = voxloom.convert(photos, store, format="memmap", size=(32, 32), mode="RGB", resume=True)
    print(report)
    return report.store()


def train(store: voxloom.Store, epochs: int = 10) -> float:
    """Train a small classifier; return the share of the last epoch's images that it got right."""
    classes = store.schema["label"].categories
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, len(classes)),
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    order = Order(length=len(store), batch_size=8, seed=0)
    loader = Loader(store, None, order=order, seed=0, num_workers=1)
    for _ in range(epochs):
        right = 0
        for batch in loader:
            scores = model(batch["image"].float() / 255)  # integers until here
            loss = torch.nn.functional.cross_entropy(scores, batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((scores.argmax(1) == batch["label"]).sum())
        print(f"{right} of {len(store)} right")
    loader.close()
    return right / len(store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos", nargs="?", type=Path)
    parser.add_argument("store", nargs="?", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        photos = given.photos or draw(Path(folder, "photos"))
        train(convert(photos, given.store or Path(folder, "store")))


if __name__ == "__main__":
    main()
