"""Inspect: what a volume holds, found from its metadata, and from its coarsest level what is odd."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from voxloom.amounts import counted, size_text
from voxloom.analysis.looking.finding import Finding
from voxloom.component import Component
from voxloom.geometry import Point
from voxloom.jobs.listing import warnings_listed
from voxloom.jobs.volume_checks import check_volume
from voxloom.jobs.volume_units import NO_UNIT, lengths_text, opened, unit_for
from voxloom.volumes import Volume

__all__ = ["LevelFacts", "VolumeFacts", "inspect_volume", "level_rows", "volume_listing"]

_SHOWN = 12  # names in a line


class LevelFacts(Component):
    """One level of a pyramid."""

    path: str
    """Of the array, below the volume."""
    shape: tuple[int, int, int]
    """Voxels along z, y, x."""
    spacing: tuple[float, float, float]
    """Distance of neighbouring centres along z, y, x in nm."""
    origin: tuple[float, float, float]
    """Centre of the first voxel, nm."""
    chunk: tuple[int, int, int]
    """Voxels that are read at once."""
    shard: tuple[int, int, int]
    """Voxels that are written at once."""
    dtype: str
    """Of the voxels."""


class VolumeFacts(Component):
    """What `inspect_volume` has found."""

    path: str
    """Where it lies."""
    name: str
    """As its metadata have it."""
    kind: str
    """``image`` or ``labels``."""
    low: tuple[float, float, float]
    """Lower corner, z, y, x, nm."""
    high: tuple[float, float, float]
    """Upper corner, z, y, x, nm."""
    channels: tuple[str, ...]
    """Names of the channels."""
    classes: Mapping[int, str]
    """Names of a label image's values."""
    levels: tuple[LevelFacts, ...]
    """The pyramid, finest first."""
    labels: tuple[VolumeFacts, ...] = ()
    """The label images below it."""
    warnings: tuple[Finding, ...] = ()
    """What will hurt later; of the labels below too."""
    has_unit: bool = True
    """Whether the metadata say a unit; without one, the numbers of the file count as nm."""

    @property
    def unit(self) -> str:
        """The unit that lengths are told in: nm, µm or mm, as the spacing is."""
        return unit_for(self.levels[0].spacing) if self.has_unit else NO_UNIT


def inspect_volume(
    path: str | os.PathLike[str],
    *,
    raw: str | None = None,
    unit: str | None = None,
    spacing: Point | None = None,
) -> VolumeFacts:
    """Say what a volume is, with the label images below it, and what will hurt later.

    Parameters
    ----------
    path
        A folder or a URL.
    raw
        The image that labels are of.
    unit, spacing
        As `Volume.open` takes them.

    Raises
    ------
    MissingDataError, VolumeMetadataError, VolumeReadError
        If it cannot be opened.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.volumes.creation import create
    >>> from voxloom.volumes.layout import VolumeLayout
    >>> path = f"{mkdtemp()}/raw.zarr"
    >>> create(path, shape=(64, 128, 128), layout=VolumeLayout(spacing=(8, 4, 4), dtype="uint8"))
    >>> inspect_volume(path).levels[0].shape
    (64, 128, 128)
    """
    volume, has_unit = opened(path, unit=unit, spacing=spacing)
    labels = tuple(_facts(volume.label(name), has_unit=has_unit) for name in volume.label_names)
    ground = opened(raw)[0] if raw is not None else None
    warnings = check_volume(volume, ground, has_unit=has_unit)
    return _facts(volume, labels, has_unit=has_unit).model_copy(update={"warnings": warnings})


def volume_listing(found: VolumeFacts) -> str:
    """Return what was found as lines for a terminal."""
    return "\n".join([*_lines(found), *warnings_listed(found.warnings)])


def _facts(volume: Volume, labels: tuple[VolumeFacts, ...] = (), *, has_unit: bool = True) -> VolumeFacts:
    box = volume.bounding_box
    levels = tuple(
        LevelFacts(
            path=level.path,
            shape=level.grid.shape,
            spacing=level.grid.spacing,
            origin=level.grid.origin,
            chunk=level.chunk,
            shard=level.shard,
            dtype=level.dtype.name,
        )
        for level in volume.levels
    )
    return VolumeFacts(
        path=volume.path,
        name=volume.name,
        kind="labels" if volume.is_labels else "image",
        low=box.low,
        high=box.high,
        channels=volume.channels,
        classes=dict(volume.classes),
        levels=levels,
        labels=labels,
        has_unit=has_unit,
    )


def level_rows(found: VolumeFacts) -> list[tuple[str, ...]]:
    """Return the table of the levels, its head first."""
    unit = f"in {found.unit}" if found.has_unit else f"({found.unit})"
    rows: list[tuple[str, ...]] = [
        ("level", "voxels (z, y, x)", f"spacing {unit}", f"first centre {unit}", "chunk", "shard")
    ]
    for each in found.levels:
        lengths = (lengths_text(numbers, found.unit) for numbers in (each.spacing, each.origin))
        rows.append(
            (each.path or ".", _numbers(each.shape), *lengths, _numbers(each.chunk), _numbers(each.shard))
        )
    return rows


def _lines(found: VolumeFacts, indent: str = "") -> Iterator[str]:
    first = found.levels[0]
    voxels = first.shape[0] * first.shape[1] * first.shape[2] * len(found.channels)
    size = size_text(voxels * _bytes(first.dtype))
    yield f"{indent}{found.path}: {found.kind}, {first.dtype}, {counted(len(found.levels), 'level')}, {size}"
    low, high = (lengths_text(corner, found.unit) for corner in (found.low, found.high))
    yield f"{indent}  from {low} to {high} {found.unit if found.has_unit else f'({found.unit})'} (z, y, x)"
    if found.kind == "image":
        yield f"{indent}  {counted(len(found.channels), 'channel')}: {_names(found.channels)}"
    elif found.classes:
        named = tuple(f"{number} {name}" for number, name in found.classes.items())
        yield f"{indent}  {counted(len(named), 'class', 'classes')}: {_names(named)}"
    rows = level_rows(found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{indent}  {text}".rstrip()
    for labels in found.labels:
        yield from _lines(labels, f"{indent}  ")


def _bytes(dtype: str) -> int:
    digits = "".join(letter for letter in dtype if letter.isdigit())
    return int(digits) // 8 if digits else 1


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _names(names: tuple[str, ...]) -> str:
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
