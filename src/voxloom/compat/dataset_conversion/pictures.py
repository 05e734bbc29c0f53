"""Samples of a source as the older library handed them out: a PIL image and a label."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from voxloom.errors import SchemaError
from voxloom.formats.encoding import as_pil, cell_array, decode, sniff
from voxloom.sample import Cell, Field
from voxloom.source import Source
from voxloom.sources.opening import open_source

__all__ = ["LABELS", "Pictures", "check_input_type", "picture"]

logger = logging.getLogger(__name__)

Transform = Callable[[Any], Any] | None

LABELS = ("class", "attribute", "mask", "text")
"""Kinds of fields that can be the label, the most likely one first."""

_BYTES = ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "P")


class Pictures(Dataset[tuple[Any, Any]]):
    """A source as a dataset of (PIL image or transform(image), label).

    Parameters
    ----------
    source
        Holds an image and a label: a class, a number, a mask or a text.
    transform, target_transform
        Applied to the image and to the label; None leaves them.
    labels
        Kinds that the label may be of.

    Attributes
    ----------
    class_to_idx
        The number of each class by its name; None where the source does not tell.

    Raises
    ------
    SchemaError
        If there is no image or no label.
    """

    def __init__(
        self,
        source: Source,
        transform: Transform = None,
        target_transform: Transform = None,
        *,
        labels: Sequence[str] = LABELS,
    ) -> None:
        self.transform, self.target_transform = transform, target_transform
        image = _first(source, ("image",))
        label = _first(source, labels)
        self.source = source.select(image.name, label.name)
        self._image, self._label = image, label
        self._mode = getattr(source, "mode", None)
        names = label.categories if label.kind == "class" else ()
        self.class_to_idx = {name: number for number, name in enumerate(names)} or None

    @property
    def classes(self) -> list[str]:
        """The names of the classes in the order of their numbers."""
        return list(self.class_to_idx or ())

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"image {index} of {count}: expected an index in [-{count}, {count})")
        place = int(index) % count
        cells = self.source.cells(place)
        name = f"sample {place} of {self.source!r}"
        image: Any = picture(cells[self._image.name], self._image, mode=self._mode, name=name)
        label = self._target(cells[self._label.name], name)
        image = image if self.transform is None else self.transform(image)
        return image, label if self.target_transform is None else self.target_transform(label)

    def _target(self, cell: Cell, name: str) -> Any:
        if self._label.is_spatial:
            return picture(cell, self._label, mode=self._mode, name=name)
        array = cell_array(cell, self._label, name=name)
        return array.item() if array.ndim == 0 else array


def _first(source: Source, kinds: Sequence[str]) -> Field:
    for kind in kinds:
        for field in source.schema.values():
            if field.kind == kind:
                return field
    fields = ", ".join(f"{field.name} ({field.kind})" for field in source.schema.values())
    raise SchemaError(
        f"{source!r} has the fields {fields}, and none of the kind {' or '.join(kinds)}, which the older "
        "readers hand out. Open it with voxloom.open."
    )


def picture(cell: Cell, field: Field, *, mode: str | None = None, name: str = "") -> Image.Image:
    """Return a field of an image or a mask as a PIL image, a file's not decoded yet.

    Parameters
    ----------
    cell
        The bytes of a file, or pixels.
    field
        Tells their axes.
    mode
        Pillow's mode of pixels, where their type alone does not tell: CMYK, YCbCr ...
    name
        The sample, for messages.

    Raises
    ------
    UnreadableImageError
        If the bytes are no image.
    SchemaError
        If Pillow has no mode for such pixels.
    """
    if not isinstance(cell, np.ndarray):
        if sniff(cell, name=name) not in ("npy", "blosc"):
            return as_pil(cell, name=name)
        cell = decode(cell, name=name)
    pixels = np.moveaxis(cell, 0, -1) if field.axes == "cyx" else cell
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    if mode in _BYTES and pixels.dtype == np.uint8:
        return Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    try:
        return Image.fromarray(np.ascontiguousarray(pixels > 0 if mode == "1" else pixels))
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"{name}: {pixels.dtype} of shape {pixels.shape} is no image that Pillow knows. "
            "Open it with voxloom.open, which gives arrays."
        ) from error


def check_input_type(input_data: Any, transform: Transform = None, root_in_archive: Any = None) -> Any:
    """Return a dataset: a folder's images with their labels, or the dataset that it was given.

    Parameters
    ----------
    input_data
        A path of what `voxloom.open` opens, or a map-style dataset.
    transform
        Applied to the images of a folder; a dataset has its own.
    root_in_archive
        Has no meaning, here as there.

    Raises
    ------
    MissingDataError, DataError
        If nothing readable lies at the path.
    """
    note_archive(root_in_archive)
    if not isinstance(input_data, str | os.PathLike):
        return input_data
    return Pictures(opened(input_data), transform)


def opened(path: str | os.PathLike[str]) -> Source:
    """Open the path of a script: a folder holds a folder for each class, if it is no store."""
    folder = Path(path)
    is_store = (folder / "manifest.json").exists() or (folder / "metadata").is_dir()
    return open_source(path) if is_store or not folder.is_dir() else open_source(path, layout="classes")


def note_archive(root_in_archive: Any) -> None:
    """Say that an argument has no meaning, where it was given."""
    if root_in_archive is not None:
        logger.warning("root_in_archive=%r has no meaning, and is left out", root_in_archive)
