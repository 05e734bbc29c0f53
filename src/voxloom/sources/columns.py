"""Columns of samples: a file each, or a value each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxloom.errors import DataError, MissingDataError, UnreadableImageError
from voxloom.formats.encoding import decode, header
from voxloom.sample import Array, Field, Kind, Schema

__all__ = ["Files", "Values", "axes_of", "file_field", "kind_of", "read_bytes", "size_of", "told_by"]

_WORDS = re.compile(r"[^\W\d_A-Z]+|[A-Z][^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")
_MASK_WORDS = {
    "annot", "annotation", "annotations", "gt", "instance", "instances", "label", "labels", "mask", "masks",
    "seg", "segmentation", "segmentations",
}  # fmt: skip

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Files:
    """A field that lies in one file a sample.

    Attributes
    ----------
    paths
        One path a sample, below `root` or absolute.
    kind
        Whether they are images or masks.
    root
        Folder of the relative paths.
    """

    paths: Sequence[str]
    kind: Kind = "image"
    root: str = ""

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, index: int) -> str:
        """Return the file of sample `index`."""
        return os.path.join(self.root, self.paths[index])

    def cell(self, index: int) -> bytes:
        """Return the bytes of the file of sample `index`."""
        return read_bytes(self.path(index))

    def typed(self, name: str) -> Field:
        """Return a field of this name, with the type of the first file that can be decoded."""
        return file_field(name, self.kind, len(self), lambda index: (self.cell(index), self.path(index)))


@dataclass(frozen=True)
class Values:
    """A field whose values are at hand.

    Attributes
    ----------
    items
        One value a sample: numbers (samples, ...) or strings.
    field
        What they are.
    """

    items: Array | Sequence[str]
    field: Field

    def __len__(self) -> int:
        return len(self.items)

    def cell(self, index: int) -> Array:
        """Return the value of sample `index`."""
        value = self.items[index]
        return np.array(value) if isinstance(value, str) else np.array(value, self.field.dtype)

    def typed(self, name: str) -> Field:
        """Return the field under this name."""
        return self.field if self.field.name == name else self.field.model_copy(update={"name": name})


def told_by(arrays: Mapping[str, Array], schema: Schema) -> Schema:
    """Return a schema with the types of these arrays, where a file differs from the first one.

    Examples
    --------
    >>> schema = Schema([Field(name="image", axes="yx")])
    >>> told_by({"image": np.zeros((2, 2), np.uint16)}, schema)["image"].dtype
    'uint16'
    """
    fields = schema.values()
    odd = [f for f in fields if f.kind != "text" and str(arrays[f.name].dtype) != f.dtype]
    if not odd:
        return schema
    return schema.replace(*(f.model_copy(update={"dtype": str(arrays[f.name].dtype)}) for f in odd))


def axes_of(shape: tuple[int, ...]) -> str:
    """Return the axes that an array of this shape most likely has: channels are last if there are 1 to 4.

    Examples
    --------
    >>> axes_of(()), axes_of((64, 48)), axes_of((64, 48, 3)), axes_of((16, 64, 48))
    ('', 'yx', 'yxc', 'cyx')
    """
    if len(shape) < 3:
        return ("", "c", "yx")[len(shape)]
    if len(shape) > 4:
        raise DataError(f"an array of shape {shape}: expected up to 4 axes.")
    spatial = "zyx"[4 - len(shape) :]
    return f"{spatial}c" if shape[-1] <= 4 else f"c{spatial}"


def kind_of(name: str) -> Kind:
    """Return ``mask`` where a word of the name means masks (mask, label, seg, gt ...), else ``image``.

    Examples
    --------
    >>> kind_of("masks"), kind_of("label_fine"), kind_of("toothMask2"), kind_of("segue")
    ('mask', 'mask', 'mask', 'image')
    """
    words = {word.lower() for word in _WORDS.findall(name)}
    return "mask" if words & _MASK_WORDS else "image"


def file_field(name: str, kind: Kind, samples: int, cell: Callable[[int], tuple[bytes, str]]) -> Field:
    """Return a field with the type of the first file that can be decoded: a bad one condemns no other.

    Parameters
    ----------
    name, kind
        Of the field.
    samples
        How many there are.
    cell
        Gives the bytes of the file of a sample, and its name for messages.

    Raises
    ------
    DataError
        That of the first file, when none can be decoded.
    """
    first: DataError | None = None
    for index in range(samples):
        try:
            data, path = cell(index)
            array = decode(data, name=path, kind=kind)
        except DataError as error:
            first = first or error
        else:
            axes = _axes(array.ndim, header(data, name=path).axes, kind)
            return Field(name=name, kind=kind, axes=axes, dtype=str(array.dtype))
    raise first or DataError(f"no file to take the type of field {name!r} from")


def _axes(ndim: int, natural: str, kind: Kind) -> str:
    if "z" in natural and len(natural) == ndim:
        return natural  # a stack in one file
    return "yx" if kind == "mask" and ndim == 2 else "yxc"


def read_bytes(path: StrPath) -> bytes:
    """Return the content of a file.

    Raises
    ------
    MissingDataError
        When there is no such file.
    UnreadableImageError
        When it cannot be read.

    Examples
    --------
    >>> read_bytes("no-such-file.png")
    Traceback (most recent call last):
    voxloom.errors.MissingDataError: no-such-file.png: no such file.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise _no_file(path, error) from error


def size_of(path: StrPath) -> int:
    """Return the size of a file in bytes; raises as `read_bytes` does."""
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise _no_file(path, error) from error


def _no_file(path: StrPath, error: OSError) -> DataError:
    path = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        return MissingDataError(f"{path}: no such file.")
    return UnreadableImageError(f"{path}: could not be read ({error.strerror or error}).")
