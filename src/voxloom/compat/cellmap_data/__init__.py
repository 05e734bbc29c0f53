"""The documented names of CellMap-Data, over voxloom's volumes.

What behaves differently, and why, stands on the page "coming from CellMap-Data".
"""

from voxloom.compat.cellmap_data import transforms, utils
from voxloom.compat.cellmap_data.base_dataset import CellMapBaseDataset
from voxloom.compat.cellmap_data.base_image import CellMapImageBase
from voxloom.compat.cellmap_data.dataloader import CellMapDataLoader
from voxloom.compat.cellmap_data.dataset import CellMapDataset
from voxloom.compat.cellmap_data.dataset_writer import CellMapDatasetWriter
from voxloom.compat.cellmap_data.datasplit import CellMapDataSplit
from voxloom.compat.cellmap_data.empty_image import EmptyImage
from voxloom.compat.cellmap_data.image import CellMapImage
from voxloom.compat.cellmap_data.image_writer import ImageWriter
from voxloom.compat.cellmap_data.multidataset import CellMapMultiDataset
from voxloom.compat.cellmap_data.mutable_sampler import MutableSubsetRandomSampler
from voxloom.compat.cellmap_data.sampler import ClassBalancedSampler
from voxloom.compat.cellmap_data.subdataset import CellMapSubset

__all__ = [
    "CellMapBaseDataset",
    "CellMapDataLoader",
    "CellMapDataSplit",
    "CellMapDataset",
    "CellMapDatasetWriter",
    "CellMapImage",
    "CellMapImageBase",
    "CellMapMultiDataset",
    "CellMapSubset",
    "ClassBalancedSampler",
    "EmptyImage",
    "ImageWriter",
    "MutableSubsetRandomSampler",
    "transforms",
    "utils",
]
