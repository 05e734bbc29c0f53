"""Data at rest, addressed by sample: stores, and the formats of their shards."""

from voxloom.formats.format import KEY, Column, Format, Row, Shard, ShardWriter
from voxloom.formats.manifest import FileFacts, Manifest, ShardFacts, digest_of
from voxloom.formats.names import FORMATS
from voxloom.formats.store import Store

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
    "Store",
    "digest_of",
]
