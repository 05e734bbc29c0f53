"""scipy: one affine transform a field, of arrays in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation


def reader(case: str, data: Path) -> Any:  # noqa: ARG001 - arrays come from memory: no chunk is read
    rng = np.random.default_rng(0)
    arrays = {"raw": rng.integers(0, 256, (192,) * 3, np.uint8)}
    for k in range(5):
        arrays[f"class{k}"] = (rng.random((192,) * 3) > 0.9).astype(np.uint8)

    def item(rng: Any) -> Any:
        turn = Rotation.from_euler("xyz", rng.uniform(-30, 30, 3), degrees=True).as_matrix()
        offset = np.full(3, 95.5) - turn @ np.full(3, 63.5)
        return {
            name: affine_transform(a, turn, offset, (128,) * 3, order=1 if name == "raw" else 0)
            for name, a in arrays.items()
        }

    return item
