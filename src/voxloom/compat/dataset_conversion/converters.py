"""The older converters: adapters over `voxloom.convert`, which write stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from voxloom.compat.dataset_conversion.bases import ConverterFixedSize, ConverterFlexibleSize
from voxloom.compat.dataset_conversion.distribution import rank_of
from voxloom.compat.dataset_conversion.images import (
    ResizeAndConvert,
    checked_size,
    get_number_of_channels,
    image_to_binary,
)
from voxloom.compat.dataset_conversion.pictures import note_archive, opened, picture
from voxloom.conversion import Report, convert
from voxloom.conversion.origin import as_source
from voxloom.conversion.pixels import MODES
from voxloom.errors import CompatError, ConfigError
from voxloom.formats.encoding import cell_array
from voxloom.jobs.progress import transfer
from voxloom.ranks import Rank
from voxloom.sample import Cell, Sample, Schema
from voxloom.source import Source

__all__ = [
    "DenseIpcConverter",
    "DenseMemmapConverter",
    "HDF5Converter",
    "Hdf5Converter",
    "IpcConverter",
    "MemmapConverter",
    "ParquetConverter",
    "StoreConverter",
    "TarConverter",
]

_HOOKS = (
    "_init_arrays",
    "_write_data_to_disk",
    "_custom_collate_fn",
    "_convert_to_format",
    "_save_metadata",
)


class StoreConverter:
    """Convert images to a store.

    Parameters
    ----------
    input_data
        A folder with a folder for each class, or what else `voxloom.open` opens; or a map-style dataset.
    output_path
        The folder of the store. What an earlier run has begun there is finished.
    images_per_file
        Samples of a shard.
    batch_size
        Has no meaning any more: shards are streamed.
    num_workers
        Processes that convert beside this one.
    shape
        (height, width) in pixels; the formats of one size need it for a folder.
    im_mode
        Pillow's mode that images are brought to: ``RGB`` where there is a shape, otherwise None leaves them.
    root_in_archive
        Has no meaning, here as there.
    dist
        Whether the shards are shared by the ranks of a job: those of `rank` and `num_replicas`, else those
        of torchrun, srun or MPI. No process group is needed.
    rank, num_replicas
        Which process of how many.

    Raises
    ------
    ConfigError
        If an argument cannot be meant.
    """

    FORMAT: ClassVar[str]
    IS_FIXED: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        changed = [name for name in _HOOKS if name in vars(cls)]
        if changed:
            raise CompatError(
                f"{cls.__name__} changes {', '.join(changed)} of a converter that writes a voxloom store, "
                "and has no such step. For files of your own, derive from ConverterFixedSize or "
                "ConverterFlexibleSize."
            )

    def __init__(
        self,
        input_data: Any,
        output_path: str | os.PathLike[str],
        images_per_file: int,
        batch_size: int = 1,
        num_workers: int = 0,
        shape: Any = None,
        im_mode: str | None = None,
        root_in_archive: Any = None,
        *,
        dist: bool = False,
        rank: int | None = None,
        num_replicas: int | None = None,
    ) -> None:
        note_archive(root_in_archive)
        self.input_data, self.output_path = input_data, output_path
        self.images_per_file, self.batch_size, self.num_workers = images_per_file, batch_size, num_workers
        for name in ("images_per_file", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected 1 or more")
        self.shape = None if shape is None else checked_size(shape)
        self.im_mode = im_mode or ("RGB" if shape is not None else None)
        if self.im_mode is not None:
            get_number_of_channels(self.im_mode)
        if self.IS_FIXED and shape is None and isinstance(input_data, str | os.PathLike):
            raise ConfigError(
                f"{type(self).__name__} stores images of one size: expected shape=(height, width) for the "
                f"images of {os.fspath(input_data)}"
            )
        self.distribute(dist, rank, num_replicas)

    def distribute(self, dist: bool, rank: int | None = None, num_replicas: int | None = None) -> None:
        """Say whether the shards are shared by several processes, and which of them this one is."""
        me = rank_of(rank, num_replicas) if dist else Rank()
        self.dist, self.rank, self.num_replicas = dist, me.index, me.world

    def convert(self) -> Report:
        """Write this process's share of the store, or what is missing of it.

        Raises
        ------
        ConfigError
            If the folder holds another conversion.
        OutputExistsError
            If it holds something else.
        DataError
            If an image cannot be read; after it is mended, the next run goes on there.
        """
        given = self.input_data
        source = opened(given) if isinstance(given, str | os.PathLike) else as_source(given)
        settings = self._settings(source)
        if self.im_mode is not None and self.im_mode not in MODES:
            source = _InMode(source, self.im_mode, self.shape)
        progress = transfer("converting") if self.rank == 0 else None
        try:
            return convert(
                source,
                self.output_path,
                resume=True,
                workers=self.num_workers,
                rank=Rank(self.rank, self.num_replicas),
                progress=progress,
                **settings,
            )
        finally:
            if progress is not None:
                progress.close()

    def _settings(self, source: Source) -> dict[str, Any]:
        settings: dict[str, Any] = {"format": self.FORMAT, "samples_per_shard": self.images_per_file}
        if self.im_mode is not None and self.im_mode not in MODES:
            return settings
        settings |= {"size": self.shape, "mode": self.im_mode, "interpolation": "bicubic"}
        if self.IS_FIXED:
            return settings | {"encoding": "fixed"}
        return settings | ({"encoding": "png"} if self.shape is None and _suits_png(source) else {})


def _suits_png(source: Source) -> bool:
    """Whether images and masks are decoded already, in types that PNG holds: it is smaller than arrays."""
    cells = source.cells(0)
    spatial = [field for field in source.schema.values() if field.is_spatial]
    return all(
        isinstance(cells[field.name], np.ndarray)
        and field.dtype in ("bool", "uint8", "uint16")
        and field.axes in ("yx", "yxc")
        for field in spatial
    )


class _InMode(Source):
    """Images in a mode that arrays alone do not tell, as files: CMYK, YCbCr, LAB, a palette."""

    def __init__(self, source: Source, mode: str, size: tuple[int, int] | None) -> None:
        self.source, self._mode, self._size = source, mode, size

    @property
    def schema(self) -> Schema:
        """The source's, with images of any size."""
        images = [field for field in self.source.schema.values() if field.kind == "image"]
        update = {"axes": "yxc", "dtype": "uint8", "shape": None}
        return self.source.schema.replace(*(field.model_copy(update=update) for field in images))

    @property
    def keys(self) -> Any:
        """Those of the source."""
        return self.source.keys

    def cells(self, index: int) -> Mapping[str, Cell]:
        """Return sample `index`, its images as files."""
        made = dict(self.source.cells(index))
        for name, field in self.source.schema.items():
            if field.is_spatial:
                image = picture(made[name], field, name=self.keys[index])
                made[name] = image_to_binary(self._as_wanted(image, field.kind == "mask"))
        return made

    def read(self, index: int) -> Sample:
        """Return sample `index`."""
        arrays = {
            name: cell_array(cell, self.schema[name], name=self.keys[index])
            for name, cell in self.cells(index).items()
        }
        return Sample(self.keys[index], self.schema, arrays)

    def _as_wanted(self, image: Any, is_mask: bool) -> Any:
        size = self._size or (image.height, image.width)
        if is_mask:
            return ResizeAndConvert(size, image.mode, interpolation="nearest")(image)
        return ResizeAndConvert(size, self._mode)(image)


