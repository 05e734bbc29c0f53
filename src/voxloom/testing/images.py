"""Synthetic images: pairs that can be learnt, a glyph that shows its orientation, and a folder's snapshot."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxloom.seeding import rng_for
from voxloom.sources import write_image

__all__ = ["glyph", "snapshot", "write_pairs"]

Image = npt.NDArray[np.float32]


def glyph(height: int = 28, width: int = 20) -> Image:
    """Return the letter F in white (1) on black (0): no flip, turn or transposition maps it to itself.

    Parameters
    ----------
    height, width
        Pixels; at least 7 and 5.

    Examples
    --------
    >>> print("\\n".join("".join("-#"[int(value)] for value in row) for row in glyph(7, 5)))
    -----
    -###-
    -#---
    -##--
    -#---
    -#---
    -----
    """
    letter = np.zeros((7, 5), np.float32)
    letter[1:6, 1] = letter[1, 1:4] = letter[3, 1:3] = 1
    rows, columns = np.arange(height) * 7 // height, np.arange(width) * 5 // width
    return np.ascontiguousarray(letter[rows][:, columns])


def write_pairs(
    folder: str | os.PathLike[str],
    count: int = 8,
    *,
    size: tuple[int, int] = (24, 20),
    names: tuple[str, str] = ("edente", "dente"),
    seed: int = 0,
) -> Path:
    """Write pairs of float32 TIFF images into two folders below `folder`, and return it.

    A target is a bright ellipse with a hole on a background of exactly 0, somewhere else in each
    image; its condition is the same without the hole, and darker. Values lie in [0, 255].

    Parameters
    ----------
    folder
        Where the two folders come to lie.
    count
        Number of pairs; their stems are ``p0_00``, ``p0_01``, ``p1_02``, ...: two of each patient.
    size
        Height and width in pixels.
    names
        Names of the folders of targets and conditions.
    seed
        Another seed draws other images.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = write_pairs(mkdtemp(), 3)
    >>> sorted(path.name for path in (folder / "dente").iterdir())
    ['p0_00.tif', 'p0_01.tif', 'p1_02.tif']
    """
    folder = Path(folder)
    for index in range(count):
        target, condition = _pair(rng_for(seed, "pair", index), size)
        for name, image in zip(names, (target, condition), strict=True):
            write_image(folder / name / f"p{index // 2}_{index:02}.tif", image)
    return folder


def snapshot(folder: str | os.PathLike[str]) -> dict[str, tuple[str, int]]:
    """Return digest and time of change of each file below a folder, to show that nothing is written there.

    Folders stand in it too, with an empty digest and no time.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> before = snapshot(folder)
    >>> _ = (folder / "new.txt").write_text("x")
    >>> before == snapshot(folder), list(snapshot(folder))
    (False, ['new.txt'])
    """
    folder = Path(folder)
    facts = {}
    for path in sorted(folder.rglob("*")):
        is_file = path.is_file()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else ""
        facts[path.relative_to(folder).as_posix()] = (digest, path.stat().st_mtime_ns if is_file else 0)
    return facts


def _pair(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image, Image]:
    height, width = size
    centre_y, centre_x = rng.uniform(0.4, 0.6, 2)
    radius_y, radius_x = rng.uniform(0.25, 0.4, 2)
    y = ((np.arange(height) + 0.5) / height - centre_y)[:, None] / radius_y
    x = ((np.arange(width) + 0.5) / width - centre_x)[None, :] / radius_x
    distance = np.hypot(y, x)
    body = np.where(distance < 1, 200 - 60 * distance + 30 * x, 0)
    hole = np.where(distance < 0.35, 60.0, body)
    return hole.clip(0, 255).astype(np.float32), (0.7 * body).clip(0, 255).astype(np.float32)
