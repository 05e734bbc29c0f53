"""The files of an analysis of latents: all of them appear together, or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxloom.analysis.latents.coordinates import write_coordinates, write_legend
from voxloom.analysis.latents.exams import exams_of, write_exams, write_label_colours
from voxloom.analysis.latents.groups import GroupStatistics
from voxloom.analysis.latents.points import Points
from voxloom.analysis.latents.projection import Projected
from voxloom.analysis.latents.scatter import write_picture
from voxloom.analysis.latents.scatter_page import write_page
from voxloom.analysis.latents.series import Scatter
from voxloom.atomic import write_json
from voxloom.formats.store import Store
from voxloom.source import Source

__all__ = ["PICTURES", "Picture", "Results", "planned", "write_analysis"]

Picture = Literal["png", "svg", "html"]
PICTURES: tuple[Picture, ...] = ("png", "svg", "html")

_TEXTS = ("color_legend.txt", "distance_metrics.txt", "exams_sorted_by_distance.txt")
_RECORD = "analysis.json"


@dataclass(frozen=True)
class Results:
    """All that is written; `texts` is the exam of each point (N,) or empty, None without text files."""

    points: Points
    placed: Projected
    measured: GroupStatistics
    scatter: Scatter
    texts: npt.NDArray[np.str_] | None


def planned(method: str, formats: Sequence[str], *, texts: bool) -> list[str]:
    """Return the names of the files of an analysis, without those of the statistics."""
    pictures = [_picture(method, kind) for kind in formats]
    return [*pictures, "coordinates.csv", "legend.csv", _RECORD, *(_TEXTS if texts else ())]


def _picture(method: str, kind: str) -> str:
    return f"{method}_projection.{kind}"


def write_analysis(
    found: Results, output: Path, *, formats: Sequence[str], dpi: int, facts: Mapping[str, Any]
) -> tuple[str, ...]:
    """Write everything beside the folder, then move it in, the record last; return the files' names.

    Parameters
    ----------
    found
        What to write.
    output
        The folder. Files of the same names are replaced, and pictures of the same method; all else stays.
    formats, dpi
        Of the figure.
    facts
        The options, for the record.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    method = found.placed.method.name
    try:
        _write(found, staging, formats, dpi)
        names = sorted(path.name for path in staging.iterdir())
        write_json(staging / _RECORD, _record(found, names, facts))
        output.mkdir(exist_ok=True)
        for kind in PICTURES:
            (output / _picture(method, kind)).unlink(missing_ok=True)
        for name in _empty(found.measured):  # of an earlier analysis
            (output / name).unlink(missing_ok=True)
        for name in [*names, _RECORD]:
            (staging / name).replace(output / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return (*names, _RECORD)


def _write(found: Results, folder: Path, formats: Sequence[str], dpi: int) -> None:
    for kind in formats:
        path = folder / _picture(found.placed.method.name, kind)
        if kind == "html":
            write_page(found.scatter, path)
        else:
            write_picture(found.scatter, path, dpi=dpi)
    write_coordinates(found.points, found.placed, folder / "coordinates.csv")
    write_legend(found.scatter, folder / "legend.csv")
    found.measured.save(folder)
    for name in _empty(found.measured):
        (folder / name).unlink()
    if found.texts is not None:
        _write_texts(found, found.texts, folder)


def _empty(measured: GroupStatistics) -> list[str]:
    """Return the tables without a row, as nobody asked for them: they would look like a failure."""
    rows = {"patients.csv": measured.patients, "memorisation.csv": measured.memorisation}
    return [name for name, found in rows.items() if not found]


def _write_texts(found: Results, texts: npt.NDArray[np.str_], folder: Path) -> None:
    colours = {name: mark.colour for name, mark in found.scatter.label_marks.items()}
    write_label_colours({name: i for i, name in enumerate(colours)}, colours, folder / _TEXTS[0])
    if len(texts) and len(found.points.parts) == 2:
        exams = exams_of(found.points, texts, found.placed.coordinates)
        write_exams(exams, list(found.points.parts), folder)


def _record(found: Results, names: Sequence[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    points, placed = found.points, found.placed
    return {
        "kind": "voxloom-latent-analysis",
        "format_version": 1,
        "groups": {name: _told(part.source, part.field, len(part)) for name, part in points.parts.items()},
        "points": points.digest,
        "method": {"name": placed.method.name, **placed.method.model_dump(mode="json")},
        "fitted_on": placed.fitted_on,
        "explained": placed.explained,
        "notices": list(placed.notices),
        "options": dict(facts),
        "files": list(names),
    }


def _told(source: Source, field: str, count: int) -> dict[str, Any]:
    path = str(source.path) if isinstance(source, Store) else repr(source)
    return {"source": path, "field": field, "points": count}
