"""Images of a store, read as those of a folder are: one channel, as the policy allows."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from voxloom.errors import ConfigError, DataError, MissingDataError
from voxloom.formats.encoding import cell_array
from voxloom.formats.manifest import JOURNAL, MANIFEST, Manifest
from voxloom.formats.store import Store
from voxloom.registry import did_you_mean
from voxloom.sample import Field, Sample, Schema
from voxloom.source import Source
from voxloom.sources.folder import ImageFolder, PairFolder
from voxloom.sources.images import ReadPolicy, read_cell
from voxloom.sources.listing import IMAGE_SUFFIXES
from voxloom.sources.pairing import Unmatched, match

__all__ = [
    "MatchedImages",
    "StoredImages",
    "image_fields",
    "images_at",
    "is_store",
    "only_image_field",
    "pairs_at",
    "store_at",
    "stored_keys",
]

StrPath = str | os.PathLike[str]

_DEFAULT = ReadPolicy()


class StoredImages(Source):
    """One image field of a store, as `ImageFolder` would read the files it was made of.

    Parameters
    ----------
    store
        Where the images lie, as files' own bytes or as arrays.
    name
        Field of the store.
    policy
        What to do with colour, several pages, NaN and blank images.
    field
        Name of the one field of the samples.
    entries
        Key and row of each sample; None takes all of the store, as `stored_keys` gives them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from voxloom.conversion import convert
    >>> from voxloom.sources import write_image
    >>> folder = Path(mkdtemp())
    >>> write_image(folder / "mri" / "1.tif", np.eye(4))
    >>> store = convert(ImageFolder(folder / "mri"), folder / "store", format="memmap").store()
    >>> images = StoredImages(store, "image")
    >>> images.keys, images[0]["image"].shape
    (['mri/1'], (1, 4, 4))
    """

    def __init__(
        self,
        store: Store,
        name: str,
        policy: ReadPolicy = _DEFAULT,
        *,
        field: str = "image",
        entries: Sequence[tuple[str, int]] | None = None,
    ) -> None:
        self.store, self.name, self.policy, self.field = store.select(name), name, policy, field
        entries = stored_keys(store) if entries is None else entries
        self._keys = [key for key, _ in entries]
        self.rows = np.asarray([row for _, row in entries], dtype=np.int64)

    def __repr__(self) -> str:
        return f"{len(self)} images {self.name!r} of {self.store.path}"

    @cached_property
    def schema(self) -> Schema:
        """One image field, with the type of the first image that can be read; others may differ."""
        first: DataError | None = None
        for index in range(len(self)):
            try:
                return self.read(index).schema
            except DataError as error:
                first = first or error
        raise first or DataError(f"{self!r}: no sample to take the schema from")

    @property
    def keys(self) -> Sequence[str]:
        """The key of each image."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return image `index`, axes cyx with one channel.

        Raises
        ------
        DataError
            If the image cannot be read, or the policy refuses it.
        """
        row, key = int(self.rows[index]), self._keys[index]
        field = self.store.schema[self.name]
        cell = self.store.cells(row)[self.name]
        if self.store.manifest.encodings[self.name] in ("npy", "blosc"):  # an array, with the field's axes
            cell = cell_array(cell, field, name=key)
        array = read_cell(cell, self.policy, name=f"{self.store.path}: {key}", axes=field.axes)
        return Sample(key, _schema((self.field, str(array.dtype))), {self.field: array})


class MatchedImages(Source):
    """Images of several sources that belong together by their keys, never by position.

    Parameters
    ----------
    sides
        For each field, a source that has it.
    unmatched
        What to do with images without a partner: refuse, or leave them out and list them in `dropped`.

    Attributes
    ----------
    sides
        As given.
    rows
        For each field, the place of each sample in its source.
    dropped
        ``<field>/<key>`` of the images that were left out.

    Raises
    ------
    PairingError
        If images lack a partner, or no image has one.
    """

    def __init__(self, sides: Mapping[str, Source], *, unmatched: Unmatched = "error") -> None:
        self.sides = dict(sides)
        places = {name: {key: row for row, key in enumerate(s.keys)} for name, s in sides.items()}
        folders = {name: PurePosixPath(name) for name in sides}
        listed = {name: {key: key for key in rows} for name, rows in places.items()}
        self._keys, self.dropped = match(folders, listed, unmatched)
        self.rows = {
            name: np.asarray([rows[key] for key in self._keys], np.int64) for name, rows in places.items()
        }

    def __repr__(self) -> str:
        return f"{len(self)} pairs of " + " and ".join(map(repr, self.sides.values()))

    @cached_property
    def schema(self) -> Schema:
        """One field a side, with the types of the first images that can be read."""
        return Schema(source.schema[name] for name, source in self.sides.items())

    @property
    def keys(self) -> Sequence[str]:
        """The key of each pair."""
        return self._keys

    def read(self, index: int) -> Sample:
        """Return pair `index`: axes cyx with one channel each.

        Raises
        ------
        DataError
            If an image cannot be read, or the policy refuses it.
        """
        arrays = {name: source[int(self.rows[name][index])][name] for name, source in self.sides.items()}
        schema = _schema(*((name, str(array.dtype)) for name, array in arrays.items()))
        return Sample(self._keys[index], schema, arrays)


def is_store(path: StrPath) -> bool:
    """Return whether a store lies at `path`, or one that is still being written; a damaged one counts too.

    Examples
    --------
    >>> is_store("no-such-folder")
    False
    """
    begun = (MANIFEST, os.path.join(JOURNAL, "plan.json"))  # a folder named journal may hold anything
    if not any(os.path.isfile(os.path.join(path, name)) for name in begun):
        return False
    try:
        Manifest.read(Path(path))
    except MissingDataError:  # another program's manifest.json
        return False
    except DataError:
        return True
    return True


def store_at(path: StrPath) -> Store | None:
    """Open the store that lies at `path`, or return None where none does.

    Raises
    ------
    UnfinishedStoreError, DamagedStoreError
        If one lies there that is not whole.
    """
    return Store(path) if is_store(path) else None


def images_at(
    path: StrPath, policy: ReadPolicy = _DEFAULT, *, field: str = "image", prefix: str = "", name: str = ""
) -> ImageFolder | StoredImages:
    """Open the images of a folder or of a store alike.

    Parameters
    ----------
    path
        A folder of files, or a store.
    policy
        What to do with colour, several pages, NaN and blank images.
    field
        Name of the one field of the samples.
    prefix
        Keys are ``<prefix>/<stem>``, or the stems where it is empty.
    name
        The field of a store that has several of images, where it is known.

    Raises
    ------
    MissingDataError, DataError
        As `ImageFolder` and `store_at` do.
    ConfigError
        If a store has several fields of images, and none is named.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.sources import write_image
    >>> folder = mkdtemp()
    >>> write_image(f"{folder}/1.tif", np.eye(4))
    >>> images_at(folder, prefix="ct").keys
    ['ct/1']
    """
    store = store_at(path)
    if store is None:
        return ImageFolder(path, policy, field=field, prefix=prefix)
    start = f"{prefix}/" if prefix else ""
    entries = [(start + key, row) for key, row in _below_one_folder(stored_keys(store))]
    return StoredImages(store, name or only_image_field(store), policy, field=field, entries=entries)


def pairs_at(
    target: StrPath, condition: StrPath, policy: ReadPolicy = _DEFAULT, *, unmatched: Unmatched = "error"
) -> PairFolder | MatchedImages:
    """Open the pairs of two folders, of two stores, or of one of each.

    Raises
    ------
    MissingDataError, DataError, PairingError
        As `PairFolder` and `store_at` do.
    ConfigError
        If a store has several fields of images.
    """
    sides = {"target": target, "condition": condition}
    if all(store_at(path) is None for path in sides.values()):
        return PairFolder(target, condition, policy, unmatched=unmatched)
    sources = {name: images_at(path, policy, field=name) for name, path in sides.items()}
    return MatchedImages(sources, unmatched=unmatched)


def image_fields(store: Store) -> list[str]:
    """Return the names of the fields of a store that hold images."""
    return [name for name, field in store.schema.items() if field.kind == "image"]


def only_image_field(store: Store, wanted: str = "") -> str:
    """Return the name of the one field of images that a store has.

    Raises
    ------
    ConfigError
        If it has none or several: which is meant? `wanted` is told as what was looked for.
    """
    fields = image_fields(store)
    if len(fields) == 1:
        return fields[0]
    told = ", ".join(fields) or "none; it holds " + ", ".join(store.schema)
    what = f"no field of images {wanted!r}" if wanted else f"{len(fields)} fields of images, expected one"
    raise ConfigError(f"{store.path}: {what}. Fields of images: {told}.{did_you_mean(wanted, fields)}")


def stored_keys(store: Store) -> list[tuple[str, int]]:
    """Return key and row of each sample, with the keys and in the order that folders give.

    Keys are composed (NFC); the suffixes of files go where all have one and all still differ without.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.testing.stores import Counting, write_store
    >>> store = Store(write_store(mkdtemp(), Counting(3)))
    >>> list(store.keys)
    ['class0/000000.png', 'class1/000001.png', 'class2/000002.png']
    >>> stored_keys(store)
    [('class0/000000', 0), ('class1/000001', 1), ('class2/000002', 2)]
    """
    keys = [unicodedata.normalize("NFC", key) for key in store.keys]
    if all(key.lower().endswith(IMAGE_SUFFIXES) for key in keys):
        bare = [key[: key.rindex(".")] for key in keys]
        keys = bare if len(set(bare)) == len(bare) else keys
    return sorted((key, row) for row, key in enumerate(keys))


def _below_one_folder(entries: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Take off the folder, where it is one and the same for all."""
    folders = {key.rpartition("/")[0] for key, _ in entries}
    return entries if len(folders) > 1 else [(key.rpartition("/")[2], row) for key, row in entries]


@lru_cache(maxsize=64)
def _schema(*fields: tuple[str, str]) -> Schema:
    return Schema([Field(name=name, dtype=dtype) for name, dtype in fields])
