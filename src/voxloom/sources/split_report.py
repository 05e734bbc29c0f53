"""What is wrong with a split of volumes, said before hours of training: a table, a row a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxloom.amounts import counted
from voxloom.errors import DataError
from voxloom.geometry import AXES, Box, Grid
from voxloom.sources.split_checks import different_kinds
from voxloom.sources.split_opening import Failed, Found, open_rows
from voxloom.sources.split_rows import Part, SplitRow
from voxloom.sources.volume_dataset import Dataset
from voxloom.volumes.class_cells import ClassIndex
from voxloom.volumes.classes import Classes
from voxloom.volumes.index import class_index
from voxloom.volumes.labels import Annotation, Labels
from voxloom.volumes.volume import Volume

__all__ = ["DatasetReport", "SplitReport", "verify_rows"]

_BLOCK = 64  # voxels along each axis that are read at most
_MOST = 63  # classes of a component
_ASIDE = 0.2  # of a voxel: half of one is what conventions differ by


@dataclass(frozen=True)
class DatasetReport:
    """What was found in one dataset.

    Attributes
    ----------
    origin, part, name
        Where it is written down, what it is for, and what it is called.
    raw, labels
        Type, voxels and spacing, as a person reads them.
    inside
        Part of the labels' box that lies within raw; None without labels.
    index
        Where its classes lie.
    problem
        Why it cannot be used; empty where it can.
    notes
        What looks odd, and may be meant.
    """

    origin: str
    part: Part
    name: str
    raw: str = ""
    labels: str = ""
    inside: float | None = None
    index: ClassIndex = field(default_factory=lambda: ClassIndex({}))
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> str:
        """The classes that were found, and those that were looked for in vain."""
        empty = [name for name in self.index.annotated if name not in self.index.found]
        told = ", ".join(self.index.found) or "none"
        return f"{told}; empty: {', '.join(empty)}" if empty else told


@dataclass(frozen=True)
class SplitReport:
    """What was found in all datasets of a split; as text it is a table.

    Attributes
    ----------
    rows
        One a dataset.
    classes
        The classes that were looked for.
    """

    rows: tuple[DatasetReport, ...]
    classes: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[DatasetReport, ...]:
        """The datasets that cannot be used."""
        return tuple(row for row in self.rows if row.problem)

    def __str__(self) -> str:
        told = [*_table(_cells(self.rows)), "", *_table(self._class_cells()), "", self._summary()]
        told += [f"  cannot be used: {row.problem}" for row in self.problems]
        told += [f"  look at {row.origin}: {note}" for row in self.rows for note in row.notes]
        return "\n".join(told)

    def facts(self) -> list[dict[str, Any]]:
        """Return a plain dict a dataset, as JSON holds it."""
        return [
            {
                "origin": row.origin,
                "split": row.part,
                "name": row.name,
                "raw": row.raw,
                "labels": row.labels,
                "within_raw": row.inside,
                "classes": {name: _share(row.index, name) for name in row.index.annotated},
                "problem": row.problem,
                "notes": list(row.notes),
            }
            for row in self.rows
        ]

    def _summary(self) -> str:
        parts = ("train", "validation")
        numbers = [sum(row.part == part and not row.problem for row in self.rows) for part in parts]
        told = f"{counted(numbers[0], 'dataset')} to learn from, {numbers[1]} to measure on"
        told += f"; {counted(len(self.problems), 'further dataset')} cannot be used" if self.problems else ""
        lacking = [part for part, number in zip(parts, numbers, strict=True) if not number]
        names = {"train": "train", "validation": "validate"}
        told += "".join(f"; a training needs some, in rows that begin with {names[part]}" for part in lacking)
        return told

    def _class_cells(self) -> Iterator[Sequence[str]]:
        yield ("class", "annotated in", "found in", "share of what is annotated")
        for name in self.classes:
            indexes = [row.index for row in self.rows if name in row.index.annotated]
            # Over all datasets, so that large ones count for more.
            known = math.fsum(index.known(name) for index in indexes)
            present = math.fsum(index.positive(name) for index in indexes)
            share = f"{present / known:.2%}" if known else "-"
            yield (name, str(len(indexes)), str(sum(name in index.found for index in indexes)), share)


def _share(index: ClassIndex, name: str) -> float:
    """Return the part of what is annotated for a class that belongs to it."""
    known = index.known(name)
    return index.positive(name) / known if known else 0.0


def verify_rows(
    rows: Iterable[SplitRow],
    classes: Classes | None = None,
    *,
    inputs: Sequence[str] = ("raw",),
    options: Mapping[str, Any],
) -> SplitReport:
    """Open each dataset, read a block of each volume, and count its classes; see `VolumeSplit.verify`."""
    found, failed = open_rows(rows, classes, inputs=inputs, options=options)
    if classes is None:
        classes = _annotated(found)
    # Images alone may be for a task that takes one channel of each: nothing is said then.
    unlike = different_kinds(found) if any(each.dataset.labels for each in found) else {}
    reports = [*(_report(each, classes, unlike) for each in found), *map(_failed, failed)]
    order = {part: number for number, part in enumerate(("train", "validation"))}
    return SplitReport(
        tuple(sorted(reports, key=lambda report: order[report.part])), classes.names if classes else ()
    )


def _annotated(found: Iterable[Found]) -> Classes | None:
    names = {name for _, dataset in found if dataset.labels for name in dataset.labels.annotated}
    return Classes(names=tuple(sorted(names)[:_MOST])) if names else None


def _failed(failed: Failed) -> DatasetReport:
    row, error = failed
    return DatasetReport(row.origin, row.part, "-", problem=str(error))


def _report(found: Found, classes: Classes | None, unlike: Mapping[str, str]) -> DatasetReport:
    row, dataset = found
    raw = next(iter(dataset.raw.values()))
    told: dict[str, Any] = {"raw": _told(raw), "problem": unlike.get(row.origin, "")}
    if dataset.labels is not None and dataset.labels.volumes:
        told |= {"labels": _told(dataset.labels.volumes[0]), "inside": _inside(raw, dataset.labels)}
    try:
        told["notes"] = tuple(_notes(dataset))
        if classes is not None:
            told["index"] = class_index(dataset.labels, classes)
    except DataError as error:
        told["problem"] = f"{row.origin}: {error}"
    return DatasetReport(row.origin, row.part, dataset.name, **told)


def _told(volume: Volume) -> str:
    grid: Grid = volume.levels[0].grid
    shape, spacing = (" x ".join(f"{n:.10g}" for n in each) for each in (grid.shape, grid.spacing))
    channels = f" x {len(volume.channels)}" if len(volume.channels) > 1 else ""
    return f"{volume.dtype}{channels}, {shape} of {spacing} nm"


def _inside(raw: Volume, labels: Labels) -> float:
    parts = [(volume.bounding_box, volume.bounding_box & raw.bounding_box) for volume in labels.volumes]
    return min(math.prod(shared.size) / math.prod(box.size) if shared else 0.0 for box, shared in parts)


def _notes(dataset: Dataset) -> Iterator[str]:
    """Read a block of each volume, and yield what looks odd in it."""
    middle = _middle(dataset)
    for volume in dataset.raw.values():
        block = _block(volume, middle)
        if block.dtype.kind == "f" and not np.isfinite(block).all():
            yield f"{volume.path}: NaN or infinite values in the middle"
        elif block.min() == block.max():
            yield f"{volume.path}: nothing but {block.flat[0]} in the middle"
    for annotation in dataset.labels.annotations if dataset.labels else ():
        volume = annotation.volume
        yield from _nameless(annotation, _block(volume, middle))
        inside = volume.bounding_box & next(iter(dataset.raw.values())).bounding_box
        if inside is not None and not math.isclose(_size(inside), _size(volume.bounding_box), rel_tol=1e-3):
            part = _size(inside) / _size(volume.bounding_box)
            yield f"{volume.path}: {1 - part:.0%} of it lies outside raw"
        if aside := _aside(next(iter(dataset.raw.values())), volume):
            yield f"{volume.path}: {aside}"


def _nameless(annotation: Annotation, block: np.ndarray[Any, Any]) -> Iterator[str]:
    """Tell that several ids without names are taken as one class."""
    most = int(block.max())
    if annotation.is_nameless and most > 1:
        yield (
            f"{annotation.volume.path}: ids up to {most} in the middle and no names of classes: all are "
            f"taken as the one class {annotation.names[0]!r}. If they are classes, name them in its "
            "image-label metadata, or give each a volume of its own, as in gt.zarr/[first,second]"
        )


def _aside(raw: Volume, labels: Volume) -> str:
    """Tell where faces of labels and raw lie beside each other by a part of a voxel; empty where not."""
    one, other = raw.levels[0].grid, labels.levels[0].grid
    parts = []
    for axis, low, base, a, b in zip(
        AXES, other.box.low, one.box.low, other.spacing, one.spacing, strict=True
    ):
        apart = (low - base) / min(a, b)
        if abs(apart - round(apart)) > _ASIDE:
            parts.append(f"{apart - round(apart):+.2g} voxel of {min(a, b):g} nm along {axis}")
    if not parts:
        return ""
    return (
        f"lies aside of raw's voxels by {', '.join(parts)}. Do its metadata mean the corner of a voxel, or "
        "is the translation of a coarser level missing?"
    )


def _middle(dataset: Dataset) -> Box:
    """Return what raw and labels share, or raw."""
    box = next(iter(dataset.raw.values())).bounding_box
    shared = dataset.labels.box if dataset.labels else None
    return (box & shared or box) if shared else box


def _block(volume: Volume, area: Box) -> np.ndarray[Any, Any]:
    """Read a block about the middle of an area, at the finest level."""
    spacing = volume.levels[0].grid.spacing
    inner = area & volume.bounding_box or volume.bounding_box
    size = [max(s, min(_BLOCK * s, e)) for s, e in zip(spacing, inner.size, strict=True)]
    return volume.read(Box.around(inner.center, size))


def _size(box: Box) -> float:
    return math.prod(box.size)


def _cells(rows: Iterable[DatasetReport]) -> Iterator[Sequence[str]]:
    yield ("split", "dataset", "raw", "labels", "within raw", "classes")
    for row in rows:
        inside = "" if row.inside is None else f"{row.inside:.0%}"
        classes = "cannot be used" if row.problem else row.classes if row.labels else ""
        yield (row.part, row.name, row.raw or "-", row.labels or "-", inside, classes)


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in listed]
