"""The image files of a folder, found with one look at each folder and none at any file."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from voxloom.errors import DataError, MissingDataError

__all__ = ["IMAGE_SUFFIXES", "Ignored", "Listing", "is_image", "key_of", "list_folder", "list_tree", "unique"]

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Endings of the image files that can be converted, in lower case; upper case counts too."""

_NAMED = 10  # names of left-out files that are kept
_log = logging.getLogger(__name__)


@dataclass
class Ignored:
    """What a folder holds beside its images.

    Attributes
    ----------
    count
        Number of files and folders that were left out.
    names
        The first of them, relative to the folder that was listed.
    """

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.names) < _NAMED:
            self.names.append(name)

    def join(self, other: Ignored, folder: str) -> None:
        """Count what was left out of a folder, too."""
        self.names += [f"{folder}/{name}" for name in other.names[: _NAMED - len(self.names)]]
        self.count += other.count

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.names) else ""
        return f"{self.count} ({', '.join(self.names)}{more})" if self.count else "nothing"


@dataclass
class Listing:
    """What was found in a folder.

    Attributes
    ----------
    files
        Paths of the image files relative to the folder, with ``/`` between the names, as the disk has them.
    folders
        Names of the folders directly in it, sorted; hidden ones are left out.
    ignored
        What was left out.
    """

    files: list[str]
    folders: list[str]
    ignored: Ignored


def is_image(name: str) -> bool:
    """Whether a file with this name can be an image: not hidden, and with a known ending.

    Examples
    --------
    >>> is_image("a.JPG"), is_image(".a.jpg"), is_image("a.txt")
    (True, False, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def key_of(path: str) -> str:
    """Return the key of a file: its relative path, composed (NFC) as most systems write it.

    Raises
    ------
    DataError
        When the name is not UTF-8.
    """
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{os.fsencode(path)!r}: the name of this file is not UTF-8, so that no key can be made of it. "
            "Rename the file."
        ) from error
    return unicodedata.normalize("NFC", path)


def unique(keys: list[str], where: str) -> list[str]:
    """Return the keys, or refuse two samples of one key.

    Raises
    ------
    DataError
        Naming the first key that stands twice.
    """
    if len(set(keys)) == len(keys):
        return keys
    seen: set[str] = set()
    twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    raise DataError(f"{where}: two samples have the key {twice!r}; keys must differ. Rename one.")


def list_folder(root: str) -> Listing:
    """List the image files directly in a folder, sorted by name.

    Raises
    ------
    MissingDataError
        When there is no such folder.
    DataError
        When it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> root = mkdtemp()
    >>> for name in ("b.png", "a.JPG", "notes.txt"):
    ...     Path(root, name).touch()
    >>> listing = list_folder(root)
    >>> listing.files, str(listing.ignored)
    (['a.JPG', 'b.png'], '1 (notes.txt)')
    """
    ignored = Ignored()
    files, folders = _looked_at(root, "", ignored)
    names = sorted(entry.name for entry in folders)
    for name in names:
        ignored.add(f"{name}/")
    return Listing(files, names, ignored)


def list_tree(root: str) -> Listing:
    """List the image files of each folder in `root`, at any depth below it, folder by folder.

    Files directly in `root` are left out. Links to folders are followed, but not back to a folder that is
    being listed. The order is torchvision's: the folders sorted, in each the paths of the folders below
    it sorted, in each of those the names sorted.

    Raises
    ------
    MissingDataError
        When there is no such folder.
    DataError
        When a folder cannot be read.
    """
    ignored = Ignored()
    strays, tops = _looked_at(root, "", ignored)
    for name in strays:
        ignored.add(name)
    above = {_identity(os.stat(root))}
    tops.sort(key=lambda entry: entry.name)
    files = [file for top in tops for file in _below(root, top, above, ignored)]
    return Listing(files, [top.name for top in tops], ignored)


def _below(root: str, top: os.DirEntry[str], above: set[tuple[int, int]], ignored: Ignored) -> Iterable[str]:
    """Return the image files below a folder, as paths relative to `root`."""
    found: list[tuple[str, list[str]]] = []
    waiting = [(top.name, top, above)]
    while waiting:
        name, entry, ancestors = waiting.pop()
        try:
            identity = _identity(entry.stat())
        except OSError as error:
            raise _unreadable(entry.path, error) from error
        if identity in ancestors:
            _log.warning("%s leads back to a folder above it, and is not followed", entry.path)
            ignored.add(f"{name}/")
            continue
        files, folders = _looked_at(root, f"{name}/", ignored)
        found.append((name, files))
        waiting += [(f"{name}/{inner.name}", inner, ancestors | {identity}) for inner in folders]
    found.sort()
    return (f"{folder}/{file}" for folder, names in found for file in names)


def _looked_at(root: str, prefix: str, ignored: Ignored) -> tuple[list[str], list[os.DirEntry[str]]]:
    """Return the names of the images in one folder, sorted, and its folders."""
    files, folders = [], []
    for entry in _entries(os.path.join(root, prefix) if prefix else root):
        name = entry.name
        if name.startswith("."):
            ignored.add(prefix + name)
        elif entry.is_dir():
            folders.append(entry)
        # A link that leads nowhere is kept: reading it says which file is missing.
        elif is_image(name) and (entry.is_file() or entry.is_symlink()):
            files.append(name)
        else:
            ignored.add(prefix + name)
    return sorted(files), folders


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: str, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return MissingDataError(f"{folder}: no such folder. Expected a folder of images.")
    if isinstance(error, NotADirectoryError):
        return MissingDataError(f"{folder}: not a folder. Expected a folder of images.")
    return DataError(
        f"{folder}: this folder could not be read ({error.strerror or error}), and to leave it out would "
        "lose what is in it. Change its permissions, or move it away."
    )


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
