"""Lengths in nanometres: the units that NGFF names, and how people shorten them."""

from __future__ import annotations

from collections.abc import Sequence

from voxloom.errors import VolumeMetadataError
from voxloom.registry import did_you_mean

__all__ = ["NANOMETRES", "differ_as_units", "factor", "nanometres"]

_UNITS_APART = 300  # times: no pyramid goes so far, a micrometre has 1000 nanometres

_PREFIXES = {
    "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9, "micro": -6,
    "milli": -3, "centi": -2, "deci": -1, "": 0, "hecto": 2, "kilo": 3, "mega": 6, "giga": 9,
    "tera": 12, "peta": 15, "exa": 18, "zetta": 21, "yotta": 24,
}  # fmt: skip
_OTHERS = {
    "angstrom": 0.1, "inch": 25.4e6, "foot": 304.8e6, "yard": 914.4e6, "mile": 1609.344e9,
    "parsec": 3.0856775814913673e25,
}  # fmt: skip
_SHORT = {
    "pm": 1e-3, "Å": 0.1, "nm": 1.0, "um": 1e3, "\N{MICRO SIGN}m": 1e3,
    "\N{GREEK SMALL LETTER MU}m": 1e3, "micron": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9,
}  # fmt: skip

NANOMETRES: dict[str, float] = {
    **{f"{prefix}meter": float(f"1e{power + 9}") for prefix, power in _PREFIXES.items()},
    **_OTHERS,
    **_SHORT,
}
"""How many nanometres each unit is: the lengths that NGFF takes from UDUNITS, and their symbols."""


def nanometres(unit: str) -> float:
    """Return how many nanometres a unit of length is.

    Parameters
    ----------
    unit
        A name as NGFF has it ("micrometer"), in British spelling and in the plural too, or a symbol ("um").

    Raises
    ------
    VolumeMetadataError
        If it is no length.

    Examples
    --------
    >>> nanometres("micrometer"), nanometres("nm"), nanometres("Millimetres")
    (1000.0, 1.0, 1000000.0)
    """
    plain = unit.lower().replace("metre", "meter")
    for name in (unit, plain, plain.removesuffix("s")):
        if name in NANOMETRES:
            return NANOMETRES[name]
    raise VolumeMetadataError(
        f"unit {unit!r}: expected a length such as 'nanometer' or 'micrometer'."
        f"{did_you_mean(plain, NANOMETRES)}"
    )


def differ_as_units(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two spacings differ as nanometres and micrometres do, along every axis.

    Examples
    --------
    >>> differ_as_units((40, 8, 8), (8, 8, 8)), differ_as_units((40, 8, 8), (0.04, 0.008, 0.008))
    (False, True)
    """
    return all(max(a / b, b / a) >= _UNITS_APART for a, b in zip(one, other, strict=True))


def factor(stated: object, axis: str, unit: str | None) -> float:
    """Return how many nanometres the unit of an axis is: the one that the file states, else the caller's.

    Raises
    ------
    VolumeMetadataError
        If neither states a length; the message names the option that does.
    """
    if isinstance(stated, str) and stated:
        try:
            return nanometres(stated)
        except VolumeMetadataError as error:
            if unit is None:
                raise VolumeMetadataError(
                    f"axis {axis}: {error} State it: unit='nanometer', or spacing=(z, y, x) in nm"
                ) from error
    if unit is None:
        raise VolumeMetadataError(
            f"axis {axis} has no unit. State it: unit='nanometer' (or another length), or "
            "spacing=(z, y, x) in nm"
        )
    return nanometres(unit)
