"""OME-NGFF metadata: the one place that knows their keys. 0.1 to 0.5, and 0.6 as far as it has settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voxloom.errors import VolumeMetadataError
from voxloom.volumes.transforms import Placement, compose
from voxloom.volumes.units import factor

__all__ = [
    "Axis",
    "Multiscale",
    "StoredLevel",
    "in_nanometres",
    "is_image",
    "level_paths",
    "parse",
    "parse_image_label",
    "parse_labels",
    "parse_plate",
    "parse_well",
    "series_of",
]

_OLDEST = ("t", "c", "z", "y", "x")
"""The axes of 0.1 and 0.2, which had no others."""
_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Axis:
    """One axis of the stored arrays.

    Attributes
    ----------
    name
        t, c, z, y or x, whatever the file calls it.
    kind
        time, channel or space.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class StoredLevel:
    """One array of a pyramid.

    Attributes
    ----------
    path
        Below the image.
    placement
        Along each stored axis; nm along z, y, x. None where the file does not say.
    """

    path: str
    placement: Placement | None


@dataclass(frozen=True)
class Multiscale:
    """One multiscale image.

    Attributes
    ----------
    axes
        In stored order.
    levels
        Finest first.
    name
        What the file calls it; may be empty.
    channels
        Names; empty where the file has none.
    version
        Of NGFF.
    """

    axes: tuple[Axis, ...]
    levels: tuple[StoredLevel, ...]
    name: str = ""
    channels: tuple[str, ...] = ()
    version: str = "0.5"


def parse(
    attributes: Mapping[str, Any],
    *,
    unit: str | None = None,
    spacing: Sequence[float] | None = None,
    only: str | None = None,
) -> Multiscale:
    """Return what the attributes of an image group say, lengths in nm.

    Parameters
    ----------
    attributes
        Of the group, as stored.
    unit
        Taken where a spatial axis names no unit of length.
    spacing
        z, y, x in nm of the finest level, taken instead of what the file says; translations and
        coarser levels are scaled with it.
    only
        Path of the one level that is wanted; the spacing is then its own.

    Raises
    ------
    VolumeMetadataError
        If they are malformed, or say no unit and the caller does not either.
    """
    ome = section(attributes)
    image = _first_image(ome)
    stored, is_latest = _axes_of(image)
    axes = _named(stored)
    # 0.6 has further coordinate systems there; the voxels' own is the one that the levels lead to
    common = compose([] if is_latest else image.get("coordinateTransformations") or [], len(axes))
    datasets = [entry for entry in _datasets(image) if only in (None, entry["path"])]
    levels = tuple(_level(entry, common, len(axes)) for entry in datasets)
    units = [own.get("unit") for own in stored]
    in_nm = in_nanometres(axes, levels, units, unit=unit, spacing=spacing)
    version = str(ome.get("version") or image.get("version") or "0.4")
    return Multiscale(axes, in_nm, str(image.get("name") or ""), _channels(ome), version)


def in_nanometres(
    axes: Sequence[Axis],
    levels: Sequence[StoredLevel],
    units: Sequence[object],
    *,
    unit: str | None,
    spacing: Sequence[float] | None,
) -> tuple[StoredLevel, ...]:
    """Return levels with their spatial lengths in nm.

    Parameters
    ----------
    units
        Of each axis, as the file states them.
    unit, spacing
        As `parse` takes them.

    Raises
    ------
    VolumeMetadataError
        If a unit, or all placements, are missing, and the caller states nothing instead.
    """
    first = levels[0].placement
    if first is None and spacing is None:
        raise VolumeMetadataError(
            "the metadata say no scale. State the spacing of the finest level in nm: spacing=(z, y, x)"
        )
    factors = []
    for i, axis in enumerate(axes):
        if axis.kind != "space":
            factors.append(1.0)
        elif spacing is not None:
            factors.append(spacing["zyx".index(axis.name)] / (first.scale[i] if first else 1.0))
        else:
            factors.append(factor(units[i], axis.name, unit))
    scaled = Placement(tuple(factors), (0.0,) * len(axes))
    return tuple(
        replace(level, placement=level.placement.then(scaled)) if level.placement else level
        for level in levels
    )


def is_image(attributes: Mapping[str, Any]) -> bool:
    """Return whether a group says that it is a multiscale image."""
    return "multiscales" in section(attributes)


