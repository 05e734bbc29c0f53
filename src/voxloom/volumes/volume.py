"""One multiscale image in world coordinates, always shown as (c, z, y, x)."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from voxloom.errors import DataError, MissingDataError, VolumeMetadataError
from voxloom.geometry import AXES, Box, PatchSpec, Point
from voxloom.registry import did_you_mean
from voxloom.sample import Array
from voxloom.volumes import creation, engine, ome, writing
from voxloom.volumes.description import Description, Level, Options
from voxloom.volumes.engine import ts
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.opening import describe, describe_each
from voxloom.volumes.patch import Outside, Reading, begin_patch
from voxloom.volumes.place import Place

__all__ = ["Volume"]

Path = str | os.PathLike[str] | Place
_SHOWN = "czyx"
_SLACK = 1e-6  # of a spacing: products of spacings are not exact


class Volume:
    """A multiscale image: OME-Zarr, N5, or a plain array whose spacing is stated.

    Whatever axes are stored in whatever order, it is shown as (c, z, y, x): axes that are not stored
    have an extent of 1, and one time is chosen. A 2D image is as thick as its pixels are high (y), at
    z = 0. The world is in nanometres; where several coordinate systems are named (NGFF 0.6) it is the
    one that the levels lead to. It holds metadata only: arrays are opened when they are read, once in
    each process, so that it is small and can be pickled. Opening creates nothing, reading writes nothing.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path, layout = os.path.join(mkdtemp(), "em.zarr"), VolumeLayout(spacing=(8, 4, 4), dtype="uint8")
    >>> volume = Volume.create(path, shape=(10, 20, 20), layout=layout)
    >>> volume.write(Box((-4, -2, -2), (12, 6, 6)), np.full((2, 2, 2), 7, "uint8"))
    >>> opened = Volume.open(path)
    >>> opened.shape, opened.levels[0].grid.spacing, opened.bounding_box.high
    ((1, 10, 20, 20), (8.0, 4.0, 4.0), (76.0, 78.0, 78.0))
    >>> opened.read(Box((-4, -2, -2), (4, 10, 6)))[0].tolist()
    [[[7, 7], [7, 7], [0, 0]]]
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
        """Open a volume: a few small files are read, nothing is created.

        Parameters
        ----------
        path
            A folder, or a URL of file, s3, gs, http or https. An image of a plate is named with its well
            and field, a label image as ``image/labels/name``; a single level of an image, or any
            array, can be named too.
        channels
            Names or numbers of the channels to show, in this order; None shows all.
        time
            Which time to show.
        unit
            Length that the metadata mean where they name none, for instance "micrometer".
        spacing
            z, y, x in nm of the finest level: taken instead of what the metadata say, where they are
            wrong or missing. Translations and coarser levels are scaled with it.
        strict
            Refuse chunks that are not there, instead of taking the fill value for them.

        Raises
        ------
        MissingDataError
            If there is no image; the message names what there is.
        VolumeMetadataError
            If the metadata are wrong or say too little; the message names the option that helps.
        VolumeReadError
            If they cannot be read.
        DataError
            If a channel or the time is not there.
        """
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
        """Open many volumes, the requests of all in flight at once; parameters and errors as of `open`."""
        options = {"channels": channels, "time": time, "unit": unit, "spacing": spacing, "strict": strict}
        return [_or_raise(each) for each in cls.open_each(paths, **options)]

    @classmethod
    def open_each(cls, paths: Iterable[Path], **options: Any) -> list[Volume | DataError]:
        """Open many volumes as `open_many` does; where one cannot be opened its error stands in its place."""
        places = [_place_of(path) for path in paths]
        found = iter(describe_each([p for p in places if isinstance(p, Place)], _options(**options)))
        each = [place if isinstance(place, DataError) else next(found) for place in places]
        return [one if isinstance(one, DataError) else cls(one) for one in each]

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        shape: Sequence[int],
        layout: VolumeLayout,
        overwrite: bool = False,
        resume: bool = False,
    ) -> Volume:
        """Make an empty volume and open it; parameters and errors as of `voxloom.volumes.create`."""
        place = str(Place.of(path))
        creation.create(place, shape=shape, layout=layout, overwrite=overwrite, resume=resume)
        return cls.open(place)

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:g}" for s in self.levels[0].grid.spacing)
        shape = " x ".join(map(str, self.shape))
        return f"Volume {self.path}: {shape} {self.dtype}, {spacing} nm, {len(self.levels)} levels"

    def __getstate__(self) -> dict[str, Any]:
        return {"_is": self._is, "_arrays": {}}

    @property
    def place(self) -> Place:
        """Where it lies."""
        return self._is.place

    @property
    def path(self) -> str:
        """Where it lies: an absolute path, or a URL."""
        return str(self._is.place)

    @property
    def name(self) -> str:
        """As the metadata have it, or of its folder."""
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
        """Of the voxels, in the byte order of this machine."""
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
        """Whether it is a label image: its metadata say so, or it lies in a labels group."""
        return self._is.is_labels

    @property
    def classes(self) -> Mapping[int, str]:
        """Names of a label image's values, as its image-label properties have them; empty without any."""
        return self._is.classes

    @property
    def options(self) -> Options:
        """How it was opened."""
        return self._is.options

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label images below it; looked up anew each time."""
        labels = self.place.join("labels")
        zarr3 = labels.read_json("zarr.json")
        stated = zarr3.get("attributes") if zarr3 is not None else labels.read_json(".zattrs")
        return ome.parse_labels(stated) if isinstance(stated, dict) else ()

    def label(self, name: str) -> Volume:
        """Open a label image below it, at the same time and with the same options, all its channels.

        Raises
        ------
        MissingDataError
            If there is none of that name; the message names those there are.
        VolumeMetadataError, VolumeReadError
            As `open` does.
        """
        options = replace(self.options, channels=None, time=0)
        try:
            found = describe(self.place.join("labels", name), options)
        except MissingDataError as error:
            known = self.label_names
            raise MissingDataError(
                f"{self.path}: no label image {name!r}. There are: {', '.join(known) or 'none'}."
                f"{did_you_mean(name, known)}"
            ) from error
        shape = found.levels[0].grid.shape
        if options.spacing is not None and shape != self.levels[0].grid.shape:
            raise VolumeMetadataError(
                f"label image {name!r} of {self.path}: {shape} voxels, and the image has "
                f"{self.levels[0].grid.shape}, so that the spacing stated for the image cannot be its own. "
                f"Open {found.place} with its own spacing=(z, y, x)"
            )
        return type(self)(replace(found, options=replace(options, time=self._time_of(found))))

    def _time_of(self, label: Description) -> int:
        """Return the time to show of a label image, which may be the same at all times."""
        return self.options.time if "t" in label.axes else 0

    def level_index(self, path: str) -> int:
        """Return which level lies at a path, for instance "s1".

        Raises
        ------
        MissingDataError
            If none does.
        """
        known = [level.path for level in self.levels]
        if path not in known:
            raise MissingDataError(
                f"{self.path}: no level {path!r}. There are: {', '.join(known)}.{did_you_mean(path, known)}"
            )
        return known.index(path)

    def level_for(self, spacing: Sequence[float]) -> int:
        """Return the coarsest level that is at least as fine as asked along each axis, else 0.

        Along an axis where no level is fine enough the finest spacing will do: it is all there is.

        Parameters
        ----------
        spacing
            z, y, x in nm.
        """
        grids = [level.grid for level in self.levels]
        finest = [min(grid.spacing[axis] for grid in grids) for axis in range(len(AXES))]
        limit = [max(s, f) * (1 + _SLACK) for s, f in zip(spacing, finest, strict=True)]
        fits = [
            k
            for k, grid in enumerate(grids)
            if all(s <= most for s, most in zip(grid.spacing, limit, strict=True))
        ]
        return max(fits, default=0)

    def array(self, level: int) -> Any:
        """Return a TensorStore view of a level: domain (c, z, y, x), origin 0, the chosen channels.

        It is opened once in each process.

        Raises
        ------
        VolumeReadError
            If the array cannot be opened.
        LoadingError
            In a forked child of a process that had read volumes.
        """
        engine.check_process()
        view = self._arrays.get(level)
        return self._arrays.setdefault(level, self._opened(level)) if view is None else view

    def refresh(self) -> None:
        """Open the arrays anew when they are read next: voxels that other processes wrote are then seen."""
        self._arrays.clear()

    def read(
        self, box: Box, spacing: Sequence[float] | None = None, *, outside: Outside = "pad", fill: float = 0
    ) -> Array:
        """Return what lies in a box.

        The nearest number of voxels that fill the box is read, from its lower corner on; 51 for 50.5, as
        a coarser level has. They are copied where they are voxels of a level, else sampled: labels by the
        nearest, images linearly.

        Parameters
        ----------
        box
            In nm.
        spacing
            z, y, x in nm of the voxels to return; None takes those of the finest level.
        outside
            What lies outside the volume: "pad" with `fill`, "mirror", or "refuse".
        fill
            The value there.

        Returns
        -------
        ndarray
            (c, z, y, x) of the volume's dtype.

        Raises
        ------
        VolumeReadError
            If voxels cannot be read, or lie outside and that is refused; it names volume, level and voxels.
        """
        steps = _point(self.levels[0].grid.spacing if spacing is None else spacing)
        counts = [max(1, math.floor(s / w + 0.5 + _SLACK)) for s, w in zip(box.size, steps, strict=True)]
        spec = PatchSpec(shape=(counts[0], counts[1], counts[2]), spacing=steps)
        center = _point([low + size / 2 for low, size in zip(box.low, spec.size, strict=True)])
        how = Reading("nearest" if self.is_labels else "linear", outside, fill)
        return begin_patch(self, spec, center, how=how).result()

    def write(self, box: Box, array: Array) -> None:
        """Write voxels of the finest level into a box; parameters and errors as of `writing.write`."""
        writing.write(self, box, array)

    def downsample(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Make the coarser levels from the finest; parameters and errors as of `writing.downsample`."""
        writing.downsample(self, progress=progress)

    def _opened(self, level: int) -> Any:
        place = self.place.join(self.levels[level].path) if self.levels[level].path else self.place
        spec = engine.array_spec(self._is.driver, place.kvstore(), strict=self.options.strict)
        store = engine.finish(engine.open_array(spec), partial(self._told, level))
        if self._is.axes and len(self._is.axes) != store.rank:
            raise VolumeMetadataError(f"{self._told(level)}: it has changed since the volume was opened")
        return _shown(store, self._is)

    def _told(self, level: int) -> str:
        return f"{self.path}: level {level} ({self.levels[level].path!r}) cannot be opened"


