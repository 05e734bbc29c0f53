"""Opening the rows of a split: all requests in flight at once, each failure with its row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from voxloom.errors import ConfigError, DataError, VoxloomError
from voxloom.sources.split_rows import SplitRow, followed
from voxloom.sources.volume_dataset import Dataset, check_dataset
from voxloom.volumes.classes import Classes
from voxloom.volumes.labels import Annotation, Labels
from voxloom.volumes.volume import Volume

__all__ = ["Failed", "Found", "open_rows"]

T = TypeVar("T")
_BRACKETS = re.compile(r"/?\[[^\[\]]*\]")


class Found(NamedTuple):
    """A dataset that can be used."""

    row: SplitRow
    dataset: Dataset


class Failed(NamedTuple):
    """A row that cannot, and why."""

    row: SplitRow
    error: VoxloomError


def open_rows(
    rows: Iterable[SplitRow],
    classes: Classes | None = None,
    *,
    inputs: Sequence[str] = ("raw",),
    options: Mapping[str, Any],
) -> tuple[list[Found], list[Failed]]:
    """Return what can be opened and used, and what cannot with the reason; wildcards are followed.

    Parameters
    ----------
    rows
        Of a split.
    classes
        What labels are about; None for all that there are.
    inputs
        Names of the inputs.
    options
        As `Volume.open` takes them.
    """
    single, failed = _followed(rows)
    raws = _opened(lambda paths: Volume.open_each(paths, **options), _raw_paths(single))
    shared = {name: value for name, value in options.items() if name != "channels"}
    labels = _opened(
        lambda paths: Labels.open_each(paths, classes=classes, **shared),
        [path for row in single for path in row.gt],
    )
    found: list[Found] = []
    for row, name in zip(single, _names(single), strict=True):
        try:
            raw = {key: _volume(path, raws) for key, path in _inputs(row, inputs).items()}
            dataset = Dataset(name, raw, _labels(row, labels))
            check_dataset(dataset, classes)
        except VoxloomError as error:
            failed.append(Failed(row, _with_origin(error, row)))
        else:
            found.append(Found(row, dataset))
    return found, failed


def _followed(rows: Iterable[SplitRow]) -> tuple[list[SplitRow], list[Failed]]:
    found: list[SplitRow] = []
    failed: list[Failed] = []
    for row in rows:
        try:
            found += followed(row)
        except DataError as error:
            failed.append(Failed(row, _with_origin(error, row)))
    return found, failed


def _raw_paths(rows: Iterable[SplitRow]) -> list[str]:
    return [path for row in rows for path in ([row.raw] if isinstance(row.raw, str) else row.raw.values())]


def _opened(
    open_each: Callable[[list[str]], Sequence[T | VoxloomError]], paths: Iterable[str]
) -> dict[str, T | VoxloomError]:
    """Open each path once, all at once."""
    unique = list(dict.fromkeys(paths))
    return dict(zip(unique, open_each(unique), strict=True)) if unique else {}


def _inputs(row: SplitRow, names: Sequence[str]) -> dict[str, str]:
    if isinstance(row.raw, str):
        return dict.fromkeys(names, row.raw)
    for name in names:
        if name not in row.raw:
            raise ConfigError(f"no raw volume for input {name!r}; the row has {', '.join(row.raw)}")
    return {name: row.raw[name] for name in names}


def _volume(path: str, found: Mapping[str, Volume | VoxloomError]) -> Volume:
    volume = found[path]
    if isinstance(volume, VoxloomError):
        raise volume
    return volume


def _labels(row: SplitRow, found: Mapping[str, Labels | VoxloomError]) -> Labels | None:
    """Return the labels of all paths of a row as one."""
    if not row.gt:
        return None
    annotations: list[Annotation] = []
    for path in row.gt:
        labels = found[path]
        if isinstance(labels, VoxloomError):
            raise labels
        annotations += labels.annotations
    return Labels(tuple(annotations))


def _with_origin(error: VoxloomError, row: SplitRow) -> VoxloomError:
    return type(error)(f"{row.origin}: {error}")


def _names(rows: Sequence[SplitRow]) -> list[str]:
    """Return what tells the rows apart: their labels' paths, or those of raw, without what all share."""
    texts = [_BRACKETS.sub("", row.gt[0]) if row.gt else _raw_paths([row])[0] for row in rows]
    parts = [text.rstrip("/").split("/") for text in texts]
    shared = 0
    if parts:
        shortest = min(len(each) for each in parts) - 1  # something is left of each
        while shared < shortest and len({each[shared] for each in parts}) == 1:
            shared += 1
    named = ["/".join(each[shared:]) for each in parts]
    seen: dict[str, int] = {}
    for number, name in enumerate(named):
        seen[name] = seen.get(name, 0) + 1
        named[number] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return named
