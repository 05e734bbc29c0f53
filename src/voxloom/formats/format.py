"""How one shard lies on disk: what a format writes, and what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxloom.sample import Array

__all__ = ["KEY", "Column", "Format", "Row", "Rows", "Shard", "ShardWriter", "Spread"]

KEY = "__key__"
"""Name of the column that holds the samples' keys, as UTF-8."""

Row = Mapping[str, Array | bytes | memoryview]
"""One sample for a writer: an array of the column's type and shape, or bytes, by column."""

Rows = npt.NDArray[np.int64]
"""Numbers of samples in a shard."""

Spread = tuple[memoryview, Sequence[int]]
"""Mapped bytes, and the first byte of each sample in them."""


@dataclass(frozen=True)
class Column:
    """One field of all samples of a shard.

    Attributes
    ----------
    name
        The field's name, or `KEY`.
    dtype
        Element type of a column of one shape; None where each sample is a string of bytes.
    shape
        Extents of one sample in a column of one shape; () is a scalar.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether each sample has the same type and shape."""
        return self.dtype is not None

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample of a column of one shape."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))


class ShardWriter(ABC):
    """Writes the samples of one shard, in order; what it holds in memory does not grow with the shard."""

    @abstractmethod
    def append(self, row: Row) -> None:
        """Add one sample: a C-contiguous array for each column of one shape, bytes for each other."""

    @abstractmethod
    def close(self) -> None:
        """Bring the files to their final content on the disk (fsync). A second call does nothing."""

    def discard(self) -> None:  # noqa: B027 - most writers hold nothing but files, which the caller removes
        """Let go of the files without finishing them."""


class Shard(ABC):
    """Reads the samples of one finished shard; may be used by several threads at once."""

    @abstractmethod
    def take(self, name: str, rows: Rows, out: Array, places: Rows | None = None) -> None:
        """Copy samples of a column of one shape to ``out``, (samples, *shape).

        They come to lie in the order of `rows`; or, where a batch is put together from several shards,
        sample ``rows[i]`` at ``out[places[i]]``.
        """

    def view(self, name: str) -> Array | None:  # noqa: ARG002
        """Return a column of one shape as one mapped, read-only array (samples, *shape), or None where
        its samples do not lie at equal distances in a mapped file."""
        return None

    def spread(self, name: str) -> Spread | None:
        """Return where the samples of a column of one shape lie in a mapped file, or None if they do not."""
        view = self.view(name)
        if view is None or not view[:1].nbytes or not view.flags.c_contiguous:
            return None
        size, flat = view[:1].nbytes, view.reshape(-1).view(np.uint8)
        return flat.data, range(0, len(view) * size, size)

    @abstractmethod
    def blob(self, name: str, row: int) -> bytes | memoryview:
        """Return the bytes of one sample of a column of bytes; a view where the file is mapped."""

    def close(self) -> None:  # noqa: B027 - a mapped file closes when the last view of it goes
        """Let go of the files."""


class Format(ABC):
    """One way to lay a shard on disk. A format is stateless, picklable, and named in `FORMATS`.

    Each holds any columns. All that a shard needs to be read lies in its files, its columns and its
    number of samples, which the store's manifest keeps.
    """

    compressions: tuple[str, ...] = ("none",)
    """What `writer` takes as its compression; the first is what it does by itself."""

    @abstractmethod
    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:
        """Return the names of the files of the shard called `stem`, for instance ``["00000.arrow"]``."""

    @abstractmethod
    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard of at most `samples` samples in an existing folder."""

    @abstractmethod
    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Open a finished shard of exactly `samples` samples.

        Raises
        ------
        DamagedStoreError
            When the files are not what a writer of this format leaves: cut, empty, of other columns.
        MissingDataError
            When a file is not there.
        MissingExtraError
            When the library that reads it is not installed.
        """