def _or_raise(found: Volume | DataError) -> Volume:
    if isinstance(found, DataError):
        raise found
    return found


def _place_of(path: Path) -> Place | DataError:
    try:
        return Place.of(path)
    except DataError as error:
        return error


def _options(
    channels: Sequence[str | int] | None = None,
    time: int = 0,
    *,
    unit: str | None = None,
    spacing: Sequence[float] | None = None,
    strict: bool = False,
) -> Options:
    stated = None if spacing is None else _point(spacing)
    if stated is not None and not min(stated) > 0:
        raise VolumeMetadataError(f"spacing {tuple(stated)}: expected z, y, x in nm, each above 0")
    return Options(None if channels is None else tuple(channels), time, unit, stated, strict)


def _point(values: Sequence[float]) -> Point:
    z, y, x = map(float, values)
    return (z, y, x)


def _shown(store: Any, description: Description) -> Any:
    """Return a stored array as c, z, y, x with origin 0 and without labels of its axes."""
    axes, view = description.axes, store
    if "c" in axes and description.chosen != tuple(range(store.shape[axes.index("c")])):
        view = view[ts.d[axes.index("c")][list(description.chosen)]]
    if "t" in axes:
        view = view[ts.d[axes.index("t")][description.options.time]]
        axes = axes.replace("t", "")
    view = view.transpose([axes.index(axis) for axis in _SHOWN if axis in axes])
    view = view[tuple(slice(None) if axis in axes else ts.newaxis for axis in _SHOWN)]
    # labels, which zarr v3 may have, would keep arrays with other labels from being copied into it
    return view[ts.d[:].mark_bounds_implicit[False].label["", "", "", ""]]
