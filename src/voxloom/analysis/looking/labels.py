"""What classes and masks say about what will hurt later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from voxloom.amounts import counted
from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.seen import Seen
from voxloom.sample import Field

__all__ = ["check_classes", "check_masks", "counts_of_ids"]

_IMBALANCE = 10.0
_RARE = 0.01  # share of the foreground
_SHOWN = 6
_CLASSES = 16  # ids, of more they are instances


def check_classes(name: str, counts: Mapping[str, int], known: Sequence[str]) -> list[Finding]:
    """Return what is odd about the classes of samples: empty, unknown, unequal.

    Parameters
    ----------
    name
        Of the field.
    counts
        Samples of each class.
    known
        The classes that the field names.

    Examples
    --------
    >>> [each.what for each in check_classes("label", {"cat": 99, "dog": 3, "cow": 0}, ["cat", "dog", "cow"])]
    ['1 of 3 classes without samples: cow', 'cat has 33 times as many samples as dog (99 and 3)']
    """
    return list(_of_classes(name, counts, known))


def _of_classes(name: str, counts: Mapping[str, int], known: Sequence[str]) -> Iterator[Finding]:
    empty = [each for each in known if not counts.get(each)]
    if empty:
        what = f"{len(empty)} of {counted(len(known), 'class', 'classes')} without samples: {_few(empty)}"
        yield found("empty classes", what, field=name, number=len(empty))
    unknown = [each for each in counts if each not in set(known)]
    if known and unknown:
        number = sum(counts[each] for each in unknown)
        what = f"{counted(number, 'sample')} of classes without a name: {_few(unknown)}"
        yield found("unknown ids", what, field=name, number=number)
    filled = {each: number for each, number in counts.items() if number}
    if len(filled) < 2:
        return
    most, least = max(filled, key=lambda c: filled[c]), min(filled, key=lambda c: filled[c])
    ratio = filled[most] / filled[least]
    if ratio >= _IMBALANCE:
        what = f"{most} has {ratio:.3g} times as many samples as {least} ({filled[most]} and {filled[least]})"
        yield found("imbalance", what, field=name, number=filled[least], numbers={"ratio": ratio})


def check_masks(field: Field, seen: Sequence[Seen]) -> list[Finding]:
    """Return what is odd about masks: empty ones, ids without a class, ids that were interpolated.

    Examples
    --------
    >>> import numpy as np
    >>> field = Field(name="mask", kind="mask", axes="yx", categories=("none", "cell"))
    >>> arrays = {"a": np.zeros((4, 4), "uint8"), "b": np.full((4, 4), 7, "uint8")}
    >>> [each.name for each in check_masks(field, [Seen.of(k, v, field) for k, v in arrays.items()])]
    ['unknown ids', 'empty masks', 'empty classes']
    """
    if field.kind != "mask" or not seen:
        return []
    return [each.model_copy(update={"field": field.name}) for each in _of_masks(field, seen)]


def _of_masks(field: Field, seen: Sequence[Seen]) -> Iterator[Finding]:
    known, counts = range(len(field.categories)), counts_of_ids(seen)
    odd = sorted(each for each in counts if each not in known) if field.categories else []
    if odd:
        keys = [each.key for each in seen if each.ids is not None and each.ids.keys() & set(odd)]
        what = f"{counted(len(odd), 'id')} without a class ({_few(map(str, odd))})"
        yield found("unknown ids", f"{what} in {counted(len(keys), 'mask')}", keys)
    yield from _odd_ids(field, seen, counts)
    blank = [each.key for each in seen if each.is_blank]
    if blank:
        yield found("empty masks", f"{len(blank)} of {counted(len(seen), 'mask')} without foreground", blank)
    smooth = [each.key for each in seen if each.is_smooth]
    if smooth:
        what = (
            f"{counted(len(smooth), 'mask')} with values between those of neighbouring regions, or fractions"
        )
        yield found("interpolated mask", what, smooth)
    missing = [name for i, name in enumerate(field.categories) if i and not counts.get(i)]
    if missing and counts:
        what = f"{counted(len(missing), 'class', 'classes')} in none of {counted(len(seen), 'mask')}"
        yield found("empty classes", f"{what}: {_few(missing)}", number=len(missing))
    yield from _rare(field, counts)


def _odd_ids(field: Field, seen: Sequence[Seen], counts: Mapping[int, int]) -> Iterator[Finding]:
    """Tell what cannot be an id, and numbers with gaps between where no class has a name."""
    colours = [each.key for each in seen if each.channels > 1]
    if colours:
        told = f"{counted(len(colours), 'mask')} with {max(each.channels for each in seen)} channels"
        yield found("colours in masks", told, colours)
    below = [each.key for each in seen if each.ids is not None and min(each.ids, default=0) < 0]
    if below and not field.categories:
        yield found("negative ids", f"{counted(len(below), 'mask')} with ids below 0", below)
    ids = sorted(number for number in counts if 0 < number < 255)
    if not field.categories and not colours and 1 < len(ids) <= _CLASSES and ids != [*range(1, len(ids) + 1)]:
        what = f"ids {_few([str(number) for number in ids])}: not all numbers from 1 occur"
        yield found("gaps in ids", what, number=len(ids))


def counts_of_ids(seen: Sequence[Seen]) -> Counter[int]:
    """Return the pixels of each id over all masks, of those without too many ids."""
    counts: Counter[int] = Counter()
    for each in seen:
        counts.update(each.ids or {})
    return counts


def _rare(field: Field, counts: Mapping[int, int]) -> Iterator[Finding]:
    classes = {i: number for i, number in counts.items() if i and i < 255}
    total = sum(classes.values())
    if not 1 < len(classes) <= max(16, len(field.categories)):
        return  # one class, or instances
    rare = {i: number / total for i, number in classes.items() if number / total < _RARE}
    if rare:
        names = [f"{_name(field, i)} {share:.2%}" for i, share in sorted(rare.items(), key=lambda x: x[1])]
        what = f"{counted(len(rare), 'class', 'classes')} with less than 1 % of the foreground: {_few(names)}"
        yield found("pixel imbalance", what, number=len(rare))


def _name(field: Field, number: int) -> str:
    return field.categories[number] if number < len(field.categories) else str(number)


def _few(names: Iterator[str] | Sequence[str]) -> str:
    told = list(names)
    left = len(told) - _SHOWN
    return ", ".join(told[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
