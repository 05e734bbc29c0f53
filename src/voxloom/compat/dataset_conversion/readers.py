"""The older readers, over stores and over the folders that the older library wrote."""

from __future__ import annotations

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset, get_worker_info

from voxloom.compat.dataset_conversion.pictures import LABELS, Pictures
from voxloom.errors import DataError, MissingDataError
from voxloom.sample import Array
from voxloom.sources.opening import open_source

__all__ = [
    "DenseIpcReader",
    "DenseMemmapReader",
    "HDF5Reader",
    "Hdf5Reader",
    "IpcReader",
    "MemmapReader",
    "ParquetReader",
    "Reader",
    "StoreReader",
    "TarReader",
    "custom_sort",
]

Transform = Callable[[Any], Any] | None
StrPath = str | os.PathLike[str]

_METADATA, _MAPPING = "metadata/metadata.json", "metadata/class_to_integer_mapping.json"
_FACTS = {
    "len": "len",
    "images_per_file": "num_images_per_array",
    "len_last_array": "len_last_array",
    "total_num_arrays": "total_num_arrays",
}


def custom_sort(name: str) -> int:
    """Return the number of a file, to sort by: 12 of ``images_12.npy``.

    Raises
    ------
    DataError
        If its name has no number behind an underscore.

    Examples
    --------
    >>> sorted(["images_10.npy", "images_9.npy"], key=custom_sort)
    ['images_9.npy', 'images_10.npy']
    """
    match = re.search(r"_(\d+)(\.[^.]*)?$", name)
    if match is None:
        raise DataError(f"{name}: expected a name such as images_12.npy")
    return int(match[1])


class Reader(Dataset[tuple[Any, Any]], ABC):
    """A reader to subclass, for files of your own beside ``metadata/metadata.json``.

    A subclass says how its files are opened (`_read`) and how a sample is found there (`__getitem__`).

    Parameters
    ----------
    dataset_path
        The folder that a converter wrote.
    transform, target_transform
        For the subclass to apply.

    Attributes
    ----------
    len, images_per_file, len_last_array, total_num_arrays, mode, shape, class_to_idx
        What the metadata say; None where they do not.
    im_list, labels_list
        What `_read` returned.

    Raises
    ------
    MissingDataError, DataError
        If the metadata are not there or cannot be read.
    """

    custom_sort = staticmethod(custom_sort)

    def __init__(
        self,
        dataset_path: StrPath | None = None,
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        self.dataset_path, self.transform, self.target_transform = dataset_path, transform, target_transform
        folder = Path(dataset_path or ".")
        facts = _json(folder / _METADATA)
        missing = [key for key in _FACTS.values() if key not in facts]
        if missing:
            raise DataError(f"{folder / _METADATA} lacks {', '.join(missing)}. Is it another library's?")
        for name, key in _FACTS.items():
            setattr(self, name, facts[key])
        self.mode, self.shape = facts.get("mode"), facts.get("shape")
        self.class_to_idx = _json(folder / _MAPPING) if (folder / _MAPPING).exists() else None
        self.im_list, self.labels_list = self._read()

    @abstractmethod
    def _read(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """Open the files; return what holds the images and what holds the labels, file by file."""

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Return (image, label)."""

    def __len__(self) -> int:
        return int(self.len)  # type: ignore[attr-defined]

    @staticmethod
    def worker_init_fn(worker_id: int) -> None:  # noqa: ARG004 - as torch calls it
        """Open the files anew in a worker process of a DataLoader."""
        info = get_worker_info()
        reader: Any = None if info is None else info.dataset
        if hasattr(reader, "im_list"):
            reader.im_list, reader.labels_list = reader._read()

    def __getstate__(self) -> dict[str, Any]:
        # open files do not travel to another process
        return {name: value for name, value in vars(self).items() if name not in ("im_list", "labels_list")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.im_list, self.labels_list = self._read()


def _json(path: Path) -> Any:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: not there. Expected the folder that a converter wrote.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a JSON file that can be read ({error}).") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: {type(found).__name__}. Expected an object.")
    return found


class StoreReader(Pictures):
    """Images and labels of a store, of any format, or of a folder that the older library wrote.

    Parameters
    ----------
    dataset_path
        The folder.
    transform, target_transform
        Applied to the PIL image and to the label.

    Raises
    ------
    MissingDataError, UnfinishedStoreError, DataError
        If it cannot be opened; the message says why.
    SchemaError
        If it holds no image or no label.
    """

    LABELS: ClassVar[Sequence[str]] = LABELS

    def __init__(
        self, dataset_path: StrPath, transform: Transform = None, target_transform: Transform = None
    ) -> None:
        super().__init__(open_source(dataset_path), transform, target_transform, labels=self.LABELS)
        self.dataset_path = dataset_path

    @staticmethod
    def worker_init_fn(worker_id: int) -> None:
        """Do nothing: each process opens the files for itself when it first reads."""


Reader.register(StoreReader)  # for isinstance: these are readers too


class MemmapReader(StoreReader):
    """A dataset of (image, label); arguments are those of `StoreReader`."""


class HDF5Reader(StoreReader):
    """A dataset of (image, label); arguments are those of `StoreReader`."""


class ParquetReader(StoreReader):
    """A dataset of (image, label); arguments are those of `StoreReader`."""


class IpcReader(StoreReader):
    """A dataset of (image, label); arguments are those of `StoreReader`."""


class TarReader(StoreReader):
    """A dataset of (image, label); arguments are those of `StoreReader`."""


class DenseIpcReader(StoreReader):
    """Images and masks of a store: (image, mask), PIL images through their transforms."""

    LABELS: ClassVar[Sequence[str]] = ("mask",)


class DenseMemmapReader(DenseIpcReader):
    """Images and masks of a store: (image, mask), PIL images through their transforms."""

    @property
    def images(self) -> Array:
        """All images, (num_instances, height, width, channels)."""
        return self._whole(self._image.name)

    @property
    def masks(self) -> Array:
        """All masks, (num_instances, height, width, channels)."""
        return self._whole(self._label.name)

    def _whole(self, name: str) -> Array:
        column = getattr(self.source, "column", None)
        array: Array = (
            self.source.select(name).gather(range(len(self)))[name] if column is None else column(name)
        )
        return array[..., np.newaxis] if array.ndim == 3 else array


Hdf5Reader = HDF5Reader
