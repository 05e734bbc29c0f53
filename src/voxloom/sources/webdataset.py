"""Tars in WebDataset's naming: files of one sample stand together and share a name up to its first dot."""

from __future__ import annotations

import copy
import logging
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import numpy as np

from voxloom.errors import DataError, MissingDataError, SchemaError
from voxloom.formats.encoding import cell_array, header
from voxloom.formats.members import base_name
from voxloom.sample import Cell, Field, Kind, Sample, Schema
from voxloom.source import Source
from voxloom.sources.columns import axes_of, file_field, kind_of, told_by
from voxloom.sources.listing import IMAGE_SUFFIXES, Ignored, key_of, unique

__all__ = ["TarFolder"]

_log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]
Content = Literal["image", "npy", "integer", "text"]

_INTEGERS = {
    "class": "label", "cls": "label", "cls2": "label2", "count": "count", "id": "id", "index": "index",
    "inx": "index",
}  # fmt: skip
_TEXTS = {"txt": "text", "text": "text", "transcript": "text", "json": "json"}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Member:
    """A file of a tar that belongs to a sample."""

    key: str
    field: str
    content: Content
    offset: int
    size: int


class TarFolder(Source):
    """Samples in tars as WebDataset names them; tars are scanned once when opened, and nothing is extracted.

    The last part of a member's name says what it holds: an image (``jpg``, ``png`` ...), a class
    (``cls``), an integer (``index``, ``count``, ``id``), a text (``txt``, ``json``) or an array (``npy``).
    The field has the name before that (``seg.png`` is ``seg``), or ``image``, ``label``, ``text``,
    ``json``, ``array``. Names like ``../a.png`` are names and nothing else. Where all names are escaped as
    the shards of a store escape theirs (``a%2Epng``), keys are the plain ones.

    Parameters
    ----------
    path
        A tar, or a folder of tars, which are taken in the order of their names.

    Attributes
    ----------
    ignored
        Members that belong to no sample, or end in what has no meaning here.

    Raises
    ------
    MissingDataError
        If there is no tar, or no sample in them.
    DataError
        If a tar is cut, damaged or compressed, or a sample lacks a field that others have.

    Examples
    --------
    >>> import io
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "0.tar"
    >>> with tarfile.open(path, "w") as tar:
    ...     for name, data in (("a/1.cls", b"3"), ("a/1.caption.txt", b"a scan")):
    ...         info = tarfile.TarInfo(name)
    ...         info.size = len(data)
    ...         tar.addfile(info, io.BytesIO(data))
    >>> source = TarFolder(path)
    >>> source.keys, source[0]
    (['a/1'], {'label': array(3), 'caption': array('a scan', dtype='<U6')})
    """

    def __init__(self, path: StrPath) -> None:
        self.folder = Path(path)
        self.ignored = Ignored()
        self._tars = [os.path.abspath(tar) for tar in _tars_of(self.folder)]
        self._contents: dict[str, Content] = {}
        keys: list[str] = []
        places: list[tuple[int, list[tuple[int, int]]]] = []
        for number, tar in enumerate(self._tars):
            _log.info("%s: scanning (%d of %d)", tar, number + 1, len(self._tars))
            for members in _samples(tar, self.ignored):
                keys.append(members[0].key)
                places.append((number, self._placed(members, tar)))
        if not keys:
            raise MissingDataError(f"{path}: no sample in {len(self._tars)} tars; found {self.ignored}.")
        self._tar_of = np.array([number for number, _ in places], np.int32)
        self._places = np.array(
            [place for _, place in places], np.int64
        )  # (samples, fields, offset and size)
        self._order = tuple(self._contents)
        self._keys = self._told_apart(_unquoted(keys))

    def __repr__(self) -> str:
        return f"{len(self)} samples of {len(self._tars)} tars in {self.folder}"

    @cached_property
    def schema(self) -> Schema:
        """The fields of the first sample, with the types of the first files that can be decoded."""
        return Schema([self._field(name) for name in self._contents])

    @property
    def files(self) -> list[Path]:
        """The tars."""
        return [Path(tar) for tar in self._tars]

    @property
    def keys(self) -> list[str]:
        """Names up to the first dot; behind the tar's name where several tars have the same."""
        return self._keys

    def nbytes(self, index: int) -> int:
        """Return the size of the members of sample `index`."""
        return sum(int(self._places[index, self._order.index(name), 1]) for name in self._contents)

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index` at rest: the bytes of images and arrays, the values of the others."""
        with open(self._tars[self._tar_of[index]], "rb", buffering=0) as tar:
            return {name: self._cell(tar.fileno(), index, name) for name in self._contents}

    def read(self, index: int) -> Sample:
        """Return sample `index`: images with axes yxc, masks with axes yx if they have one channel.

        Raises
        ------
        DataError
            If a member cannot be decoded; the message names tar and sample.
        """
        schema = self.schema
        arrays = {
            name: cell_array(cell, schema[name], name=self._name(index, name))
            for name, cell in self.cells(index).items()
        }
        return Sample(self._keys[index], told_by(arrays, schema), arrays)

    def select(self, *names: str) -> Source:
        """Return the same samples with these fields alone; the others are not read."""
        _ = Schema(Field(name=name) for name in self._contents).only(*names)  # refuses what is not there
        chosen = copy.copy(self)
        chosen.__dict__.pop("schema", None)
        chosen._contents = {name: self._contents[name] for name in names}
        return chosen

    def _cell(self, tar: int, index: int, name: str) -> Cell:
        offset, size = self._places[index, self._order.index(name)].tolist()
        data = os.pread(tar, size, offset)
        if len(data) != size:
            raise DataError(f"{self._name(index, name)}: the tar has become shorter since it was opened.")
        content = self._contents[name]
        if content == "integer":
            return np.array(_integer(data, self._name(index, name)), np.int64)
        return np.array(_text(data, self._name(index, name))) if content == "text" else data

    def _name(self, index: int, name: str) -> str:
        return f"{self._tars[self._tar_of[index]]}: {name} of {self._keys[index]!r}"

    def _placed(self, members: list[_Member], tar: str) -> list[tuple[int, int]]:
        """Return offset and size of each field, in the order of the first sample."""
        found = {member.field: member for member in members}
        self._contents = self._contents or {name: member.content for name, member in found.items()}
        if {name: member.content for name, member in found.items()} != self._contents:
            missing = ", ".join(sorted(set(self._contents) - set(found))) or "none"
            more = ", ".join(sorted(set(found) - set(self._contents))) or "none"
            raise DataError(
                f"{tar}: sample {members[0].key!r} differs from the first one: missing fields: {missing}; "
                f"further fields: {more}. Each sample needs the same fields: mend the tars."
            )
        return [(found[name].offset, found[name].size) for name in self._contents]

    def _told_apart(self, keys: list[str]) -> list[str]:
        if len(set(keys)) < len(keys):  # many data sets count from 0 in each tar
            stems = [Path(tar).stem for tar in self._tars]
            keys = [f"{stems[number]}/{key}" for number, key in zip(self._tar_of, keys, strict=True)]
        return unique(keys, str(self.folder))

    def _field(self, name: str) -> Field:
        content = self._contents[name]
        if content == "integer":
            kind: Kind = "class" if name.startswith("label") else "attribute"
            return Field(name=name, kind=kind, axes="", dtype="int64", shape=())
        if content == "text":
            return Field(name=name, kind="text", axes="", dtype="str", shape=())
        if content == "image":
            return file_field(
                name, kind_of(name), len(self), lambda i: (self._bytes(i, name), self._name(i, name))
            )
        head = header(self._bytes(0, name), name=self._name(0, name))
        axes = axes_of(head.shape)
        return Field(
            name=name, kind=kind_of(name) if "y" in axes else "attribute", axes=axes, dtype=head.dtype
        )

    def _bytes(self, index: int, name: str) -> bytes:
        with open(self._tars[self._tar_of[index]], "rb", buffering=0) as tar:
            cell = self._cell(tar.fileno(), index, name)
        assert isinstance(cell, bytes)
        return cell


def _tars_of(path: Path) -> list[Path]:
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise MissingDataError(f"{path}: no such tar, and no such folder of tars.")
    tars = sorted(p for p in path.iterdir() if p.suffix.lower() == ".tar" and not p.name.startswith("."))
    if not tars:
        raise MissingDataError(f"{path}: no tar in this folder. Expected files that end in .tar.")
    return tars


def _samples(path: str, ignored: Ignored) -> Iterator[list[_Member]]:
    """Yield the members of each sample of a tar."""
    group: list[tuple[str, str, tarfile.TarInfo]] = []
    for info in _infos(path):
        split = _split(info.name)
        if split is None or not info.isreg() or _content(split[1]) is None:
            ignored.add(info.name)
            continue
        if group and group[0][0] != split[0]:
            yield _members(group, path)
            group = []
        group.append((*split, info))
    if group:
        yield _members(group, path)


def _infos(path: str) -> Iterator[tarfile.TarInfo]:
    size = os.stat(path).st_size
    try:
        with tarfile.open(path, "r:") as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # or the headers of all members would stay in memory
                if info.issparse():
                    raise DataError(f"{path}: {info.name!r} is sparse. Write the tar again without --sparse.")
                if info.offset_data + info.size > size:
                    raise DataError(f"{path}: cut within {info.name!r}. Copy the tar again.")
                yield info
    except (tarfile.TarError, OSError, EOFError, UnicodeError) as error:
        raise DataError(_no_tar(path, error)) from error


def _no_tar(path: str, error: Exception) -> str:
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == _GZIP
    except OSError:
        compressed = False
    if compressed:
        return f"{path}: compressed, so that no sample can be found by its place. Unpack it with gunzip."
    return f"{path}: cut, or not a tar ({error}). Copy it again."


def _split(name: str) -> tuple[str, str] | None:
    """Return the key and the ending of a member: what stands before and after its first dot."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, dot, ending = file.partition(".")
    return (key_of(folder + slash + stem), ending.lower()) if stem and dot and ending else None


def _unquoted(keys: list[str]) -> list[str]:
    """Return the keys that stores of ours were written from, if each of these is what we make of one.

    A foreign tar passes too where it has escaped its names in this way, and is none the worse for it.
    """
    if not any("%" in key for key in keys):
        return keys
    try:
        plain = [unquote(key, errors="strict") for key in keys]
        ours = all(base_name(one.encode()) == key for one, key in zip(plain, keys, strict=True))
    except UnicodeError:
        return keys
    return [key_of(one) for one in plain] if ours else keys


def _content(ending: str) -> tuple[str, Content] | None:
    """Return the name that a member's ending stands for, and what it holds."""
    before, _, last = ending.rpartition(".")
    if f".{last}" in IMAGE_SUFFIXES:
        return before or "image", "image"
    if last in _INTEGERS:
        return before or _INTEGERS[last], "integer"
    if last in _TEXTS:
        return before or _TEXTS[last], "text"
    return (before or "array", "npy") if last == "npy" else None


def _members(group: list[tuple[str, str, tarfile.TarInfo]], path: str) -> list[_Member]:
    bare = [ending for _, ending, _ in group if f".{ending}" in IMAGE_SUFFIXES]
    members = []
    for key, ending, info in group:
        name, content = _content(ending) or ("", "text")
        # a.jpg beside a.png: which one is the image, only their endings tell
        name = ending if len(bare) > 1 and ending in bare else name
        members.append(_Member(key, name, content, info.offset_data, info.size))
    if len({member.field for member in members}) < len(members):
        raise DataError(
            f"{path}: sample {group[0][0]!r} has two members for one field: "
            f"{', '.join(info.name for *_, info in group)}. Expected one each."
        )
    return members


def _integer(data: bytes, name: str) -> int:
    try:
        number = int(data)
    except ValueError as error:
        raise DataError(f"{name} is {data[:40]!r}: expected an integer in digits.") from error
    if not -(2**63) <= number < 2**63:
        raise SchemaError(f"{name} is {number}: expected an integer from -2**63 to 2**63 - 1.")
    return number


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 ({error}).") from error
