"""Points and images that belong together, though their keys may be written in two ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

__all__ = ["matched"]

_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".npy", ".png", ".tif", ".tiff", ".webp"}


def matched(wanted: Sequence[str], found: Iterable[str]) -> dict[str, int]:
    """Return the place among the found keys of each wanted one.

    Keys are taken as they are. Only where none at all is found, they are compared without the suffix of
    a file, and then without folders, so that images that were moved or written in another format are
    found; of these, what could be meant twice is left out.

    Examples
    --------
    >>> matched(["ct/1", "ct/2"], ["ct/2", "ct/3"])
    {'ct/2': 0}
    >>> matched(["ct/1.tif"], ["ct/2.png", "ct/1.png"]), matched(["old/1.tif"], ["1.png"])
    ({'ct/1.tif': 1}, {'old/1.tif': 0})
    >>> matched(["cat/1", "dog/1"], ["1"])
    {}
    """
    there = list(found)
    exact = {key: place for place, key in enumerate(there)}
    hits = {key: exact[key] for key in wanted if key in exact}
    return hits or _by(_bare, wanted, there) or _by(_name, wanted, there)


def _by(short: Callable[[str], str], wanted: Sequence[str], there: Sequence[str]) -> dict[str, int]:
    shorts = [short(key) for key in wanted]
    often = Counter(shorts)
    places: dict[str, int] = {}
    twice = set()
    for place, key in enumerate(there):
        if places.setdefault(short(key), place) != place:
            twice.add(short(key))
    return {
        key: places[each]
        for key, each in zip(wanted, shorts, strict=True)
        if each in places and each not in twice and often[each] == 1
    }


def _bare(key: str) -> str:
    return key[: -len(suffix)] if (suffix := PurePosixPath(key).suffix).lower() in _SUFFIXES else key


def _name(key: str) -> str:
    return _bare(key).rpartition("/")[2]
