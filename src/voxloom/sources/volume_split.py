"""Which volumes train and which validate: a split of datasets, each raw with its labels."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from voxloom.amounts import counted
from voxloom.errors import MissingDataError
from voxloom.sources.split_checks import check_annotated, check_same_kind, unannotated
from voxloom.sources.split_opening import Found, open_rows
from voxloom.sources.split_report import SplitReport, verify_rows
from voxloom.sources.split_rows import Part, SplitRow, rows_from_csv, rows_from_dict
from voxloom.sources.volume_dataset import Dataset
from voxloom.volumes.classes import Classes

__all__ = ["Dataset", "OpenedSplit", "Skipped", "VolumeSplit"]

logger = logging.getLogger(__name__)


class Skipped(NamedTuple):
    """A dataset that was left out."""

    origin: str
    """Where it is written down."""
    reason: str
    """Why."""


class OpenedSplit(NamedTuple):
    """The datasets of a split."""

    train: list[Dataset]
    """Those to learn from."""
    validation: list[Dataset]
    """Those to measure on."""
    skipped: list[Skipped]
    """Those that could not be read."""


@dataclass(frozen=True)
class VolumeSplit:
    """Pairs of raw volumes and labels, some to learn from and some to measure on.

    Attributes
    ----------
    rows
        As they are written down.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.testing.volumes import phantom, write_classes, write_volume
    >>> root = Path(mkdtemp())
    >>> for number in (1, 2):
    ...     _ = write_volume(root / f"{number}/em.zarr", phantom((8, 8, 8)))
    ...     _ = write_classes(root / f"{number}/gt.zarr", {"mito": np.ones((8, 8, 8), np.uint8)})
    >>> _ = (root / "split.csv").write_text('''split,raw,gt
    ... train,1/em.zarr,"1/gt.zarr/[mito,er]"
    ... validate,2/em.zarr,"2/gt.zarr/[mito]"
    ... ''')
    >>> split = VolumeSplit.from_csv(root / "split.csv").open(Classes(names=("mito",)))
    >>> split.train[0].name, split.train[0].labels.annotated, len(split.validation)
    ('1/gt.zarr', frozenset({'mito'}), 1)
    """

    rows: Sequence[SplitRow]

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> VolumeSplit:
        """Return the split that a CSV names: a file, or a URL such as ``s3://bucket/split.csv``.

        Each line has the cells ``split, raw_path, raw_dataset, gt_path, gt_dataset``, or ``split, raw,
        gt``, or ``split, raw``; a header with these names may change their order, and lines that begin
        with ``#`` are comments. Splits that begin with ``train`` train, those that begin with ``val``
        validate. Paths are relative to the file. The classes of labels stand in brackets, and the cell in
        quotes: ``"labels/[mito,er]"``. The wildcards ``*`` and ``?`` in raw and labels stand for the
        same names: ``*/em.zarr`` and ``*/gt.zarr``; where labels have more of them, a raw volume has
        several crops.

        Raises
        ------
        MissingDataError
            If the file is not there or has no row.
        DataError
            If it is no CSV, or a row has another number of cells; it names the row.
        ConfigError
            If a split or a column has an unknown name; it names the nearest.
        """
        return cls(tuple(rows_from_csv(path)))

    @classmethod
    def from_dict(
        cls, datasets: Mapping[str, Sequence[Mapping[str, Any]]], *, base: str | os.PathLike[str] = "."
    ) -> VolumeSplit:
        """Return the split ``{"train": [{"raw": ..., "gt": ...}], "validate": [...]}``.

        Parameters
        ----------
        datasets
            `raw` is a path, or one for each input by name; `gt` is a path or several, or left out.
        base
            The folder that relative paths are relative to.
        """
        return cls(tuple(rows_from_dict(datasets, base=base)))

    def open(
        self,
        classes: Classes | None = None,
        *,
        inputs: Sequence[str] = ("raw",),
        on_error: Literal["raise", "skip"] = "raise",
        for_training: bool = False,
        **options: Any,
    ) -> OpenedSplit:
        """Open all volumes, the requests of all in flight at once; nothing but metadata is read.

        Parameters
        ----------
        classes
            What labels are about; volumes of other classes stay closed. None for all that there are.
        inputs
            Names of the inputs; each is the row's raw volume, or the one that the row has by that name.
        on_error
            What to do with a dataset that cannot be read or used: raise, with its row, or leave it out,
            warn, and list it.
        for_training
            Whether one network shall learn from all of them: then the images of all have the same
            channels and type, and each class is annotated somewhere.
        **options
            As `Volume.open` takes them: unit, spacing, strict.

        Raises
        ------
        DataError
            If a dataset cannot be read or used (see `check_dataset`), or none of a part can; or they do
            not go together for training.
        """
        found, skipped = open_rows(self.rows, classes, inputs=inputs, options=options)
        if skipped and on_error == "raise":
            raise skipped[0][1]
        listed = [Skipped(row.origin, str(error)) for row, error in skipped]
        _tell(listed, len(found) + len(listed))
        _tell_twice(found)
        opened = OpenedSplit(_part("train", found), _part("validation", found), listed)
        self._check_left(opened)
        if for_training:
            check_same_kind(found)
        _look_for_annotations(opened.train, classes, is_needed=for_training)
        return opened

    def verify(
        self, classes: Classes | None = None, *, inputs: Sequence[str] = ("raw",), **options: Any
    ) -> SplitReport:
        """Look at each dataset before hours of training; print what is returned to see a table.

        A block of each volume is read, from the middle of what raw and labels share; types, units,
        overlap and classes are checked, the latter from counts that are kept (see `class_index`).
        Nothing is raised for a dataset that cannot be used: it stands in `problems`, with its row.

        Parameters
        ----------
        classes, inputs, **options
            As for `open`.
        """
        return verify_rows(self.rows, classes, inputs=inputs, options=options)

    def _check_left(self, opened: OpenedSplit) -> None:
        wanted = {row.part for row in self.rows}
        if opened.skipped and (not opened.train or (not opened.validation and "validation" in wanted)):
            which = "validation" if opened.train else "train"
            raise MissingDataError(
                f"no dataset of the {which} part can be used; the first reason: {opened.skipped[0].reason}"
            )


def _part(part: Part, found: Iterable[Found]) -> list[Dataset]:
    return [dataset for row, dataset in found if row.part == part]


def _tell(skipped: Sequence[Skipped], total: int) -> None:
    if skipped:
        logger.warning(
            "left out %d of %s: %s",
            len(skipped),
            counted(total, "dataset"),
            "; ".join(each.reason for each in skipped),
        )


def _tell_twice(found: Sequence[Found]) -> None:
    """Warn where a dataset trains and validates: what is measured on it says little."""
    train = {(str(row.raw), row.gt): row.origin for row, _ in found if row.part == "train"}
    for row, dataset in found:
        if row.part == "validation" and (origin := train.get((str(row.raw), row.gt))):
            logger.warning("%s validates (%s) and trains (%s)", dataset.name, row.origin, origin)


def _look_for_annotations(train: Sequence[Dataset], classes: Classes | None, *, is_needed: bool) -> None:
    """Complain about classes that nobody annotated, or tell of them."""
    if classes is None:
        return
    if is_needed and train:
        check_annotated(train, classes)
    if any(dataset.labels for dataset in train) and (missing := unannotated(train, classes)):
        logger.warning("no dataset to learn from has annotations of: %s", ", ".join(missing))
