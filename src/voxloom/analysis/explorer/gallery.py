"""The pictures of points: small, large, and two with their difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from voxloom.analysis.explorer.images import Images, Pixels
from voxloom.analysis.explorer.pairs import Pair
from voxloom.analysis.explorer.pictures import Picture, drawn, png, shown, window_for
from voxloom.analysis.explorer.recent import Recent
from voxloom.errors import ConfigError, VoxloomError
from voxloom.panels import Window

__all__ = ["THUMBNAIL", "Facts", "Gallery"]

THUMBNAIL = 96
"""Pixels of the longer side of a thumbnail."""

_SMALLEST, _LARGEST = 16, 2048  # pixels of a picture
_PNGS, _PIXELS = 1 << 26, 1 << 27  # bytes that are kept


@dataclass(frozen=True)
class Facts:
    """What is known of a point.

    Attributes
    ----------
    row, key, group
        Which one.
    attributes
        Name -> value as text.
    file
        Path of the image's file; empty where it has none of its own.
    window
        Values drawn black and white, None where there is no image.
    shape, axes, dtype
        Of the image's array; empty where there is none.
    note
        What is not shown of it, for instance other channels.
    problem
        Why there is no image; empty where there is one.
    """

    row: int
    key: str
    group: str
    attributes: Mapping[str, str]
    file: str = ""
    window: Window | None = None
    shape: tuple[int, ...] = ()
    axes: str = ""
    dtype: str = ""
    note: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Gallery:
    """Draws the images of points, and keeps what it drew last. An image that fails is drawn as words.

    Parameters
    ----------
    images
        Where they come from.
    """

    images: Images
    _pngs: Recent[bytes] = field(default_factory=lambda: Recent(_PNGS, len))
    _pixels: Recent[Pixels] = field(default_factory=lambda: Recent(_PIXELS, lambda found: found.array.nbytes))

    def image(self, row: int, size: int) -> Picture:
        """Return the image of a point, its longer side `size` pixels or a little less.

        Raises
        ------
        ConfigError
            When the size is absurd.
        """
        _check(size)
        return self._kept(("image", row, size), lambda: shown(self.pixels(row).array, size), size)

    def panel(self, a: int, b: int, size: int) -> Picture:
        """Return two images and their difference as a `Pair` draws them, with words."""
        _check(size)
        return self._kept(("panel", a, b, size), lambda: png(self._pair(a, b).panel(size)), size)

    def strip(self, a: int, b: int, size: int) -> Picture:
        """Return two images and their difference without words: the page writes them."""
        _check(size)
        return self._kept(("strip", a, b, size), lambda: png(self._pair(a, b).strip(size)), size)

    def pair(self, a: int, b: int) -> Pair | None:
        """Return two images, None where one is not there."""
        try:
            return self._pair(a, b)
        except (VoxloomError, OSError, ValueError):
            return None

    def pixels(self, row: int) -> Pixels:
        """Return the image of a point, not drawn yet; raises as `Images.read` does."""
        return self._pixels.get(row, lambda: self.images.read(row))

    def facts(self, row: int, attributes: Mapping[str, str]) -> Facts:
        """Return what is known of a point."""
        points = self.images.points
        known = Facts(row, points.keys[row], str(points.groups[row]), attributes, self._file(row))
        try:
            found = self.pixels(row)
        except (VoxloomError, OSError, ValueError) as error:
            return Facts(**{**vars(known), "problem": str(error)})
        told = {"shape": found.shape, "axes": found.axes, "dtype": found.dtype, "note": found.note}
        return Facts(**{**vars(known), **told, "window": window_for(found.array)})

    def _pair(self, a: int, b: int) -> Pair:
        return Pair(self.pixels(a).array, self.pixels(b).array)

    def _file(self, row: int) -> str:
        file = self.images.file(row)
        return "" if file is None else str(file)

    def _kept(self, name: tuple[object, ...], draw: Callable[[], bytes], size: int) -> Picture:
        return drawn(lambda: self._pngs.get(name, draw), size)


def _check(size: int) -> None:
    if not _SMALLEST <= size <= _LARGEST:
        raise ConfigError(f"a picture of {size} pixels: expected {_SMALLEST} to {_LARGEST}.")