def level_paths(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of an image's levels, or nothing where it is none."""
    try:
        return tuple(entry["path"] for entry in _datasets(_first_image(section(attributes))))
    except VolumeMetadataError:
        return ()


def section(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return where the NGFF keys lie: under "ome" since 0.5, flat before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def parse_labels(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that a labels group lists."""
    names = section(attributes).get("labels")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def parse_image_label(attributes: Mapping[str, Any]) -> dict[int, str] | None:
    """Return the class names of a label image by value, or None where it is no label image.

    Taken from ``properties``: the first of class, name, label and label-name that an entry has.
    """
    label = section(attributes).get("image-label")
    if not isinstance(label, Mapping):
        return None
    properties = label.get("properties")
    entries = [e for e in properties if isinstance(e, Mapping)] if isinstance(properties, list) else []
    named = {e.get("label-value"): _class_name(e) for e in entries}
    return {value: name for value, name in named.items() if isinstance(value, int) and name}


def _class_name(entry: Mapping[str, Any]) -> str:
    return next((str(entry[key]) for key in ("class", "name", "label", "label-name") if entry.get(key)), "")


def series_of(attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the images that a bioformats2raw group lists, or None where it is no such group."""
    ome = section(attributes)
    if "bioformats2raw.layout" not in ome:
        return None
    listed = ome.get("series")
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def parse_plate(attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the paths of a plate's wells, or None where it is no plate."""
    return _paths(section(attributes).get("plate"), "wells")


def parse_well(attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the paths of a well's fields, or None where it is no well."""
    return _paths(section(attributes).get("well"), "images")


def _paths(holder: Any, key: str) -> tuple[str, ...] | None:
    if not isinstance(holder, Mapping):
        return None
    entries = holder.get(key)
    if not isinstance(entries, list):
        return ()
    return tuple(str(entry["path"]) for entry in entries if isinstance(entry, Mapping) and "path" in entry)


def _first_image(ome: Mapping[str, Any]) -> Mapping[str, Any]:
    images = ome.get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], Mapping):
        raise VolumeMetadataError(f"multiscales {images!r}: expected a list with one image")
    return images[0]


def _axes_of(image: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the axes as stored, and whether they stand in a coordinate system, as 0.6 has it."""
    systems = image.get("coordinateSystems")
    if isinstance(systems, list):
        return _axis_list(_own_system(image, systems).get("axes")), True
    if "axes" not in image:
        if str(image.get("version")) in ("0.1", "0.2"):
            return [{"name": name, "type": _KINDS[name]} for name in _OLDEST], False
        raise VolumeMetadataError("no axes: expected a list such as z, y, x with types and units")
    return _axis_list(image["axes"]), False


def _own_system(image: Mapping[str, Any], systems: Sequence[Any]) -> Mapping[str, Any]:
    """Return the coordinate system that the finest level's transformation leads to."""
    named = {each.get("name"): each for each in systems if isinstance(each, Mapping)}
    transforms = _datasets(image)[0].get("coordinateTransformations")
    last = transforms[-1] if isinstance(transforms, list) and transforms else {}
    output = last.get("output") if isinstance(last, Mapping) else None
    name = output.get("name") if isinstance(output, Mapping) else output
    if name not in named:
        raise VolumeMetadataError(
            f"the first level leads to the coordinate system {name!r}: expected one of {list(named)}"
        )
    return named[name]


def _axis_list(axes: Any) -> list[Mapping[str, Any]]:
    if not isinstance(axes, list) or not 2 <= len(axes) <= 5:
        raise VolumeMetadataError(f"axes {axes!r}: expected a list of 2 to 5")
    listed = [{"name": axis} if isinstance(axis, str) else axis for axis in axes]  # 0.3 had names alone
    if not all(isinstance(axis, Mapping) and isinstance(axis.get("name"), str) for axis in listed):
        raise VolumeMetadataError(f"axes {axes!r}: expected a name for each")
    names = [axis["name"] for axis in listed]
    if len(set(names)) < len(names):
        raise VolumeMetadataError(f"axes {names}: expected each name once")
    return listed


def _named(stored: Sequence[Mapping[str, Any]]) -> tuple[Axis, ...]:
    """Give the axes the names t, c, z, y, x."""
    kinds = [str(a.get("type") or _KINDS.get(a["name"].lower(), "channel")) for a in stored]
    spatial = [i for i, kind in enumerate(kinds) if kind == "space"]
    if len(spatial) not in (2, 3):
        raise VolumeMetadataError(f"{len(spatial)} axes of type space: expected 2 or 3, of z, y, x")
    own = [stored[i]["name"].lower() for i in spatial]
    names = own if set(own) <= set("zyx") else list("zyx"[-len(own) :])
    placed = dict(zip(spatial, names, strict=True))
    axes = tuple(
        Axis(placed[i], "space")
        if i in placed
        else Axis("t", "time")
        if kind == "time"
        else Axis("c", "channel")
        for i, kind in enumerate(kinds)
    )
    called = [axis.name for axis in axes]
    if len(set(called)) < len(called):
        raise VolumeMetadataError(
            f"axes {[a['name'] for a in stored]} of types {kinds}: expected at most one time "
            "and one channel axis"
        )
    return axes


def _datasets(image: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    datasets = image.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise VolumeMetadataError(f"datasets {datasets!r}: expected a list of at least one level")
    for entry in datasets:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str):
            raise VolumeMetadataError(f"dataset {entry!r}: expected an object with a path")
    return datasets


def _level(entry: Mapping[str, Any], common: Placement, rank: int) -> StoredLevel:
    transforms = entry.get("coordinateTransformations")
    if transforms is None:
        return StoredLevel(entry["path"], None)
    return StoredLevel(entry["path"], compose(transforms, rank).then(common))


def _channels(ome: Mapping[str, Any]) -> tuple[str, ...]:
    omero = ome.get("omero")
    listed = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(listed, list):
        return ()
    return tuple(
        str(entry.get("label") or i) if isinstance(entry, Mapping) else str(i)
        for i, entry in enumerate(listed)
    )
