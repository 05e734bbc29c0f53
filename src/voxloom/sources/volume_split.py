"""Which volumes train and which validate: a split of datasets, each raw with its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxloom.volumes.labels import Labels
from voxloom.volumes.volume import Volume

__all__ = ["Dataset"]


@dataclass(frozen=True)
class Dataset:
    """One row of a split, opened.

    Attributes
    ----------
    name
        What it is called in keys and messages.
    raw
        The volume of each input.
    labels
        What was annotated; None where nothing was.
    """

    name: str
    raw: Mapping[str, Volume]
    labels: Labels | None = None
