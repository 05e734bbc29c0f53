"""Rows of a split of volumes: a CSV or a dict, wildcards followed, each row with its place in the file."""

from __future__ import annotations

import csv
import glob
import io
import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from voxloom import volumes
from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.registry import did_you_mean

__all__ = ["Part", "SplitRow", "followed", "is_volume_split", "part_of", "rows_from_csv", "rows_from_dict"]

Part = Literal["train", "validation"]
StrPath = str | os.PathLike[str]

_LAYOUTS = {
    2: ("split", "raw"),
    3: ("split", "raw", "gt"),
    5: ("split", "raw_path", "raw_dataset", "gt_path", "gt_dataset"),
}
_COLUMNS = tuple(dict.fromkeys(name for names in _LAYOUTS.values() for name in names))
_URL = re.compile(r"^[a-z][a-z0-9+.-]+://")
_WILD = re.compile(r"[*?]")


@dataclass(frozen=True)
class SplitRow:
    """A row of a split: where raw and labels lie. With wildcards it stands for many (see `followed`).

    Attributes
    ----------
    origin
        Where it is written down, for messages: ``split.csv, row 4``.
    part
        Whether it trains or validates.
    raw
        Path of the volume, or of one for each input by name.
    gt
        Paths of labels, as `Labels.open` takes them; none where nothing is annotated.
    """

    origin: str
    part: Part
    raw: str | Mapping[str, str]
    gt: tuple[str, ...] = ()


def part_of(name: str, origin: str) -> Part:
    """Return what a split's name means: train... or val....

    Raises
    ------
    ConfigError
        If it means neither.

    Examples
    --------
    >>> part_of("validate", "row 1"), part_of("Train_2", "row 2")
    ('validation', 'train')
    """
    lowered = name.strip().lower()
    if lowered.startswith("train"):
        return "train"
    if lowered.startswith("val"):
        return "validation"
    raise ConfigError(
        f"{origin}: split {name!r}: expected a name that begins with train, or val as in validate."
        f"{did_you_mean(lowered, ['train', 'validate', 'validation', 'val'])}"
    )


def is_volume_split(path: StrPath) -> bool:
    """Return whether a file reads as a split of volumes, and not as another table.

    Examples
    --------
    >>> is_volume_split("photos.csv")
    False
    """
    path = os.fspath(path)
    is_url = _URL.match(path)  # where no other table is read from
    if is_url or not path.lower().endswith(".csv") or not os.path.isfile(path):
        return bool(is_url) and path.lower().endswith(".csv")
    try:
        cells = next((cells for _, cells in _lines(path)), [""])
    except DataError:
        return False
    named = {cell.lower() for cell in cells}
    if "split" in named:
        return bool({"raw", "raw_path"} & named)
    return len(cells) in _LAYOUTS and cells[0].lower().startswith(("train", "val"))


def rows_from_csv(path: StrPath) -> list[SplitRow]:
    """Return the rows of a CSV, a file or a URL; what is relative in it is relative to its folder.

    Raises
    ------
    MissingDataError
        If the file is not there or has no row.
    DataError
        If it is no CSV or cannot be read, or a row has another number of cells.
    ConfigError
        If a split or a column has an unknown name.
    """
    path = os.fspath(path)
    lines = _lines(path)
    columns: Sequence[str] | None = None
    rows: list[SplitRow] = []
    for number, cells in lines:
        origin = f"{path}, row {number}"
        if not rows and columns is None and _is_header(cells):
            columns = _header(cells, origin)
            continue
        names = columns if columns is not None else _LAYOUTS.get(len(cells), ())
        rows.append(_row(_record(cells, names, origin), origin, os.path.dirname(path)))
    if not rows:
        raise MissingDataError(f"{path}: no row in this split. Expected {_named()} on each line.")
    return rows


