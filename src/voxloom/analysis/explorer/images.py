"""Where the picture of a point comes from: the image that its latent was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from voxloom.analysis.explorer.matching import matched
from voxloom.analysis.latents.points import Points
from voxloom.errors import DataError, MissingDataError, VoxloomError
from voxloom.formats.encoding import header
from voxloom.sample import Array
from voxloom.source import Source
from voxloom.sources.folder import ImageFolder, PairFolder

__all__ = ["Images", "Pixels"]

_MEAN = "_mu"
_KINDS = ("image", "mask")


class Pixels(NamedTuple):
    """An image as it is shown, and as it lies on disk.

    Attributes
    ----------
    array
        (H, W) of numbers, or (H, W, 3) of colours.
    shape, axes, dtype
        Of the whole array that it was taken from; the type is that of the file, which is read as float32.
    note
        What was left out, for instance other channels; empty where nothing was.
    """

    array: Array
    shape: tuple[int, ...]
    axes: str
    dtype: str
    note: str


@dataclass(frozen=True)
class Images:
    """The images of points, found by their keys, or by what `matched` makes of them.

    Parameters
    ----------
    points
        Whose groups each have a source of latents.
    sources
        Source of images by the name of the group; a group that is missing, or None, has none.
    """

    points: Points
    sources: Mapping[str, Source | None]

    @property
    def are_there(self) -> bool:
        """Whether any group has images."""
        return any(source is not None for source in self.sources.values())

    def read(self, row: int) -> Pixels:
        """Return the image of a point.

        Raises
        ------
        MissingDataError
            When its group has no images, or none of its key.
        DataError
            When it cannot be read, or cannot be shown.
        """
        self.place(row)
        return self.read_field(row, self.field(row))

    def read_field(self, row: int, name: str) -> Pixels:
        """Return another image of a point's key, for instance its ``target``; raises as `read` does."""
        source, index = self.place(row)
        chosen = self._chosen(source, name)
        try:
            array = np.asarray(chosen[index][name])
        except VoxloomError:
            raise
        except (OSError, ValueError) as error:
            raise DataError(f"{self.points.keys[row]}: {error}") from error
        return _shown(array, source.schema[name].axes)._replace(
            dtype=_stored(chosen, index, name) or str(array.dtype)
        )

    def fields(self, row: int) -> tuple[str, ...]:
        """Return the names of all images of a point's key."""
        source = self.sources.get(str(self.points.groups[row]))
        return () if source is None else tuple(n for n, f in source.schema.items() if f.kind in _KINDS)

    def place(self, row: int) -> tuple[Source, int]:
        """Return the source of a point's image and its index there.

        Raises
        ------
        MissingDataError
            When there is none.
        """
        group = str(self.points.groups[row])
        source = self.sources.get(group)
        if source is None:
            raise MissingDataError("no images are known for this group. Name them with --images.")
        index = self._places[group].get(key := self.points.keys[row])
        if index is None:
            raise MissingDataError(f"no image has the key {key}.")
        return source, index

    def field(self, row: int) -> str:
        """Return the field that a point's latent was made of.

        Raises
        ------
        MissingDataError
            When it cannot be told.
        """
        group = str(self.points.groups[row])
        names, wanted = self.fields(row), self.points.parts[group].field.removesuffix(_MEAN)
        if wanted in names or len(names) == 1:
            return wanted if wanted in names else names[0]
        raise MissingDataError(f"the images have no field {wanted!r}: expected one of {', '.join(names)}.")

    def file(self, row: int) -> Path | None:
        """Return the file that holds a point's image, None where it lies in a store or is not known."""
        try:
            source, index = self.place(row)
            find, name = getattr(source, "path", None), self.field(row)
            if not callable(find):
                return None
            found = find(index) if isinstance(source, ImageFolder | PairFolder) else find(index, name)
            return Path(found[name] if isinstance(found, dict) else found)
        except (VoxloomError, LookupError):
            return None

    def _chosen(self, source: Source, name: str) -> Source:
        """Return a source with one field alone; choosing may cost a look at all keys."""
        place = (id(source), name)
        if place not in self._choices:
            self._choices[place] = source.select(name)
        return self._choices[place]

    @cached_property
    def _choices(self) -> dict[tuple[int, str], Source]:
        return {}

    @cached_property
    def _places(self) -> Mapping[str, Mapping[str, int]]:
        """Index of each point's key in the source of its group; groups of the same sources share them."""
        found: dict[tuple[int, int], Mapping[str, int]] = {}
        places = {}
        for group, source in self.sources.items():
            if source is not None:
                latents = self.points.parts[group].source
                pair = (id(latents), id(source))
                if pair not in found:
                    found[pair] = matched(latents.keys, source.keys)
                places[group] = found[pair]
        return places


def _stored(source: Source, index: int, name: str) -> str:
    """Return the type of pixel in an image's file, which is read as another; empty where it tells none."""
    try:
        cell = getattr(source, "stored", source.cells)(index)[name]  # of images read as grey, the files'
        return str(cell.dtype) if isinstance(cell, np.ndarray) else header(bytes(cell)).dtype
    except (VoxloomError, OSError, ValueError, LookupError):
        return ""


def _shown(array: Array, axes: str) -> Pixels:
    """Return what is shown of an array: the first variant, the middle slice, and one or three channels."""
    facts = (tuple(array.shape), axes, str(array.dtype))
    if array.ndim != len(axes) or 0 in array.shape:
        raise DataError(f"an array of shape {facts[0]}: expected an image.")
    notes = []
    if "v" in axes:
        array, axes = array.take(0, axes.index("v")), axes.replace("v", "")
    if "z" in axes:
        place = axes.index("z")
        middle = array.shape[place] // 2
        notes.append(f"slice {middle + 1} of {array.shape[place]}")
        array, axes = array.take(middle, place), axes.replace("z", "")
    if "c" in axes:
        array, axes = np.moveaxis(array, axes.index("c"), -1), axes.replace("c", "")
        count = array.shape[-1]
        if count == 4 and array.dtype == np.uint8:
            notes.append("without its transparency")
            array = array[..., :3]
        elif count != 3:
            notes += [f"channel 1 of {count}"] if count > 1 else []
            array = array[..., 0]
    if axes != "yx":
        raise DataError(f"an array of axes {facts[1]}: expected an image.")
    return Pixels(array, *facts, ", ".join(notes))
