"""N5's own metadata: axes stored x first, resolution and units, pyramids as several tools write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxloom.errors import VolumeMetadataError
from voxloom.volumes.ome import Axis, Multiscale, StoredLevel, in_nanometres
from voxloom.volumes.stored_array import StoredArray
from voxloom.volumes.transforms import Placement, numbers

__all__ = ["named_levels", "parse_levels"]

_STORED = "xyzct"
"""The axes of an N5 array that does not name them, as Fiji and BigDataViewer store them."""
_KINDS = {"c": "channel", "t": "time"}
_TRIED = 16

Attributes = Mapping[str, Any]


def named_levels(group: Attributes) -> tuple[str, ...]:
    """Return the paths of the levels that a group names; s0 to s15 are worth a try where it names none.

    Examples
    --------
    >>> named_levels({"scales": [[1, 1, 1], [2, 2, 2]]})
    ('s0', 's1')
    """
    datasets = _datasets(group)
    if datasets:
        return tuple(str(entry["path"]) for entry in datasets)
    scales = group.get("scales") or group.get("downsamplingFactors")
    return tuple(f"s{k}" for k in range(len(scales) if isinstance(scales, list) else _TRIED))


def parse_levels(
    group: Attributes,
    levels: Mapping[str, Attributes],
    arrays: Sequence[StoredArray],
    *,
    unit: str | None = None,
    spacing: Sequence[float] | None = None,
) -> Multiscale:
    """Return the image that arrays make, lengths in nm.

    Each level lies where its own ``transform`` says, or the group's: axes, scale, translate, units by
    name. Without one it lies at the ``pixelResolution`` or ``resolution`` of the group or of the first
    level times the level's ``downsamplingFactors`` or the group's ``scales``; then the centre of ``f``
    voxels put together is ``(f - 1) / 2`` of them aside. An ``offset`` is in the same unit.

    Parameters
    ----------
    group
        Attributes of the group; empty for an array alone.
    levels
        Attributes of each level's array by its path, finest first.
    arrays
        What they are.
    unit
        Taken where none is named.
    spacing
        z, y, x in nm of the finest level, taken instead of what the file says.

    Raises
    ------
    VolumeMetadataError
        If resolution or unit is missing and the caller states none, or they are malformed.
    """
    axes = _axes(arrays[0])
    first = next(iter(levels.values()))
    placed: list[StoredLevel] = []
    units: list[Any] = []
    for k, (path, own) in enumerate(levels.items()):
        transform = _transform(group, own, k)
        if transform is not None:
            placed.append(StoredLevel(path, _transformed(transform, axes)))
            stated = _by_name(transform, "units", axes, None)
        else:
            factors = _factors(group, own, k, len(axes))
            placed.append(StoredLevel(path, _resolved([group, first], factors, len(axes))))
            stated = _units([group, first], len(axes))
        units = units or stated
    named = tuple(Axis(axis, _KINDS.get(axis, "space")) for axis in axes)
    in_nm = in_nanometres(named, placed, units, unit=unit, spacing=spacing)
    return Multiscale(named, in_nm, str(group.get("name") or ""), version="")


def _datasets(group: Attributes) -> list[Mapping[str, Any]]:
    images = group.get("multiscales")
    image = images[0] if isinstance(images, list) and images else {}
    datasets = image.get("datasets") if isinstance(image, Mapping) else None
    return [e for e in datasets or () if isinstance(e, Mapping) and "path" in e]


def _axes(array: StoredArray) -> str:
    """Return the stored axes: as the array names them, else by their number."""
    rank = len(array.shape)
    named = "".join(array.names)
    if len(named) == rank and set(named) <= set("tczyx") and len(set(named)) == rank:
        return named
    if not 2 <= rank <= len(_STORED):
        raise VolumeMetadataError(f"an array of {rank} axes: expected 2 to 5, such as z, y, x")
    return _STORED[:rank] if array.driver == "n5" else _STORED[:rank][::-1]


def _transform(group: Attributes, own: Attributes, level: int) -> Attributes | None:
    datasets = _datasets(group)
    inherited = datasets[level].get("transform") if level < len(datasets) else None
    found = own.get("transform") or inherited
    return found if isinstance(found, Mapping) and "scale" in found else None


def _transformed(transform: Attributes, axes: str) -> Placement:
    scale = _by_name(transform, "scale", axes, 1.0)
    translate = _by_name(transform, "translate", axes, 0.0)
    return Placement(numbers(scale, "scale", len(axes)), numbers(translate, "translate", len(axes)))


def _by_name(transform: Attributes, key: str, axes: str, default: Any) -> list[Any]:
    """Return a list of a transform in the order of the stored axes; it names the order of its own."""
    names, values = transform.get("axes"), transform.get(key)
    if values is None:
        return [default] * len(axes)
    if not isinstance(names, list) or not isinstance(values, list) or len(names) != len(values):
        raise VolumeMetadataError(f"transform {dict(transform)}: expected {key} with one entry for each axis")
    named = dict(zip(map(str, names), values, strict=True))
    return [named.get(axis, default) for axis in axes]


def _resolved(holders: Sequence[Attributes], factors: Sequence[float], rank: int) -> Placement | None:
    resolution, _ = _resolution(holders)
    if resolution is None:
        return None
    base = numbers(_filled(resolution, rank, 1.0), "resolution", rank)
    offset: list[Any] = next((h["offset"] for h in holders if isinstance(h.get("offset"), list)), [])
    start = numbers(_filled(offset, rank, 0.0), "offset", rank)
    return Placement(
        tuple(b * f for b, f in zip(base, factors, strict=True)),
        tuple(o + b * (f - 1) / 2 for o, b, f in zip(start, base, factors, strict=True)),
    )


def _resolution(holders: Sequence[Attributes]) -> tuple[list[Any] | None, Any]:
    """Return the first resolution that is stated, and the unit that stands with it."""
    for holder in holders:
        found = holder.get("pixelResolution", holder.get("resolution"))
        if isinstance(found, Mapping):
            return found.get("dimensions"), found.get("unit")
        if isinstance(found, list):
            return found, holder.get("units", holder.get("unit"))
    return None, None


def _units(holders: Sequence[Attributes], rank: int) -> list[Any]:
    _, unit = _resolution(holders)
    return _filled(unit, rank, None) if isinstance(unit, list) else [unit] * rank


def _factors(group: Attributes, own: Attributes, level: int, rank: int) -> tuple[float, ...]:
    scales = group.get("scales") or group.get("downsamplingFactors")
    inherited = scales[level] if isinstance(scales, list) and level < len(scales) else None
    found = own.get("downsamplingFactors") or inherited or []
    return numbers(_filled(found, rank, 1.0), "downsamplingFactors", rank)


def _filled(values: Any, rank: int, default: Any) -> Any:
    """Return a list with entries for the last axes, channels and times, which are often left out."""
    if not isinstance(values, list):
        return values
    return values + [default] * (rank - len(values))
