"""Keys of points: what an expression finds in them, and which one a person names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from voxloom.analysis.latents.columns import MISSING, Labels
from voxloom.errors import ConfigError, MissingDataError
from voxloom.registry import did_you_mean
from voxloom.sources.listing import IMAGE_SUFFIXES

__all__ = ["key_labels", "key_place", "without_suffix"]


def without_suffix(key: str) -> str:
    """Return a key without the ending of an image file, which keys of folders have.

    Examples
    --------
    >>> without_suffix("p1/slice_003.tif"), without_suffix("v1.5")
    ('p1/slice_003', 'v1.5')
    """
    for suffix in IMAGE_SUFFIXES:
        if key.lower().endswith(suffix) and len(key) > len(suffix):
            return key[: -len(suffix)]
    return key


def key_labels(keys: Sequence[str], pattern: str) -> Labels:
    """Return what an expression finds in each key, (N,) strings.

    It looks at the key without the ending of an image file first, then at the whole key.

    Parameters
    ----------
    keys
        Keys of points.
    pattern
        A regular expression; its first group counts, or else all of it.

    Raises
    ------
    ConfigError
        When the expression is wrong or finds nothing in any key.

    Examples
    --------
    >>> key_labels(["p_01.tif", "p_02"], "_([0-9]+)$").tolist()
    ['01', '02']
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"key:{pattern}: {error}. Expected a regular expression.") from error
    place = min(expression.groups, 1)
    found = [match[place] if (match := _match(expression, key)) else None for key in keys]
    if not any(found):  # nothing, or the empty text, as an empty expression does
        raise ConfigError(
            f"key:{pattern} finds nothing in any of {len(keys)} keys, for instance {keys[0]!r}. "
            "Expected an expression that finds the patient, or what else is to be told apart."
        )
    return np.array([text or MISSING for text in found])


def _match(expression: re.Pattern[str], key: str) -> re.Match[str] | None:
    return expression.search(without_suffix(key)) or expression.search(key)


def key_place(keys: Sequence[str], name: str, group: str) -> int:
    """Return the place of a key, which may be named without the ending of an image file.

    Parameters
    ----------
    keys
        All keys of a group.
    name
        What was given.
    group
        The group's name, for messages.

    Raises
    ------
    MissingDataError
        When there is no such key, a near one is told; or when several have it with different endings.

    Examples
    --------
    >>> key_place(["a.tif", "b.tif"], "b", "ct")
    1
    """
    if name in keys:
        return list(keys).index(name)
    places = [place for place, key in enumerate(keys) if without_suffix(key) == name]
    if len(places) == 1:
        return places[0]
    if places:
        both = " and ".join(keys[place] for place in places[:2])
        raise MissingDataError(f"key {name!r} of {group} may be {both}: name one of them in full.")
    raise MissingDataError(f"no key {name!r} among {len(keys)} of {group}.{did_you_mean(name, keys)}")