def rows_from_dict(
    datasets: Mapping[str, Sequence[Mapping[str, Any]]], *, base: StrPath = "."
) -> list[SplitRow]:
    """Return the rows of ``{"train": [{"raw": ..., "gt": ...}], "validate": [...]}``.

    Parameters
    ----------
    datasets
        `raw` is a path, or one for each input by name; `gt` is a path or several, or left out.
    base
        What relative paths are relative to.

    Raises
    ------
    MissingDataError, DataError, ConfigError
        As `rows_from_csv` does.

    Examples
    --------
    >>> rows_from_dict({"train": [{"raw": "/data/em.zarr", "gt": "/data/gt.zarr/[mito,er]"}]})[0].gt
    ('/data/gt.zarr/[mito,er]',)
    """
    rows: list[SplitRow] = []
    for name, listed in datasets.items():
        part_of(name, "split")
        for number, row in enumerate(listed, 1):
            origin = f"{name} {number}"
            unknown = sorted(set(row) - {"raw", "gt"})
            if unknown or "raw" not in row:
                raise ConfigError(f"{origin}: {dict(row)}: expected the keys raw and gt.")
            rows.append(_row({"split": name, **row}, origin, os.fspath(base)))
    if not rows:
        raise MissingDataError('a split without any dataset: expected {"train": [{"raw": ..., "gt": ...}]}')
    return rows


def _lines(path: str) -> list[tuple[int, list[str]]]:
    """Return the lines that hold something, each with its number in the file."""
    data = _read(path)
    if data is None:
        raise MissingDataError(f"{path}: no such file. Expected a CSV with the columns {_named()}.")
    lines = []
    try:
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not stripped[0].startswith("#"):
                lines.append((reader.line_num, stripped))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: not a CSV in UTF-8 that can be read ({error}). Is a quote left open?"
        ) from error
    return lines


def _read(path: str) -> bytes | None:
    """Return what a file or a URL holds, or None where there is none."""
    if _URL.match(path):
        folder, _, name = path.rpartition("/")
        found: bytes | None = volumes.Place.of(folder).read_bytes(name)
        return found
    try:
        return Path(path).read_bytes() if os.path.isfile(path) else None
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error


def _is_header(cells: Sequence[str]) -> bool:
    return "split" in [cell.lower() for cell in cells]


def _header(cells: Sequence[str], origin: str) -> list[str]:
    names = [cell.lower() for cell in cells]
    for name in names:
        if name not in _COLUMNS:
            raise ConfigError(
                f"{origin}: column {name!r}: expected {_named()}.{did_you_mean(name, _COLUMNS)}"
            )
    if not {"raw", "raw_path"} & set(names) or len(set(names)) < len(names):
        raise ConfigError(f"{origin}: columns {names}: expected {_named()}, each once.")
    return names


def _record(cells: Sequence[str], names: Sequence[str], origin: str) -> dict[str, Any]:
    """Return split, raw and gt of a line."""
    if len(cells) != len(names):
        raise DataError(
            f"{origin}: {len(cells)} cells. Expected {_named()}; a list of classes needs quotes, since it "
            'holds commas: "[mito,er]".'
        )
    told = dict(zip(names, cells, strict=True))
    raw = told.get("raw") or _joined(told.get("raw_path", ""), told.get("raw_dataset", ""))
    gt = told.get("gt") or _joined(told.get("gt_path", ""), told.get("gt_dataset", ""))
    if not raw:
        raise DataError(f"{origin}: no path of a raw volume. Fill the cell, or drop the row.")
    return {"split": told["split"], "raw": raw, "gt": gt}


def _joined(path: str, dataset: str) -> str:
    return f"{path.rstrip('/')}/{dataset.strip('/')}" if path and dataset else path


def _row(told: Mapping[str, Any], origin: str, base: str) -> SplitRow:
    raw, gt = told["raw"], told.get("gt") or ()
    paths = [gt] if isinstance(gt, str | os.PathLike) else gt
    return SplitRow(
        origin,
        part_of(told["split"], origin),
        {name: _placed(path, base) for name, path in raw.items()}
        if isinstance(raw, Mapping)
        else _placed(raw, base),
        tuple(_placed(path, base) for path in paths),
    )


