"""What will hurt later in a volume and its labels, found from metadata and the coarsest level."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.seen import Seen
from voxloom.analysis.looking.values import check_values
from voxloom.geometry import AXES, Box
from voxloom.jobs.volume_units import NO_UNIT, lengths_text, unit_for
from voxloom.sample import Array, Field
from voxloom.volumes import Place, Volume

__all__ = ["check_volume"]

_MOST = 16_000_000  # voxels that are read
_OFF = 1e-3  # of a spacing
_ASIDE = 0.2  # of a voxel


def check_volume(volume: Volume, raw: Volume | None = None, *, has_unit: bool = True) -> tuple[Finding, ...]:
    """Return what is odd about a volume, and about the labels below it.

    Values are those of the coarsest level, or of the middle of it where that is large.

    Parameters
    ----------
    volume
        An image, or labels.
    raw
        The image that labels are of, where the volume is labels.
    has_unit
        Whether the metadata say a unit of length.

    Raises
    ------
    VolumeReadError
        If it cannot be read.
    """
    labels = [volume] if volume.is_labels else [volume.label(name) for name in volume.label_names]
    image = raw if volume.is_labels else volume
    findings = [] if has_unit else [_without_unit(volume)]
    findings += [] if image is None else list(_of_image(image))
    findings += [
        each for one in dict.fromkeys([volume, *labels]) for each in _of_levels(one, has_unit=has_unit)
    ]
    for each in labels:
        findings += _of_labels(each)
        findings += [] if image is None else _between(image, each)
    return tuple(sorted(findings, key=lambda finding: finding.severity == "note"))


def _of_image(volume: Volume) -> Iterator[Finding]:
    array, name = _coarse(volume), Place.of(volume.path).name
    for channel, values in zip(volume.channels, array, strict=True):
        field = Field(name=f"{name} {channel}" if len(array) > 1 else name, axes="zyx")
        for finding in check_values(field, [Seen.of(name, values, field)]):
            yield finding.model_copy(update={"what": finding.what.replace("1 of 1 image: ", ""), "keys": ()})


def _without_unit(volume: Volume) -> Finding:
    spacing = " x ".join(f"{side:g}" for side in volume.levels[0].grid.spacing)
    what = f"the metadata say no unit of length, or no scale: voxels of {spacing} (z, y, x) of something"
    return found("no unit", what, field=Place.of(volume.path).name, number=1)


def _of_levels(volume: Volume, *, has_unit: bool) -> Iterator[Finding]:
    """Tell which levels do not begin where the finest does."""
    finest = volume.levels[0].grid
    for level in volume.levels[1:]:
        grid = level.grid
        for axis, fine, coarse, low, own in zip(
            AXES, finest.spacing, grid.spacing, finest.origin, grid.origin, strict=True
        ):
            expected = low + (coarse - fine) / 2
            if abs(own - expected) > _ASIDE * fine:
                unit = unit_for(finest.spacing) if has_unit else NO_UNIT
                begin, usual = (lengths_text([length], unit) for length in (own, expected))
                begin += f" {unit}" if has_unit else ""
                what = (
                    f"level {level.path} begins at {begin} along {axis}, and would at {usual} if its "
                    "voxels were means of finer ones. Every n-th voxel, or a missing translation?"
                )
                yield found("shifted levels", what, field=Place.of(volume.path).name, number=1)
                break


def _of_labels(volume: Volume) -> Iterator[Finding]:
    name = Place.of(volume.path).name
    values = _coarse(volume)
    if not values.any():
        yield found("empty labels", "no label in the coarsest level", field=name, number=1)
    known = volume.classes
    if not known:
        return
    odd = sorted({int(each) for each in np.unique(values)} - {0} - known.keys())
    if odd:
        told = ", ".join(map(str, odd[:6])) + (" and more" if len(odd) > 6 else "")
        yield found("unknown ids", f"ids without a class: {told}", field=name, number=len(odd))


def _between(image: Volume, labels: Volume) -> list[Finding]:
    """Return whether labels lie elsewhere than their image, or in another spacing."""
    name, out = Place.of(labels.path).name, []
    one, other = image.levels[0].grid.spacing, labels.levels[0].grid.spacing
    if any(abs(a - b) > _OFF * a for a, b in zip(one, other, strict=True)):
        unit = unit_for(one)
        what = f"{lengths_text(other, unit)} {unit} (z, y, x), and the image {lengths_text(one, unit)}"
        out.append(found("spacing", what, field=name, number=1))
    if not _overlap(image.bounding_box, labels.bounding_box):
        out.append(found("apart", "no voxel of the labels lies in the image", field=name, number=1))
    return out


def _overlap(one: Box, other: Box) -> bool:
    sides = zip(one.low, one.high, other.low, other.high, strict=True)
    return all(max(a, c) < min(b, d) for a, b, c, d in sides)


def _coarse(volume: Volume) -> Array:
    """Return (c, z, y, x) of the coarsest level, or of its middle."""
    level = volume.levels[-1]
    box, spacing = volume.bounding_box, level.grid.spacing
    voxels = float(np.prod(level.grid.shape)) * len(volume.channels)
    if voxels > _MOST:
        share = (_MOST / voxels) ** (1 / 3) / 2
        center = box.center
        reach = [max(side * share, step / 2) for side, step in zip(box.size, spacing, strict=True)]
        low = tuple(c - r for c, r in zip(center, reach, strict=True))
        high = tuple(c + r for c, r in zip(center, reach, strict=True))
        box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    return np.asarray(volume.read(box, spacing))
