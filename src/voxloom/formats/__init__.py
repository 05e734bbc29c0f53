"""Data at rest, addressed by sample: stores, and the formats of their shards."""

from voxloom.formats.format import KEY, Column, Format, Row, Shard, ShardWriter
from voxloom.formats.manifest import FileFacts, Manifest, ShardFacts, digest_of
from voxloom.registry import Registry

__all__ = [
    "FORMATS",
    "KEY",
    "Column",
    "FileFacts",
    "Format",
    "Manifest",
    "Row",
    "Shard",
    "ShardFacts",
    "ShardWriter",
    "digest_of",
]

FORMATS = Registry(
    "format",
    {
        "arrow": "voxloom.formats.arrow:Arrow",
        "hdf5": "voxloom.formats.hdf5:Hdf5",
        "memmap": "voxloom.formats.memmap:Memmap",
        "parquet": "voxloom.formats.parquet:Parquet",
        "tar": "voxloom.formats.tar:Tar",
    },
)
"""Names of the formats; other packages add theirs through the entry points ``voxloom.formats``."""