class MemmapConverter(StoreConverter):
    """Convert images to ``.npy`` files; arguments are those of `StoreConverter`."""

    FORMAT, IS_FIXED = "memmap", True


class HDF5Converter(StoreConverter):
    """Convert images to HDF5; arguments are those of `StoreConverter`."""

    FORMAT, IS_FIXED = "hdf5", True


class ParquetConverter(StoreConverter):
    """Convert images to Parquet; arguments are those of `StoreConverter`."""

    FORMAT = "parquet"


class IpcConverter(StoreConverter):
    """Convert images to Arrow's IPC files; arguments are those of `StoreConverter`."""

    FORMAT = "arrow"


class TarConverter(StoreConverter):
    """Convert images to tars as WebDataset names them; arguments are those of `StoreConverter`."""

    FORMAT = "tar"


class DenseMemmapConverter(MemmapConverter):
    """Convert images with masks, which take the nearest pixel and keep their numbers."""


class DenseIpcConverter(IpcConverter):
    """Convert images with masks, as their files are, or without loss."""


for _fixed in (MemmapConverter, HDF5Converter):
    ConverterFixedSize.register(_fixed)  # for isinstance
for _flexible in (ParquetConverter, IpcConverter, TarConverter):
    ConverterFlexibleSize.register(_flexible)

Hdf5Converter = HDF5Converter
