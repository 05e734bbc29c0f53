"""Pack: copy the volumes of a split into a form that is quick to read patches from, and its CSV beside."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field as Setting

from voxloom.amounts import counted, size_text
from voxloom.component import Component
from voxloom.errors import ConfigError, Interrupted, OutputExistsError
from voxloom.geometry import Box
from voxloom.jobs.stopping import interrupted_by_sigterm
from voxloom.ranks import Rank
from voxloom.sources.volume_dataset import Dataset
from voxloom.sources.volume_split import Skipped, VolumeSplit
from voxloom.volumes.packed import PackedCopy, copies_of_labels, copy_of_raw, copy_units, units_of
from voxloom.volumes.place import Place, same_or_inside
from voxloom.volumes.saving import write_file
from voxloom.volumes.unit_marks import UnitMarks
from voxloom.volumes.volume import Volume
from voxloom.volumes.writing import downsample, hot_levels

__all__ = ["PackOptions", "PackReport", "pack"]

_SPLIT = "split.csv"
_MARKS = ".voxloom-pack"
"""Folder of what is known of a copy: which shards are whole."""
_Length = Annotated[float, Setting(gt=0)]


class PackOptions(Component):
    """What is copied, and how."""

    spacing: tuple[_Length, _Length, _Length] | None = None
    """z, y, x in nm: of each volume the coarsest level that is at least as fine; None for the finest."""
    margin: Annotated[float, Setting(ge=0)] | None = None
    """Copy only what lies within so many nm of the labels; None for whole volumes."""
    unit: str | None = None
    """Taken where a volume names no unit of length."""
    on_error: Literal["raise", "skip"] = "raise"
    """What to do with a dataset that cannot be read: raise, with its row, or leave it out and list it."""
    workers: Annotated[int, Setting(gt=0)] = 4
    """Shards that are copied at once, each by a thread."""
    overwrite: bool = False
    """Make volumes anew that are there already."""


class PackReport(Component):
    """What was done."""

    split: str
    """The new CSV."""
    volumes: int
    """Volumes that the copy has."""
    shards: int
    """Shards of their finest levels."""
    copied: int
    """Of these, how many this call has copied."""
    nbytes: int
    """Of all finest levels, not compressed."""
    is_finished: bool
    """Whether the copy is whole; else other processes still copy their share."""
    skipped: tuple[Skipped, ...] = ()
    """Datasets that were left out."""

    def __str__(self) -> str:
        made = f"{counted(self.volumes, 'volume')}, {size_text(self.nbytes)} before compression"
        copied = f"{self.copied} of {counted(self.shards, 'shard')} copied by this call"
        return f"{made}; {copied}{'' if self.is_finished else '; other processes have not finished'}"


def pack(
    split: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    options: PackOptions | None = None,
    progress: Callable[[int, int], object] | None = None,
    rank: Rank | None = None,
) -> PackReport:
    """Copy the volumes of a split for training; called again, it goes on where it was stopped.

    Parameters
    ----------
    split
        A CSV, as `VolumeSplit.from_csv` reads it: a path or a URL.
    target
        Folder or URL of the copy: ``raw/*.zarr``, ``labels/*``, and ``split.csv``, which is written last.
        All volumes are OME-Zarr 0.5 in shards of 256 voxels cubed with chunks of 32, compressed without
        loss; coarser levels are made anew. Of labels it keeps which voxels belong to which class.
    options
        What is copied, and how; None for all of it.
    progress
        Told (shards done, shards in all).
    rank
        This process among several that copy at once; None looks at the environment.

    Raises
    ------
    DataError
        If the split or a volume cannot be read.
    OutputExistsError
        If something else is there already.
    SaveError
        If the copy cannot be written.
    Interrupted
        On Ctrl-C, and on SIGTERM; it says how much is kept.
    """
    rank = Rank.from_environment() if rank is None else rank
    options = PackOptions() if options is None else options
    if options.overwrite and rank.world > 1:
        raise ConfigError(
            "overwrite (--overwrite) with several processes: expected one, since each would begin anew."
        )
    job = _Job(Place.of(target), _planned(VolumeSplit.from_csv(split), options), options, rank)
    job.check_sources()
    job.check_table(split)
    try:
        with interrupted_by_sigterm():
            return job.run(progress)
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped: {job.done} of {counted(job.total, 'shard')} for {target} are finished and kept."
        ) from stop


class _Row(NamedTuple):
    """A line of the new CSV."""

    split: str
    raw: str
    gt: str


@dataclass(frozen=True)
class _Plan:
    """What is to be made: the rows of the new CSV, and the volumes that they name; and of what."""

    rows: tuple[_Row, ...]
    copies: tuple[PackedCopy, ...]
    skipped: tuple[Skipped, ...]
    sources: tuple[str, ...]

    @property
    def table(self) -> bytes:
        """The new CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([_Row._fields, *self.rows])
        return text.getvalue().encode()


def _planned(split: VolumeSplit, options: PackOptions) -> _Plan:
    given: dict[str, Any] = {} if options.unit is None else {"unit": options.unit}
    opened = split.open(None, on_error=options.on_error, **given)
    parts = [("train", each) for each in opened.train] + [("validate", each) for each in opened.validation]
    raws = {(dataset.name, name): raw for _, dataset in parts for name, raw in dataset.raw.items()}
    whole = _named({raw.path: raw.path for raw in raws.values()})
    labels = _named({dataset.name: dataset.name for _, dataset in parts})
    rows: list[_Row] = []
    copies: dict[str, PackedCopy] = {}
    for part, dataset in parts:
        raw = dataset.raw["raw"]
        named = whole[raw.path] if _box(dataset, options) is None else labels[dataset.name]
        copy = copy_of_raw(raw, f"raw/{named}.zarr", spacing=options.spacing, box=_box(dataset, options))
        if dataset.labels is None:
            gt, made = "", list[PackedCopy]()
        else:
            path = f"labels/{labels[dataset.name]}"
            gt, made = copies_of_labels(dataset.labels, path, spacing=options.spacing)
        copies |= {each.path: each for each in (copy, *made)}
        rows.append(_Row(part, copy.path, gt))
    return _Plan(tuple(rows), tuple(copies.values()), tuple(opened.skipped), _sources(d for _, d in parts))


def _sources(datasets: Iterable[Dataset]) -> tuple[str, ...]:
    """Return the paths of all volumes that are read."""
    found: dict[str, None] = {}
    for dataset in datasets:
        volumes = (*dataset.raw.values(), *(dataset.labels.volumes if dataset.labels else ()))
        found |= {volume.path: None for volume in volumes}
    return tuple(found)


def _box(dataset: Dataset, options: PackOptions) -> Box | None:
    """Return the part of raw that is wanted, or None for all of it."""
    if options.margin is None or dataset.labels is None:
        return None
    boxes = [volume.bounding_box for volume in dataset.labels.volumes]
    z, y, x = (min(box.low[a] for box in boxes) for a in range(3))
    top_z, top_y, top_x = (max(box.high[a] for box in boxes) for a in range(3))
    return Box((z, y, x), (top_z, top_y, top_x)).grown((options.margin,) * 3)


def _named(texts: dict[str, str]) -> dict[str, str]:
    """Return a short name of letters for each text: what they share in front is left out."""
    parts = {key: text.rstrip("/").split("/") for key, text in texts.items()}
    shared, longest = 0, min((len(each) for each in parts.values()), default=1) - 1
    while shared < longest and len({each[shared] for each in parts.values()}) == 1:
        shared += 1
    found: dict[str, str] = {}
    for key, each in parts.items():
        kept = "_".join(part.removesuffix(".zarr").removesuffix(".n5") for part in each[shared:])
        name = re.sub(r"[^\w.-]+", "_", kept).strip("._") or "volume"
        while name in found.values():
            name += "_"
        found[key] = name
    return found


class _Job:
    """One process at work on a plan.

    Attributes
    ----------
    done, total
        Shards of finest levels: what is copied of what this process copies or has found copied.
    """

    def __init__(self, place: Place, plan: _Plan, options: PackOptions, rank: Rank) -> None:
        self.place, self.plan, self.options, self.rank = place, plan, options, rank
        self.done = self.total = self._copied = 0

    def check_table(self, split: str | os.PathLike[str]) -> None:
        """Refuse to replace a CSV that is not what will be written."""
        path = self.place.join(_SPLIT)
        found = self.place.read_bytes(_SPLIT)
        if found is None:
            return
        if same_or_inside(Place.of(split), path) or (found != self.plan.table and not self.options.overwrite):
            raise OutputExistsError(
                f"{path}: another split is there already. Name another folder for the copy, or move it away."
            )

    def check_sources(self) -> None:
        """Refuse a copy that would replace what it is made of, or lie in it, whatever links lead there."""
        for copy in self.plan.copies:
            place = self.place.join(copy.path)
            for source in map(Place.of, self.plan.sources):
                if same_or_inside(source, place) or same_or_inside(place, source):
                    raise OutputExistsError(
                        f"{place}: the split names {source}, which is there: the copy would replace it. Name "
                        "another folder for the copy."
                    )

    def run(self, progress: Callable[[int, int], object] | None) -> PackReport:
        """Copy this process's share, finish what is whole, and write the CSV when all is."""
        began = [self._begun(copy) for copy in self.plan.copies]
        shares = [self._share(volume, marks) for volume, marks in began]
        shards = [len(units_of(volume)) for volume, _ in began]
        self.done = sum(found for found, _ in shares)
        self.total = self.done + sum(len(units) for _, units in shares)
        if progress is not None:
            progress(self.done, self.total)
        for copy, (volume, marks), (_, units) in zip(self.plan.copies, began, shares, strict=True):
            for unit in copy_units(copy, volume, units, threads=self.options.workers):
                marks.mark(unit)
                self.done, self._copied = self.done + 1, self._copied + 1
                if progress is not None:
                    progress(self.done, self.total)
        finished = [self._finished(volume, marks) for volume, marks in began]
        if all(finished):
            write_file(self.place, _SPLIT, self.plan.table)
        return PackReport(
            split=str(self.place.join(_SPLIT)),
            volumes=len(began),
            shards=sum(shards),
            copied=self._copied,
            nbytes=sum(copy.nbytes for copy in self.plan.copies),
            is_finished=all(finished),
            skipped=self.plan.skipped,
        )

    def _begun(self, copy: PackedCopy) -> tuple[Volume, UnitMarks]:
        """Make a volume, or find it made."""
        place = self.place.join(copy.path)
        plan = {
            "files": copy.files,
            "source": copy.source,
            "grid": str(copy.grid),
            "layout": copy.layout.model_dump(mode="json"),
        }
        marks = UnitMarks(self.place.join(_MARKS, copy.path.replace("/", "_")), plan, kind="copy")
        new: dict[str, Any] = {"shape": copy.grid.shape, "layout": copy.layout}
        marks.begin(
            [place],
            lambda anew: Volume.create(str(place), overwrite=anew, resume=not anew, **new),
            overwrite=self.options.overwrite,
        )
        return Volume.open(str(place)), marks

    def _share(self, volume: Volume, marks: UnitMarks) -> tuple[int, list[int]]:
        """Return how many shards are copied already, and which others are this process's."""
        count = len(units_of(volume))
        if marks.is_finished:
            return count, []
        done = marks.done()
        mine = range(self.rank.index, count, self.rank.world)
        return len(done), [unit for unit in mine if unit not in done]

    def _finished(self, volume: Volume, marks: UnitMarks) -> bool:
        """Make the coarse levels when all shards are there."""
        return marks.complete(len(units_of(volume)), lambda: downsample(volume, first=hot_levels(volume)))
