"""What to say where no image is: what there is instead, and what comes nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxloom.errors import DataError, MissingDataError
from voxloom.registry import did_you_mean
from voxloom.volumes import ome
from voxloom.volumes.place import Place

__all__ = ["ROOTS", "attributes_of", "missing", "no_image"]

ROOTS = ("zarr.json", ".zattrs", ".zarray", ".zgroup", "attributes.json")
"""The files that make a folder a group or an array, of zarr v3, zarr v2 and N5."""
_SHOWN = 8


def attributes_of(files: Sequence[Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    """Return the attributes of a group or an array, from its files in the order of `ROOTS`, or None."""
    zarr3, zattrs, zarray, zgroup, n5 = files
    if zarr3 is not None:
        found = zarr3.get("attributes")
        return found if isinstance(found, Mapping) else {}
    if zattrs is not None or zarray is not None or zgroup is not None:
        return zattrs or {}
    return n5


def missing(place: Place, above: Sequence[tuple[Place, Mapping[str, Any] | None]]) -> DataError:
    """Return the error for a place where nothing is.

    Parameters
    ----------
    above
        The places above it, the nearest first, with their attributes where they are groups.
    """
    if place.is_file:
        return MissingDataError(
            f"{place}: a file. Expected a folder of OME-Zarr or N5, or its URL. The page on volumes of the "
            "documentation tells how a TIFF stack becomes one"
        )
    if place.scheme == "file" and Path(place.path).is_dir():
        return MissingDataError(
            f"{place}: no volume. Expected OME-Zarr or N5, a folder with {', '.join(ROOTS)}. "
            "voxloom inspect says what it holds"
        )
    for parent, attributes in above:
        names = {*parent.folders(), *(_children(attributes) if attributes is not None else ())}
        if attributes is None and not names:
            continue
        wanted = place.path[len(parent.path) :].strip("/")
        near = did_you_mean(wanted, names) or did_you_mean(wanted.split("/")[0], names)
        return MissingDataError(f"{place}: nothing is there. {parent} holds {_listed(names)}.{near}")
    return MissingDataError(f"{place}: nothing is there, nor in the folders above it. Check the path")


def no_image(place: Place, attributes: Mapping[str, Any], fields: Sequence[str]) -> DataError:
    """Return the error for a group that is no image.

    Parameters
    ----------
    fields
        The images of a plate's first well, where it is a plate.
    """
    wells, series = ome.parse_plate(attributes), ome.series_of(attributes)
    images, labels = ome.parse_well(attributes), ome.parse_labels(attributes)
    if wells is not None:
        first = place.join(wells[0], *fields[:1]) if wells else place
        told = f"a plate with the wells {_listed(wells)}: open a field of one, for instance {first}"
    elif images is not None:
        told = f"a well with the fields {_listed(images)}: open one, for instance {place.join(*images[:1])}"
    elif series is not None:
        names = series or [name for name in place.folders() if name != "OME"] or ["0"]
        told = f"a bioformats2raw group with the images {_listed(names)}: open one, {place.join(names[0])}"
    elif labels:
        told = f"a group of the label images {_listed(labels)}: open one, {place.join(labels[0])}"
    else:
        told = f"a group without multiscales metadata, which holds {_listed(place.folders())}: open an image"
    return MissingDataError(f"{place}: {told}")


def _children(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a group's metadata name below it."""
    return (
        *ome.level_paths(attributes),
        *(ome.parse_plate(attributes) or ()),
        *(ome.parse_well(attributes) or ()),
        *(ome.series_of(attributes) or ()),
        *ome.parse_labels(attributes),
    )


def _listed(names: Sequence[str] | set[str]) -> str:
    if not names:
        return "nothing"
    some = sorted(names)[:_SHOWN]
    return ", ".join(some) + (f" and {len(names) - len(some)} more" if len(names) > len(some) else "")
