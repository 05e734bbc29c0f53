"""Any map-style dataset of torch, or any sequence, as a source."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from PIL import Image

from voxloom.errors import SchemaError
from voxloom.formats.encoding import cell_array
from voxloom.sample import Array, Cell, Field, Kind, Sample, Schema
from voxloom.source import Source
from voxloom.sources.columns import axes_of, file_field, kind_of, told_by
from voxloom.sources.listing import key_of
from voxloom.sources.unread import unread_bytes

__all__ = ["DatasetSource", "MapDataset"]

_log = logging.getLogger(__name__)

_LABEL_NAMES = {"label", "labels", "target", "class", "category"}
_ACCEPTED = "Expected arrays, tensors, PIL images, strings, bytes or numbers"


class MapDataset(Protocol):
    """What a dataset needs: a length, and an item for each index."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one item."""


class DatasetSource(Source):
    """The items of a dataset as samples.

    An item is one image; (image, label) or (image, mask); a named tuple; or a dict. Its parts are numpy
    arrays, torch tensors, PIL images, strings, the bytes of an image file, or numbers. What the first
    item holds, all hold. A PIL image whose file was opened and not yet read is taken as the file's bytes when
    Pillow can be sure of them; else as pixels of its mode, with the indices of a palette for masks.
    Tensors of three axes are (channels, height, width), axes cyx; arrays have their channels last if
    there are 1 to 4.

    Parameters
    ----------
    dataset
        Anything with ``len`` and ``[index]``; it is asked for an item each time one is read. Class names
        are taken from its ``class_to_idx``, ``classes`` or ``categories``, or those of the datasets that
        torch's Subset and ConcatDataset hold, where they all agree; keys from the paths in its
        ``samples``, ``imgs`` or ``paths``; otherwise a key is the index.

    Raises
    ------
    SchemaError
        If it has no length or no item, or an item holds what a sample cannot; the message names the index.

    Examples
    --------
    >>> source = DatasetSource([(np.zeros((4, 4, 3), np.uint8), 1), (np.ones((5, 4, 3), np.uint8), 0)])
    >>> source[1]["image"].shape, source[0]["label"], source.schema["label"].kind
    ((5, 4, 3), array(1), 'class')
    """

    def __init__(self, dataset: MapDataset) -> None:
        self.dataset = dataset
        try:
            count = len(dataset)
        except TypeError as error:
            raise SchemaError(
                f"{type(dataset).__name__} has no length. Expected a map-style dataset, with len and [index]."
            ) from error
        if not count:
            raise SchemaError(f"{type(dataset).__name__} has no items. Expected at least one.")
        self._keys = _keys(dataset, count)

    def __repr__(self) -> str:
        return f"{len(self)} samples of a {type(self.dataset).__name__}"

    @cached_property
    def schema(self) -> Schema:
        """The fields of the first item; dtype and shape may differ in the others."""
        return Schema([self._field(name, value) for name, value in self._item(0).items()])

    @property
    def keys(self) -> Sequence[str]:
        """Paths where the dataset has them, else the index with leading zeros."""
        return self._keys

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return item `index` at rest: bytes where an image's file was not read yet, else arrays."""
        item, schema = self._item(index), self.schema
        if set(item) != set(schema):
            raise SchemaError(
                f"item {index} of {type(self.dataset).__name__} has the parts {sorted(item)}, and the first "
                f"one {sorted(schema)}. Expected the same in each."
            )
        return {name: self._cell(item[name], field, index) for name, field in schema.items()}

    def read(self, index: int) -> Sample:
        """Return item `index` as a sample.

        Raises
        ------
        SchemaError
            If the item holds what a sample cannot, or other parts than the first item.
        DataError
            If the bytes of an image cannot be decoded.
        """
        schema = self.schema
        arrays = {
            name: cell_array(cell, schema[name], name=f"{self._keys[index]} ({name})")
            for name, cell in self.cells(index).items()
        }
        return Sample(self._keys[index], told_by(arrays, schema), arrays)

    def _item(self, index: int) -> dict[str, Any]:
        item = self.dataset[index]
        if isinstance(item, Mapping):
            return {str(name): value for name, value in item.items()}
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return dict(zip(item._fields, item, strict=True))
        if isinstance(item, tuple | list):
            if len(item) == 1:
                return {"image": item[0]}
            if len(item) == 2:
                second = "mask" if _is_picture(item[1]) else "label"
                return {"image": item[0], second: item[1]}
            raise SchemaError(
                f"item {index} of {type(self.dataset).__name__} is a {type(item).__name__} of {len(item)} "
                "parts. Expected (image, label) or (image, mask); give more parts names, with a dict."
            )
        return {"image": item}

    def _cell(self, value: Any, field: Field, index: int) -> Cell:
        """Return one part of an item as its field says."""
        place = self._place(index, field.name)
        if field.kind == "class":
            return _label(value, field.categories, place)
        if isinstance(value, str) != (field.kind == "text"):
            raise SchemaError(
                f"{place} is a {type(value).__name__}, and the first item has kind {field.kind!r}."
            )
        if isinstance(value, str):
            return np.array(value)
        data = _file_of(value)
        if data is not None:
            return data
        array = _array(value, field.kind, place)
        if field.axes == "yxc" and array.ndim == 2:
            array = array[..., np.newaxis]  # one channel
        if array.ndim != len(field.axes):
            raise SchemaError(f"{place} has shape {array.shape}, and the first item axes {field.axes!r}.")
        return array

    def _field(self, name: str, value: Any) -> Field:
        """Return the field of one part of the first item."""
        place = self._place(0, name)
        if name.lower() in _LABEL_NAMES and not _is_picture(value):
            field = _label_field(name, value, _class_names(self.dataset), place)
            if field is not None:
                return field
        kind = kind_of(name)
        if isinstance(value, str):
            return Field(name=name, kind="text", axes="", dtype="str", shape=())
        data = _file_of(value)
        if data is not None:
            return file_field(name, kind, 1, lambda _: (data, place))
        array = _array(value, kind, place)
        if array.ndim < 2:
            axes = axes_of(array.shape)
            return Field(name=name, kind="attribute", axes=axes, dtype=str(array.dtype), shape=array.shape)
        return Field(name=name, kind=kind, axes=_axes(value, array, kind), dtype=str(array.dtype))

    def _place(self, index: int, name: str) -> str:
        return f"item {index} of {type(self.dataset).__name__}, {name}"


