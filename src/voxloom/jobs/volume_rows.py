"""Which volumes stand in the place of folders of images, and which of them train."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from voxloom.config import Config
from voxloom.errors import ConfigError, DataError
from voxloom.sources import Layout
from voxloom.sources.opening import is_volume
from voxloom.sources.split_rows import SplitRow, followed, is_volume_split, rows_from_csv, rows_from_dict

__all__ = ["SIDES", "address", "names_volumes", "paths_of", "rows_of"]

logger = logging.getLogger(__name__)

SIDES = ("condition", "target")
"""The fields of a pair."""

Kind = Literal["images", "pairs"]
_COLLAPSED = re.compile(r"^(s3|gs|https?):/(?!/)|^file:(?=/(?!/))")


def address(path: str | Path) -> str:
    """Return a path or URL as text; that it was taken for a local path is undone.

    Examples
    --------
    >>> address(Path("s3://bucket/em.zarr")), address(Path("file:///data/em.zarr")), address("em.zarr")
    ('s3://bucket/em.zarr', 'file:///data/em.zarr', 'em.zarr')
    """
    return _COLLAPSED.sub(lambda found: f"{found[1]}://" if found[1] else "file://", str(path))


def names_volumes(config: Config) -> bool:
    """Return whether the data are volumes: a split of them, a volume, or volumes named as the sides.

    Examples
    --------
    >>> names_volumes(Config(data_base_dir="photos")), names_volumes(Config(data_base_dir="s3://em/em.zarr"))
    (False, True)
    """
    layout = config.layout
    if config.volume_data.split is not None or _split_at(layout.data_base_dir) is not None:
        return True
    return _is_volume(layout.data_base_dir) or any(
        _is_volume(layout.data_base_dir / name) for name in (layout.target, layout.condition)
    )


def rows_of(config: Config, kind: Kind) -> list[SplitRow]:
    """Return the volumes of a configuration, those of each row by field: ``image``, or both sides.

    Raises
    ------
    ConfigError
        If a row does not name both sides of a pair.
    DataError, MissingDataError
        If a split cannot be read.
    """
    rows = chain.from_iterable(_followed(row, config) for row in _written(config, kind))
    return [_by_field(row, kind) for row in rows]


def paths_of(row: SplitRow) -> Mapping[str, str]:
    """Return the volume of each field of a row."""
    return {"image": row.raw} if isinstance(row.raw, str) else row.raw


def _written(config: Config, kind: Kind) -> Sequence[SplitRow]:
    layout, split = config.layout, config.volume_data.split
    split = _split_at(layout.data_base_dir) if split is None else split
    if isinstance(split, Path | str):
        return rows_from_csv(split)
    if split is not None:
        return rows_from_dict({part: [e.model_dump() for e in given] for part, given in split.items()})
    datasets = {"train": _at(layout, layout.data_base_dir, kind)}
    if layout.val_dir is not None:
        datasets["validate"] = _at(layout, layout.val_dir, kind)
    return rows_from_dict(datasets)


def _followed(row: SplitRow, config: Config) -> list[SplitRow]:
    """Return what the wildcards of a row find; an error names the row, where it is not left out."""
    try:
        return followed(row)
    except DataError as error:
        if config.volume_data.on_error == "raise":
            raise type(error)(f"{row.origin}: {error}") from error
        logger.warning("left out %s: %s", row.origin, error)
        return []


def _split_at(path: Path) -> Path | None:
    return path if is_volume_split(path) else None


def _at(layout: Layout, base: Path, kind: Kind) -> list[dict[str, Any]]:
    """Return what lies at a place: one volume, or one for each side."""
    if kind == "pairs":
        whole = _is_volume(base)
        sides = {"condition": layout.condition, "target": layout.target}
        return [{"raw": {field: address(base if whole else base / name) for field, name in sides.items()}}]
    if _is_volume(base):
        return [{"raw": address(base)}]
    return [{"raw": address(base / name)} for name in layout.folders(layout.data_source)]


def _by_field(row: SplitRow, kind: Kind) -> SplitRow:
    raw = row.raw
    if kind == "images":
        if isinstance(raw, str):
            return replace(row, raw={"image": raw}, gt=())
        if set(raw) != {"image"}:
            raise ConfigError(f"{row.origin}: volumes {', '.join(raw)}: expected one path, for a VAE.")
        return replace(row, gt=())
    if isinstance(raw, str):
        raw = {"condition": raw, "target": row.gt[0] if row.gt else raw}
    if set(raw) != set(SIDES):
        raise ConfigError(
            f"{row.origin}: volumes {', '.join(raw)}: expected condition and target. In a CSV, raw is the "
            "condition and gt the target."
        )
    return replace(row, raw=raw, gt=())


def _is_volume(path: Path) -> bool:
    return "://" in address(path) or is_volume(path)
