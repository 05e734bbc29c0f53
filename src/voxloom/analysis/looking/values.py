"""What the values of a field say about what will hurt later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from voxloom.amounts import counted
from voxloom.analysis.looking.finding import Finding, found
from voxloom.analysis.looking.seen import Seen
from voxloom.sample import Field

__all__ = ["check_fields", "check_parts", "check_sizes", "check_values"]

_AT_TOP = 0.01  # share of an image's pixels
_FEW_LEVELS = 8
_DEPTH = 4  # bits between the ranges of two files
_SIDES = 20.0  # ratio of the ranges of two fields
_APART, _RATIO, _LEAST = 0.95, 1.5, 6


def check_values(field: Field, seen: Sequence[Seen]) -> list[Finding]:
    """Return what is odd about the arrays of an image field: sizes, types, values.

    Examples
    --------
    >>> field = Field(name="image", axes="yx")
    >>> arrays = {"a": np.zeros((4, 4)), "b": np.linspace(0, 1, 24).reshape(4, 6) ** 2 * 0.9}
    >>> [each.name for each in check_values(field, [Seen.of(k, v, field) for k, v in arrays.items()])]
    ['sizes', 'constant']
    """
    if field.kind == "latent":
        return [
            each.model_copy(update={"field": field.name})
            for each in _named(seen, "nonfinite", "NaN or infinite values", lambda s: s.nonfinite > 0)
        ]
    if field.kind != "image" or not seen:
        return []
    return [each.model_copy(update={"field": field.name}) for each in _checked(seen)]


def check_fields(seen: Mapping[str, Sequence[Seen]]) -> list[Finding]:
    """Return what is odd between the image fields of one sample.

    Parameters
    ----------
    seen
        Of each image field.
    """
    ranges = {name: _range(each) for name, each in seen.items() if each}
    ranges = {name: span for name, span in ranges.items() if span > 0}
    if len(ranges) < 2:
        return []
    low, high = min(ranges, key=lambda n: ranges[n]), max(ranges, key=lambda n: ranges[n])
    ratio = ranges[high] / ranges[low]
    if ratio < _SIDES:
        return []
    what = f"values of {high!r} reach {ratio:.3g} times as far as those of {low!r}"
    return [found("ranges of fields", what, numbers={"ratio": ratio})]


def check_sizes(fields: Mapping[str, Field], seen: Mapping[str, Sequence[Seen]]) -> list[Finding]:
    """Return whether images and masks of one sample differ in height or width.

    Parameters
    ----------
    fields
        By name.
    seen
        Of each field of pixels.
    """
    of_keys: dict[str, dict[str, str]] = {}
    for name, each in seen.items():
        if fields[name].kind in ("image", "mask"):
            for one in each:
                of_keys.setdefault(one.key, {})[name] = _plane_size(one, fields[name])
    odd = [key for key, sizes in of_keys.items() if len(set(sizes.values())) > 1]
    if not odd:
        return []
    told = ", ".join(f"{name} {size}" for name, size in of_keys[odd[0]].items())
    what = f"fields of one sample differ in size ({told}) in {len(odd)} of {counted(len(of_keys), 'sample')}"
    return [found("sizes of fields", what, odd)]


def _plane_size(seen: Seen, field: Field) -> str:
    axes = field.axes if len(field.axes) == len(seen.shape) else "czyx"[-len(seen.shape) :]
    return " x ".join(str(seen.shape[axes.index(axis)]) for axis in "yx" if axis in axes)


def check_parts(name: str, parts: Mapping[str, Sequence[Seen]]) -> list[Finding]:
    """Return what differs between the parts of a split in a field.

    Each image is told by its 1st and 99th percentile. Two parts differ where the images of one are
    brighter, or reach further, than 95 % of the other's (the area under the ROC curve, as of a
    Mann-Whitney test), and by half or more.

    Parameters
    ----------
    name
        Of the field.
    parts
        What was seen of each part.
    """
    out: list[Finding] = []
    names = [part for part, seen in parts.items() if len(seen) >= _LEAST]
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            out += _between(name, (one, parts[one]), (other, parts[other]))
    types = {part: sorted({each.dtype for each in seen}) for part, seen in parts.items() if seen}
    if len({tuple(each) for each in types.values()}) > 1:
        told = ", ".join(f"{part} {' '.join(each)}" for part, each in types.items())
        out.append(found("types", f"types differ between the parts: {told}", field=name))
    out += _unlike(name, "sizes", {part: [_size(s) for s in seen] for part, seen in parts.items()})
    out += _unlike(name, "channels", {part: [str(s.channels) for s in seen] for part, seen in parts.items()})
    return out


def _unlike(name: str, what: str, parts: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Tell where a part is unlike another, and each is of one kind."""
    kinds = {part: sorted(set(each)) for part, each in parts.items() if each}
    if len({tuple(each) for each in kinds.values()}) > 1 and all(len(each) == 1 for each in kinds.values()):
        told = ", ".join(f"{part} {each[0]}" for part, each in kinds.items())
        yield found(what, f"{what} differ between the parts: {told}", field=name)


