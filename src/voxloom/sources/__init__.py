"""Anything that can be read: files in folders, tables and tars, images of stores, and parts of them."""

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

__all__ = [
    "SUFFIXES",
    "Balanced",
    "Block",
    "Blocks",
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
    "Random",
    "ReadPolicy",
    "Split",
    "Statistics",
    "TarFolder",
    "Tiled",
    "Values",
    "centers_of",
    "class_folder",
    "describe",
    "flat_folder",
    "list_images",
    "open_source",
    "paired_folders",
    "read_image",
    "readable",
    "split_by_fraction",
    "stem_of",
    "subset",
    "table",
    "write_image",
    "write_png",
]