def followed(row: SplitRow) -> list[SplitRow]:
    """Return a row for each pair of volumes that the wildcards of a row find; the row itself without any.

    Raises
    ------
    MissingDataError
        If they find nothing.
    DataError
        If what they find for raw and for labels does not go together.
    """
    paths = [*([row.raw] if isinstance(row.raw, str) else row.raw.values()), *row.gt]
    if not any(map(_wild, paths)):
        return [row]
    if not isinstance(row.raw, str) or len(row.gt) > 1:
        raise DataError(f"expected no wildcards where a row names several volumes: {paths}")
    pairs = _pairs(row.raw, row.gt[0] if row.gt else "")
    return [replace(row, raw=raw, gt=(gt,) if gt else ()) for raw, gt in pairs]


def _pairs(raw: str, gt: str) -> Iterator[tuple[str, str]]:
    """Yield raw and labels that belong together: what the wildcards stand for is the same in both.

    Where one of them has more wildcards, those after the common ones are free: one raw volume may have
    many crops.
    """
    raws = _matches(raw)
    gts = _matches(gt) if gt else {(): ""}
    used = set()
    for one, path in raws.items():
        for other, labels in gts.items():
            common = min(len(one), len(other))
            if one[:common] == other[:common]:
                used |= {path, labels}
                yield path, labels
    if left := [path for path in (*raws.values(), *gts.values()) if path not in used]:
        raise DataError(
            f"{left[0]} has no partner ({len(left)} have none): expected that the wildcards of raw "
            f"and labels stand for the same names. Raw: {raw}. Labels: {gt}."
        )


def _matches(path: str) -> dict[tuple[str, ...], str]:
    """Return the paths that a path with wildcards finds, by what each wildcard stands for; sorted.

    ``*`` and ``?`` stand for what they do in a shell, within one name. Brackets name classes; what
    follows the last of them is taken as it is.

    Raises
    ------
    MissingDataError
        If nothing is found.
    DataError
        If the path is a URL, where nothing can be looked up quickly, or wildcards follow brackets.
    """
    if not _wild(path):
        return {(): path}
    if _URL.match(path):
        raise DataError(f"{path}: wildcards are for local files. Expected each path on a row of its own.")
    found, bracket, rest = path.rpartition("[") if "[" in path else (path, "", "")
    head, _, start = found.rpartition("/") if bracket else (found, "", "")
    if _WILD.search(start + rest):
        raise DataError(f"{path}: wildcards after the brackets. Expected them before.")
    tail = f"/{start}{bracket}{rest}" if bracket else ""
    pattern = re.compile("".join(_as_regex(letter) for letter in head))
    captured = {}
    for each in sorted(glob.glob(head.replace("[", "[[]"))):
        if match := pattern.fullmatch(each):
            captured[match.groups()] = each + tail
    if not captured:
        raise MissingDataError(f"{path}: nothing is there. Expected at least one volume.")
    return captured


def _as_regex(letter: str) -> str:
    return {"*": "([^/]*)", "?": "([^/])"}.get(letter) or re.escape(letter)


def _wild(path: str) -> bool:
    return "*" in path if _URL.match(path) else bool(_WILD.search(path))  # a URL's "?" begins a query


def _placed(path: StrPath, base: str) -> str:
    """Return a path as it is where it is absolute or a URL, else below `base`, a folder or a URL."""
    path = os.fspath(path)
    if _URL.match(path):
        return path
    if (scheme := _URL.match(base)) and not os.path.isabs(path):
        return scheme[0] + posixpath.normpath(posixpath.join(base[scheme.end() :], path))
    return os.path.normpath(os.path.join(os.path.abspath(base), os.path.expanduser(path)))


def _named() -> str:
    return " or ".join(",".join(names) for names in _LAYOUTS.values())
