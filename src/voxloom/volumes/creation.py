"""New volumes: empty, whole in their metadata or recognised as unfinished."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from voxloom import __version__
from voxloom.errors import DataError, OutputExistsError, SchemaError
from voxloom.geometry import Grid
from voxloom.volumes.layout import VolumeLayout
from voxloom.volumes.ome import Axis, Multiscale, StoredLevel, parse, parse_labels
from voxloom.volumes.ome_write import render, render_labels
from voxloom.volumes.place import Place, begin_reads, finish_reads, same_or_inside
from voxloom.volumes.saving import claimed, names_in, refuse_read_only, remove_all, write_json
from voxloom.volumes.transforms import Placement

__all__ = ["create", "create_labels", "layout_of"]

Path = str | os.PathLike[str]

_UNFINISHED = ".voxloom-unfinished"
"""Lies in a store for as long as it is being made."""
_LISTING = ".voxloom-listing"
"""Lies in a labels group while a name is added."""
_OURS = "voxloom"
"""Our own part of the group's attributes."""
_ROOTS = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata", "attributes.json")
"""What makes a folder a store to those who open it."""


def create(
    path: Path,
    *,
    shape: Sequence[int],
    layout: VolumeLayout,
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Make an empty volume: the metadata of all levels, and no voxels.

    The group's own metadata come last, so that a store whose making was cut off opens nowhere; it is
    made anew by the next call. In a file system several processes may make one store at once with
    `resume`: one does, and the others find it made. In an object store one process should.

    Parameters
    ----------
    path
        Of the group: a folder or a URL. Folders above it are made.
    shape
        Voxels along z, y, x at level 0. How many channels there are, the layout says.
    layout
        All else.
    overwrite
        Replace a zarr or N5 store that is there, with everything in it. Nothing else is replaced; of a
        link in it the link goes, and what it leads to stays.
    resume
        Leave a store as it is that was made with this same shape and layout.

    Raises
    ------
    SchemaError
        If the shape is none, or has too few voxels for the levels.
    OutputExistsError
        If something is there already.
    SaveError
        If it could not be written.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = os.path.join(mkdtemp(), "raw.zarr")
    >>> create(path, shape=(64, 300, 300), layout=VolumeLayout(spacing=(40, 8, 8), dtype="uint8"))
    >>> sorted(os.listdir(path))
    ['s0', 's1', 's2', 'zarr.json']
    """
    place = Place.of(path)
    _create(place, _Files.of(place.name, shape, layout), overwrite=overwrite, resume=resume)


def _create(place: Place, files: _Files, *, overwrite: bool, resume: bool) -> None:
    refuse_read_only(place)
    if _is_made(place, files, overwrite=overwrite, resume=resume):
        return
    with claimed(place, _UNFINISHED):
        # another process may have made it since
        if not _is_made(place, files, overwrite=overwrite, resume=resume):
            _make(place, files)


def create_labels(
    image: Path,
    name: str,
    *,
    shape: Sequence[int],
    layout: VolumeLayout,
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Make an empty label image below an image, and list it there.

    Parameters
    ----------
    image
        Path of an OME-Zarr image of the same version as the layout's.
    name
        Of the label image: a plain name.
    shape
        Voxels along z, y, x at level 0.
    layout
        All else; its kind must be labels. Where it states no levels there are as many as the image has,
        or as there are voxels for.
    overwrite, resume
        As `create` takes them.

    Raises
    ------
    SchemaError
        If the layout is none of labels, the name is a path, or there are too few voxels for the levels.
    DataError
        If there is no such image, or one of another version.
    OutputExistsError, SaveError
        As `create` does.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path, layout = os.path.join(mkdtemp(), "raw.zarr"), VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    >>> create(path, shape=(64, 64, 64), layout=layout)
    >>> ids = VolumeLayout(spacing=(8, 8, 8), dtype="uint32", kind="labels", classes={1: "mito"})
    >>> create_labels(path, "organelles", shape=(64, 64, 64), layout=ids)
    >>> sorted(os.listdir(os.path.join(path, "labels", "organelles")))
    ['s0', 'zarr.json']
    """
    if layout.kind != "labels" or not name or "/" in name or name.startswith("."):
        raise SchemaError(
            f"label image {name!r} of kind {layout.kind!r}: expected a plain name, and a layout of "
            "kind='labels'"
        )
    levels = min(_levels_below(Place.of(image), layout), layout.most_levels(shape))
    layout = layout.model_copy(update={"levels": layout.levels or levels})
    labels = Place.of(image).join("labels")
    if same_or_inside(Place.of(image), labels.join(name)):
        raise OutputExistsError(
            f"{labels.join(name)}: a link that leads to the image {image} itself. Remove the link, or take "
            "another name."
        )
    files = _Files.of(name, shape, layout, source="../../")
    _create(labels.join(name), files, overwrite=overwrite, resume=resume)
    with claimed(labels, _LISTING):
        _list(labels, name, layout.version)


def layout_of(path: Path) -> VolumeLayout | None:
    """Return the layout that a volume was made with, or None where another program has made it.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path, layout = os.path.join(mkdtemp(), "raw.zarr"), VolumeLayout(spacing=(8, 8, 8), dtype="uint8")
    >>> create(path, shape=(64, 64, 64), layout=layout)
    >>> layout_of(path) == layout
    True
    """
    return _layout_in(_attributes(Place.of(path)) or {})


def _layout_in(attributes: Mapping[str, Any]) -> VolumeLayout | None:
    ours = attributes.get(_OURS)
    try:
        return VolumeLayout.model_validate(ours["layout"]) if isinstance(ours, Mapping) else None
    except (KeyError, ValidationError):  # of a later version, or something else under our name
        return None


@dataclass(frozen=True)
class _Files:
    """The metadata files of a store.

    Attributes
    ----------
    arrays
        By the path of each level.
    group
        The attributes of the group.
    version
        Of NGFF.
    """

    arrays: Mapping[str, dict[str, Any]]
    group: dict[str, Any]
    version: str

    @classmethod
    def of(
        cls, name: str, shape: Sequence[int], layout: VolumeLayout, *, source: str | None = None
    ) -> _Files:
        if len(shape) != 3 or min(shape) < 1 or (layout.is_flat and shape[0] != 1):
            wanted = "1, y, x for an image of one plane" if layout.is_flat else "z, y, x"
            raise SchemaError(f"shape {tuple(shape)}: expected the number of voxels along {wanted}")
        levels = layout.levels_of(shape)
        channels = max(len(layout.channels), 1)
        arrays = {
            f"s{k}": layout.array_metadata((channels, *grid.shape), (1, *chunk), (1, *shard))
            for k, (grid, chunk, shard) in enumerate(levels)
        }
        is_labels = layout.kind == "labels"
        group = render(
            _multiscale(name, layout, [grid for grid, _, _ in levels]),
            dtype=layout.dtype,
            classes=layout.classes if is_labels else None,
            method="mode" if is_labels else "mean",
            source=source,
        )
        ours = {"shape": list(shape), "layout": layout.model_dump(mode="json")}
        return cls(arrays, {**group, _OURS: {**ours, "producer": f"voxloom {__version__}"}}, layout.version)

    def difference(self, found: Mapping[str, Any]) -> str:
        """Return what a store that is there has other than these files, or nothing."""
        layout = _layout_in(found)
        if layout is None:
            return "was not made by this version of voxloom"
        wanted = {"shape": self.group[_OURS]["shape"], **self.group[_OURS]["layout"]}
        there = {"shape": found[_OURS].get("shape"), **layout.model_dump(mode="json")}
        return "; ".join(
            f"has {key} {there.get(key)!r}, not {value!r}"
            for key, value in wanted.items()
            if there.get(key) != value
        )


def _multiscale(name: str, layout: VolumeLayout, grids: Sequence[Grid]) -> Multiscale:
    return Multiscale(
        tuple(Axis(axis, "channel" if axis == "c" else "space") for axis in layout.axes),
        tuple(StoredLevel(f"s{k}", _placed(grid, layout.axes)) for k, grid in enumerate(grids)),
        name.removesuffix(".zarr"),
        layout.channels,
        layout.version,
    )


def _placed(grid: Grid, axes: str) -> Placement:
    scale, translation = ((1.0, *grid.spacing), (0.0, *grid.origin))
    stored = ["czyx".index(axis) for axis in axes]
    return Placement(tuple(scale[i] for i in stored), tuple(translation[i] for i in stored))


def _is_made(place: Place, files: _Files, *, overwrite: bool, resume: bool) -> bool:
    """Return whether the store is there as wanted; False where it is to be made."""
    found = _attributes(place)
    if found is None:
        names = names_in(place)
        # after the names: another process may have come to its end between the two
        found = _attributes(place)
        if found is None:
            _refuse_others(place, set(names), overwrite=overwrite)
            return False
    difference = files.difference(found)
    if resume and not difference:
        return True
    if overwrite:
        return False
    told = f" and {difference}" if resume else ""
    raise OutputExistsError(
        f"{place}: a volume is there already{told}. Use overwrite (--overwrite) to replace it with all "
        "it holds, or name another place."
    )


def _attributes(place: Place) -> Mapping[str, Any] | None:
    """Return the attributes of a group or an array whose metadata are whole, or None."""
    zarr3, zarr2 = finish_reads(begin_reads([(place, "zarr.json"), (place, ".zattrs")]))
    if zarr3 is not None:
        attributes: Mapping[str, Any] = zarr3.get("attributes") or {}
        return attributes
    return zarr2


def _refuse_others(place: Place, names: set[str], *, overwrite: bool) -> None:
    """Refuse a folder with anything in it but what a store was left with when its making was cut off."""
    if not names or _UNFINISHED in names or (overwrite and names & {*_ROOTS}):
        return
    is_store = bool(names & {*_ROOTS})
    raise OutputExistsError(
        f"{place}: {'a store' if is_store else 'something that is no store'} is there already. "
        + ("Use overwrite (--overwrite) to replace it with all it holds, or name" if is_store else "Name")
        + " another place."
    )


def _make(place: Place, files: _Files) -> None:
    remove_all(place, first=_ROOTS, but=_UNFINISHED)
    name = ".zarray" if files.version == "0.4" else "zarr.json"
    for path, metadata in files.arrays.items():
        write_json(place.join(path), name, metadata)
    _write_group(place, files.group, files.version)


def _write_group(place: Place, attributes: Mapping[str, Any], version: str) -> None:
    if version == "0.4":
        write_json(place, ".zgroup", {"zarr_format": 2})
        write_json(place, ".zattrs", attributes)
        return
    write_json(place, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _levels_below(image: Place, layout: VolumeLayout) -> int:
    """Return how many levels an image has that is to get labels."""
    found = _attributes(image)
    if found is None:
        raise DataError(f"{image}: expected an OME-Zarr image for its labels to lie in; there is none")
    # lengths are not asked for, only how many levels there are
    parsed = parse(found, unit="nanometer")
    is_old = image.read_json("zarr.json") is None
    if is_old != (layout.version == "0.4"):
        raise DataError(
            f"{image}: an image of zarr v{2 if is_old else 3}, and labels of version {layout.version}. Set "
            f"version='{'0.4' if is_old else '0.5'}': one store is of one zarr version."
        )
    return len(parsed.levels)


def _list(labels: Place, name: str, version: str) -> None:
    """Add a name to those that a labels group lists, and keep what else it says."""
    found = dict(_attributes(labels) or {})
    names = parse_labels(found)
    if name not in names:
        _write_group(labels, {**found, **render_labels([*names, name], version)}, version)
