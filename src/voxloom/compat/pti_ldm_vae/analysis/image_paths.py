"""The older listing of images, and whose they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["extract_patient_id_from_filename", "load_image_paths"]


def extract_patient_id_from_filename(filename: str | os.PathLike[str]) -> str:
    """Return what follows the last underscore of a file's stem.

    Examples
    --------
    >>> extract_patient_id_from_filename("data/image_001.tif")
    '001'
    """
    return Path(filename).stem.rpartition("_")[2]


def load_image_paths(
    directory: str | os.PathLike[str],
    max_images: int | None = None,
    extensions: Sequence[str] = (".tif", ".tiff"),
) -> list[str]:
    """Return the images of a folder in the order of their names.

    Parameters
    ----------
    directory
        Where they are; one that does not exist has none.
    max_images
        The first so many; None for all.
    extensions
        Ends of the names, with or without a dot, in capitals or not.

    Examples
    --------
    >>> load_image_paths("not/there")
    []
    """
    ends = tuple(f".{end.lower().removeprefix('.')}" for end in extensions)
    folder = Path(directory)
    if not folder.is_dir():
        return []
    found = sorted(str(path) for path in folder.iterdir() if path.name.lower().endswith(ends))
    return found if max_images is None else found[:max_images]
