"""What `inspect` has found, as a page or as a sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from voxloom import __version__
from voxloom.amounts import counted, size_text
from voxloom.analysis.looking.drawing import Picture, named_ids
from voxloom.analysis.looking.finding import Finding
from voxloom.analysis.looking.histogram import Histogram, as_picture, histogram_of
from voxloom.analysis.looking.labels import counts_of_ids
from voxloom.analysis.looking.page import (
    classes_section,
    facts_section,
    findings_section,
    histograms_section,
    legend_section,
    sheet_section,
    table_section,
    write_page,
)
from voxloom.analysis.looking.sheet import contact_sheet, evenly_spread, pictured_fields, tiles_of
from voxloom.analysis.markup import Markup, element, joined
from voxloom.jobs.inspection import Looked
from voxloom.jobs.listing import rows_of
from voxloom.sources import write_png

__all__ = ["draw_sheet", "histograms", "write_inspection"]

_FOOT = 3  # histograms on a sheet
_MANY = 24  # ids that a legend names
_WINDOWS = "8-bit images as they are, others between their 0.5 and 99.5 percentiles. Click to enlarge."


def write_inspection(
    path: str | Path,
    title: str,
    looked: Mapping[str, Looked],
    *,
    across: Sequence[Finding] = (),
    number: int = 96,
) -> Path:
    """Write a self-contained page: what was found, histograms, and samples that a click enlarges.

    Parameters
    ----------
    path
        The file to write.
    title
        What the data are called.
    looked
        Each part; a single one has an empty name.
    across
        What was found between the parts.
    number
        Samples to show of all parts together, evenly spread.

    Raises
    ------
    SaveError
        If it could not be written.
    """
    share = max(1, number // max(1, len(looked)))
    sections: list[Markup | None] = [
        _head(title, looked, across),
        element("h2", "What will hurt later"),
        _findings(looked, across),
    ]
    sections += [element("h2", "Fields"), *(_table(part, each) for part, each in looked.items())]
    if made := histograms(looked):
        sections += [element("h2", "Values"), histograms_section(made)]
    sections.extend(_classes(part, each) for part, each in looked.items())
    sections.extend(_samples(part, each, share) for part, each in looked.items())
    return write_page(path, f"{title} · voxloom inspect", sections)


def draw_sheet(path: str | Path, looked: Mapping[str, Looked], *, number: int) -> Path:
    """Write a contact sheet as PNG, the parts below each other, with the histograms of up to 3 fields.

    Raises
    ------
    SchemaError
        If there is nothing to draw.
    SaveError
        If it could not be written.
    """
    foot = [as_picture(each) for each in histograms(looked)[:_FOOT]]
    share = max(1, number // max(1, len(looked)))
    sheets = [
        contact_sheet(each.source, number=share, name=part, foot=foot if last else ())
        for last, (part, each) in zip([*[False] * (len(looked) - 1), True], looked.items(), strict=True)
    ]
    width = max(sheet.shape[1] for sheet in sheets)
    ground = sheets[0][0, 0]
    stacked = np.concatenate([_widened(sheet, width, ground) for sheet in sheets])
    write_png(path, stacked.transpose(2, 0, 1))
    return Path(path)


def _widened(sheet: Picture, width: int, ground: Picture) -> Picture:
    wide = np.empty((sheet.shape[0], width, 3), np.uint8)
    wide[:] = ground
    wide[:, : sheet.shape[1]] = sheet
    return wide


def histograms(looked: Mapping[str, Looked]) -> list[Histogram]:
    """Return the histogram of each field of pixels but masks, over all parts."""
    names = list(dict.fromkeys(name for each in looked.values() for name in each.seen))
    fields = {name: field for each in looked.values() for name, field in each.source.schema.items()}
    made = [
        histogram_of(name, {part: each.seen.get(name, ()) for part, each in looked.items()})
        for name in names
        if fields[name].kind != "mask"
    ]
    return [each for each in made if each is not None]


def _head(title: str, looked: Mapping[str, Looked], across: Sequence[Finding]) -> Markup:
    found = [each.found for each in looked.values()]
    told = [*across, *(warning for each in found for warning in each.warnings)]
    samples, sampled = sum(each.samples for each in found), sum(each.sampled for each in found)
    read = "all of them read" if samples == sampled else f"{sampled} of them read, evenly spread"
    stored = sum(each.store.bytes for each in found if each.store)
    warnings = sum(each.severity == "warning" for each in told)
    facts = [
        ("samples", f"{samples:,}", read),
        ("fields", str(len(found[0].fields)), ", ".join(each.field.name for each in found[0].fields)),
        ("warnings", str(warnings), f"and {counted(len(told) - warnings, 'note')}"),
        *([("stored", size_text(stored), "")] if stored else []),
        *([("parts", str(len(looked)), ", ".join(looked))] if len(looked) > 1 else []),
    ]
    return joined(
        element("div", "voxloom inspect", class_="over"),
        element("h1", title),
        element("p", " · ".join(each.source for each in found), class_="faint"),
        facts_section(facts),
        element("p", f"Written by voxloom {__version__}", class_="faint"),
    )


def _findings(looked: Mapping[str, Looked], across: Sequence[Finding]) -> Markup:
    told = list(across)
    for part, each in looked.items():
        about = f"{part}, " if part else ""
        told += [
            w.model_copy(update={"field": f"{about}{w.field}".rstrip(", ")}) for w in each.found.warnings
        ]
    return joined(
        findings_section(sorted(told, key=lambda finding: finding.severity == "note")), _matches(looked)
    )


def _matches(looked: Mapping[str, Looked]) -> Markup | None:
    """Tell how well partners match where they do: that they were tested is worth knowing too."""
    lines = [
        f"{part + ': ' if part else ''}{test.text}."
        for part, each in looked.items()
        for test in each.found.correspondences
        if test.is_matched
    ]
    return joined(*(element("p", line, class_="faint") for line in lines)) if lines else None


def _table(part: str, looked: Looked) -> Markup:
    rows = [list(row) for row in rows_of(looked.found)]
    return joined(element("h3", part) if part else None, table_section(rows))


def _classes(part: str, looked: Looked) -> Markup | None:
    shown = {name: counts for name, counts in looked.found.classes.items() if counts}
    shown |= _of_masks(looked)
    return joined(
        *(
            joined(element("h2", f"{part + ': ' if part else ''}{name}"), classes_section(counts))
            for name, counts in shown.items()
        )
    )


def _of_masks(looked: Looked) -> dict[str, dict[str, int]]:
    """Return the pixels of each class of the masks that have few of them."""
    found: dict[str, dict[str, int]] = {}
    for name, seen in looked.seen.items():
        field = looked.source.schema[name]
        counts = counts_of_ids(seen) if field.kind == "mask" else {}
        if not 1 < len(counts) <= _MANY:
            continue
        known = field.categories
        found[f"{name} (pixels)"] = {
            (known[i] if 0 <= i < len(known) else str(i)): counts[i] for i in sorted(counts)
        }
    return found


def _samples(part: str, looked: Looked, number: int) -> Markup | None:
    source = looked.source
    if not any(field.is_spatial for field in source.schema.values()) or not len(source):
        return None
    names = pictured_fields(source)
    tiles = tiles_of(source, names, evenly_spread(len(source), number))
    ids: dict[str, set[int]] = {}
    for tile in tiles:
        for name, values in tile.ids.items():
            ids.setdefault(name, set()).update(values)
    legend = named_ids(source.schema, ids)
    return joined(
        element("h2", f"{part or 'Samples'}: {len(tiles)} of {len(source):,}"),
        element("p", _WINDOWS, class_="faint"),
        legend_section(legend) if len(legend) <= _MANY else None,
        sheet_section(tiles),
    )
