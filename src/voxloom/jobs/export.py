"""Export: the weights that predict, with the configuration that builds their networks."""

from __future__ import annotations

from pathlib import Path

from voxloom.errors import OutputExistsError
from voxloom.inference import Trained

__all__ = ["export"]


def export(checkpoint: str | Path, output: str | Path, *, overwrite: bool = False) -> Path:
    """Write a checkpoint's prediction weights as one safetensors file and return its path.

    Raises
    ------
    OutputExistsError
        When the file is there already and `overwrite` is False.
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise OutputExistsError(f"{output} exists already. Name another file, or replace it (--overwrite).")
    return Trained.load(checkpoint).save(output)
