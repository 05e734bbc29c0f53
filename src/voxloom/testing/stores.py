"""Stores made by hand, shard by shard: for tests of what reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from voxloom.formats import FORMATS, KEY, FileFacts, Manifest, ShardFacts, digest_of
from voxloom.formats.encoding import encode
from voxloom.formats.manifest import SHARDS, Encoding, columns_of
from voxloom.sample import Array, Cell, Field, Sample, Schema
from voxloom.source import Source

__all__ = ["Counting", "write_store"]


class Counting(Source):
    """Samples that tell their index: a field ``image`` filled with it, and a class ``label``.

    Parameters
    ----------
    count
        Number of samples.
    shape
        Of an image, axes yxc.
    classes
        Sample i is of class ``i % classes``.
    """

    def __init__(self, count: int, shape: tuple[int, int, int] = (4, 6, 3), classes: int = 3) -> None:
        self._count, self._shape, self._classes = count, shape, classes

    @property
    def schema(self) -> Schema:
        """Fields image and label."""
        names = tuple(f"class{number}" for number in range(self._classes))
        return Schema(
            [
                Field(name="image", axes="yxc", dtype="uint16", shape=self._shape),
                Field(name="label", kind="class", axes="", dtype="int64", shape=(), categories=names),
            ]
        )

    @property
    def keys(self) -> list[str]:
        """``class1/000001.png``, ..."""
        return [f"class{index % self._classes}/{index:06}.png" for index in range(self._count)]

    def read(self, index: int) -> Sample:
        """Return sample `index`."""
        image = np.full(self._shape, index, np.uint16)
        label = np.array(index % self._classes, np.int64)
        return Sample(self.keys[index], self.schema, {"image": image, "label": label})


def write_store(
    folder: str | os.PathLike[str],
    source: Source,
    *,
    format: str = "memmap",
    samples_per_shard: int = 4,
    encodings: Mapping[str, Encoding] | None = None,
) -> Path:
    """Write a source as a store, without any of the care that `voxloom.convert` takes; return `folder`.

    Parameters
    ----------
    folder
        Where it comes to lie.
    source
        What is written; its cells are stored as they are where they are bytes.
    format
        A name in `FORMATS`.
    samples_per_shard
        The last shard may hold fewer.
    encodings
        How fields are stored; fields with a shape are ``fixed`` and others ``npy`` where nothing is said.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from voxloom.formats.store import Store
    >>> store = Store(write_store(mkdtemp(), Counting(10)))
    >>> len(store), int(store[7]["image"].max())
    (10, 7)
    """
    folder = Path(folder)
    (folder / SHARDS).mkdir(parents=True)
    fields = tuple(source.schema.values())
    chosen: dict[str, Encoding] = {f.name: "npy" if f.shape is None else "fixed" for f in fields}
    chosen |= encodings or {}
    columns, shards = columns_of(fields, chosen), []
    for number, start in enumerate(range(0, len(source), samples_per_shard)):
        stem, stop = f"{number:05}", min(start + samples_per_shard, len(source))
        form = FORMATS[format]()
        writer = form.writer(folder / SHARDS, stem, columns, stop - start)
        for index in range(start, stop):
            cells = {name: _cell(cell, chosen[name]) for name, cell in source.cells(index).items()}
            writer.append({**cells, KEY: source.keys[index].encode()})
        writer.close()
        paths = [folder / SHARDS / name for name in form.files(stem, columns)]
        files = [FileFacts(name=p.name, bytes=p.stat().st_size, xxh3=digest_of(p)) for p in paths]
        shards.append(ShardFacts(stem=stem, samples=stop - start, files=tuple(files)))
    Manifest(
        producer="voxloom.testing", format=format, fields=fields, encodings=chosen, shards=tuple(shards)
    ).write(folder)
    return folder


def _cell(cell: Cell, encoding: Encoding) -> Array | bytes | memoryview:
    if isinstance(cell, np.ndarray):
        return (
            np.ascontiguousarray(cell).reshape(cell.shape) if encoding == "fixed" else encode(cell, encoding)
        )
    return cell
