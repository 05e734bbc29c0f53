"""Anything that can be read: files in folders, tables and tars, images of stores, and parts of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voxloom.sources.balanced import Balanced
from voxloom.sources.blocks import Block, Blocks
from voxloom.sources.columns import Files, Values
from voxloom.sources.dataset import DatasetSource
from voxloom.sources.files import FileSource, class_folder, flat_folder, paired_folders
from voxloom.sources.folder import ImageFolder, PairFolder, readable
from voxloom.sources.images import SUFFIXES, ReadPolicy, list_images, read_image, stem_of
from voxloom.sources.layout import Layout, Parts
from voxloom.sources.locations import Location, Locations, Random, centers_of
from voxloom.sources.older_layout import OlderFolder
from voxloom.sources.opening import open_source
from voxloom.sources.split import Split, split_by_fraction, subset
from voxloom.sources.statistics import FieldStatistics, Statistics, describe
from voxloom.sources.table import table
from voxloom.sources.tiles import Tiled
from voxloom.sources.webdataset import TarFolder
from voxloom.sources.write import write_image, write_png

if TYPE_CHECKING:  # these need the extra "volumes": they load when they are used
    from voxloom.sources.areas import centers_in, voxels_in
    from voxloom.sources.patches import PatchOptions, PatchSource
    from voxloom.sources.split_report import SplitReport
    from voxloom.sources.volume_dataset import check_dataset
    from voxloom.sources.volume_split import Dataset, VolumeSplit
    from voxloom.sources.volume_view import slices, tiles

_OF_VOLUMES = {
    "Dataset": "volume_split",
    "PatchOptions": "patches",
    "PatchSource": "patches",
    "SplitReport": "split_report",
    "VolumeSplit": "volume_split",
    "centers_in": "areas",
    "check_dataset": "volume_dataset",
    "slices": "volume_view",
    "tiles": "volume_view",
    "voxels_in": "areas",
}

__all__ = [
    "SUFFIXES",
    "Balanced",
    "Block",
    "Blocks",
    "Dataset",
    "DatasetSource",
    "FieldStatistics",
    "FileSource",
    "Files",
    "ImageFolder",
    "Layout",
    "Location",
    "Locations",
    "OlderFolder",
    "PairFolder",
    "Parts",
    "PatchOptions",
    "PatchSource",
    "Random",
    "ReadPolicy",
    "Split",
    "SplitReport",
    "Statistics",
    "TarFolder",
    "Tiled",
    "Values",
    "VolumeSplit",
    "centers_in",
    "centers_of",
    "check_dataset",
    "class_folder",
    "describe",
    "flat_folder",
    "list_images",
    "open_source",
    "paired_folders",
    "read_image",
    "readable",
    "slices",
    "split_by_fraction",
    "stem_of",
    "subset",
    "table",
    "tiles",
    "voxels_in",
    "write_image",
    "write_png",
]


def __getattr__(name: str) -> Any:
    if name not in _OF_VOLUMES:
        raise AttributeError(f"module 'voxloom.sources' has no attribute {name!r}")
    return getattr(import_module(f"voxloom.sources.{_OF_VOLUMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
