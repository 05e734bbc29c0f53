"""The compiled loops of the pyramid: eight voxels become one.

Along an axis that is not halved, and past the end of an odd one, a voxel stands for its missing
neighbour too. That changes neither a mean nor which value is the most frequent, so each loop always
sees eight values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from voxloom.volumes.compiling import kernel

__all__ = ["mean_of_floats", "mean_of_integers", "mean_of_long_integers", "mode"]


@kernel
def mean_of_integers(fine: Any, out: Any, fz: int, fy: int, fx: int) -> None:
    """Fill `out` (z, y, x) with the means of integers of at most 32 bits, halves to even."""
    nz, ny, nx = fine.shape
    for z in range(out.shape[0]):
        z0, z1 = z * fz, min(z * fz + fz - 1, nz - 1)
        for y in range(out.shape[1]):
            y0, y1 = y * fy, min(y * fy + fy - 1, ny - 1)
            a, b, c, d = fine[z0, y0], fine[z0, y1], fine[z1, y0], fine[z1, y1]
            for x in range(out.shape[2]):
                i, j = x * fx, min(x * fx + fx - 1, nx - 1)
                total = np.int64(a[i]) + b[i] + c[i] + d[i] + a[j] + b[j] + c[j] + d[j]
                out[z, y, x] = (total + 3 + ((total >> 3) & 1)) >> 3


@kernel
def mean_of_long_integers(fine: Any, out: Any, fz: int, fy: int, fx: int) -> None:
    """Fill `out` (z, y, x) with the means of int64, halves to even; no sum leaves the type."""
    nz, ny, nx = fine.shape
    for z in range(out.shape[0]):
        z0, z1 = z * fz, min(z * fz + fz - 1, nz - 1)
        for y in range(out.shape[1]):
            y0, y1 = y * fy, min(y * fy + fy - 1, ny - 1)
            rows = (fine[z0, y0], fine[z0, y1], fine[z1, y0], fine[z1, y1])
            for x in range(out.shape[2]):
                eighths = np.int64(0)
                rest = np.int64(0)
                for row in rows:
                    for i in (x * fx, min(x * fx + fx - 1, nx - 1)):
                        eighths += row[i] >> 3
                        rest += row[i] & 7
                eighths += rest >> 3
                rest &= 7
                out[z, y, x] = eighths + ((rest + 3 + (eighths & 1)) >> 3)


@kernel
def mean_of_floats(fine: Any, out: Any, fz: int, fy: int, fx: int) -> None:
    """Fill `out` (z, y, x) with the means of floats, summed as float64; NaN stays NaN."""
    nz, ny, nx = fine.shape
    for z in range(out.shape[0]):
        z0, z1 = z * fz, min(z * fz + fz - 1, nz - 1)
        for y in range(out.shape[1]):
            y0, y1 = y * fy, min(y * fy + fy - 1, ny - 1)
            a, b, c, d = fine[z0, y0], fine[z0, y1], fine[z1, y0], fine[z1, y1]
            for x in range(out.shape[2]):
                i, j = x * fx, min(x * fx + fx - 1, nx - 1)
                total = np.float64(a[i]) + b[i] + c[i] + d[i] + a[j] + b[j] + c[j] + d[j]
                out[z, y, x] = total / 8


@kernel
def mode(fine: Any, out: Any, fz: int, fy: int, fx: int) -> None:
    """Fill `out` (z, y, x) with the most frequent of eight integers, of several the smallest."""
    nz, ny, nx = fine.shape
    seen = np.empty(8, fine.dtype)
    for z in range(out.shape[0]):
        z0, z1 = z * fz, min(z * fz + fz - 1, nz - 1)
        for y in range(out.shape[1]):
            y0, y1 = y * fy, min(y * fy + fy - 1, ny - 1)
            a, b, c, d = fine[z0, y0], fine[z0, y1], fine[z1, y0], fine[z1, y1]
            for x in range(out.shape[2]):
                i, j = x * fx, min(x * fx + fx - 1, nx - 1)
                # Differing bits: inside an object, which is nearly everywhere, there are none.
                v = a[i]
                if not (
                    (v ^ b[i]) | (v ^ c[i]) | (v ^ d[i])
                    | (v ^ a[j]) | (v ^ b[j]) | (v ^ c[j]) | (v ^ d[j])
                ):  # fmt: skip
                    out[z, y, x] = v
                    continue
                seen[0], seen[1], seen[2], seen[3] = v, b[i], c[i], d[i]
                seen[4], seen[5], seen[6], seen[7] = a[j], b[j], c[j], d[j]
                out[z, y, x] = _most_frequent(seen)


@kernel
def _most_frequent(seen: Any) -> Any:
    best = seen[0]
    most = 0
    for i in range(8):
        count = 0
        for j in range(8):
            count += seen[j] == seen[i]
        if count > most or (count == most and seen[i] < best):
            best, most = seen[i], count
    return best
