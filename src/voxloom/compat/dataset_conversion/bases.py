"""The older bases of converters, to subclass for a format of one's own: they do the loop.

A subclass decides how its files look; the bases say which samples go where. They read batches through
a DataLoader, cut them where a file ends, share whole files among the ranks, and write the metadata when all
ranks have ended.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from voxloom.atomic import write_json
from voxloom.compat.dataset_conversion.distribution import CustomDistributedSampler
from voxloom.compat.dataset_conversion.images import ResizeAndConvert, checked_size, image_to_binary
from voxloom.compat.dataset_conversion.pictures import check_input_type
from voxloom.errors import ConfigError, OutputExistsError, SchemaError

__all__ = ["Converter", "ConverterFixedSize", "ConverterFlexibleSize"]


class Converter(ABC):
    """What both bases share: which samples go into which file, and the metadata.

    A subclass sets `input_dataset`, and then calls this constructor.

    Parameters
    ----------
    output_path
        The folder; its ``images``, ``labels`` and ``metadata`` are made when needed.
    images_per_file
        Samples of a file; the last one may hold fewer.
    batch_size
        Samples that are read at once; need not divide `images_per_file`.
    num_workers
        Processes of the DataLoader.

    Attributes
    ----------
    length, num_arrays, len_last_array, class_to_idx
        Number of samples, of full files, of samples in a last smaller file, and of each class by its name.
    dist, rank, num_replicas, sampler
        How the files are shared; `sampler` is None where they are not.
    files
        Numbers of the files that this process writes.
    """

    input_dataset: Any

    def __init__(
        self, output_path: str | os.PathLike[str], images_per_file: int, batch_size: int, num_workers: int
    ) -> None:
        if min(images_per_file, batch_size) < 1:
            raise ConfigError(
                f"images_per_file={images_per_file}, batch_size={batch_size}: expected 1 or more"
            )
        self.output_path = os.fspath(output_path)
        self.images_per_file, self.batch_size, self.num_workers = images_per_file, batch_size, num_workers
        self.length = len(self.input_dataset)
        self.num_arrays, self.len_last_array = divmod(self.length, images_per_file)
        self.class_to_idx = _class_to_idx(self.input_dataset)
        self.distribute(False)

    def distribute(self, dist: bool, rank: int | None = None, num_replicas: int | None = None) -> None:
        """Say whether the files are shared by several processes, and which of them this one is."""
        self.dist = dist
        self.sampler: CustomDistributedSampler | None = None
        self.rank, self.num_replicas = 0, 1
        self.files = range(-(-self.length // self.images_per_file))
        if dist:
            self.sampler = CustomDistributedSampler(
                self.input_dataset, self.images_per_file, num_replicas, rank
            )
            self.rank, self.num_replicas = self.sampler.rank, self.sampler.num_replicas
            self.files = self.sampler.files

    def convert(self) -> None:
        """Write the files of this process; the last process to end writes the metadata.

        Where the metadata of the same conversion are there already, nothing is done.

        Raises
        ------
        OutputExistsError
            If the folder holds the metadata of another conversion.
        """
        if self._is_done():
            return
        self._mark().unlink(missing_ok=True)
        if self.files:
            for name in ("images", "labels"):
                Path(self.output_path, name).mkdir(parents=True, exist_ok=True)
            self._write()
        write_json(self._mark(), {"files": list(self.files)})
        marks = [self._mark(rank) for rank in range(self.num_replicas)]
        if all(mark.exists() for mark in marks):
            self._save_metadata()
            for mark in marks:
                mark.unlink(missing_ok=True)

    @abstractmethod
    def _write(self) -> None:
        """Write the files of this process."""

    def _save_metadata(self) -> None:
        """Write ``metadata/metadata.json`` and, where there are classes, their numbers."""
        if self.class_to_idx:
            write_json(self._metadata.with_name("class_to_integer_mapping.json"), self.class_to_idx)
        write_json(self._metadata, self._facts())

    def _facts(self) -> dict[str, Any]:
        return {
            "num_images_per_array": self.images_per_file,
            "len": self.length,
            "len_last_array": self.len_last_array,
            "total_num_arrays": -(-self.length // self.images_per_file),
        }

    @property
    def _metadata(self) -> Path:
        return Path(self.output_path, "metadata", "metadata.json")

    def _mark(self, rank: int | None = None) -> Path:
        """Return the file that says that a rank has ended."""
        number = self.rank if rank is None else rank
        return self._metadata.with_name(f"ended_{number}_of_{self.num_replicas}.json")

    def _is_done(self) -> bool:
        if not self._metadata.exists():
            return False
        if json.loads(self._metadata.read_bytes()) == json.loads(json.dumps(self._facts())):
            return True
        raise OutputExistsError(
            f"{self.output_path} holds another conversion, of which {self._metadata} tells. "
            "Name another folder, or remove it."
        )

    def _batches(self) -> Iterator[tuple[int, slice, Sequence[Any], Sequence[Any]]]:
        """Yield (number of the file, place in it, images, labels): batches, cut where a file ends."""
        loader = DataLoader(
            self.input_dataset,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            sampler=self.sampler,
            collate_fn=self._custom_collate_fn,
        )
        position = self.files.start * self.images_per_file
        for images, labels in loader:
            done = 0
            while done < len(labels):
                number, row = divmod(position, self.images_per_file)
                count = min(len(labels) - done, self.images_per_file - row)
                part = slice(done, done + count)
                yield number, slice(row, row + count), images[part], labels[part]
                position, done = position + count, done + count

    @staticmethod
    @abstractmethod
    def _custom_collate_fn(batch: Any) -> Any:
        """Return (images, labels) of a batch."""


class ConverterFixedSize(Converter):
    """Subclass this for files that hold arrays of one size.

    `_init_arrays` makes what the images and labels are assigned to, for each file of this process:
    ``self.im_list`` and ``self.labels_list``, or both returned. They have an entry for each of `files`, or
    for each file of the whole. Then ``im_list[k][a:b] = images`` is done for each batch.

    Parameters
    ----------
    input_data
        A folder with a folder for each class; or a dataset, whose images have one size already.
    output_path, images_per_file, batch_size, num_workers
        As for `Converter`.
    shape, im_mode
        (height, width) in pixels, and Pillow's mode, that the images of a folder are brought to.
    root_in_archive
        Has no meaning, here as there.

    Raises
    ------
    ConfigError
        If a folder is given without a shape.
    """

    im_list: Any
    labels_list: Any

    def __init__(
        self,
        input_data: Any,
        output_path: str | os.PathLike[str],
        images_per_file: int,
        batch_size: int,
        num_workers: int,
        shape: Any = None,
        im_mode: str | None = None,
        root_in_archive: Any = None,
    ) -> None:
        self.shape = None if shape is None else checked_size(shape)
        self.im_mode = im_mode or "RGB"
        if shape is None and isinstance(input_data, str | os.PathLike):
            raise ConfigError(
                f"images of one size: expected shape=(height, width) for {os.fspath(input_data)}"
            )
        resize = None if shape is None else ResizeAndConvert(self.shape, self.im_mode)
        self.input_dataset = check_input_type(input_data, resize, root_in_archive)
        super().__init__(output_path, images_per_file, batch_size, num_workers)

    @abstractmethod
    def _init_arrays(self) -> Any:
        """Make the arrays of the files of this process."""

    def _write(self) -> None:
        made = self._init_arrays()
        if made is not None:
            self.im_list, self.labels_list = made
        self._convert_to_format()

    def _convert_to_format(self) -> None:
        """Assign each batch to its place."""
        for number, rows, images, labels in self._batches():
            self._file(self.im_list, number)[rows] = images
            self._file(self.labels_list, number)[rows] = labels

    def _file(self, arrays: Any, number: int) -> Any:
        total = -(-self.length // self.images_per_file)
        if len(arrays) not in (len(self.files), total):
            raise SchemaError(
                f"_init_arrays made {len(arrays)} arrays: expected one for each of the {len(self.files)} "
                f"files of this process, or one for each of all {total}"
            )
        return arrays[number if len(arrays) == total else number - self.files.start]

    def _facts(self) -> dict[str, Any]:
        if self.shape is None:
            return super()._facts()
        return {**super()._facts(), "mode": self.im_mode, "shape": list(self.shape)}

    @staticmethod
    def _custom_collate_fn(batch: Any) -> Any:
        """Return images (n, height, width[, channels]) and labels (n,) as arrays."""
        images, labels = zip(*batch, strict=True)
        return np.stack([np.asarray(image) for image in images]), np.array(labels)


class ConverterFlexibleSize(Converter):
    """Subclass this for files that hold images of any size, each as the bytes of an image file.

    `_write_data_to_disk` is called with the images and the labels of each file, and its number.

    Parameters
    ----------
    input_data
        A folder with a folder for each class, or a dataset.
    output_path, images_per_file, batch_size, num_workers
        As for `Converter`.
    root_in_archive
        Has no meaning, here as there.
    """

    def __init__(
        self,
        input_data: Any,
        output_path: str | os.PathLike[str],
        images_per_file: int,
        batch_size: int,
        num_workers: int,
        root_in_archive: Any = None,
    ) -> None:
        self.input_dataset = check_input_type(input_data, None, root_in_archive)
        super().__init__(output_path, images_per_file, batch_size, num_workers)

    @abstractmethod
    def _write_data_to_disk(self, images: list[Any], labels: list[Any], file_number: int) -> None:
        """Write one file of images and one of labels."""

    def _write(self) -> None:
        self._convert_to_format()

    def _convert_to_format(self) -> None:
        """Collect the batches of each file, and have it written."""
        images: list[Any] = []
        labels: list[Any] = []
        for number, rows, some, told in self._batches():
            images.extend(some)
            labels.extend(told)
            if rows.stop == self.images_per_file or number * self.images_per_file + rows.stop == self.length:
                self._write_data_to_disk(images, labels, number)
                images, labels = [], []

    @staticmethod
    def _custom_collate_fn(batch: Any) -> Any:
        """Return images as the bytes of their files, and labels."""
        images, labels = zip(*batch, strict=True)
        return [image_to_binary(image) for image in images], list(labels)


def _class_to_idx(dataset: Any) -> dict[str, int] | None:
    found = getattr(dataset, "class_to_idx", None)
    if found:
        return {str(name): int(number) for name, number in found.items()}
    names = getattr(dataset, "categories", None) or ()
    return {str(name): number for number, name in enumerate(names)} or None
