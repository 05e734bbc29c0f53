"""Where results may go: anywhere but among the data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from voxloom.errors import OutputExistsError
from voxloom.sources import Layout
from voxloom.sources.stored import is_store

__all__ = ["data_folders", "refuse_among"]


def data_folders(layout: Layout) -> list[Path]:
    """Return the folders and the stores that hold a data set's images."""
    bases = [layout.data_base_dir, *([layout.val_dir] if layout.val_dir else [])]
    sides = (layout.target, layout.condition)
    return [folder for base in bases for folder in ([base] if is_store(base) else [base / s for s in sides])]


def refuse_among(output: str | Path, folders: Iterable[str | Path], cure: str) -> None:
    """Refuse an output folder that is a folder of data or lies within one.

    Parameters
    ----------
    output
        Where something shall be written.
    folders
        What is only read.
    cure
        How to name another place.

    Raises
    ------
    OutputExistsError
        When it is.

    Examples
    --------
    >>> refuse_among("runs/a", ["data/mri"], "Name another run_dir.")
    >>> refuse_among("data/mri/runs", ["data/mri"], "Name another run_dir.")
    Traceback (most recent call last):
    voxloom.errors.OutputExistsError: the output data/mri/runs lies within the data folder data/mri,
    into which nothing is written. Name another run_dir.
    """
    place = Path(output).resolve()
    for folder in folders:
        data = Path(folder).resolve()
        if place.is_relative_to(data):
            raise OutputExistsError(
                f"the output {output} lies within the data folder {folder}, into which nothing is written. "
                f"{cure}"
            )
