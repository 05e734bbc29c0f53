"""Folders of image files as sources: single images, and pairs matched by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from voxloom.errors import DataError
from voxloom.sample import Array, Cell, Field, Sample, Schema
from voxloom.source import Source, Subset
from voxloom.sources.columns import read_bytes, size_of
from voxloom.sources.images import ReadPolicy, list_images, read_image, stem_of
from voxloom.sources.pairing import Unmatched, match

__all__ = ["ImageFolder", "PairFolder", "readable"]

_DEFAULT = ReadPolicy()


class ImageFolder(Source):
    """The images of one folder, in the order of their names.

    Parameters
    ----------
    folder
        Where the TIFF and PNG files lie; subfolders are not entered.
    policy
        What to do with colour, several pages, NaN and blank images.
    field
        Name of the one field.
    prefix
        Keys are ``<prefix>/<stem>``; None takes the folder's name, and "" leaves the bare stem.

    Raises
    ------
    MissingDataError, DataError
        As `list_images` does.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources import write_image
    >>> folder = Path(mkdtemp()) / "mri"
    >>> for stem in ("b", "a"):
    ...     write_image(folder / f"{stem}.tif", np.eye(4))
    >>> images = ImageFolder(folder)
    >>> images.keys, images[0]["image"].shape
    (['mri/a', 'mri/b'], (1, 4, 4))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        policy: ReadPolicy = _DEFAULT,
        *,
        field: str = "image",
        prefix: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.policy = policy
        self.field = field
        self._paths = list_images(self.folder)
        # "." and "a/.." have names too, but only once they are absolute
        prefix = Path(os.path.abspath(folder)).name if prefix is None else prefix
        self._keys = [_key(prefix, stem_of(path)) for path in self._paths]

    def __repr__(self) -> str:
        return f"{len(self)} images of {self.folder}"

    @cached_property
    def schema(self) -> Schema:
        """One image field, with the type of the first image that can be read; others may differ."""
        return _first_readable(self).schema

    @property
    def keys(self) -> Sequence[str]:
        """``<prefix>/<stem>`` of each image."""
        return self._keys

    def path(self, index: int) -> Path:
        """Return the file of image `index`."""
        return self._paths[index]

    def read(self, index: int) -> Sample:
        """Return image `index`, axes cyx with one channel.

        Raises
        ------
        DataError
            If the file cannot be read, or the policy refuses it.
        """
        return _sample(self._keys[index], {self.field: read_image(self._paths[index], self.policy)})

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the bytes of image `index` as its file holds them; the policy judges what `read` gives."""
        return {self.field: read_bytes(self._paths[index])}

    def nbytes(self, index: int) -> int:
        """Return the size of the file of image `index`."""
        return size_of(self._paths[index])


class PairFolder(Source):
    """Pairs of images from two folders, matched by the stems of the files, never by position.

    Parameters
    ----------
    target_dir
        Images that a translation should give: field ``target``.
    condition_dir
        Images that a translation starts from: field ``condition``.
    policy
        What to do with colour, several pages, NaN and blank images.
    unmatched
        What to do with images without a partner: refuse, or leave them out and list them in `dropped`.
    prefix
        Keys are the stems, or ``<prefix>/<stem>`` where a prefix is given.

    Attributes
    ----------
    dropped
        ``<folder>/<file>`` of the images that were left out.

    Raises
    ------
    MissingDataError, DataError
        As `list_images` does.
    PairingError
        If images lack a partner, or no image has one.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources import write_image
    >>> base = Path(mkdtemp())
    >>> for name in ("mri/1.tif", "ct/1.tiff", "ct/2.tif"):
    ...     write_image(base / name, np.eye(4))
    >>> pairs = PairFolder(base / "mri", base / "ct", unmatched="drop")
    >>> pairs.keys, list(pairs[0]), pairs.dropped
    (['1'], ['target', 'condition'], ['ct/2.tif'])
    """

    def __init__(
        self,
        target_dir: str | os.PathLike[str],
        condition_dir: str | os.PathLike[str],
        policy: ReadPolicy = _DEFAULT,
        *,
        unmatched: Unmatched = "error",
        prefix: str = "",
    ) -> None:
        self.folders = {"target": Path(target_dir), "condition": Path(condition_dir)}
        self.policy = policy
        listed = {
            name: {stem_of(p): p.name for p in list_images(folder)} for name, folder in self.folders.items()
        }
        stems, self.dropped = match(self.folders, listed, unmatched)
        self._keys = [_key(prefix, stem) for stem in stems]
        self._paths = [
            {name: folder / listed[name][stem] for name, folder in self.folders.items()} for stem in stems
        ]

    def __repr__(self) -> str:
        return f"{len(self)} pairs of {self.folders['target']} and {self.folders['condition']}"

    @cached_property
    def schema(self) -> Schema:
        """Fields target and condition, with the types of the first pair that can be read."""
        return _first_readable(self).schema

    @property
    def keys(self) -> Sequence[str]:
        """The stem of each pair, below the prefix if there is one."""
        return self._keys

    def path(self, index: int) -> dict[str, Path]:
        """Return the files of pair `index` by field."""
        return dict(self._paths[index])

    def read(self, index: int) -> Sample:
        """Return pair `index`: target and condition, axes cyx with one channel each.

        Raises
        ------
        DataError
            If a file cannot be read, or the policy refuses it.
        """
        paths = self._paths[index]
        return _sample(self._keys[index], {name: read_image(paths[name], self.policy) for name in paths})

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return the bytes of the files of pair `index`; the policy judges what `read` gives."""
        return {name: read_bytes(path) for name, path in self._paths[index].items()}

    def nbytes(self, index: int) -> int:
        """Return the size of the files of pair `index` together."""
        return sum(size_of(path) for path in self._paths[index].values())


def readable(
    source: Source, progress: Callable[[int, int], object] | None = None
) -> tuple[Subset, list[tuple[str, str]]]:
    """Read each sample once, and return those that can be read with a list of those that cannot.

    Parameters
    ----------
    source
        What is read.
    progress
        Called with (done, total) after each sample.

    Returns
    -------
    tuple
        The readable samples, and (key, reason) of each of the others.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources import write_image
    >>> folder = Path(mkdtemp()) / "ct"
    >>> write_image(folder / "good.tif", np.eye(4))
    >>> (folder / "bad.tif").touch()
    >>> usable, failures = readable(ImageFolder(folder))
    >>> usable.keys, failures[0][0]
    (['ct/good'], 'ct/bad')
    """
    good: list[int] = []
    failures: list[tuple[str, str]] = []
    for index, key in enumerate(source.keys):
        try:
            source[index]
        except DataError as error:
            failures.append((key, str(error)))
        else:
            good.append(index)
        if progress is not None:
            progress(index + 1, len(source))
    return Subset(source, good), failures


def _key(prefix: str, stem: str) -> str:
    return f"{prefix}/{stem}" if prefix else stem


def _first_readable(source: Source) -> Sample:
    """Return the first sample that can be read: a bad first file does not condemn the others."""
    first: DataError | None = None
    for index in range(len(source)):
        try:
            return source.read(index)
        except DataError as error:
            first = first or error
    raise first or DataError(f"{source!r}: no sample to take the schema from")


def _sample(key: str, arrays: dict[str, Array]) -> Sample:
    return Sample(key, _schema(*((name, str(array.dtype)) for name, array in arrays.items())), arrays)


@lru_cache(maxsize=64)
def _schema(*fields: tuple[str, str]) -> Schema:
    return Schema([Field(name=name, dtype=dtype) for name, dtype in fields])