def _is_picture(value: Any) -> bool:
    return isinstance(value, Image.Image | bytes | bytearray | memoryview) or getattr(value, "ndim", 0) >= 2


def _file_of(value: Any) -> bytes | None:
    """Return the bytes of an image file, where the value is one."""
    if isinstance(value, Image.Image):
        return unread_bytes(value)
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None


def _array(value: Any, kind: Kind, place: str) -> Array:
    """Return a value as an array of numbers."""
    if isinstance(value, Image.Image):
        return np.array(_shown(value, kind))
    try:
        # a copy: what is done to a sample must not reach the dataset
        array = np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        raise SchemaError(f"{place} is a {type(value).__name__} ({error}). {_ACCEPTED}.") from error
    if array.dtype.kind not in "buif":
        raise SchemaError(f"{place} is a {type(value).__name__} of type {array.dtype}. {_ACCEPTED}.")
    return array


def _shown(image: Image.Image, kind: Kind) -> Image.Image:
    """Return an image whose pixels are colours, as decoding its file would give; a mask keeps its indices."""
    if kind == "mask" or image.mode not in ("P", "PA"):
        return image
    return image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")


def _axes(value: Any, array: Array, kind: Kind) -> str:
    if array.ndim == 2:
        return "yx" if kind == "mask" else "yxc"
    if not hasattr(value, "detach"):
        return axes_of(array.shape)
    return {3: "cyx", 4: "czyx"}.get(array.ndim) or axes_of(array.shape)


def _label_field(name: str, value: Any, classes: tuple[str, ...], place: str) -> Field | None:
    """Return the field of a class, or None where the first label is none: a float, a vector, a free text."""
    if isinstance(value, str):
        if value not in classes:
            return None
    else:
        array = _array(value, "class", place)
        if array.ndim or array.dtype.kind not in "iub":
            return None
    return Field(name=name, kind="class", axes="", dtype="int64", shape=(), categories=classes)