def _checked(seen: Sequence[Seen]) -> Iterator[Finding]:
    yield from _odd_ones(seen, "sizes", "{} sizes; most {}", lambda s: _size(s))
    yield from _odd_ones(seen, "types", "{} types; most {}", lambda s: s.dtype)
    yield from _odd_ones(seen, "channels", "{} numbers of channels; most {}", lambda s: str(s.channels))
    most = max(each.levels for each in seen)
    if 1 < most <= _FEW_LEVELS and len(seen) > 1:
        what = f"at most {most} different values in each of {counted(len(seen), 'image')}: a mask?"
        yield found("labels as images", what, number=len(seen))
    else:
        yield from _named(seen, "saturated", _SATURATED, lambda s: s.at_top > _AT_TOP and s.levels > 2)
        yield from _named(seen, "constant", "one value alone", lambda s: s.is_constant)
        yield from _sparse(seen)
    yield from _depths(seen)
    yield from _named(seen, "stretched", "at most 256 different values, as {}", lambda s: s.is_stretched)
    yield from _named(seen, "whole numbers", "at most 256 whole numbers, as {}", lambda s: s.is_whole)
    yield from _named(seen, "nonfinite", "NaN or infinite values", lambda s: s.nonfinite > 0)


_SATURATED = "more than 1 % of the pixels at the largest value that can be held"


def _named(seen: Sequence[Seen], name: str, what: str, is_odd: Callable[[Seen], bool]) -> Iterator[Finding]:
    odd = [each for each in seen if is_odd(each)]
    if odd:
        told = what.format(", ".join(sorted({each.dtype for each in odd})))
        keys = [each.key for each in odd]
        yield found(name, f"{len(odd)} of {counted(len(seen), 'image')}: {told}", keys)


def _sparse(seen: Sequence[Seen]) -> Iterator[Finding]:
    sparse = [each for each in seen if each.is_sparse]
    if sparse:
        share = float(np.median([each.besides for each in sparse]))
        number = f"{len(sparse)} of {counted(len(seen), 'image')}"
        what = f"{number}: {share:.2%} of the pixels differ from the ground"
        yield found("sparse", what, [each.key for each in sparse], numbers={"share": share})


def _odd_ones(seen: Sequence[Seen], name: str, what: str, told: Callable[[Seen], str]) -> Iterator[Finding]:
    """Tell where images are not all alike, and which are not as most are."""
    counts = Counter(told(each) for each in seen)
    if len(counts) > 1:
        most, number = counts.most_common(1)[0]
        keys = [each.key for each in seen if told(each) != most]
        share = f"{most} ({number} of {len(seen)})"
        yield found(name, what.format(len(counts), share), keys, numbers={"kinds": len(counts)})


def _depths(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Tell images of more than 8 bits that use far fewer bits than others of that type."""
    bits = {
        each.key: int(each.maximum).bit_length()
        for each in seen
        if each.dtype in ("uint16", "int16", "uint32", "int32")
        and each.maximum > 0
        and each.levels > _FEW_LEVELS
    }
    if not bits:
        return
    most = max(bits.values())
    few = [key for key, number in bits.items() if most - number >= _DEPTH]
    if few and not all(each.is_constant for each in seen if each.key in set(few)):
        least = min(bits.values())
        told = f"{len(few)} of {counted(len(bits), 'image')} use {counted(least, 'bit')}"
        what = f"{told} or a few more, others {most}"
        yield found("depths", what, few, numbers={"least": least, "most": most})


def _size(seen: Seen) -> str:
    shape = seen.shape if seen.channels == 1 or len(seen.shape) < 3 else seen.shape[:-1]
    sides = [side for side in shape if side > 1] or list(shape)
    return " x ".join(map(str, sides))


def _range(seen: Sequence[Seen]) -> float:
    spans = [each.high - each.low for each in seen if np.isfinite(each.high - each.low)]
    return float(np.median(spans)) if spans else 0.0


def _between(
    name: str, one: tuple[str, Sequence[Seen]], other: tuple[str, Sequence[Seen]]
) -> Iterator[Finding]:
    for what, end in (("bright end", "high"), ("dark end", "low")):
        a, b = (np.array([getattr(each, end) for each in seen]) for _, seen in (one, other))
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        if min(len(a), len(b)) < _LEAST:
            continue
        above = float((a[:, None] > b).mean() + (a[:, None] == b).mean() / 2)
        span = max(_range(one[1]), _range(other[1]), 1e-30)
        move = abs(float(np.median(a) - np.median(b)))
        if max(above, 1 - above) >= _APART and move >= (_RATIO - 1) * span / _RATIO:
            told = (
                f"the {what} of the images (median {np.median(a):.4g} in {one[0]}, {np.median(b):.4g} in "
                f"{other[0]}) tells the parts apart in {max(above, 1 - above):.0%} of the cases"
            )
            numbers = {"auc": above, one[0]: float(np.median(a)), other[0]: float(np.median(b))}
            yield found("ranges of parts", told, field=name, numbers=numbers)
            return
