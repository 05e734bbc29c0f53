"""Dice of a prediction on the held-out part of the crop: python measure.py pred.zarr"""

import sys
from pathlib import Path

from voxloom.volumes import Volume

TRUTH = Volume.open(Path(__file__).parent / "em.zarr/labels/held_out")


def dice(predicted: Volume) -> dict[str, float]:
    """Return Dice of each class, over the box that was annotated, whatever the extent of the prediction."""
    truth = TRUTH.read(TRUTH.bounding_box)
    found = predicted.read(TRUTH.bounding_box, TRUTH.levels[0].grid.spacing)
    number = {name: value for value, name in predicted.classes.items()}
    scores = {}
    for value, name in TRUTH.classes.items():
        one, other = truth == value, found == number[name]
        scores[name] = 2 * (one & other).sum() / (one.sum() + other.sum())
    return scores


for name, score in dice(Volume.open(sys.argv[1]).label("segmentation")).items():
    print(f"{name}: Dice {score:.3f}")
