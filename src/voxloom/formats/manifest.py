"""The manifest of a store: what it holds, in which files, with which digests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import xxhash
from pydantic import AfterValidator, ValidationError
from pydantic import Field as Setting

from voxloom.atomic import write_json
from voxloom.component import Component
from voxloom.errors import DamagedStoreError, MissingDataError, UnfinishedStoreError
from voxloom.formats.format import KEY, Column
from voxloom.sample import Field

__all__ = [
    "JOURNAL",
    "MANIFEST",
    "SHARDS",
    "Encoding",
    "FileFacts",
    "Manifest",
    "ShardFacts",
    "columns_of",
    "digest_of",
]

MANIFEST = "manifest.json"
SHARDS = "shards"
JOURNAL = "journal"
"""Folder that a store has while it is being written; it goes when the manifest has been written."""

KIND = "voxloom-store"
FORMAT_VERSION = 1

Encoding = Literal["fixed", "file", "npy", "blosc", "png", "jpeg", "text"]
"""How a field lies in its column: ``fixed`` as an array of one type and shape, all others as bytes:
``file`` as the source's own files, ``npy`` as numpy writes arrays, ``blosc`` as bitshuffle and LZ4
behind a numpy header, ``png``, ``jpeg`` encoded by us, ``text`` as UTF-8."""

_BLOCK = 2**24  # bytes read at once for a digest


def _plain_name(name: str) -> str:
    """Refuse what could lead out of the store's folder."""
    if PurePosixPath(name).name != name or name in ("", ".", "..") or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r}: expected the name of a file, without folders")
    return name


class FileFacts(Component):
    """One file of a shard."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """Its name in the folder of shards."""
    bytes: Annotated[int, Setting(ge=0)]
    """Its size."""
    xxh3: Annotated[str, Setting(pattern="^[0-9a-f]{16}$")]
    """XXH3-64 of its content, 16 hexadecimal digits."""


class ShardFacts(Component):
    """One shard: what the journal keeps of it, and then the manifest."""

    stem: Annotated[str, AfterValidator(_plain_name)]
    """What the names of its files begin with."""
    samples: Annotated[int, Setting(ge=0, lt=2**40)]
    """Number of samples."""
    files: tuple[FileFacts, ...]
    """Its files."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Key and reason of the samples that could not be converted and were left out."""

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.bytes for file in self.files)


class Manifest(Component):
    """All that a store says of itself; written last, so that what has one is whole."""

    kind: Literal["voxloom-store"] = "voxloom-store"
    """What this file is."""
    format_version: Literal[1] = 1
    """Counts changes that an older voxloom could not read."""
    producer: str
    """Program and version that wrote it."""
    format: str
    """Name of the format, a key of `FORMATS`."""
    fields: tuple[Field, ...]
    """The schema."""
    encodings: dict[str, Encoding]
    """How each field lies in its column."""
    shards: tuple[ShardFacts, ...]
    """The shards, in the order of the samples."""
    facts: dict[str, Any] = Setting(default_factory=dict)
    """What the producer adds: the settings of a conversion, the origin of latents."""

    @property
    def samples(self) -> int:
        """Number of samples in all shards."""
        return sum(shard.samples for shard in self.shards)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of each shard: the fields in order, then the keys."""
        return columns_of(self.fields, self.encodings)

    def write(self, store: Path) -> None:
        """Write the manifest of a folder, whole or not at all."""
        write_json(store / MANIFEST, _IDENTITY | self.model_dump(mode="json", exclude_defaults=True))

    @classmethod
    def read(cls, store: Path) -> Manifest:
        """Read and check the manifest of a folder.

        Raises
        ------
        UnfinishedStoreError
            When the folder has been begun as a store and has no manifest yet.
        MissingDataError
            When it is no store.
        DamagedStoreError
            When the manifest is cut, changed, or from a newer voxloom.
        """
        path = store / MANIFEST
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            if (store / JOURNAL / "plan.json").is_file():  # a folder named journal may hold anything
                raise UnfinishedStoreError(
                    f"{store} is a store whose conversion has not ended: it has no {MANIFEST} yet. "
                    "If no process writes it, give the same command again (`voxloom convert` with --resume)."
                ) from error
            raise MissingDataError(f"{store} is no store: expected a file {path}.") from error
        except OSError as error:
            raise DamagedStoreError(f"{path}: could not be read ({error.strerror or error}).") from error
        return cls._parsed(text, path)

    @classmethod
    def _parsed(cls, text: bytes, path: Path) -> Manifest:
        cure = "Restore it from a copy, or convert the data again."
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DamagedStoreError(f"{path}: not a whole JSON file ({error}). {cure}") from error
        if not isinstance(value, dict) or value.get("kind") != KIND:
            kind = value.get("kind") if isinstance(value, dict) else type(value).__name__
            raise MissingDataError(
                f"{path} is not the manifest of a store: its kind is {kind!r}, expected {KIND!r}."
            )
        version = value.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise DamagedStoreError(
                f"{path}: written in format version {version}, and this voxloom reads up to "
                f"{FORMAT_VERSION}. Install a newer voxloom."
            )
        try:
            manifest = cls.model_validate(value)
            if set(manifest.encodings) != {field.name for field in manifest.fields}:
                raise ValueError(f"encodings of the fields {sorted(manifest.encodings)}")
            _ = manifest.columns
        except (ValidationError, ValueError, TypeError) as error:
            raise DamagedStoreError(
                f"{path}: not a manifest that voxloom writes ({error}). {cure}"
            ) from error
        return manifest


_IDENTITY = {"kind": KIND, "format_version": FORMAT_VERSION}


def columns_of(fields: Iterable[Field], encodings: dict[str, Encoding]) -> tuple[Column, ...]:
    """Return the columns that hold these fields, then the one of the keys."""
    columns = []
    for field in fields:
        if encodings[field.name] != "fixed":
            columns.append(Column(field.name))
        elif field.shape is None:
            raise ValueError(f"field {field.name!r} is stored at one size, but has no shape")
        else:
            columns.append(Column(field.name, field.dtype, field.shape))
    return (*columns, Column(KEY))


def digest_of(path: Path) -> str:
    """Return the XXH3-64 of a file as 16 hexadecimal digits, reading it in blocks.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "file"
    >>> _ = path.write_bytes(b"voxloom")
    >>> digest_of(path)
    '3ae11d07ea35480d'
    """
    digest = xxhash.xxh3_64()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(_BLOCK))
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()
