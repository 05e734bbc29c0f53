"""The documented names of the Dataset Conversion Library, over voxloom's stores.

What behaves differently, and why, stands on the page "coming from the Dataset Conversion Library".
"""

from voxloom.compat.dataset_conversion.bases import Converter, ConverterFixedSize, ConverterFlexibleSize
from voxloom.compat.dataset_conversion.converters import (
    DenseIpcConverter,
    DenseMemmapConverter,
    HDF5Converter,
    Hdf5Converter,
    IpcConverter,
    MemmapConverter,
    ParquetConverter,
    TarConverter,
)
from voxloom.compat.dataset_conversion.distribution import CustomDistributedSampler, distributedConverter
from voxloom.compat.dataset_conversion.images import (
    ResizeAndConvert,
    get_number_of_channels,
    image_to_binary,
)
from voxloom.compat.dataset_conversion.pictures import check_input_type
from voxloom.compat.dataset_conversion.readers import (
    DenseIpcReader,
    DenseMemmapReader,
    HDF5Reader,
    Hdf5Reader,
    IpcReader,
    MemmapReader,
    ParquetReader,
    Reader,
    TarReader,
    custom_sort,
)

__all__ = [
    "Converter",
    "ConverterFixedSize",
    "ConverterFlexibleSize",
    "CustomDistributedSampler",
    "DenseIpcConverter",
    "DenseIpcReader",
    "DenseMemmapConverter",
    "DenseMemmapReader",
    "HDF5Converter",
    "HDF5Reader",
    "Hdf5Converter",
    "Hdf5Reader",
    "IpcConverter",
    "IpcReader",
    "MemmapConverter",
    "MemmapReader",
    "ParquetConverter",
    "ParquetReader",
    "Reader",
    "ResizeAndConvert",
    "TarConverter",
    "TarReader",
    "check_input_type",
    "custom_sort",
    "distributedConverter",
    "get_number_of_channels",
    "image_to_binary",
]
