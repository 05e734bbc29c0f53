"""OME-NGFF metadata: the one place that knows their keys. 0.1 to 0.5, and 0.6 as far as it has settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voxloom.errors import VolumeMetadataError
from voxloom.volumes.transforms import Placement, compose
from voxloom.volumes.units import nanometres

__all__ = [
    "Axis",
    "Multiscale",
    "StoredLevel",
    "parse",
    "parse_image_label",
    "parse_labels",
    "parse_plate",
    "parse_well",
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
    attributes: Mapping[str, Any], *, unit: str | None = None, spacing: Sequence[float] | None = None
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

    Raises
    ------
    VolumeMetadataError
        If they are malformed, or say no unit and the caller does not either.
    """
    ome = section(attributes)
    images = ome.get("multiscales")
    if not isinstance(images, list) or not images or not isinstance(images[0], Mapping):
        raise VolumeMetadataError("no multiscales: expected a list with one image")
    image = images[0]
    version = str(ome.get("version") or image.get("version") or "0.4")
    stored, system = _axes_of(image)
    axes = _named(stored)
    common = _common(image, len(axes), system)
    levels = tuple(_level(entry, common, len(axes)) for entry in _datasets(image))
    in_nm = _in_nanometres(levels, axes, _factors(stored, axes, levels, unit=unit, spacing=spacing))
    return Multiscale(axes, in_nm, str(image.get("name") or ""), _channels(ome), version)


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
    names = {}
    for entry in label.get("properties") or ():
        value = entry.get("label-value") if isinstance(entry, Mapping) else None
        name = (
            next((entry[key] for key in ("class", "name", "label", "label-name") if entry.get(key)), None)
            if value is not None
            else None
        )
        if isinstance(value, int) and name is not None:
            names[value] = str(name)
    return names


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


def _axes_of(image: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the axes as stored, and for 0.6 the name of the coordinate system that has them."""
    systems = image.get("coordinateSystems")
    if isinstance(systems, list) and systems and isinstance(systems[0], Mapping):
        return _axis_list(systems[0].get("axes")), str(systems[0].get("name"))
    if "axes" not in image:
        if str(image.get("version")) in ("0.1", "0.2"):
            return [{"name": name, "type": _KINDS[name]} for name in _OLDEST], None
        raise VolumeMetadataError("no axes: expected a list such as z, y, x with types and units")
    return _axis_list(image["axes"]), None


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


def _common(image: Mapping[str, Any], rank: int, system: str | None) -> Placement:
    """Return the transformation of the whole image; in 0.6 those lead to further coordinate systems."""
    transforms = image.get("coordinateTransformations")
    if transforms is None or system is not None:
        return compose([], rank)
    return compose(transforms, rank)


def _level(entry: Mapping[str, Any], common: Placement, rank: int) -> StoredLevel:
    transforms = entry.get("coordinateTransformations")
    if transforms is None:
        return StoredLevel(entry["path"], None)
    return StoredLevel(entry["path"], compose(transforms, rank).then(common))


def _factors(
    stored: Sequence[Mapping[str, Any]],
    axes: Sequence[Axis],
    levels: Sequence[StoredLevel],
    *,
    unit: str | None,
    spacing: Sequence[float] | None,
) -> list[float]:
    """Return what each axis is multiplied with to be nm."""
    first = levels[0].placement
    factors = []
    for i, axis in enumerate(axes):
        if axis.kind != "space":
            factors.append(1.0)
        elif spacing is not None:
            factors.append(spacing["zyx".index(axis.name)] / (first.scale[i] if first else 1.0))
        elif first is None:
            raise VolumeMetadataError(
                "no scale: expected coordinateTransformations with each level. State the spacing of the "
                "finest level in nm: spacing=(z, y, x)"
            )
        else:
            factors.append(_unit_of(stored[i], unit))
    return factors


def _unit_of(axis: Mapping[str, Any], unit: str | None) -> float:
    stated = axis.get("unit")
    if stated:
        try:
            return nanometres(str(stated))
        except VolumeMetadataError as error:
            if unit is None:
                raise VolumeMetadataError(
                    f"axis {axis['name']}: {error} State it: unit='nanometer', or spacing=(z, y, x) in nm"
                ) from error
    if unit is None:
        raise VolumeMetadataError(
            f"axis {axis['name']} has no unit. State it: unit='nanometer' (or another length), or "
            "spacing=(z, y, x) in nm"
        )
    return nanometres(unit)


def _in_nanometres(
    levels: Sequence[StoredLevel], axes: Sequence[Axis], factors: Sequence[float]
) -> tuple[StoredLevel, ...]:
    rank = len(axes)
    unit = Placement(tuple(factors), (0.0,) * rank)
    return tuple(
        replace(level, placement=level.placement.then(unit)) if level.placement else level for level in levels
    )


def _channels(ome: Mapping[str, Any]) -> tuple[str, ...]:
    omero = ome.get("omero")
    listed = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(listed, list):
        return ()
    return tuple(
        str(entry.get("label") or i) if isinstance(entry, Mapping) else str(i)
        for i, entry in enumerate(listed)
    )