def _label(value: Any, classes: tuple[str, ...], place: str) -> Array:
    if isinstance(value, str):
        if value not in classes:
            known = f"one of the classes {', '.join(classes[:20])}" if classes else "an integer, as in item 0"
            raise SchemaError(f"{place} is {value!r}. Expected {known}.")
        return np.array(classes.index(value), np.int64)
    array = _array(value, "class", place)
    if array.ndim or array.dtype.kind not in "iub":
        raise SchemaError(f"{place} is {array.dtype} of shape {array.shape}. Expected one integer, a class.")
    if array > np.iinfo(np.int64).max:
        raise SchemaError(f"{place} is {array}. Expected the number of a class, up to 2**63 - 1.")
    return array.astype(np.int64)


def _class_names(dataset: Any) -> tuple[str, ...]:
    """Return the names of the classes in the order of their numbers, or nothing where none are told."""
    numbers = getattr(dataset, "class_to_idx", None)
    if isinstance(numbers, Mapping) and numbers:
        names = {int(number): str(name) for name, number in numbers.items()}
        return tuple(names.get(number, str(number)) for number in range(max(names) + 1))
    for attribute in ("classes", "categories"):
        names_in_order = getattr(dataset, attribute, None)
        if isinstance(names_in_order, Sequence) and all(isinstance(n, str) for n in names_in_order):
            return tuple(names_in_order)
    inner = getattr(dataset, "dataset", None)  # torch's Subset tells nothing itself
    if inner is not None:
        return _class_names(inner)
    parts = getattr(dataset, "datasets", None)  # nor does its ConcatDataset
    return _common_names(parts) if isinstance(parts, list | tuple) else ()


def _common_names(datasets: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of the classes where all datasets have the same."""
    found = dict.fromkeys(_class_names(dataset) for dataset in datasets)
    if len(found) > 1:
        told = " and ".join(str(names[:10]) if names else "none" for names in list(found)[:3])
        _log.warning(
            "the datasets that are joined have different classes: %s. Their labels are taken as bare "
            "numbers, and one number may mean two classes: give each dataset the same class list.",
            told,
        )
    return next(iter(found), ()) if len(found) == 1 else ()


def _keys(dataset: Any, count: int) -> list[str]:
    paths = _paths(dataset)
    if len(paths) == count:
        root = os.path.abspath(_root(dataset) or _common_folder(paths))
        keys = [_relative(path, root + os.sep) for path in paths]
        if len(set(keys)) == count:
            return keys
    return [f"{index:0{len(str(count - 1))}d}" for index in range(count)]


def _root(dataset: Any) -> str | None:
    while dataset is not None and not isinstance(getattr(dataset, "root", None), str | os.PathLike):
        dataset = getattr(dataset, "dataset", None)  # torch's Subset
    return None if dataset is None else os.fspath(dataset.root)


def _common_folder(paths: list[str]) -> str:
    # what the first and the last in the order of the alphabet share, all share
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in (min(paths), max(paths))])


def _relative(path: str, root: str) -> str:
    path = os.path.abspath(path)
    return key_of(path.removeprefix(root).replace(os.sep, "/").removeprefix("/"))


def _paths(dataset: Any) -> list[str]:
    """Return the path of each item where the dataset keeps them, else an empty list."""
    for attribute in ("samples", "imgs", "paths"):
        found = getattr(dataset, attribute, None)
        if isinstance(found, Sequence) and not isinstance(found, str) and len(found):
            paths = [each[0] if isinstance(each, tuple | list) and each else each for each in found]
            if all(isinstance(path, str | os.PathLike) for path in paths):
                return [os.fspath(path) for path in paths]
    indices, inner = getattr(dataset, "indices", None), getattr(dataset, "dataset", None)
    if indices is None or inner is None:
        return []
    paths = _paths(inner)  # torch's Subset
    return [paths[index] for index in indices] if paths else []
