"""Near-duplicates within a source, or across the parts of a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from voxloom.amounts import counted
from voxloom.analysis.looking.alike import Likeness, candidates, compared
from voxloom.analysis.looking.finding import KEYS, Finding, found
from voxloom.analysis.looking.planes import Plane, grey_plane, resized

if TYPE_CHECKING:
    from voxloom.jobs.inspection import Looked

__all__ = ["check_alike", "compared_text"]

_SIDE = 96  # pixels that near-duplicates are compared at, of images twice as large that are kept
_KEPT = 1000  # images that are kept, of those that are read again to confirm
_CONFIRMED = 20_000  # pairs that are read again
_FEW = 0.01  # share of a part that may be like the other part, where none is a copy

Fields = Mapping[str, str]  # the name of a field in each part
Alike = tuple[int, int, Likeness]


def check_alike(parts: Mapping[str, Looked]) -> list[Finding]:
    """Return near-duplicates within the first image field, or, of several parts, those across them.

    Across parts each image field that all have is compared; where each part has one image field alone,
    these are, whatever their names.

    Parameters
    ----------
    parts
        What was looked at; of one part, all pairs are looked for.
    """
    fields = _compared(parts)
    if len(parts) > 1 and not fields:
        named = " / ".join(", ".join(_images(each)) or "none" for each in parts.values())
        return [found("not compared", f"the parts share no image field ({named}): nothing was compared")]
    chosen = fields if len(parts) > 1 else fields[:1]
    return [each for names in chosen for each in _alike(names, parts)]


def compared_text(parts: Mapping[str, Looked]) -> str:
    """Say what `check_alike` compared between parts; empty where nothing was.

    This is what an answer without a finding is worth.
    """
    fields = _compared(parts)
    if not fields:
        return ""
    found = [each.found for each in parts.values()]
    amounts = " and ".join(
        f"all {one.samples:,}" if one.sampled == one.samples else f"{one.sampled:,} of {one.samples:,}"
        for one in found
    )
    some = "" if all(one.sampled == one.samples for one in found) else " (--all compares all)"
    return f"compared were {amounts} images of {', '.join(map(_told, fields))}{some}"


def _images(looked: Looked) -> list[str]:
    return [
        name for name, field in looked.source.schema.items() if field.kind == "image" and name in looked.seen
    ]


def _compared(parts: Mapping[str, Looked]) -> list[Fields]:
    images = {part: _images(looked) for part, looked in parts.items()}
    first = next(iter(images.values()))
    shared = [name for name in first if all(name in names for names in images.values())]
    if not shared and all(len(names) == 1 for names in images.values()):
        return [{part: names[0] for part, names in images.items()}]
    return [dict.fromkeys(parts, name) for name in shared]


def _told(names: Fields) -> str:
    return " / ".join(dict.fromkeys(names.values()))


def _alike(names: Fields, parts: Mapping[str, Looked]) -> Iterator[Finding]:
    rows = [
        (part, each.key, each.fingerprint)
        for part, looked in parts.items()
        for each in looked.seen[names[part]]
        if each.fingerprint is not None
    ]
    numbers = {part: i for i, part in enumerate(parts)}
    across = [numbers[part] for part, _, _ in rows] if len(parts) > 1 else None
    pairs = candidates([each for _, _, each in rows if each is not None], across)

    @lru_cache(maxsize=_KEPT)
    def plane(row: int) -> Plane:
        part, key, _ = rows[row]
        return _again(parts[part], names[part], key)

    likeness = ((i, j, compared(plane(i), plane(j), side=_SIDE)) for i, j in pairs[:_CONFIRMED].tolist())
    alike = [each for each in likeness if each[2].is_near]
    labels = [f"{part}: {key}" if part else key for part, key, _ in rows]
    if across is None:
        findings = list(_told_within(labels, alike))
    else:
        findings = list(_told_across(labels, alike, across))
    left = max(0, len(pairs) - _CONFIRMED)
    for each in findings:
        what = f"at least {each.what}; {left:,} more candidates were not read again" if left else each.what
        meant = [a for a in alike if each.name == "leak" or a[2].is_copy == (each.name == "duplicates")]
        named = tuple((rows[i][:2], rows[j][:2]) for i, j, _ in _best(meant))
        yield each.model_copy(update={"field": _told(names), "what": what, "pairs": named})


def _again(looked: Looked, name: str, key: str) -> Plane:
    """Read an image once more, and return it small."""
    source = looked.source.select(name)
    plane = grey_plane(source[looked.places[key]][name], source.schema[name])
    assert plane is not None
    return resized(plane, (min(2 * _SIDE, plane.shape[0]), min(2 * _SIDE, plane.shape[1])))


def _told_across(labels: Sequence[str], alike: Sequence[Alike], parts: Sequence[int]) -> Iterator[Finding]:
    """Tell of a leak: a warning for copies, or where it is more than a few images of a part."""
    if not alike:
        return
    copies = sum(likeness.is_copy for _, _, likeness in alike)
    share, number, total = max(_concerned(alike, parts, part) for part in set(parts))
    verb = "is" if len(alike) == 1 else "are"
    what = (
        f"{counted(len(alike), 'pair')} across the split {verb} nearly the same, "
        f"{copies} of them copies: {number} of {counted(total, 'image')} of one part"
    )
    numbers = {"copies": copies, "share": share}
    leak = found("leak", what, _named(labels, alike), number=len(alike), numbers=numbers)
    is_bad = copies or share > _FEW
    yield leak if is_bad else leak.model_copy(update={"severity": "note"})


def _concerned(alike: Sequence[Alike], parts: Sequence[int], part: int) -> tuple[float, int, int]:
    """Return the share, the number and the total of a part's images that are like one of another part."""
    concerned = len({row for i, j, _ in alike for row in (i, j) if parts[row] == part})
    total = sum(each == part for each in parts)
    return concerned / max(1, total), concerned, total


def _told_within(labels: Sequence[str], alike: Sequence[Alike]) -> Iterator[Finding]:
    copies = [each for each in alike if each[2].is_copy]
    near = [each for each in alike if not each[2].is_copy]
    if copies:
        images = len({i for pair in copies for i in pair[:2]})
        what = f"{images} images are copies of each other"
        yield found(
            "duplicates", what, _named(labels, copies), number=len(copies), numbers={"images": images}
        )
    if near:
        what = f"{counted(len(near), 'pair')} of images are nearly the same"
        yield found("alike", what, _named(labels, near), number=len(near))


def _named(labels: Sequence[str], alike: Sequence[Alike]) -> list[str]:
    return [f"{labels[i]} = {labels[j]}" for i, j, _ in _best(alike)]


def _best(alike: Sequence[Alike]) -> list[Alike]:
    return sorted(alike, key=lambda each: -each[2].whole)[:KEYS]
