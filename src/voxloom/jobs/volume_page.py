"""A page of a volume: its levels, what will hurt later, and its middle slices."""

from __future__ import annotations

from pathlib import Path

from voxloom.amounts import counted
from voxloom.analysis.looking.page import (
    facts_section,
    findings_section,
    legend_section,
    sheet_section,
    table_section,
    write_page,
)
from voxloom.analysis.looking.sheet import Tile
from voxloom.analysis.markup import Markup, element, joined
from voxloom.jobs.volume_inspection import VolumeFacts, level_rows
from voxloom.jobs.volume_preview import Slices
from voxloom.jobs.volume_units import lengths_text

__all__ = ["write_volume_page"]

_NAMED = 24  # labels that a legend names


def write_volume_page(path: str | Path, found: VolumeFacts, slices: Slices) -> Path:
    """Write a self-contained page of a volume.

    Parameters
    ----------
    path
        The file to write.
    found
        What `inspect_volume` has found.
    slices
        What `slices_of` has read.
    """
    first = found.levels[0]
    facts = [
        (found.kind, first.dtype, counted(len(found.levels), "level")),
        ("voxels (z, y, x)", " x ".join(map(str, first.shape)), ""),
        (
            f"spacing in {found.unit}" if found.has_unit else f"spacing ({found.unit})",
            lengths_text(first.spacing, found.unit),
            "finest level",
        ),
        ("labels", str(len(found.labels)), ", ".join(_name(each) for each in found.labels)),
    ]
    tiles = [Tile(title, [(title, picture, True)]) for row in slices.rows for title, picture in row]
    return write_page(
        path,
        f"{_name(found)} · voxloom inspect",
        [
            element("div", "voxloom inspect", class_="over"),
            element("h1", _name(found)),
            element("p", found.path, class_="faint"),
            facts_section(facts),
            element("h2", "What will hurt later"),
            findings_section(found.warnings),
            element("h2", "Middle slices"),
            legend_section(slices.names) if len(slices.names) <= _NAMED else None,
            sheet_section(tiles, kind="slices"),
            element("h2", "Levels"),
            *(_levels(each) for each in (found, *found.labels)),
        ],
    )


def _levels(found: VolumeFacts) -> Markup:
    return joined(element("h3", _name(found)), table_section(level_rows(found)))


def _name(found: VolumeFacts) -> str:
    return found.name or found.path.rstrip("/").rpartition("/")[2]
