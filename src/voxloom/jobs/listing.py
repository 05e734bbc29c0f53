"""What `inspect` has found, as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from voxloom.amounts import counted, size_text
from voxloom.analysis.looking.finding import Finding
from voxloom.conversion import Conversion
from voxloom.jobs.inspection import FieldFacts, Inspection

__all__ = ["listing", "rows_of", "warnings_listed"]

_BAR = 40  # letters
_CLASSES = 40  # more of them are shown by the largest and the smallest alone
_ENDS = 10
_SKIPPED = 10
_COMPRESSED = 1.05
_WIDE = 120  # letters of a line
_MODES = {
    "MINISBLACK": "greyscale",
    "MINISWHITE": "greyscale with white as 0",
    "PALETTE": "palette of colours",
}
"""How a TIFF names its pixels, in words."""


def listing(found: Inspection) -> str:
    """Return lines for a terminal: counts, a table of the fields, bars of the classes, what is odd.

    Examples
    --------
    >>> import numpy as np
    >>> from voxloom.jobs.inspection import inspect
    >>> from voxloom.sample import Field, Sample, Schema
    >>> from voxloom.source import Source
    >>> class Pets(Source):
    ...     schema = Schema([Field(name="pet", kind="class", axes="", categories=("cat", "dog"))])
    ...     keys = ("1", "2", "3")
    ...     def read(self, index):
    ...         return Sample(self.keys[index], self.schema, {"pet": np.array(index > 0, "int64")})
    >>> print("\\n".join(listing(inspect(Pets())).splitlines()[-5:-2]))
    pet: 2 classes
      cat  1  ####################
      dog  2  ########################################
    """
    return "\n".join([*_head(found), "", *_table(rows_of(found)), *_classes(found), *_problems(found)])


def _head(found: Inspection) -> Iterator[str]:
    store = found.store
    if store is None:
        yield found.source
        return
    ratio = f", {_ratio(found.compression)}" if found.compression else ""
    yield f"{found.source}: {counted(store.shards, 'shard')}, {size_text(store.bytes)}{ratio}"
    given = store.facts.get("conversion")
    usual = Conversion().model_dump(mode="json")
    told = given if isinstance(given, Mapping) else {}
    settings = [f"{name} {value}" for name, value in told.items() if value != usual.get(name)]
    yield f"written by {store.producer}" + (f" with {', '.join(settings)}" if settings else "")


def rows_of(found: Inspection) -> Iterator[Sequence[str]]:
    """Return the table of the fields, its head first."""
    yield ("field", "kind", "axes", "type", "shape", "range", "mean", "stored as")
    for facts in found.fields:
        numbers, field = facts.statistics, facts.field
        yield (
            field.name,
            field.kind,
            field.axes or "-",
            " ".join(numbers.dtypes) if numbers else field.dtype,
            _shape(facts),
            numbers.range_text if numbers and field.kind != "class" else "",
            f"{numbers.mean:.6g}" if numbers and numbers.mean is not None and field.kind != "class" else "",
            ", ".join(_stored(facts)),
        )


def _shape(facts: FieldFacts) -> str:
    """Return the extents, a range for each that differs: ``120-640 x 200-500 x 3``."""
    if facts.statistics is None:
        return ""
    shapes = facts.statistics.shapes
    if len({len(shape) for shape in shapes}) != 1:
        return str(facts.statistics.shape_text)
    sides = [(min(side), max(side)) for side in zip(*shapes, strict=True)]
    return " x ".join(str(low) if low == high else f"{low}-{high}" for low, high in sides) or "one value"


def _stored(facts: FieldFacts) -> Iterator[str]:
    told = [] if facts.encoding is None else [str(facts.encoding)]
    modes = {_MODES.get(name, name): number for name, number in facts.modes.items()}
    for counts in (facts.files, modes):
        single = len(counts) == 1
        told.append(" ".join(name if single else f"{name} ({number})" for name, number in counts.items()))
    yield from dict.fromkeys(filter(None, told))  # what has two names alike is said once
    if facts.files and facts.stored_bytes:
        yield _ratio(facts.decoded_bytes / facts.stored_bytes)


def _ratio(ratio: float) -> str:
    """Return how much a compression saves; less than a twentieth is what lies around the arrays."""
    return f"compressed {ratio:.3g}:1" if ratio >= _COMPRESSED else "not compressed"


def _table(rows: Iterator[Sequence[str]]) -> list[str]:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in listed]


def _classes(found: Inspection) -> Iterator[str]:
    for name, counts in found.classes.items():
        empty = sum(1 for count in counts.values() if not count)
        yield ""
        yield f"{name}: {counted(len(counts), 'class', 'classes')}" + (
            f", {empty} of them empty" if empty else ""
        )
        if len(counts) <= _CLASSES:
            yield from _bars(list(counts.items()))
            continue
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        lines = list(_bars(ordered[:_ENDS] + ordered[-_ENDS:]))
        yield from [*lines[:_ENDS], f"  ... {len(counts) - 2 * _ENDS} classes between", *lines[_ENDS:]]


def _bars(counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    largest = max((count for _, count in counts), default=0)
    width = max((len(category) for category, _ in counts), default=0)
    for category, count in counts:
        bar = "#" * round(_BAR * count / max(1, largest))
        yield f"  {category.ljust(width)}  {str(count).rjust(len(str(largest)))}  {bar}".rstrip()


def _problems(found: Inspection) -> Iterator[str]:
    yield ""
    spread = ", evenly spread" if found.sampled > 1 else ""
    yield f"(types, shapes and values over {counted(found.sampled, 'sample')}{spread})"
    for key, reason in found.unreadable.items():
        yield f"not readable: {key}: {reason}"
    skipped = found.store.skipped if found.store else ()
    if skipped:
        were = "was" if len(skipped) == 1 else "were"
        yield f"{counted(len(skipped), 'sample')} {were} left out when it was written:"
        yield from (f"  {key}: {reason}" for key, reason in skipped[:_SKIPPED])
        if len(skipped) > _SKIPPED:
            yield f"  ... and {len(skipped) - _SKIPPED} more (--json lists all)"
    yield from _matched(found)
    yield from warnings_listed(found.warnings)


def warnings_listed(findings: Sequence[Finding]) -> Iterator[str]:
    """Return lines that tell what will hurt later, why, and the cure; many keys stand in own lines."""
    for finding in findings:
        yield ""
        yield from _told(finding)
        yield f"  {finding.why}"
        yield f"  {finding.cure}"


def _told(finding: Finding) -> Iterator[str]:
    told = f"{finding.severity}: {finding.text}"
    if len(told) <= _WIDE or not finding.keys:
        yield told
        return
    without = finding.model_copy(update={"keys": ()}).text
    yield f"{finding.severity}: {without}"
    left = finding.number - len(finding.keys)
    named = ", ".join(finding.keys) + (f" and {left} more" if left > 0 else "")
    for line in textwrap.wrap(named, _WIDE - 4, break_long_words=False, break_on_hyphens=False):
        yield f"    {line}"


def _matched(found: Inspection) -> Iterator[str]:
    yield from (test.text for test in found.correspondences if test.is_matched)
