"""One multiscale image in world coordinates, always shown as (c, z, y, x)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorstore as ts

from voxloom.errors import DataError, VolumeReadError
from voxloom.geometry import Box, Point
from voxloom.registry import did_you_mean
from voxloom.sample import Array
from voxloom.volumes import engine, ome
from voxloom.volumes.opening import Description, Level, Options, describe, describe_many
from voxloom.volumes.place import Place

__all__ = ["Volume"]

Path = str | os.PathLike[str]
Outside = Literal["pad", "mirror", "refuse"]
_SHOWN = "czyx"


class Volume:
    """A multiscale image: OME-Zarr, N5, or a plain array whose spacing is stated.

    Whatever axes are stored in whatever order, it is shown as (c, z, y, x): axes that are not stored
    have an extent of 1, and one time is chosen. A 2D image is as thick as its pixels are high. Open
    one with `Volume.open`. It holds metadata; arrays are opened when they are read, in each process,
    so that it can be pickled.

    """

    def __init__(self, description: Description) -> None:
        self._is = description
        self._arrays: dict[int, Any] = {}

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        channels: Sequence[str | int] | None = None,
        time: int = 0,
        unit: str | None = None,
        spacing: Sequence[float] | None = None,
        strict: bool = False,
    ) -> Volume:
        """Open a volume: metadata are read, nothing is created."""
        options = _options(channels, time, unit=unit, spacing=spacing, strict=strict)
        return cls(describe(Place.of(path), options))

    @classmethod
    def open_many(
        cls,
        paths: Iterable[Path],
        *,
        channels: Sequence[str | int] | None = None,
        time: int = 0,
        unit: str | None = None,
        spacing: Sequence[float] | None = None,
        strict: bool = False,
    ) -> list[Volume]:
        """Open many volumes, the requests of all in flight at once."""
        options = _options(channels, time, unit=unit, spacing=spacing, strict=strict)
        return [cls(each) for each in describe_many([Place.of(path) for path in paths], options)]

    def __repr__(self) -> str:
        grid = self.levels[0].grid
        spacing = " x ".join(f"{s:g}" for s in grid.spacing)
        return f"Volume {self.path}: {self.shape} {self.dtype}, {spacing} nm, {len(self.levels)} levels"

    def __getstate__(self) -> dict[str, Any]:
        return {"_is": self._is, "_arrays": {}}

    @property
    def path(self) -> str:
        """Where it lies: an absolute path or a URL."""
        return str(self._is.place)

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self._is.place

    @property
    def name(self) -> str:
        """As the metadata have it, or the name of its folder."""
        return self._is.name

    @property
    def levels(self) -> tuple[Level, ...]:
        """The pyramid, finest first."""
        return self._is.levels

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Extent of the finest level along c, z, y, x."""
        return (len(self._is.chosen), *self.levels[0].grid.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the finest level."""
        return self.levels[0].dtype

    @property
    def bounding_box(self) -> Box:
        """What the voxels of the finest level cover, to their outer faces, in nm."""
        return self.levels[0].grid.box

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, from omero metadata, else their numbers."""
        return self._is.channels

    @property
    def is_labels(self) -> bool:
        """Whether it is a label image."""
        return self._is.is_labels

    @property
    def classes(self) -> Mapping[int, str]:
        """Names of a label image's values."""
        return self._is.classes

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label images below it."""
        labels = self.place.join("labels")
        stated = labels.read_json("zarr.json")
        found = stated.get("attributes", {}) if stated else labels.read_json(".zattrs")
        return ome.parse_labels(found or {})

    def label(self, name: str) -> Volume:
        """Open a label image below it."""
        known = self.label_names
        if name not in known:
            raise DataError(
                f"{self.path}: no label image {name!r}. There are: {', '.join(known) or 'none'}."
                f"{did_you_mean(name, known)}"
            )
        return type(self)(describe(self.place.join("labels", name), Options()))

    def array(self, level: int) -> Any:
        """Return a TensorStore view of a level with domain (c, z, y, x) and origin 0.

        It is opened once in each process.
        """
        view = self._arrays.get(level)
        if view is None:
            engine.check_process()
            view = self._arrays.setdefault(level, self._opened(level))
        return view

    def level_for(self, spacing: Sequence[float]) -> int:
        """Return the coarsest level that is at least as fine as asked along each axis, else 0.

        Along an axis where no level is fine enough the finest will do.

        Parameters
        ----------
        spacing
            z, y, x in nm.
        """
        finest = [min(level.grid.spacing[a] for level in self.levels) for a in range(3)]
        limit = [max(s, f) * (1 + 1e-6) for s, f in zip(spacing, finest, strict=True)]
        fits = [
            i
            for i, level in enumerate(self.levels)
            if all(s <= m for s, m in zip(level.grid.spacing, limit, strict=True))
        ]
        return max(fits, default=0)

    def read(
        self,
        box: Box,
        spacing: Sequence[float] | None = None,
        *,
        outside: Outside = "pad",
        fill: float = 0,
    ) -> Array:
        """Return what lies in a box, (c, z, y, x) of the volume's dtype."""
        if outside == "refuse" and not self.bounding_box.holds(box):
            raise VolumeReadError(f"{self.path}: {box} stands out of {self.bounding_box}")
        level = self.level_for(spacing or self.levels[0].grid.spacing)
        grid = self.levels[level].grid
        start = [round(i + 0.5) for i in grid.index(box.low)]
        shape = [max(1, round(s / w)) for s, w in zip(box.size, grid.spacing, strict=True)]
        out = np.full((len(self.channels), *shape), fill, self.dtype)
        low = [max(0, s) for s in start]
        high = [min(n, s + k) for n, s, k in zip(grid.shape, start, shape, strict=True)]
        if all(a < b for a, b in zip(low, high, strict=True)):
            source = self.array(level)[(slice(None), *map(slice, low, high))]
            inner = (slice(None), *(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True)))
            out[inner] = engine.finish(source.read(), lambda: f"{self.path}, level {level}, {box}")
        return out

    def _opened(self, level: int) -> Any:
        spec: dict[str, Any] = {
            "driver": self._is.driver,
            "kvstore": self.place.join(self.levels[level].path).kvstore(),
            "open": True,
        }
        store = engine.finish(engine.open_array(spec), lambda: f"{self.path}, level {level}")
        return _shown(store, self._is)


def _options(
    channels: Sequence[str | int] | None,
    time: int,
    *,
    unit: str | None,
    spacing: Sequence[float] | None,
    strict: bool,
) -> Options:
    return Options(
        None if channels is None else tuple(channels),
        time,
        unit,
        None if spacing is None else _point(spacing),
        strict,
    )


def _point(spacing: Sequence[float]) -> Point:
    z, y, x = map(float, spacing)
    return (z, y, x)


def _shown(store: Any, description: Description) -> Any:
    """Return a stored array as c, z, y, x with origin 0."""
    axes = description.axes
    view = store
    if "c" in axes and description.chosen != tuple(range(store.shape[axes.index("c")])):
        view = view[ts.d[axes.index("c")][list(description.chosen)]]
    if "t" in axes:
        view = view[ts.d[axes.index("t")][description.options.time]]
        axes = axes.replace("t", "")
    view = view.transpose([axes.index(axis) for axis in _SHOWN if axis in axes])
    view = view[tuple(slice(None) if axis in axes else ts.newaxis for axis in _SHOWN)]
    return view[ts.d[:].mark_bounds_implicit[False].label["", "", "", ""]]
