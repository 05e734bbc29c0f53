"""One door for all that can be read: what lies at a path decides which source opens it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.formats.store import Store
from voxloom.registry import did_you_mean
from voxloom.source import Source
from voxloom.sources.files import class_folder, flat_folder, paired_folders
from voxloom.sources.listing import is_image, list_folder
from voxloom.sources.older_layout import OlderFolder, is_older
from voxloom.sources.stored import is_store
from voxloom.sources.table import TABLE_SUFFIXES, table
from voxloom.sources.webdataset import TarFolder

__all__ = ["PARTS", "OpenAs", "is_volume", "open_source", "paired_fields"]

OpenAs = Literal["auto", "classes", "flat", "pairs", "store", "table", "tar", "older", "volume"]
"""How `open_source` reads what lies at a path; ``auto`` looks."""

StrPath = str | os.PathLike[str]

_log = logging.getLogger(__name__)

_SHOWN = 200  # letters of a path that a message shows
_MASKS = re.compile(r"(masks?|labels?|annotations?|segmentations?)([-_ ].*)?", re.IGNORECASE)
_OF_ZARR = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval"})
"""Names of folders that hold a part of a split each."""


def open_source(
    path: StrPath, *, layout: OpenAs = "auto", fields: Mapping[str, str] | None = None, verify: bool = False
) -> Source:
    """Open a store, a folder of images, a table, tars or a volume; `voxloom.open` is this function.

    Parameters
    ----------
    path
        Where the data lies.
    layout
        What it is: ``store``; ``classes``, a folder for each class; ``flat``, images in one folder;
        ``pairs``, folders whose files belong together by their stems, such as images and masks, or target
        and condition; ``table``, a CSV, TSV or Parquet file;
        ``tar``, WebDataset's shards; ``older``, a folder of the Dataset Conversion Library; ``volume``, an
        OME-Zarr, whose slices along z are the samples (see `voxloom.sources.volume_view` for tiles and other
        axes). ``auto`` looks, and refuses what could be meant in two ways.
    fields
        For pairs, the folder of each field below `path`, for instance ``{"image": "jpg", "mask": "png"}``.
    verify
        For a store, check each shard's digest when it is first touched.

    Returns
    -------
    Source
        The samples; nothing but names and indexes has been read.

    Raises
    ------
    MissingDataError
        If there is nothing, or nothing that can be read; the message says what there is.
    UnfinishedStoreError
        If it is a store whose conversion has not ended.
    DataError
        If it could be meant in two ways, or cannot be used; the message says which layouts there are.
    ConfigError
        If the options do not go together.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> root = Path(mkdtemp())
    >>> for name in ("cat/1.png", "dog/1.png"):
    ...     (root / name).parent.mkdir()
    ...     Image.new("L", (5, 4)).save(root / name)
    >>> list(open_source(root)[0]), list(open_source(root / "cat")[0])
    (['image', 'label'], ['image'])
    """
    if layout in ("auto", "volume") and "://" in str(path) and fields is None and not verify:
        return _volume(path)
    path = Path(path)
    if layout not in get_args(OpenAs):
        known = ", ".join(get_args(OpenAs))
        raise ConfigError(f"layout {layout!r}. Known: {known}.{did_you_mean(layout, get_args(OpenAs))}")
    if fields is not None and layout not in ("auto", "pairs"):
        raise ConfigError(f"fields={dict(fields)} with layout {layout!r}: fields name the folders of pairs.")
    if not os.path.exists(path):  # Path.exists raises on names that are too long
        told = str(path) if len(str(path)) <= _SHOWN else f"{str(path)[:_SHOWN]}..."
        raise MissingDataError(
            f"{told}: no such file or folder. Expected a store, images, a table, tars or a volume."
        )
    found = ("pairs" if fields is not None else _looked_up(path)) if layout == "auto" else layout
    if verify and found != "store":
        raise ConfigError(f"{path} is no store, and verify checks the digests of a store alone.")
    if found == "store":
        return Store(path, verify=verify)
    return _pairs(path, fields) if found == "pairs" else _OPENERS[found](path)


def is_volume(path: StrPath) -> bool:
    """Return whether a local folder is a zarr group or array, or an N5 with a name that says so.

    Examples
    --------
    >>> is_volume("photos")
    False
    """
    path = Path(path)
    names = (*_OF_ZARR, "attributes.json") if path.suffix.lower() == ".n5" else _OF_ZARR
    return any((path / name).is_file() for name in names)


def _volume(path: StrPath) -> Source:
    # By its name: what reads volumes is an extra, and nobody else should need it.
    source: Source = import_module("voxloom.sources.volume_view").open_slices(path)
    return source


_OPENERS: dict[str, Callable[[Path], Source]] = {
    "classes": class_folder,
    "flat": flat_folder,
    "table": table,
    "tar": TarFolder,
    "older": OlderFolder,
    "volume": _volume,
}


def _looked_up(path: Path) -> str:
    """Return the layout of what lies at a path."""
    if not path.is_dir():
        return _of_file(path)
    if is_store(path):
        return "store"
    if is_older(path):
        return "older"
    if is_volume(path):
        return "volume"
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    tars = [name for name in names if name.lower().endswith(".tar")]
    tables = [name for name in names if name.lower().endswith(TABLE_SUFFIXES)]
    return _of_folder(path, tars, tables)


def _of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return "table"
    if suffix == ".tar":
        return "tar"
    raise DataError(
        f"{path}: a file that ends in {path.suffix!r}. Expected a folder, a tar, or a table that ends in "
        f"{', '.join(TABLE_SUFFIXES)}; for one image, name its folder. The page on "
        "volumes of the documentation tells how a TIFF stack becomes a volume."
    )


def _of_folder(path: Path, tars: list[str], tables: list[str]) -> str:
    direct = list_folder(str(path))
    classes = [name for name in direct.folders if _holds_images(path / name)]
    found = _found(len(direct.files), classes, tars, tables)
    options = {
        "tar": bool(tars),
        "flat": bool(direct.files),
        "classes": bool(classes),
        # A table among the folders of several classes is a stray file; with one folder it lists its images.
        "table": bool(tables) and len(classes) < 2,
    }
    chosen = [layout for layout, there in options.items() if there]
    if not chosen:
        raise MissingDataError(
            f"{path}: nothing here that can be read; found {direct.ignored}. Expected a store, images in "
            "this folder or in a folder for each class, a table or tars."
        )
    if len(chosen) > 1 or (set(map(str.lower, classes)) <= PARTS and classes):
        raise DataError(_ambiguous(path, found, chosen, tables))
    if chosen == ["classes"]:
        if paired_fields(path, classes) is not None:
            return "pairs"
        _hint_at_pairs(path, classes)
    return chosen[0]


def _holds_images(folder: Path) -> bool:
    """Whether an image lies at any depth of a folder; the first one ends the search."""
    return any(is_image(name) for _, _, names in os.walk(folder, followlinks=False) for name in names)


def _found(direct: int, classes: list[str], tars: list[str], tables: list[str]) -> str:
    parts = {
        f"{direct} images": direct,
        f"{len(classes)} folders of images ({', '.join(classes[:5])})": len(classes),
        f"{len(tars)} tars": len(tars),
        f"tables ({', '.join(tables[:5])})": len(tables),
    }
    return ", ".join(part for part, count in parts.items() if count)


def _ambiguous(path: Path, found: str, chosen: list[str], tables: list[str]) -> str:
    ways = [f"layout={layout!r}" for layout in chosen if layout != "table"]
    ways += [f"the table itself, {path / tables[0]}" for _ in tables[:1] if "table" in chosen]
    ways += ["the folder of one part"] if chosen == ["classes"] else []
    return f"{path}: could be meant in more than one way: found {found}. Open it with {' or '.join(ways)}."


def paired_fields(path: Path, folders: list[str]) -> dict[str, str] | None:
    """Return the folder of each field, if there are two that their names pair and they share stems.

    Examples
    --------
    >>> paired_fields(Path("data"), ["cats", "dogs", "mice"])  # three are classes
    """
    if len(folders) != 2:
        return None
    named = {name.lower(): name for name in folders}
    masks = [name for name in folders if _MASKS.fullmatch(name)]
    if set(named) == {"target", "condition"}:
        fields = {"target": named["target"], "condition": named["condition"]}
    elif len(masks) == 1:
        fields = {"image": next(name for name in folders if name != masks[0]), "mask": masks[0]}
    else:
        return None
    one, other = (_stems(path / name) for name in folders)
    return fields if one & other else None


def _hint_at_pairs(path: Path, folders: list[str]) -> None:
    """Say that two classes whose files have the same names may be pairs."""
    if len(folders) != 2:
        return
    one, other = (_stems(path / name) for name in folders)
    if one and one == other:
        first, second = folders
        _log.info(
            "%s: %s and %s are taken as two classes, and their files have the same names. If they belong "
            'together, open them as pairs: fields={"target": "%s", "condition": "%s"}, or rename the '
            "folders to target and condition, or to images and masks.",
            path, first, second, first, second,
        )  # fmt: skip


def _stems(folder: Path) -> set[str]:
    return {os.path.splitext(file)[0] for file in list_folder(str(folder)).files}


def _pairs(path: Path, fields: Mapping[str, str] | None) -> Source:
    if fields is None:
        folders = list_folder(str(path)).folders
        fields = paired_fields(path, folders)
    if fields is None:
        raise DataError(
            f"{path}: which folders belong together? Found {', '.join(folders) or 'none'}. Name the "
            'folder of each field, for instance fields={"image": "images", "mask": "masks"}.'
        )
    return paired_folders({name: path / folder for name, folder in fields.items()})
