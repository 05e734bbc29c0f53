"""What is remembered of one image when a data set is looked at: a few numbers, never the pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from voxloom.analysis.looking.alike import Fingerprint, fingerprint
from voxloom.analysis.looking.levels import levels_of
from voxloom.analysis.looking.planes import grey_plane, plane_of
from voxloom.sample import Array, Field

__all__ = ["Seen", "spread"]

_MOST = 65536  # values that percentiles and levels are taken from
_EDGES = 1_000_000  # pixels in which edges of a mask are looked for
_REGION = 8  # pixels of a region, at least
_RAMPS, _BETWEEN = 0.1, 3  # share of the edges that rise gradually, and values between
_SAME = 1e-4
_IDS = 256  # ids that are counted; more of them are instances
_GOLDEN = 0.6180339887498949  # indices spread over all, without a pattern that falls in with rows
_CAMERAS = (1023, 4095, 16383)  # the largest values of 10, 12 and 14 bits


@dataclass(frozen=True, slots=True)
class Seen:
    """One array of one sample.

    Attributes
    ----------
    key
        Of the sample.
    shape, dtype
        Of the array.
    channels
        Extent of its channel axis, 1 where it has none.
    nonfinite
        Values that are NaN or infinite.
    low, high
        1st and 99th percentile of the finite values.
    maximum
        Largest finite value.
    levels
        Different values, at most 257, over values spread over all.
    is_stretched, is_whole
        Whether a type of more than 8 bits holds 17 to 256 different values, and a float whole numbers.
    besides
        Share of the values that are not the commonest one.
    at_top
        Share of values that are the largest the type, or a camera's number of bits, can hold.
    ids
        Of a mask, the number of pixels of each id; None where there are more than 256, and for images.
    is_smooth
        Of a mask, whether its values rise gradually from one region to the next, as of a mask that was
        resized smoothly or saved as JPEG.
    values
        Some values spread over all, for a histogram.
    fingerprint
        What tells near-duplicates, None for what is no picture.
    """

    key: str
    shape: tuple[int, ...]
    dtype: str
    channels: int
    nonfinite: int
    low: float
    high: float
    maximum: float
    levels: int
    is_stretched: bool
    is_whole: bool
    besides: float
    at_top: float
    ids: Mapping[int, int] | None
    is_smooth: bool
    values: npt.NDArray[np.float32]
    fingerprint: Fingerprint | None

    @classmethod
    def of(cls, key: str, array: Array, field: Field, *, kept: int = 4096) -> Seen:
        """Look at an array.

        Parameters
        ----------
        key
            Of its sample.
        array
            As the source gives it.
        field
            What it is.
        kept
            Values to remember.

        Examples
        --------
        >>> ramp = np.linspace(0, 1, 256).repeat(64).reshape(128, 128).astype("float32")
        >>> seen = Seen.of("a", ramp, Field(name="image", axes="yx"))
        >>> seen.levels, seen.is_stretched, seen.nonfinite
        (256, True, 0)
        """
        some = spread(array.view(np.uint8) if array.dtype == bool else array, _MOST)
        finite = some[np.isfinite(some)] if some.dtype.kind == "f" else some
        levels = levels_of(finite)
        low, high = np.percentile(finite, (1, 99)) if finite.size else (np.nan, np.nan)
        is_mask = field.kind == "mask"
        return cls(
            key=key,
            shape=array.shape,
            dtype=str(array.dtype),
            channels=_channels(array, field),
            nonfinite=int(array.size - np.isfinite(array).sum()) if array.dtype.kind == "f" else 0,
            low=float(low),
            high=float(high),
            maximum=float(finite.max()) if finite.size else float("nan"),
            levels=levels.number,
            is_stretched=levels.is_stretched and not is_mask,
            is_whole=levels.is_whole and not is_mask,
            besides=_besides(finite),
            at_top=_at_top(finite, array.dtype),
            ids=_ids(array) if is_mask else None,
            is_smooth=is_mask and _is_smooth(array, field),
            values=spread(finite, kept).astype(np.float32),
            fingerprint=_fingerprint(array, field),
        )

    @property
    def is_constant(self) -> bool:
        """Whether all values are the same, but for one in ten thousand."""
        return self.besides <= _SAME

    @property
    def is_sparse(self) -> bool:
        """Whether nearly all values are the same, and some are not."""
        return not self.is_constant and not self.low < self.high

    @property
    def is_blank(self) -> bool:
        """Of a mask: whether there is nothing but 0."""
        return self.ids is not None and not any(self.ids.keys() - {0})


def spread(array: Array, number: int) -> Array:
    """Return at most `number` values of an array, spread over all; the same each time.

    Examples
    --------
    >>> spread(np.arange(100), 4).tolist()
    [0, 61, 23, 85]
    """
    flat = array.reshape(-1)
    if flat.size <= number:
        return flat
    chosen: Array = flat[((np.arange(number) * _GOLDEN) % 1 * flat.size).astype(np.int64)]
    return chosen


def _besides(values: Array) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float(1 - counts.max() / values.size) if values.size else 0.0


def _at_top(values: Array, dtype: np.dtype[Any]) -> float:
    if not values.size or dtype.kind == "b":
        return 0.0
    largest = values.max()
    if dtype.kind in "iu":
        is_top = largest == np.iinfo(dtype).max or (dtype.itemsize > 1 and int(largest) in _CAMERAS)
    else:
        is_top = float(largest) in (1.0, 255.0, 65535.0)
    return float(np.mean(values == largest)) if is_top else 0.0


def _ids(array: Array) -> dict[int, int] | None:
    if array.dtype.kind not in "biu":
        return None
    values, counts = np.unique(array, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True)) if values.size <= _IDS else None


def _is_smooth(array: Array, field: Field) -> bool:
    """Return whether pixels lie strictly between their neighbours at many of the edges of regions.

    Between two regions of a mask a pixel has the id of one of them. A thin region may lie between two
    others: so it takes several values between.
    """
    if array.dtype.kind == "f":
        return bool((spread(array, _MOST) % 1 != 0).any())
    plane = plane_of(array, field) if array.dtype.kind in "iu" else np.zeros((1, 1))
    plane = plane[..., 0] if plane.ndim == 3 else plane
    lines = plane[:: max(1, plane.size // _EDGES)].astype(np.int64)
    if np.unique(lines).size > lines.size / _REGION:
        return False  # instances of a few pixels: a pixel between two others is one of its own
    left, own, right = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
    edges = left != right
    between = (own > np.minimum(left, right)) & (own < np.maximum(left, right))
    is_often = between.sum() >= _RAMPS * max(1, edges.sum())
    return bool(is_often and np.unique(own[between]).size >= _BETWEEN)


def _channels(array: Array, field: Field) -> int:
    return array.shape[field.axes.index("c")] if "c" in field.axes and len(field.axes) == array.ndim else 1


def _fingerprint(array: Array, field: Field) -> Fingerprint | None:
    if field.kind != "image":
        return None
    plane = grey_plane(array, field)
    return None if plane is None else fingerprint(plane)
