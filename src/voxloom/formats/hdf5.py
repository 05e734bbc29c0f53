"""Shards of one HDF5 file each: written by h5py, read through a map without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxloom.formats.format import Column, Format, Shard, ShardWriter
from voxloom.formats.hdf5_reader import Hdf5Shard
from voxloom.formats.hdf5_writer import Hdf5Writer
from voxloom.formats.mapped import checked_columns, checked_compression

__all__ = ["Hdf5"]


class Hdf5(Format):
    """One HDF5 file a shard, with one dataset a column.

    A column of one shape is a contiguous dataset (samples, *shape), or is chunked by sample where a
    compression is asked for and a sample has a kilobyte or more. A column of bytes is a uint8 dataset
    with all its strings, and ``<name>.offsets``. ``<name>.chunks`` tells where compressed samples lie.
    Where the datasets begin stands in the file's user block, too: we read through a map without the
    HDF5 library, so without its lock, in any thread and any forked process.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import h5py
    >>> import numpy as np
    >>> folder, columns = Path(mkdtemp()), [Column("image", "uint16", (2, 2))]
    >>> writer = Hdf5().writer(folder, "00000", columns, samples=1)
    >>> writer.append({"image": np.eye(2, dtype="uint16")})
    >>> writer.close()
    >>> with h5py.File(folder / "00000.h5") as file:
    ...     file["image"][0].tolist()
    [[1, 0], [0, 1]]
    """

    compressions = ("none", "gzip", "blosc")
    """``gzip`` is what each HDF5 library reads; ``blosc`` is bitshuffle and LZ4, 2 GB/s a core and more."""

    def files(self, stem: str, columns: Sequence[Column]) -> list[str]:  # noqa: ARG002
        """Return the one name ``<stem>.h5``."""
        return [f"{stem}.h5"]

    def writer(
        self, folder: Path, stem: str, columns: Sequence[Column], samples: int, *, compression: str = "none"
    ) -> ShardWriter:
        """Start a shard.

        Raises
        ------
        MissingExtraError
            When h5py is not installed.
        """
        checked_compression(compression, self.compressions, "hdf5")
        return Hdf5Writer(folder / f"{stem}.h5", checked_columns(columns), samples, compression)

    def open(self, folder: Path, stem: str, columns: Sequence[Column], samples: int) -> Shard:
        """Map the file of a shard."""
        return Hdf5Shard(folder / f"{stem}.h5", checked_columns(columns), samples)
