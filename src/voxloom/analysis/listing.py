"""The images of a folder by name, and a few of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxloom.errors import MissingDataError
from voxloom.sources.images import list_images, stem_of

__all__ = ["evenly", "images_by_name"]


def images_by_name(folder: str | Path) -> dict[str, Path]:
    """Return name -> file of a folder's images, or of its subfolders' where it has none of its own.

    Parameters
    ----------
    folder
        With images, or with folders of images; then a name is ``<subfolder>/<stem>``, as the keys of
        several sources are.

    Raises
    ------
    MissingDataError
        When there is no image in either.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from voxloom.sources.write import write_image
    >>> folder = Path(mkdtemp())
    >>> write_image(folder / "left" / "a.tif", np.zeros((2, 2)))
    >>> list(images_by_name(folder)), list(images_by_name(folder / "left"))
    (['left/a'], ['a'])
    """
    folder = Path(folder)
    try:
        return {stem_of(path): path for path in list_images(folder)}
    except MissingDataError:
        found = {f"{sub.name}/{stem_of(path)}": path for sub in _subfolders(folder) for path in _images(sub)}
        if not found:
            raise
        return found


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_dir() and not path.name.startswith(".")]


def _images(folder: Path) -> list[Path]:
    try:
        return list_images(folder)
    except MissingDataError:
        return []


def evenly(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the names, evenly chosen and in their order.

    Examples
    --------
    >>> evenly("abcdefg", 3), evenly("ab", 3)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    if len(names) <= most:
        return list(names)
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
