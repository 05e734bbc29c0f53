"""Spacing that differs: between the files of a field, its parts, and the fields of a sample."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence

import tifffile

from voxloom.analysis.looking.finding import Finding, found
from voxloom.sample import Schema

__all__ = ["check_files", "check_schemas", "tiff_spacing"]

_INCH, _CENTIMETRE = 2, 3
_NM = {_INCH: 25_400_000.0, _CENTIMETRE: 10_000_000.0}
_PRINTERS = {72, 96, 100, 150, 200, 300, 600}  # dots an inch that programs write, whatever is shown


def tiff_spacing(data: bytes | memoryview) -> tuple[float, float] | None:
    """Return the distance of pixels along y and x in nm, as the tags of a TIFF say; None without any.

    A resolution in dots an inch as printers have it is none of a microscope.

    Examples
    --------
    >>> import numpy as np
    >>> file = io.BytesIO()
    >>> tifffile.imwrite(file, np.zeros((4, 4), "u1"), resolution=(2000, 1000), resolutionunit=3)
    >>> tiff_spacing(file.getvalue())
    (10000.0, 5000.0)
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = file.pages[0].tags
            values = [tags.valueof(code, 0) for code in (283, 282, 296)]
    except (tifffile.TiffFileError, ValueError, IndexError):
        return None
    numbers = [_ratio(value) for value in values[:2]]
    unit = int(values[2] or 0)
    if unit not in _NM or not all(numbers) or (unit == _INCH and {round(n) for n in numbers} <= _PRINTERS):
        return None
    return _NM[unit] / numbers[0], _NM[unit] / numbers[1]


def check_files(name: str, spacings: Mapping[str, tuple[float, float]]) -> list[Finding]:
    """Return whether the files of a field differ in spacing.

    Parameters
    ----------
    name
        Of the field.
    spacings
        By key, along y and x in nm.

    Examples
    --------
    >>> check_files("image", {"a": (10, 10), "b": (10, 10), "c": (25, 25)})[0].what
    '2 spacings in the tags of the files; most 10 x 10 nm (2 of 3)'
    """
    counts = Counter(_told(each) for each in spacings.values())
    if len(counts) < 2:
        return []
    most, number = counts.most_common(1)[0]
    keys = [key for key, each in spacings.items() if _told(each) != most]
    what = f"{len(counts)} spacings in the tags of the files; most {most} ({number} of {len(spacings)})"
    return [found("spacing", what, keys, field=name, numbers={"kinds": len(counts)})]


def check_schemas(schemas: Mapping[str, Schema]) -> list[Finding]:
    """Return whether fields differ in their stated spacing: within a sample, and between parts.

    Parameters
    ----------
    schemas
        Of each part; one is enough.
    """
    out = []
    for part, schema in schemas.items():
        stated = {f.name: _in_units(f.spacing, f.unit) for f in schema.values() if f.spacing and f.is_spatial}
        if len(set(stated.values())) > 1:
            told = ", ".join(f"{name} {text}" for name, text in stated.items())
            out.append(
                found("spacing", f"fields of one sample differ{f' in {part}' if part else ''}: {told}")
            )
    first, *others = schemas.items()
    for part, schema in others:
        for name in [name for name in first[1] if name in schema]:
            one, two = (_in_units(s[name].spacing, s[name].unit) for s in (first[1], schema))
            if first[1][name].spacing and schema[name].spacing and one != two:
                out.append(found("spacing", f"{one} in {first[0]}, {two} in {part}", field=name))
    return out


def _ratio(value: object) -> float:
    if isinstance(value, Sequence) and len(value) == 2:
        return float(value[0]) / float(value[1]) if value[1] else 0.0
    return float(value) if isinstance(value, int | float) else 0.0


def _told(spacing: tuple[float, float]) -> str:
    return " x ".join(f"{side:.3g}" for side in spacing) + " nm"


def _in_units(spacing: Sequence[float] | None, unit: str | None) -> str:
    return " x ".join(f"{side:.4g}" for side in spacing or ()) + f" {unit or 'of no unit'}"
